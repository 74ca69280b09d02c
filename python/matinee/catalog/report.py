"""What a build noticed in its sources: never fatal, never silent."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One thing that was wrong, where, and what was done about it."""

    source: str
    row: int | None
    """Line or record number, from 1 (the header is line 1); None where the problem has no line."""
    film: str | None
    """Film id, or the file's name, where known."""
    problem: str
    """Stable word for programs: 'missing_poster', 'bad_year', 'duplicate_id', 'broken_utf8', 'unreadable_row' …"""
    detail: str
    action: str
    """What was done: 'kept without a poster', 'kept the first' …"""


def _encodable(text: str) -> str:
    """Half characters, as in the name of a file that is not UTF-8, become question marks: reports are UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass(slots=True)
class BuildReport:
    """Collects what was wrong with the sources of one build."""

    rows: list[ReportRow] = field(default_factory=list)

    def add(
        self, source: str, problem: str, detail: str, action: str, *, row: int | None = None, film: str | None = None
    ) -> None:
        """Records one problem."""
        self.rows.append(ReportRow(source, row, film and _encodable(film), problem, _encodable(detail), action))

    def counts(self) -> Counter[str]:
        """Problem -> how often."""
        return Counter(row.problem for row in self.rows)

    def to_json(self) -> str:
        """The whole report as JSON: counts first, then every row."""
        document = {"counts": dict(self.counts().most_common()), "rows": [asdict(row) for row in self.rows]}
        return json.dumps(document, indent=1, ensure_ascii=False)

    def to_markdown(self, examples: int = 10) -> str:
        """For people: one heading a problem, its first rows, and how many more there are."""
        if not self.rows:
            return "# Build report\n\nNothing to report: every row was read as it stands.\n"
        lines = ["# Build report", ""]
        for problem, count in self.counts().most_common():
            lines += [f"## {problem.replace('_', ' ')} ({count})", "", "| source | row | film | detail | action |"]
            lines.append("|---|---|---|---|---|")
            rows = [row for row in self.rows if row.problem == problem]
            for row in rows[:examples]:
                cells = (row.source, row.row or "", row.film or "", row.detail, row.action)
                lines.append(
                    "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
                )
            if count > examples:
                lines.append(f"\n… and {count - examples} more in build_report.json")
            lines.append("")
        return "\n".join(lines)

    def save(self, folder: Path) -> None:
        """Writes build_report.json and build_report.md into `folder`."""
        (folder / "build_report.json").write_text(self.to_json(), encoding="utf-8")
        (folder / "build_report.md").write_text(self.to_markdown(), encoding="utf-8")
