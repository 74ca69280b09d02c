"""Model cards: what a head was trained on, how well it does on films it never saw, and where it ends."""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from matinee.errors import FormatError, IoError
from matinee.evaluation.metrics import Interval


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Frozen):
    """One measured figure. None where it is not defined, such as the F1 of a label no test film has."""

    name: str = Field(description="'macro-F1', 'mAP' …")
    part: str = Field(default="test", description="Which films: 'test' were never trained on.")
    value: float | None
    low: float | None = Field(default=None, description="95 % bootstrap interval over the items.")
    high: float | None = None
    count: int = Field(description="Items measured on.")
    higher_is_better: bool = True
    baselines: dict[str, float | None] = Field(default_factory=dict, description="Plain rows on the same items.")

    @field_validator("value", "low", "high", mode="before")
    @classmethod
    def _undefined(cls, value: object) -> object:
        return None if isinstance(value, float) and math.isnan(value) else value

    @field_validator("baselines", mode="after")
    @classmethod
    def _undefined_baselines(cls, value: dict[str, float | None]) -> dict[str, float | None]:
        return {k: None if v is None or math.isnan(v) else v for k, v in value.items()}

    @classmethod
    def of(cls, name: str, interval: Interval, **facts: object) -> Metric:
        """From a bootstrap interval."""
        fields = {"value": interval.value, "low": interval.low, "high": interval.high, "count": interval.count}
        return cls.model_validate({"name": name, **fields, **facts})


class ModelCard(_Frozen):
    """What people should know before they rely on a model of the bundle."""

    name: str = Field(description="As in answers: 'genre-poster-multi'.")
    title: str
    task: str = Field(description="What it does, from what, in a sentence or two.")
    demo: bool
    encoder: str = Field(description="The frozen encoders below it, with the precision of the build.")
    data: dict[str, str] = Field(description="Source -> what of it was used, with its licence or terms.")
    split: str
    training: str = Field(description="How it was fitted and calibrated.")
    counts: dict[str, int] = Field(default_factory=dict, description="Items a part.")
    labels: tuple[str, ...] = ()
    label_counts: dict[str, int] = Field(default_factory=dict, description="Training films a label.")
    dropped_labels: dict[str, str] = Field(default_factory=dict, description="Label -> why it has no output.")
    metrics: tuple[Metric, ...] = ()
    per_label: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    limits: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> ModelCard:
        """Reads a card's JSON. Raises FormatError naming the file; IoError."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise FormatError(f"{path}: expected a model card, got {error.error_count()} faults") from error
        except OSError as error:
            raise IoError(f"{path}: cannot be read: {error.strerror or error}") from error

    def to_json(self) -> str:
        """The card as indented JSON, the form `load` reads."""
        return self.model_dump_json(indent=2) + "\n"

    def to_markdown(self) -> str:
        """The card as people read it."""
        lines = [f"# {self.title}", "", f"`{self.name}` · {self.encoder}", "", self.task, ""]
        if self.demo:
            lines += ["> **Demo model.** Trained on demo data; its answers show how the product works, no more.", ""]
        lines += ["## Data", ""] + [f"- **{name}**: {text}" for name, text in self.data.items()]
        lines += ["", "## Split", "", self.split, ""]
        if self.counts:
            lines += [", ".join(f"{count} {part}" for part, count in self.counts.items()) + ".", ""]
        lines += ["## Training", "", self.training, ""]
        if self.metrics:
            lines += ["## Measured", "", *_metric_table(self.metrics), ""]
        if self.per_label:
            columns = sorted({column for row in self.per_label.values() for column in row})
            lines += ["## A label at a time", "", _row("label", *columns), _row(*["---"] * (len(columns) + 1))]
            lines += [_row(n, *(_number(r.get(c)) for c in columns)) for n, r in self.per_label.items()] + [""]
        if self.dropped_labels:
            lines += (
                ["## Labels left out", ""] + [f"- {name}: {why}" for name, why in self.dropped_labels.items()] + [""]
            )
        lines += ["## Limits", ""] + [f"- {text}" for text in self.limits]
        return "\n".join(lines).rstrip() + "\n"


def _metric_table(metrics: tuple[Metric, ...]) -> list[str]:
    names = list(dict.fromkeys(name for metric in metrics for name in metric.baselines))
    header = ["metric", "part", "value", "95 % interval", "n", *(f"baseline: {name}" for name in names)]
    table = [_row(*header), _row(*["---"] * len(header))]
    for metric in metrics:
        direction = "" if metric.higher_is_better else " (lower is better)"
        interval = "" if metric.low is None else f"{_number(metric.low)} to {_number(metric.high)}"
        plain = [_number(metric.baselines.get(name)) for name in names]
        table.append(
            _row(metric.name + direction, metric.part, _number(metric.value), interval, str(metric.count), *plain)
        )
    return table


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
