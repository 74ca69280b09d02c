"""A small table laid out like the carrier's, films to draw, and the real carrier where the model store has it."""

from __future__ import annotations

import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from matinee import models
from matinee.catalog.demo.facts import CARRIER_MODEL, DATABASE_MEMBER
from matinee.models import sources

COLUMNS = {
    "omdb": 'ID, imdbID, Title, Year, Rating, Runtime, Genre, Released, Director, Writer, "Cast", Language, Country',
    "tomatoes": "ID, BoxOffice",
}
FILMS = [
    (11, "tt0047478", "Seven Samurai", 1954, None, 207.0, "Drama, Action", "1954-04-26", "Akira Kurosawa",
     "Hideo Oguni, Akira Kurosawa", "Minor Player, Toshiro Mifune, George Tillman, Jr.", "Japanese", "Japan"),
    (12, "tt0055630", "Yojimbo", 1961, "R", 110.0, "Drama", "1961-01-01", "Akira Kurosawa", None, "Toshiro Mifune",
     "Japanese", "Japan"),
    (13, "tt0047478", "Seven Samurai (film)", 1955, None, 160.0, "Drama", None, "", None, "", "", ""),
    (14, None, "Nobody's Short (2011 film)", 2011, None, 1.0, "Sci-Fi, Family", None, "", "", "", "Standard Chinese",
     "People's Republic of China"),
]  # fmt: skip
MONEY = [(11, 2_300_000.4), (12, 7.386), (13, None), (14, None)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """An SQLite file with the carrier's columns and four rows."""
    path = tmp_path / "movies.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE omdb ({COLUMNS['omdb']})")
        connection.execute(f"CREATE TABLE tomatoes ({COLUMNS['tomatoes']})")
        connection.executemany(f"INSERT INTO omdb VALUES ({', '.join('?' * 13)})", FILMS)
        connection.executemany("INSERT INTO tomatoes VALUES (?, ?)", MONEY)
        connection.commit()
    return path


@pytest.fixture
def wheel(table: Path, tmp_path: Path) -> Path:
    """The same table inside a wheel, as PyPI carries it."""
    path = tmp_path / "bokeh_sampledata-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(table, DATABASE_MEMBER)
    return path


@pytest.fixture(scope="session")
def carrier() -> Path:
    """The real table, from the model store or a folder of MATINEE_MODELS; never from the network."""
    candidates = [models.folder_of(CARRIER_MODEL) / "movies.db"]
    for folder in sources.local_folders():
        candidates += sorted(folder.glob("bokeh_sampledata-*.whl"))
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        pytest.skip(f"the demo's facts are not on this machine; `matinee models pull {CARRIER_MODEL}` brings them")
    return found
