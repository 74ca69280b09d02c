"""The source file of the real data: everything in it is read, and what is wrong with it is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from matinee.catalog import values
from matinee.catalog.database import Catalog
from matinee.catalog.frozen import FilmTable, write_films
from matinee.catalog.report import BuildReport
from matinee.catalog.source_file import SourceFile, load_source_file
from matinee.where import Where


@pytest.fixture(scope="module")
def source_file(shared_data: Path, repository: Path) -> SourceFile:
    return load_source_file(
        repository / "tests" / "integration" / "shared_films.toml", {"MATINEE_TEST_DATA": str(shared_data)}
    )


@pytest.fixture(scope="module")
def ingested(source_file: SourceFile, tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, BuildReport]:
    catalog, report = Catalog(tmp_path_factory.mktemp("catalog") / "films.db"), BuildReport()
    assert source_file.ingest(catalog, report) == 23_451
    return catalog, report


@pytest.fixture(scope="module")
def table(ingested: tuple[Catalog, BuildReport], tmp_path_factory: pytest.TempPathFactory) -> FilmTable:
    path = tmp_path_factory.mktemp("frozen") / "films.sqlite"
    write_films(ingested[0].films(), path)
    return FilmTable(path)


def test_every_film_poster_and_negative_is_there(
    source_file: SourceFile, ingested: tuple[Catalog, BuildReport]
) -> None:
    catalog, report = ingested
    films = list(catalog.films())
    assert sum(film.has_poster for film in films) == sum(1 for _ in catalog.posters()) == 8_124
    assert sum(film.plot is not None for film in films) > 8_800
    assert sum(bool(film.people) for film in films) > 3_400
    assert sum(film.runtime is not None for film in films) > 6_000
    assert {genre for film in films for genre in film.genres} <= {
        *values.SINGLE_GENRES, "Adventure", "Children", "Crime", "Film-Noir", "History", "Musical", "Mystery", "War",
        "Western",
    }  # fmt: skip
    assert {film.single_genre for film in films} - {None} == set(values.SINGLE_GENRES)
    assert len(list(source_file.negatives(report))) == 1_400


def test_what_is_wrong_with_the_data_is_reported(ingested: tuple[Catalog, BuildReport]) -> None:
    counts = ingested[1].counts()
    assert set(counts) <= {"missing_title", "shared_alias"}
    assert counts["missing_title"] == 222
    assert counts["shared_alias"] == 10


def test_a_well_known_film_is_put_together_from_four_tables(ingested: tuple[Catalog, BuildReport]) -> None:
    film = ingested[0].film("tmdb:862")
    assert (film.id, film.label, film.runtime, film.certificate) == ("movielens:1", "Toy Story (1995)", 81, "G")
    assert film.languages == ("English",)
    assert film.countries == ("United States",)
    assert "toy comes to life" in film.keywords
    assert [person.name for person in film.people if person.role == "director"] == ["John Lasseter"]
    assert film.provenance["people"] == "omdb"
    assert film.provenance["keywords"] == "tmdb5000"


def test_the_frozen_table_answers_words_and_filters(table: FilmTable) -> None:
    assert len(table) == 23_451
    assert table.films([table.match("alien", 1)[0].row])[0].label == "Alien (1979)"
    first = table.films([match.row for match in table.match("ogre saves a princess with a talking donkey", 5)])
    assert "Shrek" in {film.title for film in first}
    where = Where.parse({"genres": {"any": ["Science Fiction"], "none": ["Horror"]}, "runtime": {"max": 100}})
    allowed, left_out = table.allow(where)
    films = table.films([int(row) for row in allowed.nonzero()[0]])
    assert len(films) > 100
    assert all(film.runtime and film.runtime <= 100 and "Horror" not in film.genres for film in films)
    assert left_out["runtime"] > 500
