"""Model cards with the figures of a report: what a bundle's cards said of its build, measured again as a user would."""

from __future__ import annotations

from collections.abc import Iterable

from matinee.evaluation.report import Report, Row
from matinee.heads.card import Metric, ModelCard


def measured_cards(report: Report, cards: Iterable[ModelCard]) -> list[ModelCard]:
    """The cards of those models that the report has rows of, with its figures in place of theirs."""
    measured = []
    for card in cards:
        rows = [row for row in report.rows if row.model == card.name]
        if rows:
            changes: dict[str, object] = {"metrics": tuple(_metric(row) for row in rows)}
            for section in report.sections:
                for table in section.tables:
                    if table.model == card.name:
                        changes["per_label"] = {
                            str(label): {
                                name: float(value)
                                for name, value in zip(table.columns[1:], values, strict=True)
                                if isinstance(value, int | float)
                            }
                            for label, *values in table.rows
                        }
            measured.append(card.model_copy(update=changes))
    return measured


def _metric(row: Row) -> Metric:
    low, high = row.interval or (None, None)
    return Metric(
        name=f"{row.work}: {row.metric}",
        value=row.ours,
        low=low,
        high=high,
        count=row.n,
        higher_is_better=row.better == "higher",
        baselines=row.baselines,
    )
