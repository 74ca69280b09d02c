"""Drawn negatives: every kind, the same every time, images that decode."""

from __future__ import annotations

import io

from PIL import Image

from matinee.catalog.demo.negatives import COUNTS, draw_negative

KINDS = {"photograph", "album_cover", "screenshot", "other"}


def test_the_kinds_are_those_of_the_poster_check() -> None:
    assert set(COUNTS) == KINDS
    assert 280 <= sum(COUNTS.values()) <= 400


def test_the_same_kind_index_and_seed_give_the_same_bytes() -> None:
    for kind in COUNTS:
        assert draw_negative(kind, 7, 2) == draw_negative(kind, 7, 2)
        assert draw_negative(kind, 7, 2) != draw_negative(kind, 8, 2)
        assert draw_negative(kind, 7, 2) != draw_negative(kind, 7, 3)


def test_negatives_decode_and_come_in_many_shapes() -> None:
    shapes = set()
    for kind in COUNTS:
        for index in range(10):
            image = Image.open(io.BytesIO(draw_negative(kind, index)))
            assert image.format == "JPEG"
            assert 200 <= min(image.size) <= max(image.size) <= 700, (kind, index, image.size)
            shapes.add(round(image.width / image.height, 1))
    # Some have a poster's shape, so that shape alone does not give them away.
    assert 0.7 in shapes
    assert 1.0 in shapes
    assert len(shapes) >= 4
