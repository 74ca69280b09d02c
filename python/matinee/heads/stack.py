"""Heads on opinions: logits of several experts on every label, given by experts that had not seen the film.

Because no film's opinion comes from an expert fitted on it, all films that are not for testing can choose and calibrate
here, by cross-validation over the same folds: there is no part to set aside. In each function: N items, E experts on K
labels, opinions (N, E * K) expert by expert; `folds` (N,) numbers the part of the items that was left out together.
Imported by `matinee build` only.

Measured (plots, mAP in cross-validation): one weight an expert for all labels 0.553; every label listening to all
opinions on all labels 0.533, because a thousand weights are too many for films that are not many more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matinee.evaluation.metrics import mean_average_precision
from matinee.heads.fit import Fitted, Scaler, best_f1_thresholds, listed, platt, temperature
from matinee.heads.head import Head, sigmoid
from matinee.heads.logistic import fit_logistic

Floats = NDArray[np.float32]

_PENALTIES = (0.01, 0.03, 0.1, 0.3)
_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # weights of an expert to choose from
_ROUNDS = 2


def stack_independent(
    name: str, opinions: Floats, truth: NDArray[np.bool_], labels: Sequence[str], *, demo: bool
) -> Fitted:
    """A head of independent labels (K = L) on opinions (N, E * L): one weight an expert, of best mAP.

    The weights are few enough to be chosen on the films they are then measured on; so are Platt scaling and the
    thresholds of best F1.
    """
    size = len(labels)
    scaler = Scaler.of(opinions)
    rows = scaler(opinions).reshape(len(opinions), -1, size)
    spread = scaler.spread.reshape(-1, size)
    weights = np.ones(rows.shape[1], np.float32)
    best = mean_average_precision(truth, rows.sum(axis=1))
    for _ in range(_ROUNDS):
        for expert in range(len(weights)):
            for step in _STEPS:
                tried = weights.copy()
                tried[expert] = step
                score = mean_average_precision(truth, np.einsum("nel,e->nl", rows, tried)) if tried.any() else 0.0
                if score > best + 1e-4:
                    best, weights = score, tried
    mixed = np.einsum("nel,e->nl", rows, weights)
    slope, shift = platt(mixed, truth)
    held = mixed * slope + shift
    # One row a label, which listens to the experts on that label alone.
    plain = np.zeros((size, len(weights), size), np.float32)
    for label in range(size):
        plain[label, :, label] = weights * slope[label] / spread[:, label]
    weight = plain.reshape(size, -1)
    bias = (shift - weight @ scaler.center).astype(np.float32)
    thresholds = best_f1_thresholds(sigmoid(held), truth)
    head = Head(name, tuple(labels), "sigmoid", weight, bias, thresholds, demo, scaler.center, scaler.spread)
    return Fitted(head, f"experts weigh {listed(weights.tolist())} (by mAP on films they had not seen)", held)


def stack_exclusive(
    name: str,
    opinions: Floats,
    target: NDArray[np.intp],
    folds: NDArray[np.int64],
    labels: Sequence[str],
    *,
    demo: bool,
    trusted: NDArray[np.bool_],
) -> Fitted:
    """A head of exactly one label of L on opinions about any labels, temperature-scaled.

    The penalty of least cross-validated log loss over the trusted items (N,); all items fit.
    """
    one_hot = np.eye(len(labels), dtype=np.float32)[target]
    tried = {p: _left_out(opinions, one_hot, folds, p) for p in _PENALTIES}
    penalty = min(tried, key=lambda p: _log_loss(tried[p][trusted], target[trusted]))
    warmth = temperature(tried[penalty][trusted], target[trusted])
    scaler = Scaler.of(opinions)
    weight, bias = fit_logistic(scaler(opinions), one_hot, penalty, link="softmax")
    weight, bias = scaler.fold(weight / warmth, bias / warmth)
    none = np.zeros(len(labels), np.float32)
    head = Head(name, tuple(labels), "softmax", weight, bias, none, demo, scaler.center, scaler.spread)
    chosen = f"penalty {penalty:g} of {listed(_PENALTIES)} by cross-validated log loss"
    return Fitted(head, chosen, tried[penalty] / warmth)


def _left_out(opinions: Floats, wanted: Floats, folds: NDArray[np.int64], penalty: float) -> Floats:
    """(N, L) logits of each item, by a fit without its fold."""
    logits = np.zeros(wanted.shape, np.float32)
    for fold in np.unique(folds).tolist():
        left = folds == fold
        fitted = ~left if (~left).any() else left
        scaler = Scaler.of(opinions[fitted])
        weight, bias = fit_logistic(scaler(opinions[fitted]), wanted[fitted], penalty, link="softmax")
        logits[left] = scaler(opinions[left]) @ weight.T + bias
    return logits


def _log_loss(logits: Floats, target: NDArray[np.intp]) -> float:
    top = logits.max(axis=1)
    log_sum = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return float((log_sum - logits[np.arange(len(target)), target]).mean())
