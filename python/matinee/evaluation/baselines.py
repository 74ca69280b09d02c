"""Plain recipes for genres, fitted on a bundle's own training films when it is evaluated: what ours must beat.

They are what a tutorial would do: frozen features of one view or one vector a text, logistic heads, the strength of the
penalty and the thresholds chosen on validation films. They know nothing of the product's models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

import matinee
from matinee.encode import image_side, text_side
from matinee.evaluation.subject import Progress
from matinee.heads.fit import best_f1_thresholds, fit_exclusive, fit_independent
from matinee.heads.head import sigmoid
from matinee.heads.split import parts_of

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_STRENGTHS = {"poster": (0.0001, 0.0003, 0.001), "plot": (0.001, 0.003, 0.01), "both": (0.0003, 0.001, 0.003)}
_TFIDF_STRENGTHS = (1.0, 3.0)


@dataclass(frozen=True)
class Training:
    """N films that a plain system is fitted on."""

    ids: Sequence[str]
    labels: Sequence[str]
    truth: Bools  # (N, L)


@dataclass(frozen=True)
class Answers:
    """A system's answers for B test items over L labels."""

    scores: NDArray[np.float64]  # (B, L)
    decided: Bools  # (B, L)
    held: NDArray[np.float64] | None = None  # (V, L) of the validation films, by a fit that had not seen them


def averaged(answers: Sequence[Answers], films: Training) -> Answers:
    """The mean of several systems' probabilities, with thresholds of its own where all know their validation films."""
    scores = np.mean([answer.scores for answer in answers], axis=0)
    held = [answer.held for answer in answers if answer.held is not None]
    if len(held) < len(answers):
        return Answers(scores, np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None])
    mean = np.mean(held, axis=0)
    return Answers(scores, scores >= best_f1_thresholds(mean, films.truth[validation_of(films)]), mean)


def validation_of(films: Training) -> Bools:
    """(N,) the films that choose: those of the validation part, or all where a tiny catalogue has none."""
    parts = parts_of(films.ids)
    return np.asarray(parts == "validation" if (parts == "validation").any() else parts == "train")


class Features:
    """Plain features: the encoders of the bundle, one view of a poster and one vector a plot, each computed once."""

    def __init__(self, text_model: str, image_model: str, progress: Progress) -> None:
        self._names = (text_model, image_model)
        self._progress = progress
        self._plots: dict[str, Floats] = {}
        self._posters: dict[bytes, Floats] = {}

    def plots(self, plots: Sequence[str]) -> Floats:
        """(B, T) unit vectors of whole plots."""
        if new := [plot for plot in dict.fromkeys(plots) if plot not in self._plots]:
            encoder = text_side(matinee.Encoder.load(self._names[0]))
            self._plots |= zip(new, encoder.encode(new, progress=self._tell), strict=True)
        return np.stack([self._plots[plot] for plot in plots])

    def posters(self, posters: Sequence[bytes]) -> Floats:
        """(B, D) features of whole posters squashed to the encoder's square; zeros for one that cannot be read."""
        if new := [poster for poster in dict.fromkeys(posters) if poster not in self._posters]:
            encoder = image_side(matinee.Encoder.load(self._names[1], squash=True))
            self._posters |= zip(new, encoder.encode(new, progress=self._tell).vectors, strict=True)
        return np.stack([self._posters[poster] for poster in posters])

    def _tell(self, what: str, done: int, total: int) -> None:
        self._progress(f"{what} for the plain rows", done, total)


def plain_independent(evidence: str, films: Training, features: Floats, test: Floats) -> Answers:
    """One logistic regression a label on features (N, D); answers for `test` (B, D)."""
    with threadpool_limits(2):
        fitted = fit_independent(
            "plain",
            features,
            films.truth,
            parts_of(films.ids),
            films.labels,
            strengths=_STRENGTHS[evidence],
            demo=False,
        )
    scores = fitted.head.probabilities(test)
    return Answers(scores, scores >= fitted.head.thresholds, sigmoid(fitted.held_logits))


def plain_exclusive(evidence: str, films: Training, features: Floats, test: Floats) -> Answers:
    """Multinomial logistic regression, unweighted; answers for `test` (B, D)."""
    with threadpool_limits(2):
        head = fit_exclusive(
            "plain",
            features,
            films.truth.argmax(axis=1),
            parts_of(films.ids),
            films.labels,
            strengths=_STRENGTHS[evidence],
            demo=False,
            balances=(0.0,),
        ).head
    scores = head.probabilities(test)
    return Answers(scores, np.eye(len(films.labels), dtype=bool)[scores.argmax(axis=1)])


def tfidf_independent(films: Training, plots: Sequence[str], test: Sequence[str]) -> Answers:
    """TF-IDF of words and pairs of words, and one logistic regression a label."""
    validation, truth = validation_of(films), films.truth
    train, held = parts_of(films.ids) == "train", truth[validation]
    words = TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, 2), stop_words="english", dtype=np.float32)
    rows = words.fit_transform(list(plots))
    tried = [
        (strength, _linear(rows[train], truth[train], rows[validation], strength)) for strength in _TFIDF_STRENGTHS
    ]
    strength, before = max(tried, key=lambda item: _log_likelihood(held, item[1]))
    scores = _linear(rows, truth, words.transform(list(test)), strength)
    return Answers(scores, scores >= best_f1_thresholds(before, held), before)


def _log_likelihood(truth: Bools, scores: NDArray[np.float64]) -> float:
    return float(np.log(np.clip(np.where(truth, scores, 1 - scores), 1e-6, 1)).mean())


def _linear(rows: Any, truth: Bools, test: Any, strength: float) -> NDArray[np.float64]:
    """Probabilities of sparse rows `test` (B, V) by one logistic regression a label on sparse `rows` (N, V)."""
    scores = np.zeros((test.shape[0], truth.shape[1]))
    for label in range(truth.shape[1]):
        column = truth[:, label]
        if column.all() or not column.any():
            scores[:, label] = float(column.any())
            continue
        model = LogisticRegression(C=strength, solver="liblinear").fit(rows, column)
        scores[:, label] = model.predict_proba(test)[:, 1]
    return scores
