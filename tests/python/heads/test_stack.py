"""Heads on opinions listen to experts that know something, are calibrated, and never ask a film's own fold."""

import numpy as np

from matinee.evaluation.metrics import expected_calibration_error, mean_average_precision
from matinee.genre.fuse import fuse
from matinee.heads.head import sigmoid
from matinee.heads.stack import stack_exclusive, stack_independent

LABELS = ("A", "B", "C")


def make_opinions(noise: list[float], count: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(opinions (N, E * 3), truth (N, 3), folds); an expert of noise 0 would know everything."""
    rng = np.random.default_rng(0)
    truth = rng.random((count, 3)) < [0.5, 0.3, 0.15]
    opinions = np.hstack([2.0 * truth - 1 + level * rng.standard_normal(truth.shape) for level in noise])
    return opinions.astype(np.float32), truth, np.arange(count) % 5


def test_a_chorus_is_better_than_its_best_voice_and_a_guesser_is_not_heard() -> None:
    opinions, truth, _ = make_opinions([1.5, 1.5, 1e3])
    learn, test = slice(0, 1000), slice(1000, None)
    fitted = stack_independent("made", opinions[learn], truth[learn], LABELS, demo=False)
    scores = fitted.head.probabilities(opinions[test])
    best_voice = max(mean_average_precision(truth[test], opinions[test, 3 * e : 3 * e + 3]) for e in range(3))
    assert mean_average_precision(truth[test], scores) > best_voice + 0.05
    assert expected_calibration_error(truth[test].ravel(), scores.ravel()) < 0.05
    heard = np.abs(fitted.head.weight[:, 6:]).max() * 1e3
    assert heard < 0.5 * np.abs(fitted.head.weight[:, :6]).max() * 1.5
    # A label listens to the experts on that label alone.
    for label in range(3):
        others = [column for column in range(9) if column % 3 != label]
        assert not fitted.head.weight[label, others].any()


def test_the_held_out_logits_are_those_of_the_head_for_few_weights() -> None:
    opinions, truth, _ = make_opinions([1.0, 2.0])
    fitted = stack_independent("made", opinions, truth, LABELS, demo=False)
    np.testing.assert_allclose(
        fitted.head.probabilities(opinions), sigmoid(fitted.held_logits.astype(np.float64)), atol=1e-4
    )


def test_an_exclusive_head_adds_up_to_one_and_is_right_more_often_than_the_commonest() -> None:
    opinions, truth, folds = make_opinions([1.0, 2.0])
    target = np.where(truth[:, 2], 2, np.where(truth[:, 1], 1, 0))
    trusted = np.arange(len(target)) % 2 == 0
    fitted = stack_exclusive("made", opinions, target, folds, LABELS, demo=False, trusted=trusted)
    scores = fitted.head.probabilities(opinions)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    held = (fitted.held_logits.argmax(axis=1) == target).mean()
    assert held > np.bincount(target).max() / len(target) + 0.1


def test_fusing_listens_to_both_and_says_what_it_was_compared_with() -> None:
    opinions, truth, folds = make_opinions([1.5, 1.5])
    poster = stack_independent("p", opinions[:, :3], truth, LABELS, demo=False).head
    plot = stack_independent("t", opinions[:, 3:], truth, LABELS, demo=False).head
    fused = fuse("both", opinions, truth, folds, (poster, plot))
    alone = max(
        mean_average_precision(truth, head.probabilities(part))
        for head, part in ((poster, opinions[:, :3]), (plot, opinions[:, 3:]))
    )
    assert mean_average_precision(truth, fused.head.probabilities(opinions)) > alone + 0.05
    assert "the plot alone" in fused.chosen and "mean of both" in fused.chosen
