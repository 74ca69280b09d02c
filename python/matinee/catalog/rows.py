"""Rows of CSV, TSV, JSON Lines and Parquet files as plain text cells, one broken row at a time."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from matinee.catalog.report import BuildReport
from matinee.errors import FormatError, InvalidArgument, NotFound

TableFormat = Literal["csv", "tsv", "jsonl", "parquet"]
_BY_SUFFIX: dict[str, TableFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}

Row = tuple[int, dict[str, str]]
"""(line or record number from 1, column -> cell); an absent cell is ''."""


def read_rows(
    path: Path,
    report: BuildReport,
    *,
    source: str,
    form: TableFormat | None = None,
    quoting: bool = True,
    delimiter: str | None = None,
    header: Sequence[str] | None = None,
    required: Iterable[str] = (),
) -> Iterator[Row]:
    """All readable rows of a table; the unreadable ones go to the report and are skipped.

    `quoting=False` takes quotation marks as ordinary characters. `delimiter` replaces the comma or tab and may be
    several characters ('::'), which switches quoting off. `header` names the columns of a file without a header line.
    Bytes that are not UTF-8 become U+FFFD, reported. Raises NotFound for a missing file, FormatError for an empty one,
    InvalidArgument for an unknown ending and for a column of `required` that the table does not have (JSON Lines have
    no header: there a column that no record has is reported).
    """
    if not path.is_file():
        raise NotFound(f"table: path: expected a file, found nothing at {path}")
    form = form or _BY_SUFFIX.get(path.suffix.lower()) or ("csv" if delimiter else None)
    if form is None:
        known = ", ".join(_BY_SUFFIX)
        raise InvalidArgument(f"table: path: expected an ending among {known}, got {path.name}; or state `format`")
    wanted = sorted(set(required))
    if form == "parquet":
        return _parquet(path, wanted)
    if form == "jsonl":
        return _json_lines(path, report, source, wanted)
    records = _records(
        _lines(path, report, source), report, source, delimiter or ("\t" if form == "tsv" else ","), quoting=quoting
    )
    return _separated(path, records, report, source, header=header, required=wanted)


def _lines(path: Path, report: BuildReport, source: str) -> Iterator[str]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")  # noqa: PLW2901 - a byte order mark is no content
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                detail = f"byte {error.start} of the line is not UTF-8"
                report.add(source, "broken_utf8", detail, "replaced the bytes", row=number)
                yield line.decode("utf-8", errors="replace")


_Record = tuple[int, int, list[str]]
"""(first line, last line, cells)"""


def _separated(
    path: Path,
    records: Iterator[_Record],
    report: BuildReport,
    source: str,
    *,
    header: Sequence[str] | None,
    required: Sequence[str],
) -> Iterator[Row]:
    names = list(header) if header is not None else [name.strip() for name in next(records, (0, 0, []))[2]]
    if not names:
        raise FormatError(f"{path.name}: expected a header line, got an empty file")
    _check_columns(path, names, required)
    for first, last, cells in records:
        if len(cells) == len(names):
            yield first, dict(zip(names, cells, strict=True))
        elif cells:
            # An unbalanced quotation mark swallows lines: say how many, so that none is lost in silence.
            span = f" in lines {first} to {last}" if last > first else ""
            detail = f"expected {len(names)} columns, got {len(cells)}{span}"
            report.add(source, "unreadable_row", detail, "skipped", row=first)


def _records(
    lines: Iterator[str], report: BuildReport, source: str, delimiter: str, *, quoting: bool
) -> Iterator[_Record]:
    if len(delimiter) > 1:
        for number, line in enumerate(lines, start=1):
            stripped = line.rstrip("\r\n")
            yield number, number, stripped.split(delimiter) if stripped else []
        return
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE)
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            report.add(source, "unreadable_row", str(error), "skipped", row=first)
            continue
        yield first, reader.line_num, cells


def _check_columns(path: Path, names: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in names]
    if missing:
        raise InvalidArgument(
            f"{path.name}: columns: expected {', '.join(missing)}; the table has {', '.join(names)[:400]}"
        )


def _json_lines(path: Path, report: BuildReport, source: str, required: Sequence[str]) -> Iterator[Row]:
    unseen = dict.fromkeys(required)
    for number, line in enumerate(_lines(path, report, source), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            report.add(source, "unreadable_row", str(error), "skipped", row=number)
            continue
        if not isinstance(record, dict):
            detail = f"expected an object, got {type(record).__name__}"
            report.add(source, "unreadable_row", detail, "skipped", row=number)
            continue
        for name in [name for name in unseen if name in record]:
            del unseen[name]
        yield number, {str(key): _cell(value) for key, value in record.items()}
    for name in unseen:
        report.add(source, "missing_column", f"no record of {path.name} has {name!r}", "left it unknown")


def _parquet(path: Path, required: Sequence[str]) -> Iterator[Row]:
    import duckdb  # noqa: PLC0415 - 20 MB that only Parquet sources need

    try:
        connection = duckdb.connect()
        result = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
        header = [column[0] for column in result.description or ()]
        _check_columns(path, header, required)
        number = 0
        while rows := result.fetchmany(1000):
            for row in rows:
                number += 1
                yield number, {name: _cell(value) for name, value in zip(header, row, strict=True)}
    except duckdb.Error as error:
        raise FormatError(f"{path.name}: expected a Parquet file: {error}") from error


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return str(int(value))
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
