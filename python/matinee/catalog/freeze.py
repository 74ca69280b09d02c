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

FORMAT = 3
"""Version of the schema, kept in SQLite's user_version. 2: table posting; 3: film.votes."""

TOKENIZER = "porter unicode61 remove_diacritics 2"
"""How FTS5 makes terms of texts that are searched by their words."""

# BM25F (Robertson, Zaragoza and Taylor, 2004): counts of all columns, each by its own length, damped together. FTS5's
# bm25() divides by the length of the whole row: there a film with many keywords loses by them what its plot wins.
# The constants are those of Lucene's and Anserini's baselines for short documents.
_K1, _B = 0.9, 0.4


_SCHEMA = f"""
CREATE TABLE film (
  row INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  year INTEGER,
  runtime INTEGER,
  votes INTEGER,                    -- people who rated it
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
-- For long requests: of each term, the films that hold it (little-endian int32, ascending) and its weight there
-- (float32), all columns together.
CREATE TABLE posting (term TEXT PRIMARY KEY, rows BLOB NOT NULL, weights BLOB NOT NULL) WITHOUT ROWID;
-- Contentless: the texts are in film.facts already.
CREATE VIRTUAL TABLE film_text USING fts5(title, people, keywords, plot, content='',
                                          tokenize='{TOKENIZER}');
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
        connection.executemany("INSERT INTO posting VALUES (?,?,?)", _postings(connection, count))
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
        return (row, film.id, film.title, film.year, film.runtime, film.votes, document, *place)

    connection.executemany(
        "INSERT INTO film VALUES (?,?,?,?,?,?,?,?,?,?)", [film_row(row, film) for row, film in numbered]
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
                " ".join(filter(None, (film.tagline, film.plot, *film.other_plots))),
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


def _postings(connection: sqlite3.Connection, num_films: int) -> Iterator[tuple[str, bytes, bytes]]:
    """(term, rows, weights) of every term in film_text, BM25F over its columns."""
    connection.execute("CREATE VIRTUAL TABLE temp.occurrence USING fts5vocab('main', 'film_text', 'instance')")
    terms: dict[str, int] = {}
    columns: dict[str, int] = {}
    found = np.fromiter(
        (
            (terms.setdefault(term, len(terms)), row, columns.setdefault(column, len(columns)))
            for term, row, column in connection.execute("SELECT term, doc, col FROM temp.occurrence")
        ),
        dtype=np.dtype([("term", "<i4"), ("row", "<i4"), ("column", "<i4")]),
    )
    connection.execute("DROP TABLE temp.occurrence")
    if not len(found):
        return
    lengths = np.zeros((len(columns), num_films))
    np.add.at(lengths, (found["column"], found["row"]), 1)
    usual = lengths.sum(axis=1) / np.maximum((lengths > 0).sum(axis=1), 1)
    shares = 1 / (1 - _B + _B * lengths[found["column"], found["row"]] / usual[found["column"]])
    places, of_place = np.unique(found["term"].astype(np.int64) * num_films + found["row"], return_inverse=True)
    counts = np.bincount(of_place, weights=shares)
    term, row = places // num_films, (places % num_films).astype("<i4")
    begins = np.searchsorted(term, np.arange(len(terms) + 1))
    holding = np.diff(begins)
    rarity = np.log(1 + (num_films - holding + 0.5) / (holding + 0.5))
    weights = (rarity[term] * counts * (_K1 + 1) / (counts + _K1)).astype("<f4")
    for name, number in sorted(terms.items()):
        part = slice(begins[number], begins[number + 1])
        yield name, row[part].tobytes(), weights[part].tobytes()
