"""The window through which every image is seen before it is encoded: the same for posters, negatives and uploads.

Posters of a catalogue come as thumbnails of one size, other images in theirs. A check that sees the difference in size,
shape or sharpness learns that instead of what a poster is. So: the central 2:3 of the image, and no more detail than a
thumbnail of 185 x 278 pixels has; the encoder then squashes it to its own square.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee import _core

Pixels = NDArray[np.uint8]

VIEW_VERSION = 3
"""Part of the key of cached vectors: raise it when the view changes."""

_WIDTH, _HEIGHT = 185, 278  # the thumbnails of TMDB and of the course's data set


def poster_view(pixels: Pixels) -> Pixels:
    """What of an image (H, W, 3) the encoder gets to see, (H', W', 3) of about 2:3."""
    height, width = pixels.shape[:2]
    if 3 * width > 2 * height:
        inner_width, inner_height = max(1, round(height * 2 / 3)), height
    else:
        inner_width, inner_height = width, max(1, round(width * 3 / 2))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    inner = np.ascontiguousarray(pixels[top : top + inner_height, left : left + inner_width])
    if inner_width <= _WIDTH and inner_height <= _HEIGHT:
        return inner
    return _core.resize(inner, height=_HEIGHT, width=_WIDTH, filter="bicubic")


_CLOSER = 0.6  # share of the height that a closer look has


def closer_views(view: Pixels) -> list[Pixels]:
    """The upper and the lower part of a poster view: faces and title are larger in them, and whose they are is lost."""
    height = view.shape[0]
    cut = max(1, round(height * _CLOSER))
    return [np.ascontiguousarray(view[:cut]), np.ascontiguousarray(view[height - cut :])]
