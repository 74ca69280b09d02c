"""A report as Markdown."""

from __future__ import annotations

from matinee.evaluation.report import Cell, Confusion, Report, Row, Section, Table


def to_markdown(report: Report) -> str:
    """The report as people read it in a repository or terminal."""
    lines = [f"# Evaluation of bundle {report.bundle}", ""]
    if report.demo:
        lines += ["> **Demo data.** These figures say that the product works, not how good it is on real films.", ""]
    lines += [f"- **{name}**: {text}" for name, text in report.data.items()]
    lines += [
        f"- **made** {report.created:%Y-%m-%d %H:%M} UTC by matinee {report.version} on {report.machine}, "
        f"seed {report.seed}",
        "",
        "Intervals are 95 % bootstrap intervals over the items. A gain counts where its paired interval excludes zero.",
        "",
    ]
    for section in report.sections:
        lines += [f"## {section.title}", "", section.about, ""]
        lines += _rows([row for row in report.rows if row.protocol == section.name])
        lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def number(value: Cell) -> str:
    """A cell as text: three decimals, or as many as a large number needs."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else value


def gain_text(row: Row, name: str) -> str:
    """'0.362, gain +0.051 (+0.033 to +0.070)' for one plain system of a row."""
    value, gain = row.baselines.get(name), row.gains.get(name)
    text = "not defined" if value is None else number(value)
    if gain is None or gain.difference is None or gain.interval is None:
        return text
    return f"{text}, gain {gain.difference:+.3f} ({gain.interval[0]:+.3f} to {gain.interval[1]:+.3f})"


def _rows(rows: list[Row]) -> list[str]:
    lines = ["| work | metric | ours | 95 % interval | n | beside | cost |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        interval = "" if row.interval is None else f"{number(row.interval[0])} to {number(row.interval[1])}"
        metric = row.metric + (" (lower is better)" if row.better == "lower" else "")
        beside = "; ".join(f"{name} {gain_text(row, name)}" for name in row.baselines)
        cost = ", ".join(f"{value:,.3g} {unit}" for unit, value in row.cost.items())
        lines.append(_line(row.work, metric, f"**{number(row.ours)}**", interval, number(row.n), beside, cost))
    return [*lines, ""] if rows else []


def _section(section: Section) -> list[str]:
    lines: list[str] = []
    for table in section.tables:
        lines += _table(table)
    for diagram in section.reliability:
        rows: tuple[tuple[Cell, ...], ...] = tuple((p.stated, p.observed, p.count) for p in diagram.points)
        lines += _table(Table(title=diagram.title, columns=("stated", "observed", "decisions"), rows=rows))
    for confusion in section.confusions:
        lines += _table(_confusion_table(confusion))
    for chart in section.charts:
        rows_of_lines: tuple[tuple[Cell, ...], ...] = tuple(
            (name, x, y) for name, points in chart.lines.items() for x, y in points
        )
        lines += _table(Table(title=chart.title, columns=("", chart.x, chart.y), rows=rows_of_lines))
    if section.mistakes:
        rows_of_mistakes: tuple[tuple[Cell, ...], ...] = tuple((m.title, m.said, m.truth) for m in section.mistakes)
        lines += _table(Table(title="Worst mistakes", columns=("what", "said", "truth"), rows=rows_of_mistakes))
    if section.notes:
        lines += [*(f"- {note}" for note in section.notes), ""]
    return lines


def _confusion_table(confusion: Confusion) -> Table:
    lines: list[tuple[Cell, ...]] = [
        (label, *counts) for label, counts in zip(confusion.labels, confusion.counts, strict=True)
    ]
    rows = tuple(lines)
    return Table(title=f"{confusion.title} (rows: truth, columns: answer)", columns=("", *confusion.labels), rows=rows)


def _table(table: Table) -> list[str]:
    lines = [f"### {table.title}", ""]
    lines += [_line(*table.columns), "|" + "---|" * len(table.columns)]
    lines += [_line(*(number(cell) for cell in row)) for row in table.rows]
    return [*lines, "", *([table.note, ""] if table.note else [])]


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
