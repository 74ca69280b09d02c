"""Zero-shot labels: their arithmetic, on a CLIP with random weights, beside PyTorch's."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from matinee import Encoder, InvalidArgument, JointEncoder  # noqa: E402
from matinee.genre.labels import COURSE_GENRES  # noqa: E402
from matinee.zero_shot import ZeroShot, zero_shot_genres, zero_shot_poster_check  # noqa: E402
from tests.python.tiny_clip import make_clip, write_clip, write_clip_inputs  # noqa: E402

SENTENCES = {"sad": ["a sad one", "tears"], "merry": ["laughs"], "odd": ["x y", "z", "w w"]}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> JointEncoder:
    model = make_clip("small")
    folder: Path = tmp_path_factory.mktemp("clip")
    encoder = Encoder.load(write_clip_inputs(write_clip(folder / "clip", model), model), "fp32")
    assert isinstance(encoder, JointEncoder)
    return encoder


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40, 30, 3), dtype=np.uint8) for _ in range(5)]


def test_probabilities_are_the_softmax_of_scaled_cosines_with_the_mean_of_each_labels_sentences(
    clip: JointEncoder, images: list[np.ndarray]
) -> None:
    labels = [
        torch.nn.functional.normalize(torch.tensor(clip.texts.encode(texts)).mean(0), dim=0)
        for texts in SENTENCES.values()
    ]
    seen = torch.tensor(clip.images.encode(images).vectors)
    for scale in (100.0, 7.0):
        expected = (scale * seen @ torch.stack(labels).T).softmax(1).numpy()
        got = ZeroShot(clip, SENTENCES, scale=scale)
        assert got.labels == tuple(SENTENCES)
        np.testing.assert_allclose(got.probabilities(images), expected, atol=1e-4)


def test_genres_and_the_poster_check_have_their_labels(clip: JointEncoder, images: list[np.ndarray]) -> None:
    genres, check = zero_shot_genres(clip), zero_shot_poster_check(clip)
    assert genres.labels == tuple(COURSE_GENRES) and check.labels[0] == "poster"
    for found in (genres.probabilities(images), check.probabilities(images)):
        np.testing.assert_allclose(found.sum(axis=1), 1)
    with pytest.raises(InvalidArgument, match="two labels or more"):
        ZeroShot(clip, {"one": ["alone"]})
    with pytest.raises(InvalidArgument):
        ZeroShot(clip, {"one": ["a"], "two": []})
