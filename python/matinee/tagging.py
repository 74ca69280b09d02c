"""Tags many films at once: `matinee tag`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matinee.answers import Labels
from matinee.bundle import Bundle
from matinee.errors import FormatError, InvalidArgument, IoError, MatineeError, NotFound

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_LONGEST_FIELD = 1 << 24  # characters of a CSV field: plots, not files


@dataclass(frozen=True)
class Item:
    """One film to tag."""

    name: str
    poster: Path | None = None
    plot: str | None = None


def read_items(path: Path) -> list[Item]:
    """The images under a folder, or the rows of a CSV with columns `poster` (a path relative to it), `plot`, or both.

    A column `id` or `name` names the rows; else they are numbered. Raises NotFound, FormatError, InvalidArgument where
    there is nothing to tag.
    """
    if path.is_dir():
        items = [
            Item(str(file.relative_to(path)), poster=file)
            for file in sorted(path.rglob("*"))
            if file.suffix.lower() in _SUFFIXES and file.is_file()
        ]
        if not items:
            raise InvalidArgument(f"tag: input: expected JPEG, PNG or WebP images in {path}, found none")
        return items
    try:
        csv.field_size_limit(_LONGEST_FIELD)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if not {"poster", "plot"} & set(columns):
                raise InvalidArgument(f"tag: input: expected a column poster or plot, got {', '.join(columns)}")
            return [_item(row, number, path.parent) for number, row in enumerate(reader, start=1)]
    except FileNotFoundError as error:
        raise NotFound(f"tag: input: expected a folder or a CSV file, found nothing at {path}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"tag: input: {path.name}: expected CSV in UTF-8: {error}") from error
    except OSError as error:
        raise IoError(f"tag: input: {path} cannot be read: {error.strerror}") from error


def tag(bundle: Bundle, items: Sequence[Item], labels: Labels = "multi") -> Iterator[dict[str, object]]:
    """One line an item, in order: `name`, then the genres and the poster's check, or `error`; none stops the others."""
    for item in items:
        try:
            answer = bundle.predict_genres(poster=item.poster, plot=item.plot, labels=labels)
        except MatineeError as error:
            yield {"name": item.name, "error": f"{type(error).__name__}: {error}"}
        else:
            yield {"name": item.name, **answer.model_dump(mode="json")}


def _item(row: dict[str, str | None], number: int, folder: Path) -> Item:
    poster, plot = (row.get("poster") or "").strip(), (row.get("plot") or "").strip()
    name = row.get("id") or row.get("name") or str(number)
    return Item(name, folder / poster if poster else None, plot or None)
