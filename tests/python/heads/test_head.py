"""Heads: what is saved is what answers, and anything else in the file is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matinee.errors import FormatError, InvalidArgument, IoError
from matinee.heads import Head


def make_head(link: str = "sigmoid") -> Head:
    rng = np.random.default_rng(0)
    return Head(
        name="genre-poster-multi",
        labels=("Comedy", "Drama", "Science Fiction"),
        link="softmax" if link == "softmax" else "sigmoid",
        weight=rng.standard_normal((3, 5)).astype(np.float32),
        bias=rng.standard_normal(3).astype(np.float32),
        thresholds=np.array([0.3, 0.5, 0.7], np.float32),
        demo=True,
        center=np.zeros(5, np.float32),
        spread=np.ones(5, np.float32),
        settings={"accept_from": 0.75},
    )


@pytest.mark.parametrize("link", ["sigmoid", "softmax"])
def test_a_saved_head_answers_as_before(tmp_path: Path, link: str) -> None:
    head = make_head(link)
    path = tmp_path / "h.safetensors"
    path.write_bytes(head.to_bytes())
    loaded = Head.load(path)
    vectors = np.random.default_rng(1).standard_normal((7, 5)).astype(np.float32)
    assert (loaded.labels, loaded.link, loaded.demo, loaded.settings) == (
        head.labels,
        head.link,
        head.demo,
        head.settings,
    )
    assert np.array_equal(loaded.probabilities(vectors), head.probabilities(vectors))
    assert np.array_equal(loaded.strangeness(vectors), head.strangeness(vectors))
    assert loaded.to_bytes() == head.to_bytes()


def test_probabilities_follow_the_link() -> None:
    vectors = np.random.default_rng(2).standard_normal((4, 5)).astype(np.float32)
    independent, exclusive = make_head("sigmoid"), make_head("softmax")
    logits = vectors @ independent.weight.T + independent.bias
    assert independent.probabilities(vectors) == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-6)
    assert exclusive.probabilities(vectors).sum(axis=1) == pytest.approx(1)
    assert (exclusive.probabilities(vectors).argmax(axis=1) == logits.argmax(axis=1)).all()


def test_extreme_logits_stay_probabilities() -> None:
    head = replace(make_head(), weight=np.full((3, 5), 1e4, np.float32))
    probabilities = head.probabilities(np.array([[1] * 5, [-1] * 5], np.float32))
    assert np.isfinite(probabilities).all()
    assert probabilities[0] == pytest.approx(1) and probabilities[1] == pytest.approx(0)


def test_features_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"expected \(B, 5\), got \(1, 4\)"):
        make_head().probabilities(np.zeros(4))


def test_a_head_cut_anywhere_is_refused_with_its_name(tmp_path: Path) -> None:
    data = make_head().to_bytes()
    path = tmp_path / "genre.safetensors"
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError, match=r"genre\.safetensors"):
            Head.load(path)


def test_tensors_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(FormatError, match="bias"):
        replace(make_head(), bias=np.zeros(2, np.float32))
    with pytest.raises(FormatError, match="weight: expected finite"):
        replace(make_head(), weight=np.full((3, 5), np.nan, np.float32))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(IoError):
        Head.load(tmp_path / "none.safetensors")
