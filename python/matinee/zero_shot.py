"""Labels for posters without training, by a model that puts texts and images in one space (CLIP).

    clip = matinee.Encoder.load("clip-vit-b32-laion")
    zero_shot_genres(clip).probabilities([poster])      # (1, 10)
    zero_shot_poster_check(clip).probabilities([image])  # (1, 5), the first: a film poster

Radford et al., "Learning transferable visual models from natural language supervision", 2021: a label is the mean of
what several sentences about it encode to; the softmax of its scaled cosines with an image is its probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from matinee.encode import Image, JointEncoder
from matinee.errors import InvalidArgument
from matinee.genre.labels import COURSE_GENRES

_SCALE = 100.0  # where the published CLIPs' training ended
_GENRE_SENTENCES = ("the poster of a {} film", "a film poster, {}", "movie poster of a {} movie")
_KIND_SENTENCES = ("{}", "an image of {}")
_KINDS = {
    "poster": ("a film poster with a title and the names of actors", "a movie poster"),
    "photograph": ("a photograph", "a holiday snapshot"),
    "album_cover": ("the cover of a music album", "a record sleeve"),
    "screenshot": ("a screenshot of a computer game", "the title screen of a game"),
    "other": ("a diagram", "a page of text"),
}


class ZeroShot:
    """Labels that are described in words."""

    def __init__(self, encoder: JointEncoder, sentences: Mapping[str, Sequence[str]], *, scale: float = _SCALE) -> None:
        """sentences: label -> what describes it. Raises InvalidArgument for less than two labels, one without any."""
        if len(sentences) < 2 or not all(sentences.values()):
            raise InvalidArgument("ZeroShot: sentences: expected two labels or more, each with a sentence")
        self.labels = tuple(sentences)
        self._images = encoder.images
        self._scale = scale
        means = np.stack([encoder.texts.encode(list(texts)).mean(axis=0) for texts in sentences.values()])
        self._vectors = means / np.linalg.norm(means, axis=1, keepdims=True)

    def probabilities(self, images: Sequence[Image]) -> NDArray[np.float64]:
        """(B, L) in the order of `labels`; rows sum to 1. Raises the error of the first image that cannot be read."""
        encoded = self._images.encode(images)
        for error in encoded.errors:
            if error is not None:
                raise error
        logits = self._scale * (encoded.vectors @ self._vectors.T).astype(np.float64)
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(likely / likely.sum(axis=1, keepdims=True), dtype=np.float64)


def zero_shot_genres(encoder: JointEncoder, genres: Sequence[str] = COURSE_GENRES) -> ZeroShot:
    """Genres of posters; by default the course's ten."""
    sentences = {name: tuple(text.format(name.lower()) for text in _GENRE_SENTENCES) for name in genres}
    return ZeroShot(encoder, sentences)


def zero_shot_poster_check(encoder: JointEncoder) -> ZeroShot:
    """Whether an image is a film poster or of another kind: its first label is 'poster'."""
    sentences = {
        kind: tuple(text.format(name) for name in names for text in _KIND_SENTENCES) for kind, names in _KINDS.items()
    }
    return ZeroShot(encoder, sentences)
