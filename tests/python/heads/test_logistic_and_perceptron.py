"""The fits of `matinee build` agree with scikit-learn and with numerical slopes."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from matinee.heads import perceptron
from matinee.heads.logistic import fit_logistic
from matinee.heads.perceptron import Recipe, fit_perceptron


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((400, 6)).astype(np.float32)


@pytest.mark.parametrize("sparse", [False, True])
def test_independent_labels_agree_with_scikit_learn(rows: np.ndarray, sparse: bool) -> None:
    truth = rows[:, :2] + np.random.default_rng(1).standard_normal((400, 2)) > 0.3
    given = csr_matrix(rows) if sparse else rows
    weight, bias = fit_logistic(given, truth.astype(np.float32), 0.05)
    for label in range(2):
        reference = LogisticRegression(C=1 / (0.05 * 400), tol=1e-8).fit(rows, truth[:, label])
        np.testing.assert_allclose(weight[label], reference.coef_[0], atol=2e-3)
        np.testing.assert_allclose(bias[label], reference.intercept_[0], atol=2e-3)


def test_exclusive_labels_agree_with_scikit_learn(rows: np.ndarray) -> None:
    target = (rows[:, :3] + np.random.default_rng(1).standard_normal((400, 3))).argmax(axis=1)
    weight, bias = fit_logistic(rows, np.eye(3)[target], 0.05, link="softmax")
    reference = LogisticRegression(C=1 / (0.05 * 400), tol=1e-8).fit(rows, target)
    expected = rows @ reference.coef_.T + reference.intercept_
    ours = rows @ weight.T + bias
    np.testing.assert_allclose(
        ours - ours.mean(axis=1, keepdims=True), expected - expected.mean(axis=1, keepdims=True), atol=5e-3
    )


def test_a_perceptron_learns_what_no_line_separates() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((800, 2)).astype(np.float32)
    truth = (rows[:, :1] * rows[:, 1:]) > 0
    recipe = Recipe(hidden=32, networks=2, epochs=60, rate=1e-2, drop_input=0.0, drop_hidden=0.1)
    net = fit_perceptron(rows, truth.astype(np.float32), recipe)
    assert ((net(rows) > 0) == truth).mean() > 0.9
    again = fit_perceptron(rows, truth.astype(np.float32), recipe)
    np.testing.assert_array_equal(net.first, again.first)


def test_several_networks_are_their_average() -> None:
    rng = np.random.default_rng(0)
    rows, truth = rng.standard_normal((50, 3)).astype(np.float32), rng.random((50, 2)) < 0.5
    recipe = Recipe(hidden=4, networks=3, epochs=2)
    each = [perceptron._fit_one(rows, truth, recipe, seed)(rows) for seed in range(3)]
    np.testing.assert_allclose(fit_perceptron(rows, truth, recipe)(rows), np.mean(each, axis=0), atol=1e-5)


def test_slopes_are_those_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(shape) for shape in ((5, 4), (4,), (4, 3), (3,))]
    rows, truth = rng.standard_normal((6, 5)), (rng.random((6, 3)) < 0.5).astype(float)

    def loss(now: list[np.ndarray]) -> float:
        logits = np.maximum(rows @ now[0] + now[1], 0) @ now[2] + now[3]
        return float((np.logaddexp(0, logits) - truth * logits).sum() / len(rows))

    slopes = perceptron._slopes(values, rows, truth, Recipe(drop_input=0, drop_hidden=0), rng)
    for number, slope in enumerate(slopes):
        for place in range(values[number].size):
            moved = [value.copy() for value in values]
            moved[number].flat[place] += 1e-6
            assert (loss(moved) - loss(values)) / 1e-6 == pytest.approx(slope.flat[place], abs=1e-4)
