"""Metrics agree with scikit-learn and with cases whose answer is plain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from matinee.evaluation.metrics import (
    accuracy,
    average_precision,
    bootstrap,
    expected_calibration_error,
    f1_per_label,
    honest_calibration_error,
    macro_f1,
    mean_average_precision,
    roc_auc,
)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), items=st.integers(2, 60), labels=st.integers(1, 5), ties=st.booleans())
def test_ranking_metrics_agree_with_scikit_learn(seed: int, items: int, labels: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random((items, labels)) < 0.4
    scores = rng.integers(0, 4, truth.shape).astype(float) if ties else rng.random(truth.shape)
    ours = average_precision(truth, scores)
    for label in range(labels):
        column = truth[:, label]
        if column.any():
            assert ours[label] == pytest.approx(reference.average_precision_score(column, scores[:, label]))
        else:
            assert np.isnan(ours[label])
        if column.any() and not column.all():
            expected = reference.roc_auc_score(column, scores[:, label])
            assert roc_auc(column, scores[:, label]) == pytest.approx(expected)


def test_f1_and_accuracy_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    truth, decided = rng.random((80, 6)) < 0.3, rng.random((80, 6)) < 0.4
    assert f1_per_label(truth, decided) == pytest.approx(reference.f1_score(truth, decided, average=None))
    assert macro_f1(truth, decided) == pytest.approx(reference.f1_score(truth, decided, average="macro"))
    assert accuracy(truth, decided) == pytest.approx(reference.accuracy_score(truth, decided))


def test_labels_that_do_not_occur_are_left_out_of_means() -> None:
    truth = np.array([[True, False], [True, False]])
    scores = np.array([[0.9, 0.1], [0.8, 0.7]])
    assert mean_average_precision(truth, scores) == 1.0
    assert macro_f1(truth, truth) == 1.0
    assert np.isnan(mean_average_precision(np.zeros((3, 2), bool), np.zeros((3, 2))))


def test_calibration_error_of_plain_cases() -> None:
    right = np.array([True] * 8 + [False] * 2)
    assert expected_calibration_error(right, np.full(10, 0.8)) == pytest.approx(0.0)
    assert expected_calibration_error(right, np.full(10, 1.0)) == pytest.approx(0.2)
    # Two bins that err in opposite directions do not make up for each other.
    confident = np.array([0.95] * 5 + [0.05] * 5)
    assert expected_calibration_error(~right, confident) > 0.5


def test_the_interval_covers_the_mean_of_a_known_population() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for repeat in range(60):
        sample = rng.random(100)
        interval = bootstrap(lambda i, s=sample: float(s[i].mean()), len(sample), seed=repeat)
        assert interval.low <= interval.value <= interval.high
        covered += interval.low <= 0.5 <= interval.high
    assert covered >= 50  # 95 % of 60 is 57; below 50 would be a one-in-a-hundred-thousand accident


def test_nothing_to_measure_is_not_a_number_rather_than_a_figure() -> None:
    interval = bootstrap(lambda i: float(np.zeros(0)[i].mean()) if len(i) else float("nan"), 0)
    assert np.isnan(interval.value) and interval.count == 0
    assert np.isnan(roc_auc(np.array([True, True]), np.array([0.1, 0.2])))
    assert np.isnan(accuracy(np.zeros((0, 2), bool), np.zeros((0, 2), bool)))


@pytest.mark.parametrize("count", [60, 400, 5000])
def test_honest_answers_show_the_calibration_error_that_chance_leaves(count: int) -> None:
    rng = np.random.default_rng(count)
    stated = rng.beta(2, 2, count)
    drawn = [expected_calibration_error(rng.random(count) < stated, stated) for _ in range(300)]
    assert honest_calibration_error(stated) == pytest.approx(float(np.mean(drawn)), rel=0.1)
