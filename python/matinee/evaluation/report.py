"""What an evaluation found: rows of figures beside plain systems, and what explains them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from matinee.errors import FormatError, IoError, NotFound
from matinee.evaluation.metrics import Bools, Floats, paired_bootstrap, reliability

Figure = Callable[[NDArray[np.intp]], float]
"""A system's figure on some of the items, by their positions (which may repeat)."""
Cell = str | float | int | None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Gain(_Frozen):
    """By how much we are above (below, where lower is better, it is negative) a plain system on the same items."""

    difference: float | None
    interval: tuple[float, float] | None = Field(description="95 %, paired bootstrap; None where it is not defined.")


class Row(_Frozen):
    """One figure of ours beside the same figure of plain systems."""

    protocol: str = Field(description="'genre', 'poster', 'search' …")
    work: str = Field(description="What was done: 'plot → genres'.")
    metric: str
    n: int = Field(description="Items measured on.")
    ours: float | None
    interval: tuple[float, float] | None = Field(default=None, description="95 %, bootstrap over the items.")
    baselines: dict[str, float | None] = Field(default_factory=dict)
    gains: dict[str, Gain] = Field(default_factory=dict, description="Ours minus each baseline.")
    better: Literal["higher", "lower"] = "higher"
    model: str | None = Field(default=None, description="Head whose card takes this figure: 'genre-plot-multi'.")
    cost: dict[str, float] = Field(default_factory=dict, description="'ms' a request (median), 'MB' on disk …")

    @field_validator("ours", mode="before")
    @classmethod
    def _undefined(cls, value: object) -> object:
        return None if isinstance(value, float) and math.isnan(value) else value

    @field_validator("baselines", mode="after")
    @classmethod
    def _undefined_baselines(cls, value: dict[str, float | None]) -> dict[str, float | None]:
        return {name: None if v is None or math.isnan(v) else v for name, v in value.items()}


def compared(
    protocol: str,
    work: str,
    metric: str,
    n: int,
    *,
    ours: Figure,
    baselines: Mapping[str, Figure],
    better: Literal["higher", "lower"] = "higher",
    model: str | None = None,
    cost: Mapping[str, float] | None = None,
    draws: int = 500,
    seed: int = 0,
) -> Row:
    """The row of a figure, ours and the plain systems' on the same `n` items, with paired bootstrap intervals."""
    mine, differences = paired_bootstrap(ours, baselines, n, draws=draws, seed=seed)
    positions = np.arange(n)
    gains = {name: Gain(difference=_defined(d.value), interval=_pair(d.low, d.high)) for name, d in differences.items()}
    return Row(
        protocol=protocol,
        work=work,
        metric=metric,
        n=n,
        ours=mine.value,
        interval=_pair(mine.low, mine.high),
        baselines={name: figure(positions) for name, figure in baselines.items()},
        gains=gains,
        better=better,
        model=model,
        cost=dict(cost or {}),
    )


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _pair(low: float, high: float) -> tuple[float, float] | None:
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


class Table(_Frozen):
    """Any table: labels, decades, alternatives tried."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    model: str | None = Field(default=None, description="Head whose card takes it as its table of labels.")


class Point(_Frozen):
    """One bin of a reliability diagram."""

    stated: float
    observed: float
    count: int


class Reliability(_Frozen):
    """Stated probabilities against how often they came true."""

    title: str
    points: tuple[Point, ...]

    @classmethod
    def of(cls, title: str, truth: Bools, probabilities: Floats) -> Reliability:
        """From decisions of any shape."""
        bins = reliability(truth, probabilities)
        return cls(title=title, points=tuple(Point(stated=b.stated, observed=b.observed, count=b.count) for b in bins))


class Confusion(_Frozen):
    """How often items of one label (row) were given another (column)."""

    title: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Chart(_Frozen):
    """Lines through points: learning curves, trade-offs."""

    title: str
    x: str
    y: str
    lines: dict[str, tuple[tuple[float, float], ...]]


class Mistake(_Frozen):
    """A confident wrong answer, for people to look at."""

    title: str = Field(description="The film's label, the image's kind.")
    said: str
    truth: str
    film_id: str | None = None
    image: bytes | None = Field(default=None, exclude=True, repr=False, description="Shown in the HTML page only.")


class Section(_Frozen):
    """All of one protocol that is not a row."""

    name: str
    title: str
    about: str = Field(description="How it was measured, in a few sentences.")
    tables: tuple[Table, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    charts: tuple[Chart, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    notes: tuple[str, ...] = ()


class Findings(_Frozen):
    """What a protocol returns."""

    rows: tuple[Row, ...]
    section: Section


def report_of(bundle: Path) -> Path:
    """Where the report of a bundle stands unless somebody chose another place: BUNDLE.evaluation.json beside it."""
    real = bundle.resolve()
    return real.with_name(f"{real.name}.evaluation.json")


class Report(_Frozen):
    """An evaluation of one bundle."""

    rows: tuple[Row, ...]
    sections: tuple[Section, ...]
    data: dict[str, str] = Field(description="What was measured on: name, number of films, what was left out and why.")
    seed: int
    bundle: str = Field(description="Identity of the bundle.")
    demo: bool = False
    version: str = Field(description="Of Matinee.")
    created: datetime
    machine: str = Field(description="Processor and threads, for the milliseconds.")

    @classmethod
    def load(cls, path: Path) -> Report:
        """Reads REPORT.json. Raises NotFound, FormatError naming the file, IoError."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise FormatError(f"{path}: expected an evaluation report, got {error.error_count()} faults") from error
        except FileNotFoundError as error:
            raise NotFound(f"report: expected a report, found none at {path}; run matinee evaluate") from error
        except OSError as error:
            raise IoError(f"{path}: cannot be read: {error.strerror or error}") from error

    def to_json(self) -> str:
        """Indented JSON, the form `load` reads."""
        return self.model_dump_json(indent=1) + "\n"
