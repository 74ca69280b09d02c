"""Metrics of classifiers on NumPy arrays, and bootstrap intervals for any of them.

Shapes: B items, L labels. Truth and decisions are bool (B, L); scores are float (B, L), higher is more likely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % percentile bootstrap interval over `count` items."""

    value: float
    low: float
    high: float
    count: int


def accuracy(truth: Bools, decisions: Bools) -> float:
    """Share of items whose labels are all decided right. NaN for no items."""
    return float((truth == decisions).all(axis=1).mean()) if len(truth) else float("nan")


def f1_per_label(truth: Bools, decisions: Bools) -> NDArray[np.float64]:
    """(L,) harmonic mean of precision and recall; NaN for a label no item has and nobody decided for."""
    hits = (truth & decisions).sum(axis=0)
    total = truth.sum(axis=0) + decisions.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * hits / total, dtype=np.float64)


def macro_f1(truth: Bools, decisions: Bools) -> float:
    """Mean F1 over the labels that occur in `truth`. NaN where none does."""
    present = truth.any(axis=0)
    return float(f1_per_label(truth, decisions)[present].mean()) if present.any() else float("nan")


def average_precision(truth: Bools, scores: Floats) -> NDArray[np.float64]:
    """(L,) area under the precision-recall curve by the step rule, equal scores taken together; NaN without positives.

    The definition of scikit-learn's average_precision_score, which the tests compare with.
    """
    result = np.full(truth.shape[1], np.nan)
    for label in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-scores[:, label], kind="stable")
        hits, ranked = truth[order, label], scores[order, label]
        last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
        found = np.cumsum(hits)[last_of_tie]
        precision = found / (np.flatnonzero(last_of_tie) + 1)
        result[label] = float((np.diff(found, prepend=0) * precision).sum() / hits.sum())
    return result


def mean_average_precision(truth: Bools, scores: Floats) -> float:
    """Mean of `average_precision` over the labels that occur. NaN where none does."""
    per_label = average_precision(truth, scores)
    return float(np.nanmean(per_label)) if np.isfinite(per_label).any() else float("nan")


def roc_auc(truth: NDArray[np.bool_], scores: Floats) -> float:
    """Chance that a true item (B,) scores above a false one, ties counted half. NaN where one kind is missing."""
    num_true = int(truth.sum())
    num_false = len(truth) - num_true
    if not num_true or not num_false:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2  # 1-based, shared by ties
    return float((mean_rank[inverse][truth].sum() - num_true * (num_true + 1) / 2) / (num_true * num_false))


def expected_calibration_error(correct: NDArray[np.bool_], confidence: Floats, num_bins: int = 15) -> float:
    """Mean gap between stated and true rate over equal-width bins of confidence, weighted by their sizes.

    Guo et al., "On Calibration of Modern Neural Networks", 2017. 0 is best. NaN for no items.
    """
    if not len(correct):
        return float("nan")
    bins = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    gaps = np.bincount(bins, weights=correct.astype(np.float64) - confidence, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(correct))


def honest_calibration_error(confidence: Floats, num_bins: int = 15) -> float:
    """What `expected_calibration_error` shows on average of answers that come true exactly as often as they state.

    Chance alone leaves gaps, the larger the fewer the items: no ECE below this can be told from perfect calibration.
    The gap of a bin is taken as normal: sqrt(2/pi) of its standard deviation. NaN for no items.
    """
    if not len(confidence):
        return float("nan")
    bins = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    variance = np.bincount(bins, weights=confidence * (1 - confidence), minlength=num_bins)
    return float(np.sqrt(2 / np.pi * variance).sum() / len(confidence))


def bootstrap(
    metric: Callable[[NDArray[np.intp]], float], num_items: int, *, draws: int = 200, seed: int = 0
) -> Interval:
    """`metric` of all items, with the 95 % interval of its values on `draws` resamples of the items.

    `metric` takes item positions (they repeat). Draws on which it is undefined (NaN) are left out.
    """
    value = metric(np.arange(num_items))
    rng = np.random.default_rng(seed)
    values = [metric(rng.integers(0, num_items, num_items)) for _ in range(draws if num_items else 0)]
    finite = [v for v in values if np.isfinite(v)]
    low, high = np.percentile(finite, [2.5, 97.5]) if finite else (float("nan"), float("nan"))
    return Interval(value, float(low), float(high), num_items)


def paired_bootstrap(
    ours: Callable[[NDArray[np.intp]], float],
    others: Mapping[str, Callable[[NDArray[np.intp]], float]],
    num_items: int,
    *,
    draws: int = 500,
    seed: int = 0,
) -> tuple[Interval, dict[str, Interval]]:
    """(our figure, {other system: ours minus its figure}), each with the 95 % interval over resamples of the items.

    All systems are measured on the same resamples: what makes a resample hard is hard for all of them, and the interval
    of the difference is the narrower for it. The systems are functions of item positions, as in `bootstrap`.
    """
    positions = np.arange(num_items)
    rng = np.random.default_rng(seed)
    resamples = [rng.integers(0, num_items, num_items) for _ in range(draws if num_items else 0)]

    def interval(value: float, values: NDArray[np.float64]) -> Interval:
        finite = values[np.isfinite(values)]
        low, high = np.percentile(finite, [2.5, 97.5]) if len(finite) else (float("nan"), float("nan"))
        return Interval(value, float(low), float(high), num_items)

    def figures(metric: Callable[[NDArray[np.intp]], float]) -> tuple[float, NDArray[np.float64]]:
        return metric(positions), np.array([metric(resample) for resample in resamples], dtype=np.float64)

    value, values = figures(ours)
    differences = {}
    for name, metric in others.items():
        other, other_values = figures(metric)
        differences[name] = interval(value - other, values - other_values)
    return interval(value, values), differences


@dataclass(frozen=True)
class ReliabilityBin:
    """Decisions of about the same stated probability."""

    stated: float  # mean probability
    observed: float  # share that came true
    count: int


def reliability(truth: Bools, probabilities: Floats, num_bins: int = 15) -> list[ReliabilityBin]:
    """Stated against observed, over equal-width bins of probability (those with items, ascending).

    The bins of `expected_calibration_error`; arrays of any shape, taken item by item.
    """
    flat, came_true = np.ravel(probabilities), np.ravel(truth)
    bins = np.minimum((flat * num_bins).astype(int), num_bins - 1)
    found = []
    for number in range(num_bins):
        inside = bins == number
        if inside.any():
            found.append(ReliabilityBin(float(flat[inside].mean()), float(came_true[inside].mean()), int(inside.sum())))
    return found


__all__ = [
    "Interval",
    "ReliabilityBin",
    "accuracy",
    "average_precision",
    "bootstrap",
    "expected_calibration_error",
    "f1_per_label",
    "macro_f1",
    "mean_average_precision",
    "paired_bootstrap",
    "reliability",
    "roc_auc",
]
