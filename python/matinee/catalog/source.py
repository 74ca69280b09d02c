"""What a source of films is. One module a source: table, course, imagefolder, movielens, demo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from matinee.catalog.film import Film
from matinee.catalog.report import BuildReport

Image = Path | bytes
"""An image file, or the bytes of one."""


@dataclass(frozen=True, slots=True)
class SourceFilm:
    """One film as a source gives it. `film.provenance` names the origin of every field that is set."""

    film: Film
    poster: Image | None = None


@dataclass(frozen=True, slots=True)
class Negative:
    """An image that is not a film poster, for training the poster check."""

    image: Image
    kind: str
    """What it is: 'photograph', 'album_cover', 'screenshot', 'other'."""


@dataclass(frozen=True, slots=True)
class Rating:
    """One person's rating of one film."""

    person: str
    film: str
    """A film id or alias."""
    value: float
    """As the source gives it, brought to 0.5 … 5 stars."""
    time: int | None
    """Unix seconds; None where the source has no times."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Who a source is and what may be done with it."""

    name: str
    licence: str
    train_allowed: bool = True
    """False: its films are shown and searched, but no head is trained on them."""
    notes: str = ""


@runtime_checkable
class Source(Protocol):
    """A place that films come from. Problems with single rows go to the report and never stop the others."""

    @property
    def info(self) -> SourceInfo:
        """Name, licence and what may be done with the data."""

    def films(self, report: BuildReport) -> Iterator[SourceFilm]:
        """All films, in a stable order."""

    def negatives(self, report: BuildReport) -> Iterator[Negative]:
        """Images that are not film posters; most sources have none."""

    def ratings(self, report: BuildReport) -> Iterator[Rating]:
        """People's ratings; most sources have none."""
