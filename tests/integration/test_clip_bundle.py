"""A bundle whose plots and posters are read by one CLIP: the joint space is CLIP's own, through the same code.

The CLIP has random weights, so only its arithmetic is looked at.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from matinee import Encoder, JointEncoder  # noqa: E402
from matinee.bundle import Bundle, build, open_bundle  # noqa: E402
from matinee.bundle.poster_view import closer_views, poster_view  # noqa: E402
from matinee.search.request import pieces  # noqa: E402
from tests.python.tiny_clip import make_clip, write_clip, write_clip_inputs  # noqa: E402

pytestmark = pytest.mark.slow

Floats = NDArray[np.float32]
NAME = "tiny-clip"
PLOT = "A shy florist must fall in love one summer. An old priest must wake a demon."


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = make_clip("small")
    return write_clip_inputs(write_clip(tmp_path_factory.mktemp("models") / NAME, model, name=NAME), model)


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> JointEncoder:
    encoder = Encoder.load(clip_folder, squash=True)
    assert isinstance(encoder, JointEncoder)
    return encoder


@pytest.fixture(scope="module")
def bundle(clip_folder: Path, drawn_films: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_MODELS", str(clip_folder.parent))
        place = tmp_path_factory.mktemp("bundle") / "clip.bundle"
        build(drawn_films, place, text_model=NAME, image_model=NAME)
        opened = open_bundle(place)
        opened.warm_up()
    return opened


def unit(rows: Floats) -> Floats:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def text(clip: JointEncoder, plot: str) -> Floats:
    """What CLIP's text half makes of a plot: of the whole and of its sentences."""
    spans = pieces(plot)
    if len(spans) == 1:
        return clip.texts.encode([plot])[0]
    whole, *sentences = clip.texts.encode([plot, *(plot[begin:end] for begin, end in spans)])
    return unit(whole + unit(np.mean(sentences, axis=0)))


def picture(clip: JointEncoder, poster: bytes) -> Floats:
    """The mean of what CLIP's image half sees in the whole poster and in its two parts."""
    from matinee import _core

    view = poster_view(_core.decode_rgb(poster))
    return clip.images.encode([view, *closer_views(view)]).vectors.mean(axis=0)


def test_the_manifest_names_the_clip_as_both_encoders(bundle: Bundle, clip: JointEncoder) -> None:
    text_entry, image_entry = bundle.manifest.models["text"], bundle.manifest.models["image"]
    assert text_entry.name == image_entry.name == NAME
    assert text_entry.sha256 == image_entry.sha256 == clip.sha256
    assert text_entry.dimension == image_entry.dimension == 24
    card = next(card for card in bundle.cards if card.name == "joint-space")
    assert "nothing is learned" in card.training


def test_plots_and_posters_lie_in_clip_s_space_each_half_centred(bundle: Bundle, clip: JointEncoder) -> None:
    posters = [bundle.poster(film.id)[0] for film in bundle.films() if film.has_poster]
    mean = np.mean([picture(clip, poster) for poster in posters], axis=0)
    for poster in posters[:5]:
        expected = unit(picture(clip, poster) - mean)
        np.testing.assert_allclose(bundle.joint_vector(poster=poster), expected, atol=2e-3)
    whole = clip.texts.encode([film.plot for film in bundle.films() if film.plot])
    expected = unit(text(clip, PLOT) - whole.mean(axis=0))
    np.testing.assert_allclose(bundle.joint_vector(plot=PLOT), expected, atol=2e-3)


def test_a_poster_fits_a_plot_by_their_cosine_there(bundle: Bundle) -> None:
    store = bundle.search_store
    plots, posters = store.sample.pair_plots, store.sample.pair_posters
    films = [film for film in bundle.films() if film.plot and film.has_poster][:4]
    for film, other in pairwise(films):
        plot, poster = bundle.joint_vector(plot=film.plot), bundle.joint_vector(poster=bundle.poster(other.id)[0])

        def score(poster: Floats, plot: Floats = plot) -> float:
            near_plot = np.sort(plot @ posters.T)[-max(1, round(0.05 * len(posters))) :].mean()
            near_poster = np.sort(poster @ plots.T)[-max(1, round(0.05 * len(plots))) :].mean()
            return float(2 * plot @ poster - near_plot - near_poster)

        found = bundle.poster_fits_plot(bundle.poster(other.id)[0], film.plot or "")
        beaten = np.mean([score(one) < score(poster) for one in posters])
        assert found.better_than == pytest.approx(beaten, abs=0.03)
        settings = store.space.settings
        if found.probability is not None:
            odds = settings["pair_slope"] * score(poster) + settings["pair_offset"]
            assert found.probability == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-3)


def test_every_question_is_answered(bundle: Bundle) -> None:
    poster = bundle.poster("local:4")[0]
    assert bundle.predict_genres(poster=poster, plot=PLOT).used == ["poster", "plot"]
    assert bundle.check_poster(poster).model == "poster-check"
    assert bundle.similar("local:1", k=3).films
    assert bundle.discover("an old priest wakes a demon", k=3).films
