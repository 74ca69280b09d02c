"""Poster and plot together: how much to listen to which, label by label. Run by `matinee build`.

Both heads are calibrated on their own; a label's fused logit is a weighted sum of their two, fitted on films that have
both. It is chosen against plainer and richer ways by cross-validation, and the card holds the comparison.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from matinee.evaluation.metrics import mean_average_precision
from matinee.genre.infer import DISAGREE_FROM
from matinee.heads.fit import Fitted, best_f1_thresholds
from matinee.heads.head import Head, sigmoid

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Weights = tuple[NDArray[np.float64], NDArray[np.float64]]  # (2, L) of the two logits, (L,) shifts

_DISAGREEING = 0.95  # share of films with their own poster and plot that lie below


def fuse(name: str, opinions: Floats, truth: Bools, folds: NDArray[np.int64], heads: tuple[Head, Head]) -> Fitted:
    """The head of both on opinions (N, Mp + Mt), those on the poster first; `heads` answer from each alone."""
    poster, plot = heads
    split = poster.dimension
    of_poster, of_plot = (
        opinions[:, :split] @ poster.weight.T + poster.bias,
        opinions[:, split:] @ plot.weight.T + plot.bias,
    )
    ways: dict[str, Callable[[NDArray[np.bool_]], Weights]] = {
        "a weight a label and source": lambda rows: _per_label(of_poster[rows], of_plot[rows], truth[rows]),
        "one weight a source": lambda rows: _shared(of_poster[rows], of_plot[rows], truth[rows]),
    }
    left_out = {}
    for way, fit in ways.items():
        logits = np.zeros(truth.shape)
        for fold in np.unique(folds).tolist():
            left = folds == fold
            weights, shift = fit(~left if (~left).any() else left)
            logits[left] = of_poster[left] * weights[0] + of_plot[left] * weights[1] + shift
        left_out[way] = logits
    compared = {way: mean_average_precision(truth, logits) for way, logits in left_out.items()}
    best = max(compared, key=lambda way: compared[way])
    compared |= {
        "the mean of both probabilities": mean_average_precision(truth, sigmoid(of_poster) + sigmoid(of_plot)),
        "the plot alone": mean_average_precision(truth, of_plot),
        "the poster alone": mean_average_precision(truth, of_poster),
    }
    weights, shift = ways[best](np.ones(len(truth), dtype=bool))
    weight = np.hstack([poster.weight * weights[0][:, None], plot.weight * weights[1][:, None]])
    bias = poster.bias * weights[0] + plot.bias * weights[1] + shift
    thresholds = best_f1_thresholds(sigmoid(left_out[best]), truth)
    apart = np.abs(sigmoid(of_poster) - sigmoid(of_plot)).mean(axis=1)
    head = Head(
        name,
        poster.labels,
        "sigmoid",
        weight.astype(np.float32),
        bias.astype(np.float32),
        thresholds,
        poster.demo,
        settings={DISAGREE_FROM: float(np.quantile(apart, _DISAGREEING))},
    )
    told = ", ".join(f"{way} {score:.3f}" for way, score in sorted(compared.items(), key=lambda item: -item[1]))
    return Fitted(head, f"fused by {best}, the best by cross-validated mAP ({told})", left_out[best].astype(np.float32))


def _per_label(poster: NDArray[np.floating], plot: NDArray[np.floating], truth: Bools) -> Weights:
    weights, shift = np.ones((2, truth.shape[1])), np.zeros(truth.shape[1])
    for label in range(truth.shape[1]):
        column = truth[:, label]
        if column.any() and not column.all():
            pair = np.stack([poster[:, label], plot[:, label]], axis=1)
            model = LogisticRegression(C=1.0).fit(pair, column)
            weights[:, label], shift[label] = model.coef_[0], model.intercept_[0]
    return weights, shift


def _shared(poster: NDArray[np.floating], plot: NDArray[np.floating], truth: Bools) -> Weights:
    """The same two weights for every label, and a shift of its own for each."""
    size = truth.shape[1]
    each = np.tile(np.eye(size), (len(truth), 1))
    rows = np.hstack([poster.reshape(-1, 1), plot.reshape(-1, 1), each])
    model = LogisticRegression(C=1.0, fit_intercept=False, max_iter=200).fit(rows, truth.ravel())
    return np.repeat(model.coef_[0, :2, None], size, axis=1), np.asarray(model.coef_[0, 2:])
