"""Films from tables: mapping, joins, order of preference, and rows that are wrong."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from matinee import InvalidArgument
from matinee.catalog.film import Film, Person
from matinee.catalog.report import BuildReport
from matinee.catalog.source import Source, SourceFilm
from matinee.catalog.table import TableOptions, TableSource

MAIN = """movieId|tmdbId|title|year|genres|plot|money|poster
1|862|Toy Story (1995)|1995|Animation,Sci-Fi,IMAX|A cowboy doll meets a space ranger.|0|posters/1.jpg
2||Matrix, The (1999)||||63000000|posters/none.jpg
3|9|Heat|19x5|(no genres listed)|||
|4|No id|1990||||
"""
OMDB = [
    {
        "movieId": 1,
        "Runtime": "81 min",
        "Director": "John Lasseter",
        "Actors": "Tom Hanks, Tim Allen",
        "Plot": "Short.",
        "Rated": "G",
        "Released": "22 Nov 1995",
    },
    {"movieId": 3, "Runtime": "long", "Director": "N/A", "Language": "English, Spanish", "Rated": "Not Rated"},
    {"movieId": 3, "Runtime": "170 min"},
]
TMDB = [
    {"id": 862, "runtime": 80, "keywords": [{"id": 1, "name": "toy"}, {"name": "boy"}], "spoken": [{"iso": "en"}]},
    {"id": 9.5, "runtime": 10, "keywords": None, "spoken": []},
    {"id": "9.0", "runtime": 171, "keywords": None, "spoken": [{"iso": "fr", "name": "Français"}]},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "posters").mkdir()
    (tmp_path / "posters" / "1.jpg").write_bytes(b"image")
    (tmp_path / "main.csv").write_text(MAIN)
    (tmp_path / "omdb.jsonl").write_text("\n".join(map(json.dumps, OMDB)))
    with (tmp_path / "tmdb.csv").open("w") as file:
        table = csv.writer(file)
        table.writerow(TMDB[0])
        table.writerows([[v if isinstance(v, str) else json.dumps(v) for v in row.values()] for row in TMDB])
    return tmp_path


def options(**changes: Any) -> TableOptions:
    document: dict[str, Any] = {
        "name": "main",
        "path": "main.csv",
        "delimiter": "|",
        "licence": "ours",
        "id": {"column": "movieId", "prefix": "movielens:"},
        "aliases": [{"column": "tmdbId", "prefix": "tmdb:"}],
        "columns": {
            "title": "title",
            "year": "year",
            "genres": {"column": "genres", "split": ","},
            "plot": "plot",
            "budget": "money",
            "poster": "poster",
        },
        "join": [
            {
                "name": "omdb",
                "path": "omdb.jsonl",
                "key": "movieId",
                "on": "movieId",
                "columns": {
                    "runtime": "Runtime",
                    "directors": {"column": "Director", "split": ","},
                    "cast": {"column": "Actors", "split": ","},
                    "languages": {"column": "Language", "split": ","},
                    "plot": "Plot",
                    "certificate": "Rated",
                    "release_date": "Released",
                },
            },
            {
                "name": "tmdb",
                "path": "tmdb.csv",
                "key": "id",
                "on": "tmdbId",
                "columns": {
                    "runtime": "runtime",
                    "keywords": "keywords",
                    "languages": {"column": "spoken", "item": "iso"},
                },
            },
        ],
    }
    return TableOptions.model_validate(document | changes)


def films(folder: Path, **changes: Any) -> tuple[dict[str, SourceFilm], BuildReport]:
    report = BuildReport()
    source = TableSource(options(**changes), folder)
    assert isinstance(source, Source)
    return {item.film.id: item for item in source.films(report)}, report


def test_a_film_is_put_together_from_all_tables(folder: Path) -> None:
    found, _ = films(folder)
    assert found["movielens:1"].film == Film(
        id="movielens:1",
        title="Toy Story",
        year=1995,
        release_date=date(1995, 11, 22),
        runtime=81,
        genres=("Animation", "Science Fiction"),
        plot="A cowboy doll meets a space ranger.",
        keywords=("toy", "boy"),
        people=(
            Person(name="John Lasseter", role="director"),
            Person(name="Tom Hanks", role="cast"),
            Person(name="Tim Allen", role="cast"),
        ),
        languages=("English",),
        certificate="G",
        aliases=("tmdb:862",),
        provenance={
            "title": "main",
            "year": "main",
            "genres": "main",
            "plot": "main",
            "poster": "main",
            "runtime": "omdb",
            "people": "omdb",
            "certificate": "omdb",
            "release_date": "omdb",
            "keywords": "tmdb",
            "languages": "tmdb",
        },
    )
    assert found["movielens:1"].poster == folder / "posters" / "1.jpg"


def test_what_one_table_does_not_know_or_has_wrong_the_next_one_tells(folder: Path) -> None:
    found, report = films(folder)
    heat = found["movielens:3"].film
    assert (heat.runtime, heat.provenance["runtime"]) == (171, "tmdb")
    assert heat.languages == ("English", "Spanish")  # omdb is asked before tmdb
    assert heat.people == ()
    assert heat.certificate is None
    assert ("bad_runtime", "movielens:3") in {(row.problem, row.film) for row in report.rows}


def test_a_preferred_table_is_asked_first(folder: Path) -> None:
    found, _ = films(folder, prefer={"plot": ["omdb", "main"], "runtime": ["tmdb"]})
    assert (found["movielens:1"].film.plot, found["movielens:1"].film.runtime) == ("Short.", 80)
    assert found["movielens:1"].film.provenance["plot"] == "omdb"


def test_everything_wrong_is_reported_with_its_row_and_nothing_is_fatal(folder: Path) -> None:
    found, report = films(folder)
    assert list(found) == ["movielens:1", "movielens:2", "movielens:3"]
    assert {(row.source, row.problem, row.row, row.film) for row in report.rows} == {
        ("main", "missing_poster", 3, "movielens:2"),
        ("main", "bad_year", 4, "movielens:3"),
        ("main", "bad_runtime", 4, "movielens:3"),
        ("main", "missing_id", 5, None),
        ("omdb", "duplicate_key", 3, None),
    }
    matrix = found["movielens:2"]
    assert matrix.poster is None
    assert "poster" not in matrix.film.provenance
    assert (matrix.film.title, matrix.film.year, matrix.film.budget) == ("The Matrix", 1999, 63_000_000)
    assert matrix.film.provenance["year"] == "main"
    assert found["movielens:3"].film.year is None


def test_a_film_without_a_title_is_named_by_its_id(folder: Path) -> None:
    (folder / "main.csv").write_text("movieId|tmdbId|title|year|genres|plot|money|poster\n7|||||||\n")
    found, report = films(folder)
    assert found["movielens:7"].film.title == "movielens:7"
    assert "title" not in found["movielens:7"].film.provenance
    assert report.counts()["missing_title"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {"title": "name"}}, r"main\.csv: columns: expected name; the table has movieId, tmdbId"),
        ({"id": "imdbId"}, "expected imdbId"),
        ({"aliases": ["imdbId"]}, "expected imdbId"),
        ({"join": [{"name": "t", "path": "tmdb.csv", "key": "film", "on": "tmdbId", "columns": {}}]}, "expected film"),
        ({"join": [{"name": "t", "path": "tmdb.csv", "key": "id", "on": "film", "columns": {}}]}, "expected film"),
    ],
)
def test_a_mapping_to_a_column_that_is_not_there_is_an_error(folder: Path, changes: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        films(folder, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": {"titel": "title"}},
        {"columns": {"title": {"column": "title", "splt": ","}}},
        {"prefer": {"plot": ["nobody"]}},
        {"join": [{"name": "main", "path": "tmdb.csv", "key": "id", "on": "tmdbId", "columns": {}}]},
        {"delimiter": ""},
        {"colour": "red"},
    ],
)
def test_a_wrong_description_is_refused(changes: Any) -> None:
    with pytest.raises(ValueError, match="validation error"):
        options(**changes)


def test_a_table_names_its_licence_and_has_no_negatives_or_ratings(folder: Path) -> None:
    source = TableSource(options(train_allowed=False, notes="for show"), folder)
    assert (source.info.name, source.info.licence, source.info.train_allowed) == ("main", "ours", False)
    assert list(source.negatives(BuildReport())) == []
    assert list(source.ratings(BuildReport())) == []
