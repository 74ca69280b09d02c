"""What every benchmark writes: one JSON document and one Markdown table, of the same rows."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from matinee import _core


@dataclass(frozen=True)
class Row:
    """One comparison; values are medians over interleaved rounds."""

    work: str
    unit: str
    better: Literal["lower", "higher"]
    ours: float
    peers: dict[str, float]
    cosine_to_reference: float | None = None  # lowest over the items; the reference is the first peer's fp32
    ratio_to_best: float = field(init=False)  # above 1 is faster where higher is better, below 1 where lower is

    def __post_init__(self) -> None:
        best = min(self.peers.values()) if self.better == "lower" else max(self.peers.values())
        object.__setattr__(self, "ratio_to_best", self.ours / best)


def document(rows: list[Row], *, threads: int, **facts: Any) -> dict[str, Any]:
    """The JSON document: the processor, the threads each side had, the day, what else matters, and the rows."""
    rounded = [
        {key: _rounded(value) for key, value in asdict(row).items() if value is not None} for row in rows
    ]  # four digits: more would be noise
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"cpu": _core.cpu_name(), "threads": threads, "date": today, **facts, "rows": rounded}


def table(rows: list[Row]) -> str:
    """The rows in Markdown, the best peer first."""
    columns = ["work", "unit", "Matinee", "best peer", "other peers", "ratio to the best", "lowest cosine"]
    lines = ["| " + " | ".join(columns) + " |", "|---|---|---:|---:|---|---:|---:|"]
    for row in rows:
        cosine = "" if row.cosine_to_reference is None else f"{row.cosine_to_reference:.6f}"
        ordered = sorted(row.peers.items(), key=lambda peer: peer[1], reverse=row.better == "higher")
        best, *others = [f"{name} {value:.4g}" for name, value in ordered]
        unit = f"{row.unit}, {row.better} is better"
        cells = [row.work, unit, f"{row.ours:.4g}", best, "; ".join(others), f"{row.ratio_to_best:.3f}", cosine]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes the JSON document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
