"""Resizing equals Pillow's bit for bit, on every instruction level."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from matinee import _core
from matinee.errors import InvalidArgument, TooLarge

PILLOW = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
LEVELS = ["scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx"]


def pillow_resize(image: np.ndarray, height: int, width: int, name: str) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), PILLOW[name]))


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Black, white and everything between: overshoots both ways are clipped somewhere."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    extreme = rng.random((height, width, 1)) < 0.5
    return np.where(extreme, np.where(image > 127, 255, 0), image).astype(np.uint8)


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every instruction level that this processor has."""
    before = _core.isa_level()
    try:
        _core.set_isa_level(request.param)
    except InvalidArgument:
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    _core.set_isa_level(before)


SIZES = [
    # from (height, width) to (height, width)
    ((278, 185), (224, 224)),
    ((278, 185), (384, 256)),
    ((300, 200), (75, 50)),
    ((97, 131), (31, 257)),
    ((64, 64), (64, 31)),
    ((64, 64), (31, 64)),
    ((64, 64), (64, 64)),
    ((1, 1), (7, 5)),
    ((7, 5), (1, 1)),
    ((1, 300), (5, 3)),
    ((2, 3), (3, 2)),
    ((1000, 3), (10, 17)),
    ((1000, 3), (999, 3)),
    ((1000, 3), (1001, 17)),
    ((900, 9), (10, 10)),
    ((901, 9), (10, 10)),
    ((3, 1000), (17, 10)),
    ((40, 2500), (3, 2)),
]


@pytest.mark.parametrize("name", PILLOW)
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_resize_equals_pillow(level: str, name: str, before: tuple[int, int], after: tuple[int, int]) -> None:
    image = noise(*before)
    got = _core.resize(image, height=after[0], width=after[1], filter=name)
    np.testing.assert_array_equal(got, pillow_resize(image, *after, name))


sides = st.integers(1, 90)


@settings(max_examples=300, deadline=None)
@given(height=sides, width=sides, to_height=sides, to_width=sides, name=st.sampled_from(sorted(PILLOW)), seed=sides)
def test_resize_equals_pillow_at_any_size(
    *, height: int, width: int, to_height: int, to_width: int, name: str, seed: int
) -> None:
    image = noise(height, width, seed)
    got = _core.resize(image, height=to_height, width=to_width, filter=name)
    np.testing.assert_array_equal(got, pillow_resize(image, to_height, to_width, name))


def test_rows_need_not_be_contiguous() -> None:
    image = noise(90, 80)
    for view in (image[::-1], image[10:60:3, 7:50], image[:1]):
        got = _core.resize(view, height=33, width=21)
        np.testing.assert_array_equal(got, pillow_resize(np.ascontiguousarray(view), 33, 21, "bicubic"))


def test_the_result_is_a_new_array_even_at_the_same_size() -> None:
    image = noise(5, 6)
    got = _core.resize(image, height=5, width=6)
    image[:] = 0
    assert got.any()
    got[:] = 7  # writeable


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((4, 4, 6), np.uint8)[:, :, ::2],
        np.zeros((3, 4, 4), np.uint8),
    ],
    ids=lambda image: f"{image.shape} {image.dtype}",
)
def test_other_arrays_are_invalid_arguments(image: np.ndarray) -> None:
    with pytest.raises(InvalidArgument, match=r"resize: image: expected \(H, W, 3\)"):
        _core.resize(image, height=2, width=2)


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0), (-1, 5), (70_000, 5)])
def test_sizes_out_of_range_are_invalid_arguments(height: int, width: int) -> None:
    with pytest.raises(InvalidArgument, match="resize: height, width"):
        _core.resize(noise(4, 4), height=height, width=width)


def test_a_result_of_thousands_of_megapixels_is_too_large() -> None:
    with pytest.raises(TooLarge):
        _core.resize(noise(4, 4), height=60_000, width=60_000)


def test_unknown_filters_are_invalid_arguments() -> None:
    with pytest.raises(InvalidArgument, match="expected bicubic or bilinear, got 'lanczos'"):
        _core.resize(noise(4, 4), height=2, width=2, filter="lanczos")


def test_real_posters_equal_pillow(shared_data: Path) -> None:
    posters = sorted((shared_data / "posters").rglob("*.jpg"))
    for path in posters[:: len(posters) // 20]:
        image = np.asarray(Image.open(path).convert("RGB"))
        got = _core.resize(image, height=224, width=224)
        np.testing.assert_array_equal(got, pillow_resize(image, 224, 224, "bicubic"))
