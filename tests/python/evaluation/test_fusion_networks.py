"""Fusion networks: they learn what only both sources together say, and answer when one of the two is withheld."""

import numpy as np
import pytest

from matinee.evaluation.baselines import Training
from matinee.evaluation.fusion_networks import ASKED, FUSIONS, Asked, Fusion, Pairs, fit_fusion, torch_is_here
from matinee.evaluation.metrics import mean_average_precision

pytestmark = pytest.mark.skipif(not torch_is_here(), reason="PyTorch is not installed")


@pytest.mark.parametrize("fusion", FUSIONS)
def test_each_fusion_learns_from_both_and_from_either_alone(fusion: Fusion) -> None:
    rng = np.random.default_rng(0)
    count, labels = 900, 4
    truth = rng.random((count, labels)) < 0.4
    # Two labels stand in the poster, two in the plot.
    posters = truth[:, :2] @ rng.standard_normal((2, 12)) + 0.4 * rng.standard_normal((count, 12))
    plots = truth[:, 2:] @ rng.standard_normal((2, 9)) + 0.4 * rng.standard_normal((count, 9))
    pairs = Pairs(posters.astype(np.float32), plots.astype(np.float32))
    fitted, asked = slice(0, 700), slice(700, None)
    films = Training([f"film:{i}" for i in range(700)], list("abcd"), truth[fitted])

    def part(rows: slice) -> Pairs:
        return Pairs(pairs.posters[rows], pairs.plots[rows])

    answers = fit_fusion(fusion, films, part(fitted), part(asked), seed=0, progress=lambda *_: None)
    assert set(answers) == set(ASKED)

    def score(how: Asked, columns: slice) -> float:
        return mean_average_precision(truth[asked][:, columns], answers[how].scores[:, columns])

    everything, in_poster, in_plot = slice(None), slice(0, 2), slice(2, 4)
    assert score("both", everything) > 0.9
    assert score("poster", in_poster) > 0.85 and score("poster", in_plot) < 0.6
    assert score("plot", in_plot) > 0.85 and score("plot", in_poster) < 0.6
    again = fit_fusion(fusion, films, part(fitted), part(asked), seed=0, progress=lambda *_: None)
    np.testing.assert_allclose(again["both"].scores, answers["both"].scores, atol=1e-5)
