"""The window onto images: the same for every shape and size of the same picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.bundle.poster_view import poster_view


def gradient(height: int, width: int) -> np.ndarray:
    """Red grows to the right, green downwards."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width)[None, :]
    image[..., 1] = np.linspace(0, 255, height)[:, None]
    return image


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 700), width=st.integers(1, 700))
def test_any_image_becomes_two_to_three_and_no_larger_than_a_thumbnail(height: int, width: int) -> None:
    view = poster_view(gradient(height, width))
    seen_height, seen_width = view.shape[:2]
    assert 1 <= seen_width <= 185 and 1 <= seen_height <= 278
    if min(height, width) >= 60:
        assert seen_width / seen_height == pytest.approx(2 / 3, abs=0.02)


def test_the_thumbnail_of_a_catalogue_is_seen_as_it_is() -> None:
    image = gradient(277, 185)
    assert np.array_equal(poster_view(image), image)


def test_the_sides_of_a_wide_image_are_cut_evenly() -> None:
    view = poster_view(gradient(150, 600))  # the middle 100 of 600
    assert view.shape == (150, 100, 3)
    assert view[0, 0, 0] + int(view[0, -1, 0]) == pytest.approx(255, abs=2)
    assert view[0, 0, 0] > 100


def test_size_leaves_little_trace() -> None:
    small, large = poster_view(gradient(278, 185)), poster_view(gradient(2780, 1850))
    assert large.shape == small.shape
    assert np.abs(large.astype(int) - small).mean() < 1
