"""Writes films.sqlite, the frozen copy of the catalogue inside a bundle. frozen.py reads it."""

from __future__ import annotations

import itertools
import re
import sqlite3
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from matinee.catalog.film import Film
from matinee.errors import InvalidArgument

FORMAT = 1
"""Version of the schema, kept in SQLite's user_version."""


_SCHEMA = f"""
CREATE TABLE film (
  row INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  year INTEGER,
  runtime INTEGER,
  facts TEXT NOT NULL,              -- the Film as JSON
  poster_offset INTEGER,            -- into posters.bin; NULL without a poster
  poster_length INTEGER,
  poster_type TEXT                  -- media type, image/jpeg …
);
CREATE TABLE alias (alias TEXT PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID;
-- Which films have a fact: `rows` holds their numbers as little-endian int32, ascending. Names are folded for
-- comparison; kind is genre, language, country, certificate, person or title. The name '' stands for any of its kind.
CREATE TABLE fact (kind TEXT NOT NULL, name TEXT NOT NULL, films INTEGER NOT NULL, rows BLOB NOT NULL,
                   UNIQUE (kind, name));
-- Contentless: the texts are in film.facts already.
CREATE VIRTUAL TABLE film_text USING fts5(title, people, keywords, plot, content='',
                                          tokenize='porter unicode61 remove_diacritics 2');
-- Unstemmed and prefix-indexed, for finding a film by the first letters of its title or of a name.
CREATE VIRTUAL TABLE film_name USING fts5(title, people, content='', prefix='2 3',
                                          tokenize='unicode61 remove_diacritics 2');
PRAGMA user_version = {FORMAT};
"""

_TRANSLATED_TITLE = re.compile(r" \(.*\)$")  # 'The City of Lost Children (La cité des enfants perdus)'


@dataclass(frozen=True, slots=True)
class PosterSpan:
    """Where a film's poster lies in posters.bin, and its media type."""

    offset: int
    length: int
    media_type: str


def fold(name: str) -> str:
    """The form in which names are compared: case, accents and surrounding space do not count."""
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def write_films(films: Iterable[Film], path: Path, posters: Mapping[str, PosterSpan] | None = None) -> int:
    """Writes films.sqlite, one row a film in the given order, and returns the number of films.

    `posters` maps film ids to their span in posters.bin. `path` must not exist. Raises InvalidArgument for a
    repeated id.
    """
    posters = posters or {}
    if path.exists():
        raise InvalidArgument(f"write_films: path: expected a new file, {path} exists; remove it first")
    connection = sqlite3.connect(path)
    count = 0
    facts: dict[tuple[str, str], list[int]] = defaultdict(list)
    try:
        connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA page_size = 8192;" + _SCHEMA
        )
        for batch in _batches(films, 2000):
            _insert(connection, list(enumerate(batch, start=count)), posters, facts)
            count += len(batch)
        connection.executemany(
            "INSERT INTO fact VALUES (?,?,?,?)",
            [(*key, len(rows), np.array(rows, "<i4").tobytes()) for key, rows in sorted(facts.items())],
        )
        for table in ("film_text", "film_name"):
            connection.execute(f"INSERT INTO {table}({table}) VALUES ('optimize')")
        connection.commit()
        connection.execute("ANALYZE")
        connection.commit()
        connection.execute("VACUUM")
    except sqlite3.IntegrityError as error:
        raise InvalidArgument(f"write_films: films: expected every id once; {error}") from error
    finally:
        connection.close()
    return count


def _batches(films: Iterable[Film], size: int) -> Iterator[list[Film]]:
    iterator = iter(films)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _insert(
    connection: sqlite3.Connection,
    numbered: list[tuple[int, Film]],
    posters: Mapping[str, PosterSpan],
    facts: dict[tuple[str, str], list[int]],
) -> None:
    def film_row(row: int, film: Film) -> tuple[object, ...]:
        span = posters.get(film.id)
        film = film.model_copy(update={"has_poster": span is not None})
        document = film.model_dump_json(exclude_defaults=True)
        place = (span.offset, span.length, span.media_type) if span else (None, None, None)
        return (row, film.id, film.title, film.year, film.runtime, document, *place)

    connection.executemany(
        "INSERT INTO film VALUES (?,?,?,?,?,?,?,?,?)", [film_row(row, film) for row, film in numbered]
    )
    connection.executemany(
        "INSERT OR IGNORE INTO alias VALUES (?,?)", [(alias, row) for row, film in numbered for alias in film.aliases]
    )
    for row, film in numbered:
        for kind, name in _facts(film):
            for key in {(kind, fold(name)), (kind, "")}:
                rows = facts[key]
                if not rows or rows[-1] != row:
                    rows.append(row)
    names = [(row, film.title, "; ".join(p.name for p in film.people), film) for row, film in numbered]
    connection.executemany(
        "INSERT INTO film_text(rowid, title, people, keywords, plot) VALUES (?,?,?,?,?)",
        [
            (
                row,
                title,
                people,
                "; ".join((*film.keywords, *film.genres)),
                " ".join(filter(None, (film.tagline, film.plot))),
            )
            for row, title, people, film in names
        ],
    )
    connection.executemany(
        "INSERT INTO film_name(rowid, title, people) VALUES (?,?,?)",
        [(row, title, people) for row, title, people, _ in names],
    )


def _facts(film: Film) -> Iterator[tuple[str, str]]:
    yield ("title", film.title)
    if bare := _TRANSLATED_TITLE.sub("", film.title):
        yield ("title", bare)
    yield from (("genre", name) for name in film.genres)
    yield from (("language", name) for name in film.languages)
    yield from (("country", name) for name in film.countries)
    yield from (("person", person.name) for person in film.people)
    if film.certificate:
        yield ("certificate", film.certificate)
