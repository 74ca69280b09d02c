"""Tables in all their forms, whole and broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from matinee import FormatError, InvalidArgument, NotFound
from matinee.catalog.report import BuildReport
from matinee.catalog.rows import read_rows


def read(path: Path, data: str | bytes, **options: Any) -> tuple[list[tuple[int, dict[str, str]]], BuildReport]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    report = BuildReport()
    return list(read_rows(path, report, source="films", **options)), report


EXPECTED = [(2, {"id": "1", "title": 'The "Thing", again'}), (3, {"id": "2", "title": "Amélie"})]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", 'id,title\n1,"The ""Thing"", again"\n2,Amélie\n'),
        ("t.csv", '\ufeffid,title\r\n1,"The ""Thing"", again"\r\n2,Amélie\r\n'),
        ("t.tsv", 'id\ttitle\n1\t"The ""Thing"", again"\n2\tAmélie'),
    ],
)
def test_separated_values(tmp_path: Path, name: str, data: str) -> None:
    rows, report = read(tmp_path / name, data)
    assert rows == EXPECTED
    assert report.rows == []


def test_without_quoting_quotation_marks_are_text(tmp_path: Path) -> None:
    rows, _ = read(tmp_path / "t.tsv", 'id\ttitle\n1\t"The Thing\n2\tWhat "is" it\n', quoting=False)
    assert rows == [(2, {"id": "1", "title": '"The Thing'}), (3, {"id": "2", "title": 'What "is" it'})]


def test_other_delimiters_and_files_without_a_header(tmp_path: Path) -> None:
    rows, _ = read(
        tmp_path / "movies.dat", "1::Toy: Story::Comedy\n\n2::Heat::\n", delimiter="::", header=["a", "b", "c"]
    )
    assert rows == [(1, {"a": "1", "b": "Toy: Story", "c": "Comedy"}), (3, {"a": "2", "b": "Heat", "c": ""})]
    rows, _ = read(tmp_path / "t.csv", 'a;b\n1;"x;y"\n', delimiter=";")
    assert rows == [(2, {"a": "1", "b": "x;y"})]


def test_json_lines(tmp_path: Path) -> None:
    records = [{"id": 1, "names": ["a", "b"], "year": 1995.0, "none": None, "ok": True}, {"id": "2"}]
    rows, report = read(tmp_path / "t.jsonl", "\n".join(json.dumps(record) for record in records))
    assert rows == [
        (1, {"id": "1", "names": '["a", "b"]', "year": "1995", "none": "", "ok": "True"}),
        (2, {"id": "2"}),
    ]
    assert report.rows == []


def test_parquet(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "t.parquet"
    duckdb.sql(
        """SELECT * FROM (VALUES (1, 'Alien', 1979.0, 'inf'::DOUBLE, ['a','b'], DATE '1979-05-25'),
        (2, NULL, NULL, 2e9, NULL, NULL)) t(id, title, year, money, tags, day)"""
    ).write_parquet(str(path))
    report = BuildReport()
    rows = list(read_rows(path, report, source="films", required=("id", "tags")))
    assert rows == [
        (
            1,
            {
                "id": "1",
                "title": "Alien",
                "year": "1979",
                "money": "inf",
                "tags": '["a", "b"]',
                "day": "1979-05-25",
            },
        ),
        (2, {"id": "2", "title": "", "year": "", "money": "2000000000", "tags": "", "day": ""}),
    ]
    with pytest.raises(InvalidArgument, match=r"t\.parquet: columns: expected plot; the table has id, title"):
        list(read_rows(path, report, source="films", required=("plot",)))


def test_a_file_that_is_no_parquet_is_a_format_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"t\.parquet"):
        read(tmp_path / "t.parquet", "PAR1 not really")


def test_broken_utf8_is_replaced_and_reported_with_its_line(tmp_path: Path) -> None:
    rows, report = read(tmp_path / "t.csv", b"id,title\n1,fine\n2,bro\xffken\n")
    assert rows[1] == (3, {"id": "2", "title": "bro\N{REPLACEMENT CHARACTER}ken"})
    (problem,) = report.rows
    assert (problem.problem, problem.row, problem.source) == ("broken_utf8", 3, "films")


def test_rows_of_another_width_are_reported_and_skipped(tmp_path: Path) -> None:
    rows, report = read(tmp_path / "t.csv", "id,title\n1\n2,ok\n3,too,many\n")
    assert [number for number, _ in rows] == [3]
    assert [(r.problem, r.row, r.detail) for r in report.rows] == [
        ("unreadable_row", 2, "expected 2 columns, got 1"),
        ("unreadable_row", 4, "expected 2 columns, got 3"),
    ]


def test_lines_swallowed_by_a_stray_quotation_mark_are_counted(tmp_path: Path) -> None:
    rows, report = read(tmp_path / "t.csv", 'id,title,year\n1,ok,1990\n2,"broken,1991\n3,lost,1992\n4,lost,1993\n')
    assert [number for number, _ in rows] == [2]
    (problem,) = report.rows
    assert problem.row == 3
    assert "in lines 3 to 5" in problem.detail


def test_a_cell_may_span_lines(tmp_path: Path) -> None:
    rows, _ = read(tmp_path / "t.csv", 'id,plot\n1,"two\nlines"\n2,one\n')
    assert rows == [(2, {"id": "1", "plot": "two\nlines"}), (4, {"id": "2", "plot": "one"})]


@pytest.mark.parametrize("line", ["{", "[1, 2]", '"text"', "[" * 200_000, '{"id": NaN', "\x00"])
def test_json_lines_that_are_no_objects_are_reported_and_skipped(tmp_path: Path, line: str) -> None:
    rows, report = read(tmp_path / "t.jsonl", f'{{"id": 1}}\n{line}\n{{"id": 3}}\n')
    assert [number for number, _ in rows] == [1, 3]
    assert [(r.problem, r.row) for r in report.rows] == [("unreadable_row", 2)]


def test_a_column_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"t\.csv: columns: expected plot; the table has id, title"):
        read(tmp_path / "t.csv", "id,title\n1,x\n", required=("plot", "id"))


def test_a_key_that_no_json_line_has_is_reported(tmp_path: Path) -> None:
    _, report = read(tmp_path / "t.jsonl", '{"id": 1}\n{"id": 2, "plot": "x"}\n', required=("id", "plot", "tagline"))
    assert [(r.problem, r.detail) for r in report.rows] == [("missing_column", "no record of t.jsonl has 'tagline'")]


def test_what_cannot_be_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.csv"):
        read_rows(tmp_path / "none.csv", BuildReport(), source="films")
    with pytest.raises(InvalidArgument, match=r"films\.xlsx; or state `format`"):
        read(tmp_path / "films.xlsx", "")
    with pytest.raises(FormatError, match="empty file"):
        read(tmp_path / "t.csv", "")
