"""Fitting: what it learns is there, what it must not look at it does not, and its probabilities are honest."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from matinee.evaluation.metrics import expected_calibration_error
from matinee.heads.fit import MIN_POSITIVES, balanced_platt, enough_labels, fit_exclusive, fit_independent
from matinee.heads.split import part_of, parts_of


def make_films(count: int = 1500, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (N, 12), truth (N, 3) that depends on the first three of them, and parts."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((count, 12)).astype(np.float32) * 3 + 1
    chance = 1 / (1 + np.exp(-(features[:, :3] - 1)))
    truth = rng.random((count, 3)) < chance
    return features, truth, parts_of(f"film:{i}" for i in range(count))


def test_the_split_is_fixed_and_of_the_stated_sizes() -> None:
    # These parts are part of every published figure: a change here moves films from test to training.
    assert [part_of(f"movielens:{i}") for i in range(1, 9)] == [
        "train",
        "train",
        "test",
        "train",
        "train",
        "test",
        "train",
        "train",
    ]
    parts = parts_of(f"movielens:{i}" for i in range(20_000))
    shares = {part: float((parts == part).mean()) for part in ("train", "validation", "test")}
    assert shares == pytest.approx({"train": 0.70, "validation": 0.15, "test": 0.15}, abs=0.01)


def test_independent_labels_are_learned_and_calibrated() -> None:
    features, truth, parts = make_films(6000)
    head = fit_independent("h", features, truth, parts, ["a", "b", "c"], strengths=(0.01, 0.1), demo=False).head
    test = parts == "test"
    probabilities = head.probabilities(features[test])
    right = ((probabilities >= 0.5) == truth[test]).mean()
    assert right > 0.75
    assert expected_calibration_error(truth[test].ravel(), probabilities.ravel(), num_bins=8) < 0.04


def test_exclusive_labels_are_learned_and_calibrated() -> None:
    features, truth, parts = make_films()
    target = np.argmax(truth * 1.0 + features[:, :3] * 0.1, axis=1)
    head = fit_exclusive("h", features, target, parts, ["a", "b", "c"], strengths=(0.01, 0.1), demo=False).head
    test = parts == "test"
    probabilities = head.probabilities(features[test])
    assert probabilities.sum(axis=1) == pytest.approx(1)
    correct = probabilities.argmax(axis=1) == target[test]
    assert correct.mean() > np.bincount(target[test]).max() / test.sum() + 0.1
    assert expected_calibration_error(correct, probabilities.max(axis=1), num_bins=5) < 0.12


def test_test_items_change_nothing() -> None:
    features, truth, parts = make_films(600)
    other_features, other_truth = features.copy(), truth.copy()
    other_features[parts == "test"] *= -5
    other_truth[parts == "test"] ^= True
    args = {"labels": ["a", "b", "c"], "strengths": (0.03,), "demo": False}
    one = fit_independent("h", features, truth, parts, **args).head
    other = fit_independent("h", other_features, other_truth, parts, **args).head
    assert one.to_bytes() == other.to_bytes()


def test_folding_the_scaling_equals_scikit_learn_on_scaled_features() -> None:
    features, truth, parts = make_films(500)
    parts = np.where(parts == "test", "train", parts)  # all rows are fitted in the end
    target = truth[:, 0].astype(np.intp)
    head = fit_exclusive(
        "h", features, target, parts, ["no", "yes"], strengths=(0.05,), demo=False, balances=(0.0,)
    ).head
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = LogisticRegression(C=0.05, max_iter=500).fit(scaled, target).decision_function(scaled)
    ours = np.log(head.probabilities(features)[:, 1] / head.probabilities(features)[:, 0])
    # The head is that model up to one temperature.
    slope = float(ours @ expected / (expected @ expected))
    assert slope > 0
    assert ours == pytest.approx(expected * slope, abs=0.02)


def test_labels_with_too_few_films_are_named() -> None:
    _, truth, parts = make_films(300)
    truth[:, 1] = False
    truth[np.flatnonzero(parts == "train")[: MIN_POSITIVES - 1], 1] = True
    truth[:, 2] = True
    dropped = enough_labels(truth, parts, ["a", "b", "c"])
    assert set(dropped) == {"b", "c"}
    assert dropped["b"].startswith(f"{MIN_POSITIVES - 1} films")


def test_balanced_platt_counts_groups_alike_however_large_they_are() -> None:
    rng = np.random.default_rng(4)
    clear, blurred = rng.normal(4, 1, 100), rng.normal(1, 1, 400)
    others = rng.normal(-2, 1.5, 50)
    slope, shift = balanced_platt([clear, blurred], [others])
    # The slow twin: every group repeated until all weigh what they should.
    logits = np.concatenate([np.tile(clear, 4), blurred, np.tile(others, 16)])
    truth = np.arange(len(logits)) < 800
    plain = LogisticRegression(C=1e3, max_iter=500).fit(logits[:, None], truth)
    assert slope == pytest.approx(plain.coef_[0, 0], rel=0.02)
    assert shift == pytest.approx(plain.intercept_[0], rel=0.05, abs=0.02)


@pytest.mark.parametrize(("positives", "negatives"), [([], []), ([[1.0]], []), ([[]], [[1.0, 2.0]])])
def test_balanced_platt_of_one_kind_alone_changes_nothing(positives: list, negatives: list) -> None:
    kinds = ([np.array(group) for group in kind] for kind in (positives, negatives))
    assert balanced_platt(*kinds) == (1.0, 0.0)
