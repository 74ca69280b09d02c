"""Requests with known answers in a films.toml, for measuring the search."""

import json
from pathlib import Path

import pytest

from matinee.catalog.report import BuildReport
from matinee.catalog.source_file import load_source_file
from matinee.errors import InvalidArgument

SOURCE = """
name = "Asked"

[[source]]
kind = "table"
name = "films"
path = "films.csv"
licence = "ours"
id = { column = "id", prefix = "local:" }
columns = { title = "title" }

[[requests]]
name = "asked at the desk"
path = "asked.jsonl"
licence = "ours"
text = ["subject", "message"]
film = { column = "film", prefix = "local:" }
leave_out = "names_it"
"""


def written(folder: Path, records: list[dict[str, object]], source: str = SOURCE) -> Path:
    (folder / "films.csv").write_text("id,title\n1,Alien\n")
    (folder / "asked.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    (folder / "films.toml").write_text(source)
    return folder / "films.toml"


def test_columns_make_one_request_and_those_that_name_the_film_are_left_out(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        [
            {"subject": "A ship in space", "message": "What was it?", "film": 1, "names_it": False},
            {"subject": "Is it Alien?", "message": "", "film": 1, "names_it": True},
            {"subject": "no answer known", "message": "at all", "film": None, "names_it": False},
            {"subject": "", "message": "", "film": 1, "names_it": False},
        ],
    )
    report = BuildReport()
    found = list(load_source_file(path).requests(report))
    assert [(request.text, request.film) for request in found] == [("A ship in space. What was it?", "local:1")]
    assert dict(report.counts()) == {"request_without_film": 1, "request_without_text": 1}


def test_a_source_file_without_requests_has_none(tmp_path: Path) -> None:
    path = written(tmp_path, [], SOURCE.partition("[[requests]]")[0])
    assert list(load_source_file(path).requests(BuildReport())) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('text = ["subject", "message"]', "text = []", "requests.0.text"),
        ('film = { column = "film", prefix = "local:" }', "", "requests.0.film"),
        ('leave_out = "names_it"', "leave = 1", "requests.0.leave"),
    ],
)
def test_a_wrong_mapping_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(InvalidArgument, match=expected):
        load_source_file(written(tmp_path, [], SOURCE.replace(old, new)))
