"""Whether a poster fits a plot: how near they lie in the joint space and in the genres that each speaks for, beside how
near others lie to each of them.

A cosine alone says little: some plots lie near every poster. What each has with its nearest among a sample of unrelated
films is taken off (cross-domain similarity local scaling: Conneau et al., "Word translation without parallel data",
2018).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from matinee.answers import PlotPosterFit
from matinee.search.store import SearchStore

Floats = NDArray[np.float32]

PAIR_SLOPE, PAIR_OFFSET = "pair_slope", "pair_offset"
"""Settings of the search space: the logistic curve from a pair's score to its probability."""

_FITS_FROM, _FITS_NOT_UP_TO = 2 / 3, 1 / 3  # one is twice as likely as the other
_NEAREST = 0.05  # share of the sample that counts as near


def pair_scores(plots: Floats, posters: Floats, other_plots: Floats, other_posters: Floats) -> NDArray[np.float64]:
    """(B, P) scores of plots (B, J) with posters (P, J), as `Bundle.joint_vector` gives them, given some of others."""
    usual_of_plot = _mean_of_nearest(plots @ other_posters.T)
    usual_of_poster = _mean_of_nearest(posters @ other_plots.T)
    return np.asarray(2 * (plots @ posters.T) - usual_of_plot[:, None] - usual_of_poster[None, :], dtype=np.float64)


def pair_fit(store: SearchStore, plot: Floats, poster: Floats) -> PlotPosterFit:
    """The answer for a plot (J,) and a poster (J,). The store has a joint space with posters."""
    sample = store.sample
    score = pair_scores(plot[None], poster[None], sample.pair_plots, sample.pair_posters)[0, 0]
    others = pair_scores(plot[None], sample.pair_posters, sample.pair_plots, sample.pair_posters)[0]
    settings = store.space.settings
    probability = None
    if PAIR_SLOPE in settings:
        probability = 1 / (1 + math.exp(-(settings[PAIR_SLOPE] * score + settings.get(PAIR_OFFSET, 0.0))))
    return PlotPosterFit(
        fits=verdict_of(probability),
        probability=probability,
        better_than=float((others < score).mean()),
    )


def verdict_of(probability: float | None) -> bool | None:
    """Whether a poster of that probability fits; None: cannot tell."""
    if probability is None or _FITS_NOT_UP_TO < probability < _FITS_FROM:
        return None
    return probability >= _FITS_FROM


def _mean_of_nearest(scores: Floats) -> Floats:
    count = max(1, round(_NEAREST * scores.shape[1]))
    return np.asarray(-np.partition(-scores, count - 1, axis=1)[:, :count].mean(axis=1), dtype=np.float32)
