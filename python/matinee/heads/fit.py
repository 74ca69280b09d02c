"""Fits heads: logistic regression on standardised features, calibrated on films it was not fitted on.

Imported by `matinee build` only. In each function: N items, D dimensions, L labels; `parts` (N,) says 'train',
'validation' or 'test'. Test items are never looked at: regularisation, calibration and thresholds come from the
validation part of a fit on the training part, and the shipped head is then fitted again on both with those choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from matinee.evaluation.metrics import accuracy, macro_f1, mean_average_precision
from matinee.heads.head import Head, sigmoid

Floats = NDArray[np.float32]

MIN_POSITIVES = 10  # fewer items of a label than this in train + validation: no output for it
_OWN_CALIBRATION_POSITIVES = 15  # fewer than this in validation: the label uses the calibration of all labels together
_SPREAD_FLOOR = 1e-4  # a feature that never varies is not divided by zero


@dataclass(frozen=True)
class Fitted:
    """A head and the choices made on validation data, for its card."""

    head: Head
    chosen: str
    held_logits: NDArray[np.floating]  # (V, L) of the validation items, by the fit that had not seen them


def enough_labels(truth: NDArray[np.bool_], parts: NDArray[np.str_], labels: Sequence[str]) -> dict[str, str]:
    """Label -> why it gets no output: too few items with it (or without it) to learn from. `truth` is (N, L)."""
    fitted = truth[parts != "test"]
    dropped = {}
    for label, count in zip(labels, fitted.sum(axis=0), strict=True):
        if count < MIN_POSITIVES:
            dropped[label] = f"{count} films to train on; {MIN_POSITIVES} are needed"
        elif len(fitted) - count < MIN_POSITIVES:
            dropped[label] = f"all but {len(fitted) - count} of the training films have it"
    return dropped


def fit_independent(
    name: str,
    features: Floats,
    truth: NDArray[np.bool_],
    parts: NDArray[np.str_],
    labels: Sequence[str],
    *,
    strengths: Sequence[float],
    demo: bool,
) -> Fitted:
    """A head of independent labels: one logistic regression a label, Platt-scaled, thresholds of best F1.

    features (N, D); truth (N, L), every label with both kinds of items in 'train'; strengths: values of scikit-learn's
    C to choose from by mean average precision.
    """
    train, validation = parts == "train", _validation(parts)
    scaler = Scaler.of(features[train])
    scaled_train, scaled_validation = scaler(features[train]), scaler(features[validation])
    best_logits, best_strength, best_score = None, strengths[0], -np.inf
    for strength in strengths:
        weight, bias = _fit_labels(scaled_train, truth[train], strength)
        logits = scaled_validation @ weight.T + bias
        score = mean_average_precision(truth[validation], logits)
        if best_logits is None or score > best_score:
            best_logits, best_strength, best_score = logits, strength, score
    assert best_logits is not None
    slope, shift = platt(best_logits, truth[validation])
    thresholds = best_f1_thresholds(sigmoid(best_logits * slope + shift), truth[validation])
    both = train | (parts == "validation")
    scaler = Scaler.of(features[both])
    weight, bias = _fit_labels(scaler(features[both]), truth[both], best_strength)
    weight, bias = scaler.fold(weight * slope[:, None], bias * slope + shift)
    head = Head(name, tuple(labels), "sigmoid", weight, bias, thresholds, demo, scaler.center, scaler.spread)
    chosen = f"C = {best_strength:g} of {listed(strengths)} by validation mAP"
    return Fitted(head, chosen, best_logits * slope + shift)


def fit_exclusive(
    name: str,
    features: Floats,
    target: NDArray[np.intp],
    parts: NDArray[np.str_],
    labels: Sequence[str],
    *,
    strengths: Sequence[float],
    demo: bool,
    trusted: NDArray[np.bool_] | None = None,
    balances: Sequence[float] = (0.0, 0.5, 1.0),
) -> Fitted:
    """A head of exactly one label of L: multinomial logistic regression, temperature-scaled.

    features (N, D); target (N,) positions in `labels`; trusted (N,): items whose target is good enough to choose by
    (all fit). balances: exponents b of the class weights n^-b to choose from, with C, by the mean of validation
    accuracy and macro-F1: 0 follows the counts of the data, 1 treats all labels alike.
    """
    train, validation = parts == "train", _validation(parts)
    judged = validation if trusted is None else validation & trusted
    if not judged.any():
        judged = validation
    one_hot = np.eye(len(labels), dtype=bool)
    scaler = Scaler.of(features[train])
    scaled_train, scaled_judged = scaler(features[train]), scaler(features[judged])
    tried: dict[tuple[float, float], tuple[float, NDArray[np.floating]]] = {}

    def score_of(choice: tuple[float, float]) -> float:
        if choice not in tried:
            weight, bias = _fit_classes(scaled_train, target[train], len(labels), *choice)
            logits = scaled_judged @ weight.T + bias
            truth, decided = one_hot[target[judged]], one_hot[logits.argmax(axis=1)]
            tried[choice] = (accuracy(truth, decided) + macro_f1(truth, decided)) / 2, logits
        return tried[choice][0]

    # One after the other instead of the whole grid: half the fits, and the two hardly depend on each other.
    middle = balances[len(balances) // 2]
    strength = max(strengths, key=lambda value: score_of((value, middle)))
    best = strength, max(balances, key=lambda value: score_of((strength, value)))
    best_logits = tried[best][1]
    warmth = temperature(best_logits, target[judged])
    both = train | (parts == "validation")
    scaler = Scaler.of(features[both])
    weight, bias = _fit_classes(scaler(features[both]), target[both], len(labels), *best)
    weight, bias = scaler.fold(weight / warmth, bias / warmth)
    head = Head(
        name,
        tuple(labels),
        "softmax",
        weight,
        bias,
        np.zeros(len(labels), np.float32),
        demo,
        scaler.center,
        scaler.spread,
    )
    chosen = f"C = {best[0]:g} of {listed(strengths)} and class weights n^-{best[1]:g} of exponents {listed(balances)}"
    return Fitted(head, f"{chosen} by the mean of validation accuracy and macro-F1", best_logits / warmth)


def _validation(parts: NDArray[np.str_]) -> NDArray[np.bool_]:
    """The validation items, or the training items where a tiny catalogue has none for validation."""
    validation = parts == "validation"
    return np.asarray(validation if validation.any() else parts == "train")


def listed(values: Sequence[float]) -> str:
    return "{" + ", ".join(f"{value:g}" for value in values) + "}"


@dataclass(frozen=True)
class Scaler:
    center: Floats  # (D,)
    spread: Floats  # (D,)

    @classmethod
    def of(cls, features: Floats) -> Scaler:
        return cls(features.mean(axis=0), np.maximum(features.std(axis=0), _SPREAD_FLOOR))

    def __call__(self, features: Floats) -> Floats:
        return (features - self.center) / self.spread

    def fold(self, weight: NDArray[np.floating], bias: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """The map on plain features that equals (weight, bias) on scaled ones."""
        plain = weight / self.spread
        return plain.astype(np.float32), (bias - plain @ self.center).astype(np.float32)


def _fit_labels(scaled: Floats, truth: NDArray[np.bool_], strength: float) -> tuple[Floats, Floats]:
    """(L, D) weights and (L,) biases. A label that all or none of the items have gets a constant."""
    weight = np.zeros((truth.shape[1], scaled.shape[1]), np.float32)
    bias = np.zeros(truth.shape[1], np.float32)
    for label in range(truth.shape[1]):
        column = truth[:, label]
        if column.all() or not column.any():
            bias[label] = 4.0 if column.all() else -4.0
            continue
        model = LogisticRegression(C=strength, max_iter=500).fit(scaled, column)
        weight[label], bias[label] = model.coef_[0], model.intercept_[0]
    return weight, bias


def _fit_classes(
    scaled: Floats, target: NDArray[np.intp], num_labels: int, strength: float, balance: float
) -> tuple[Floats, Floats]:
    """(L, D) weights and (L,) biases. A label that none of the items has is never the top one."""
    counts = np.bincount(target, minlength=num_labels)
    present = np.flatnonzero(counts)
    weight = np.zeros((num_labels, scaled.shape[1]), np.float32)
    bias = np.full(num_labels, -30.0, np.float32)
    if len(present) == 1:
        bias[present] = 0.0
        return weight, bias
    by_class = np.zeros(num_labels)
    by_class[present] = counts[present] ** -balance
    sample_weight = by_class[target] * (len(target) / by_class[target].sum())
    model = LogisticRegression(C=strength, max_iter=500).fit(scaled, target, sample_weight=sample_weight)
    if len(present) == 2:  # scikit-learn keeps one row, of the second class
        weight[present[1]], bias[present[1]], bias[present[0]] = model.coef_[0], model.intercept_[0], 0.0
    else:
        weight[present], bias[present] = model.coef_, model.intercept_
    return weight, bias


def platt(logits: NDArray[np.floating], truth: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Slope and shift a label (L,), such that sigmoid(slope * logit + shift) is calibrated (Platt, 1999).

    A label with few positives takes the slope and shift of all labels together: a slope from five films is noise.
    """
    num_labels = truth.shape[1]
    pooled = _platt_one(logits.reshape(-1), truth.reshape(-1), fallback=(1.0, 0.0))
    slope = np.full(num_labels, pooled[0], np.float32)
    shift = np.full(num_labels, pooled[1], np.float32)
    for label in range(num_labels):
        positives = int(truth[:, label].sum())
        if min(positives, len(truth) - positives) >= _OWN_CALIBRATION_POSITIVES:
            slope[label], shift[label] = _platt_one(logits[:, label], truth[:, label], fallback=pooled)
    return slope, shift


def _platt_one(
    logits: NDArray[np.floating],
    truth: NDArray[np.bool_],
    *,
    fallback: tuple[float, float],
    weights: NDArray[np.floating] | None = None,
) -> tuple[float, float]:
    if truth.all() or not truth.any():
        return fallback
    model = LogisticRegression(C=1e3, max_iter=500).fit(logits[:, None], truth, sample_weight=weights)
    slope, shift = float(model.coef_[0, 0]), float(model.intercept_[0])
    # A negative slope would turn the ranking round: the validation part is then too small to tell.
    return (slope, shift) if slope > 0.05 else fallback


def balanced_platt(
    positives: Sequence[NDArray[np.floating]], negatives: Sequence[NDArray[np.floating]]
) -> tuple[float, float]:
    """Slope and shift of one label's logits, both kinds counted alike, and so the groups of a kind."""
    kinds = [[group for group in kind if len(group)] for kind in (positives, negatives)]
    if not all(kinds):
        return 1.0, 0.0
    logits = np.concatenate([group for kind in kinds for group in kind])
    truth = np.arange(len(logits)) < sum(map(len, kinds[0]))
    shares = [np.full(len(group), 0.5 / len(kind) / len(group)) for kind in kinds for group in kind]
    return _platt_one(logits, truth, fallback=(1.0, 0.0), weights=np.concatenate(shares) * len(logits))


def best_f1_thresholds(probabilities: NDArray[np.floating], truth: NDArray[np.bool_]) -> Floats:
    """(L,) the probability from which deciding for a label gives its best F1; 0.5 for a label without positives.

    Bounded to [0.05, 0.9]: with few positives the best cut can lie absurdly low or above every film.
    """
    thresholds = np.full(truth.shape[1], 0.5, np.float32)
    for label in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-probabilities[:, label], kind="stable")
        hits = np.cumsum(truth[order, label])
        f1 = 2 * hits / (np.arange(1, len(order) + 1) + hits[-1])
        best = int(f1.argmax())
        ranked = probabilities[order, label]
        below = ranked[best + 1] if best + 1 < len(ranked) else ranked[best]
        thresholds[label] = (ranked[best] + below) / 2
    return np.clip(thresholds, 0.05, 0.9)


def temperature(logits: NDArray[np.floating], target: NDArray[np.intp]) -> float:
    """The T of softmax(logits / T) with the least log loss (Guo et al., 2017), by a fine grid from 0.25 to 8."""
    best, best_loss = 1.0, np.inf
    for warmth in np.geomspace(0.25, 8.0, 61):
        scaled = logits / warmth
        top = scaled.max(axis=1)
        log_sum = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        loss = float((log_sum - scaled[np.arange(len(target)), target]).mean())
        if loss < best_loss:
            best, best_loss = float(warmth), loss
    return best
