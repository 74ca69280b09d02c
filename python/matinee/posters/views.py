"""Images made of the catalogue's own, for training the poster check. Imported by `matinee build` only.

A check that has seen every image as one file learns how that file was made: its size, sharpness and codec. So images
are seen again, cut, resized and compressed as chance will have it. And what a poster is shows best beside what it is
not: a piece of one has its colours, lettering and grain, but not its layout.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

_WIDTHS = (96, 112, 112, 112, 130, 185)  # pixels; 112 is what a phone shows in a list
_QUALITIES = (40, 95)
_COMPRESSED = 0.85  # share of images
_KEPT_OF_POSTERS, _KEPT_OF_OTHERS, _KEPT_OF_PIECES = (0.93, 1.0), (0.6, 1.0), (0.3, 0.72)  # share of the width
_ASPECTS = (0.62, 0.72)  # width to height


def altered_poster(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A poster (H, W, 3) with a little cut off, in another size and quality."""
    return _remade(pixels, rng, _KEPT_OF_POSTERS, reach=0.2)


def altered_other(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Any part of another image, perhaps mirrored, in a poster's shape and another size and quality."""
    return _remade(pixels[:, ::-1] if rng.random() < 0.5 else pixels, rng, _KEPT_OF_OTHERS)


def piece_of_poster(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A part of a poster that is none by itself."""
    return _remade(pixels, rng, _KEPT_OF_PIECES)


def _remade(pixels: Pixels, rng: np.random.Generator, kept: tuple[float, float], reach: float = 0.5) -> Pixels:
    """A window of the image of a poster's shape, resized and compressed; its centre is off by up to `reach` of what is
    left over."""
    height, width = pixels.shape[:2]
    aspect, share = rng.uniform(*_ASPECTS), rng.uniform(*kept)
    window_width = max(1, round(share * min(width, height * aspect)))
    window_height = max(1, min(height, round(window_width / aspect)))
    left = round((width - window_width) * (0.5 + rng.uniform(-reach, reach)))
    top = round((height - window_height) * (0.5 + rng.uniform(-reach, reach)))
    window = Image.fromarray(np.ascontiguousarray(pixels[top : top + window_height, left : left + window_width]))
    across = int(rng.choice(_WIDTHS))
    image = window.resize((across, round(across * 1.5)), Image.Resampling.BICUBIC)
    if rng.random() < _COMPRESSED:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(rng.integers(*_QUALITIES)))
        image = Image.open(file).convert("RGB")
    return np.asarray(image)
