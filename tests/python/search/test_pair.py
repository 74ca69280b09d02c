"""Whether a poster fits a plot, beside a slow obvious twin."""

import numpy as np
import pytest
from numpy.typing import NDArray

from matinee.search.pair import pair_scores, verdict_of
from matinee.search.store import genre_directions, unit


def slow_score(
    plot: NDArray[np.float32], poster: NDArray[np.float32], plots: NDArray[np.float32], posters: NDArray[np.float32]
) -> float:
    nearest_posters = sorted((float(plot @ other) for other in posters), reverse=True)[: round(0.05 * len(posters))]
    nearest_plots = sorted((float(poster @ other) for other in plots), reverse=True)[: round(0.05 * len(plots))]
    return 2 * float(plot @ poster) - float(np.mean(nearest_posters)) - float(np.mean(nearest_plots))


def test_what_each_side_has_with_its_nearest_is_taken_off() -> None:
    rng = np.random.default_rng(0)
    plots, posters, other_plots, other_posters = (
        unit(rng.normal(size=(n, 16)).astype(np.float32)) for n in (5, 4, 60, 80)
    )
    expected = [[slow_score(a, b, other_plots, other_posters) for b in posters] for a in plots]
    np.testing.assert_allclose(pair_scores(plots, posters, other_plots, other_posters), expected, atol=1e-5)


def test_a_plot_that_lies_near_every_poster_wins_nothing_by_it() -> None:
    rng = np.random.default_rng(1)
    posters = unit(rng.normal(size=(200, 8)).astype(np.float32) + 2)
    middle, own = unit(posters.mean(axis=0)), unit(posters[0] + 0.1 * rng.normal(size=8).astype(np.float32))
    scores = pair_scores(np.stack([middle, own]), posters[:1], posters, posters)[:, 0]
    assert scores[1] > scores[0]


@pytest.mark.parametrize(
    ("probability", "fits"),
    [(None, None), (0.0, False), (1 / 3, False), (0.34, None), (0.5, None), (0.66, None), (2 / 3, True), (1.0, True)],
)
def test_a_verdict_needs_odds_of_two_to_one(probability: float | None, fits: bool | None) -> None:
    assert verdict_of(probability) is fits


def test_genres_are_compared_by_the_roots_of_their_probabilities() -> None:
    probabilities = np.array([[0.81, 0.04, 0.25], [0.09, 0.64, 0.25]], np.float32)
    usual = np.array([0.5, 0.5, 0.5], np.float32)
    directions = genre_directions(probabilities, usual)
    for row, told in zip(directions, probabilities, strict=True):
        apart = [float(p) ** 0.5 - 0.5 for p in told]
        length = sum(a * a for a in apart) ** 0.5
        np.testing.assert_allclose(row, [a / length for a in apart], atol=1e-6)
    assert directions[0] @ directions[1] < 0
