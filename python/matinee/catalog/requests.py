"""Requests of people and the film that each of them meant: what a search is measured with, never made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from matinee.catalog import values
from matinee.catalog.report import BuildReport
from matinee.catalog.table import Column, TableFile


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked, and the film that answers it."""

    text: str
    film: str
    """A film id or alias."""


class RequestOptions(TableFile):
    """One `[[requests]]` in a source file."""

    licence: str
    text: Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)] = Field(
        min_length=1, description="Columns that make up the request, in order."
    )
    film: Column
    leave_out: str | None = Field(default=None, description="Column that says 'true' of requests that name the film.")


def read_requests(options: RequestOptions, folder: Path, report: BuildReport) -> Iterator[Request]:
    """The requests whose film is known; relative paths start at `folder`. Raises what reading the table raises."""
    required = {*options.text, options.film.column, *([options.leave_out] if options.leave_out else [])}
    for number, cells in options.rows(folder, report, required=required):
        if options.leave_out and cells.get(options.leave_out, "").strip().lower() in ("true", "1", "yes"):
            continue
        parts = [part for column in options.text if (part := values.text(cells.get(column, "")))]
        film = values.known(cells.get(options.film.column, ""))
        if not parts or film is None:
            missing = "text" if not parts else "film"
            report.add(options.name, f"request_without_{missing}", "nothing to measure with", "skipped", row=number)
            continue
        text = " ".join(part if part[-1] in ".!?…" else f"{part}." for part in parts)
        yield Request(text, options.film.prefix + film)
