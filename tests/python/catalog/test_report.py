from __future__ import annotations

import json
from pathlib import Path

from matinee.catalog.report import BuildReport


def test_a_report_counts_and_keeps_every_row(tmp_path: Path) -> None:
    report = BuildReport()
    for number in range(12):
        report.add("films", "bad_year", f"got {number}|\n", "left it unknown", row=number + 2, film=f"local:{number}")
    report.add("posters", "missing_poster", "no file é.jpg", "kept without")
    report.save(tmp_path)
    document = json.loads((tmp_path / "build_report.json").read_text(encoding="utf-8"))
    assert document["counts"] == {"bad_year": 12, "missing_poster": 1}
    assert document["rows"][0] == {
        "source": "films",
        "row": 2,
        "film": "local:0",
        "problem": "bad_year",
        "detail": "got 0|\n",
        "action": "left it unknown",
    }
    assert len(document["rows"]) == 13
    text = (tmp_path / "build_report.md").read_text(encoding="utf-8")
    assert "## bad year (12)" in text
    assert "| films | 2 | local:0 | got 0\\|  | left it unknown |" in text
    assert "… and 2 more in build_report.json" in text


def test_an_empty_report_says_so() -> None:
    assert "Nothing to report" in BuildReport().to_markdown()
    assert json.loads(BuildReport().to_json()) == {"counts": {}, "rows": []}


def test_half_characters_do_not_keep_a_report_from_being_written(tmp_path: Path) -> None:
    report = BuildReport()
    report.add("films", "bad_title", "half \ud83d of one", "kept", film="local:\udcff")
    report.save(tmp_path)
    assert "half ? of one" in (tmp_path / "build_report.json").read_text(encoding="utf-8")
