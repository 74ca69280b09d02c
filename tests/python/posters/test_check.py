"""The poster check: its tiers, its band of doubt, and what a demo model may say."""

from dataclasses import replace

import numpy as np
import pytest

from matinee.heads import Head
from matinee.posters.check import (
    ACCEPT_FROM,
    ACCEPT_SMALL_FROM,
    CHECK_NAME,
    KIND_NAME,
    REJECT_BELOW,
    REJECT_SMALL_BELOW,
    STRANGE_FROM,
    check_pixels,
    check_vector,
    with_duplicate,
)

SHAPE = {"width": 185, "height": 278}
SETTINGS = {REJECT_BELOW: 0.25, ACCEPT_FROM: 0.75, STRANGE_FROM: 9.0, REJECT_SMALL_BELOW: 0.1, ACCEPT_SMALL_FROM: 0.6}


def make_check(demo: bool = False) -> Head:
    """Scores by the first of two features: 0.5 at 0; sure beyond +-1.1, strange from a mean square of 9."""
    return Head(
        name=CHECK_NAME,
        labels=("poster",),
        link="sigmoid",
        weight=np.array([[1, 0]], np.float32),
        bias=np.zeros(1, np.float32),
        thresholds=np.array([0.75], np.float32),
        demo=demo,
        center=np.zeros(2, np.float32),
        spread=np.ones(2, np.float32),
        settings=SETTINGS,
    )


def make_kinds() -> Head:
    weight = np.array([[3, 0], [-3, 3], [-3, -3]], np.float32)
    labels = ("poster", "photograph", "book_cover")
    return Head(KIND_NAME, labels, "softmax", weight, np.zeros(3, np.float32), np.zeros(3, np.float32), False)


def vector(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize(("feature", "valid"), [(2.0, True), (0.2, None), (-0.2, None), (-2.0, False)])
def test_between_the_bounds_it_is_not_sure(feature: float, valid: bool | None) -> None:
    check = check_vector(make_check(), None, vector(feature, 0), **SHAPE)
    assert check.valid is valid
    assert check.score == pytest.approx(1 / (1 + np.exp(-feature)))
    assert check.reasons


@pytest.mark.parametrize(("width", "height"), [(112, 168), (400, 200)])
def test_small_images_have_their_own_bounds(width: int, height: int) -> None:
    shape = {"width": 112, "height": 168}
    assert [check_vector(make_check(), None, vector(f, 0), **shape).valid for f in (0.6, -1.5, -3)] == [
        True,
        None,
        False,
    ]
    wide = check_vector(make_check(), None, vector(-1.5, 0), width=width, height=height)
    assert wide.valid is (None if width < height else False)  # the shape settles what the small bounds leave open


@pytest.mark.parametrize("feature", [6.0, -6.0])
def test_an_image_unlike_all_it_was_trained_on_gets_no_verdict(feature: float) -> None:
    check = check_vector(make_check(), None, vector(feature, 0), **SHAPE)
    assert check.valid is None
    assert [reason.code for reason in check.reasons] == ["unfamiliar"]


def test_a_wrong_shape_speaks_against_all_but_what_looks_very_much_like_a_poster() -> None:
    square = check_vector(make_check(), None, vector(2, 0), width=300, height=300)
    assert (
        square.valid is False and square.score < check_vector(make_check(), None, vector(2, 0), width=2, height=3).score
    )
    check = make_check()
    familiar = replace(check, settings={**check.settings, STRANGE_FROM: 100.0})
    square = check_vector(familiar, None, vector(6, 0), width=300, height=300)
    assert (
        square.valid is None
        and "not_sure" not in {reason.code for reason in square.reasons}
        and "wrong_shape" in {reason.code for reason in square.reasons}
    )
    doubtful = check_vector(make_check(), None, vector(0.2, 0), width=300, height=300)
    assert doubtful.valid is False and "wrong_shape" in {reason.code for reason in doubtful.reasons}
    rejected = check_vector(make_check(), None, vector(-2, 0), width=300, height=300)
    assert rejected.valid is False
    assert check_vector(make_check(), None, vector(2, 0), width=675, height=1000).valid is True


@pytest.mark.parametrize(("feature", "place"), [(2.0, 0), (0.2, 0), (-2.0, -1)])
def test_a_copy_is_named_and_changes_no_verdict(feature: float, place: int) -> None:
    check = check_vector(make_check(), None, vector(feature, 0), **SHAPE)
    known = with_duplicate(check, "local:7", "Alien (1979)")
    assert (known.valid, known.score) == (check.valid, check.score)
    assert known.reasons[place].code == "near_duplicate"
    assert "Alien (1979)" in known.reasons[place].detail
    assert [reason.film for reason in known.reasons if reason.film] == ["local:7"]


def test_doubtful_images_are_named_by_kind() -> None:
    photograph = check_vector(make_check(), make_kinds(), vector(-2, 1), **SHAPE)
    assert photograph.reasons[0].code == "photograph"
    other = check_vector(make_check(), make_kinds(), vector(-2, -1), **SHAPE)
    assert other.reasons[0].code == "book_cover" and "book cover" in other.reasons[0].detail
    accepted = check_vector(make_check(), make_kinds(), vector(2, 1), **SHAPE)
    assert [reason.code for reason in accepted.reasons] == ["looks_like_poster"]


def test_a_demo_check_says_what_it_was_trained_on_and_spares_real_posters() -> None:
    # A real poster lies far from drawn ones, wherever the score falls.
    check = check_vector(make_check(demo=True), make_kinds(), vector(-6, 0), **SHAPE)
    assert check.valid is None and check.demo
    assert any(r.code == "demo_model" and "drawn posters only" in r.detail for r in check.reasons)


@pytest.mark.parametrize(("height", "width"), [(63, 200), (200, 63), (1, 1)])
def test_tiny_images_are_refused_with_their_size(height: int, width: int) -> None:
    check = check_pixels(np.zeros((height, width, 3), np.uint8), demo=False)
    assert check is not None and check.valid is False and check.score == 0
    assert check.reasons[0].code == "too_small" and f"{width} x {height}" in check.reasons[0].detail


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
@pytest.mark.parametrize("size", [(180, 120), (3000, 2000)])
def test_blank_images_are_refused_noise_and_all(colour: tuple[int, int, int], size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(-3, 4, (*size, 3))
    check = check_pixels(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8), demo=False)
    assert check is not None and check.valid is False
    assert check.reasons[0].code == "blank"


def test_a_bare_design_is_not_blank() -> None:
    poster = np.zeros((278, 185, 3), np.uint8)
    poster[240:250, 40:140] = 255  # one line of lettering on black: 2 % of it
    assert check_pixels(poster, demo=False) is None


def test_the_bounds_are_the_heads_own() -> None:
    head = replace(make_check(), settings={**SETTINGS, REJECT_BELOW: 0.4, ACCEPT_FROM: 0.6})
    assert check_vector(head, None, vector(0.7, 0), **SHAPE).valid is True
    assert check_vector(make_check(), None, vector(0.7, 0), **SHAPE).valid is None
