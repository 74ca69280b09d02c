"""Trains the experts of posters and of plots, and asks them about films that they have not seen. Run by a build."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from matinee.genre.experts import Experts, NeighbourExpert, WordExpert, unit_rows
from matinee.genre.words import Words
from matinee.heads.fit import Scaler
from matinee.heads.logistic import fit_logistic
from matinee.heads.perceptron import Recipe, fit_perceptron

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

NUM_FOLDS = 5
_WORD_PENALTY = 1e-4
# Features that are many and alike are compared along their main directions: in fewer numbers, and the strongest no
# longer drown the rest. Halfway to equal strength found films of the same genres best; further is noise.
_DIRECTIONS = 256
_LEVELLED = 0.5
_NEARNESS, _NEARNESS_LEVELLED = 12.0, 6.0


@dataclass(frozen=True)
class Shown:
    """What experts of one kind are shown of N films."""

    features: Floats  # (N, D)
    plots: Sequence[str]  # N texts; none for posters
    penalty: float  # of the linear map on features
    recipe: Recipe  # of the networks on features

    def rows(self, rows: NDArray[np.intp]) -> Shown:
        """The evidence of some films."""
        plots = [self.plots[row] for row in rows.tolist()] if self.plots else ()
        return replace(self, features=self.features[rows], plots=plots)


@dataclass(frozen=True)
class Lesson:
    """What N films teach."""

    labels: Sequence[str]
    truth: Bools  # (N, L)
    fitted: Bools  # (N,) of known genres, and not for testing
    folds: NDArray[np.int64]  # (N,)


@dataclass(frozen=True)
class Opinions:
    """Experts, and what they say of films: of those they were fitted on, what experts without that fold say."""

    experts: Experts
    of_films: Floats  # (N, M)


def folds_of(ids: Sequence[str]) -> NDArray[np.int64]:
    """The fold of each film (N,), by SHA-256 of its id: the same in every head, so that opinions stay unseen."""
    digests = (hashlib.sha256(key.encode()).digest()[8:16] for key in ids)
    return np.array([int.from_bytes(digest, "big") % NUM_FOLDS for digest in digests], dtype=np.int64)


def fit_opinions(
    name: str, evidence: Shown, films: Lesson, progress: Callable[[int], None] = lambda done: None
) -> Opinions:
    """Experts fitted on N films, and their opinions on all of them.

    A film of fold f is judged by experts that were fitted without that fold, every other by the final ones.
    progress is called with the fits done so far, of 1 + NUM_FOLDS.
    """
    rows = [films.fitted & (films.folds != fold) for fold in range(NUM_FOLDS)]
    rows = [kept if kept.any() else films.fitted for kept in rows]
    # One BLAS thread a fit and one fit a core: the products of a single fit are too small to share.
    with threadpool_limits(1), ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
        futures = [pool.submit(_fit, name, evidence, films, fitted) for fitted in (films.fitted, *rows)]
        final = futures[0].result()
        of_films = final(evidence.features, evidence.plots)
        progress(1)
        for fold, future in enumerate(futures[1:]):
            left = np.flatnonzero(films.fitted & (films.folds == fold))
            experts = future.result()
            if len(left):
                shown = evidence.rows(left)
                of_films[left] = experts(shown.features, shown.plots)
            progress(fold + 2)
    return Opinions(final, of_films)


def _fit(name: str, evidence: Shown, films: Lesson, fitted: Bools) -> Experts:
    shown, truth = evidence.rows(np.flatnonzero(fitted)), films.truth[fitted]
    scaler = Scaler.of(shown.features)
    rows = scaler(shown.features)
    wanted = truth.astype(np.float32)
    weight, bias = fit_logistic(rows, wanted, shown.penalty)
    network = fit_perceptron(rows, wanted, shown.recipe)
    near = _fit_near(rows, truth)
    words = _fit_words(shown.plots, wanted) if shown.plots else None
    return Experts(name, tuple(films.labels), scaler.center, scaler.spread, weight, bias, network, near, words)


def _fit_near(rows: Floats, truth: Bools) -> NeighbourExpert:
    dimension = rows.shape[1]
    directions, nearness = np.eye(dimension, dtype=np.float32), _NEARNESS
    if dimension > 2 * _DIRECTIONS:
        units = unit_rows(rows)
        strengths, axes = eigh(units.T @ units, subset_by_index=[dimension - _DIRECTIONS, dimension - 1])
        scale = np.maximum(strengths, strengths[-1] * 1e-6) ** (-_LEVELLED / 2)  # a strength is a deviation squared
        directions, nearness = np.ascontiguousarray((axes * scale).astype(np.float32)), _NEARNESS_LEVELLED
    vectors = unit_rows(rows @ directions).astype(np.float16)
    return NeighbourExpert(vectors, truth.astype(np.uint8), directions, nearness)


def _fit_words(plots: Sequence[str], wanted: Floats) -> WordExpert:
    words = Words.of(plots)
    weighed = [words.weigh(plot) for plot in plots]
    ends = np.cumsum([0, *(len(places) for places, _ in weighed)])
    places = np.concatenate([places for places, _ in weighed])
    weights = np.concatenate([weights for _, weights in weighed])
    rows = csr_matrix((weights, places, ends), shape=(len(plots), len(words.vocabulary)))
    weight, bias = fit_logistic(rows, wanted, _WORD_PENALTY, iterations=40)
    return WordExpert(words, np.ascontiguousarray(weight.T), bias)
