"""Words as scikit-learn weighs them; experts that survive their file and refuse a damaged one."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from matinee.errors import FormatError
from matinee.evaluation.metrics import roc_auc
from matinee.genre.experts import Experts
from matinee.genre.fit_experts import Lesson, Shown, fit_opinions, folds_of
from matinee.genre.words import Words, terms
from matinee.heads.perceptron import Recipe

PLOTS = [
    "A detective falls in love with the detective he hunts.",
    "The robot falls in love. The robot is deleted!",
    "Été 1944: a soldier hunts a soldier",
    "Nothing happens.",
]


def test_terms_are_telling_words_and_their_pairs() -> None:
    assert terms("The robot falls in love!") == ["robot", "falls", "love", "robot falls", "falls love"]
    assert terms("Été 1944") == ["été"]
    assert terms("42 … !") == []


def test_words_are_weighed_as_scikit_learn_does() -> None:
    reference = TfidfVectorizer(analyzer=terms, sublinear_tf=True, min_df=2)
    expected = reference.fit_transform(PLOTS).toarray()
    words = Words.of(PLOTS)
    assert list(words.vocabulary) == list(reference.get_feature_names_out())
    for row, plot in enumerate(PLOTS):
        places, weights = words.weigh(plot)
        ours = np.zeros(len(words.vocabulary))
        ours[places] = weights
        np.testing.assert_allclose(ours, expected[row], atol=1e-6)


@pytest.fixture(scope="module")
def experts() -> Experts:
    rng = np.random.default_rng(0)
    truth = rng.random((60, 3)) < 0.5
    features = (truth @ rng.standard_normal((3, 5)) + rng.standard_normal((60, 5))).astype(np.float32)
    plots = [PLOTS[i % len(PLOTS)] for i in range(60)]
    lesson = Lesson(("A", "B", "C"), truth, np.ones(60, dtype=bool), folds_of([str(i) for i in range(60)]))
    return fit_opinions("genre-plot-experts", Shown(features, plots, 0.1, Recipe()), lesson).experts


def test_experts_survive_their_file(experts: Experts, tmp_path: Path) -> None:
    path = tmp_path / "experts.safetensors"
    path.write_bytes(experts.to_bytes())
    loaded = Experts.load(path)
    features = np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32)
    opinions = experts(features, PLOTS)
    assert opinions.shape == (4, experts.num_opinions) == (4, 12)
    np.testing.assert_array_equal(loaded(features, PLOTS), opinions)
    assert loaded.to_bytes() == experts.to_bytes()
    one_by_one = np.vstack([loaded(features[i], [PLOTS[i]]) for i in range(4)])
    np.testing.assert_allclose(one_by_one, opinions, rtol=1e-4, atol=1e-5)


def test_many_features_are_compared_along_levelled_main_directions() -> None:
    # One strong direction says nothing of the label, one weak says all of it: levelled, the weak one is heard.
    rng = np.random.default_rng(4)
    truth = rng.random((400, 1)) < 0.5
    features = rng.standard_normal((400, 600)).astype(np.float32)
    features[:, :300] += 3 * rng.standard_normal((400, 1)).astype(np.float32)
    features[:, 300:340] += 0.45 * (2 * truth - 1)
    lesson = Lesson(("A",), truth, np.arange(400) < 300, folds_of([str(i) for i in range(400)]))
    found = fit_opinions("genre-poster-experts", Shown(features, (), 0.3, Recipe(networks=1, epochs=1)), lesson)
    near = found.experts.near
    assert near.directions.shape == (600, 256) and near.vectors.shape == (300, 256)

    rows = (features - found.experts.center) / found.experts.spread
    logits = near(rows[300:])

    def twin(row: np.ndarray) -> float:
        """The same by singular vectors and a loop."""
        units = rows[:300] / np.linalg.norm(rows[:300], axis=1, keepdims=True)
        _, lengths, axes = np.linalg.svd(units, full_matrices=False)
        known, asked = (x @ axes[:256].T / np.sqrt(lengths[:256]) for x in (rows[:300], row))
        cosines = known @ asked / np.linalg.norm(known, axis=1) / np.linalg.norm(asked)
        nearest = np.argsort(-cosines)[:60]
        weights = np.exp(6 * cosines[nearest])
        share = (20 * (weights @ truth[nearest, 0]) / weights.sum() + truth[:300].mean()) / 21
        return float(np.log(share / (1 - share)))

    np.testing.assert_allclose(logits[:20, 0], [twin(row) for row in rows[300:320]], atol=0.02)
    plain = rows[300:] @ rows[:300].T
    nearest = np.argsort(-plain / np.linalg.norm(rows[:300], axis=1), axis=1)[:, :60]
    by_plain = truth[nearest, 0].mean(axis=1)
    assert roc_auc(truth[300:, 0], logits[:, 0]) > roc_auc(truth[300:, 0], by_plain) + 0.02


def test_a_plot_of_unknown_words_has_an_answer(experts: Experts) -> None:
    assert np.isfinite(experts(np.zeros(5, np.float32), ["Zzyzx qwrtp."])).all()


def test_a_damaged_file_is_refused(experts: Experts, tmp_path: Path) -> None:
    whole = experts.to_bytes()
    path = tmp_path / "experts.safetensors"
    for damaged in (
        b"",
        whole[:100],
        whole[: len(whole) // 2],
        b"x" * 200,
        whole.replace(b"linear.bias", b"linear.bass"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match="experts"):
            Experts.load(path)
