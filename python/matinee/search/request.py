"""What all searches check about their arguments, and how texts become vectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from matinee.errors import InvalidArgument
from matinee.search.sentences import sentences
from matinee.search.store import unit

Floats = NDArray[np.float32]
EncodeTexts = Callable[[Sequence[str]], Floats]
"""Texts to unit rows (B, T)."""

MAX_K = 1000  # films in one answer
# More pieces of a text than this say nothing new about it, and a request must not cost seconds.
_MAX_PIECES = 64
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")


def check_k(function: str, k: object) -> int:
    """`k` as an int. Raises InvalidArgument outside 1 … 1000; asking for more films than there are is fine."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= MAX_K:
        raise InvalidArgument(f"{function}: k: expected a whole number from 1 to {MAX_K}, got {k!r}")
    return int(k)


def clean_text(function: str, parameter: str, text: object) -> str:
    """`text` without control characters (they become spaces). Raises InvalidArgument for anything but words.

    White space alone, or no text at all, is an error; signs without a letter or digit (emoji) are left to the caller.
    """
    if not isinstance(text, str):
        raise InvalidArgument(f"{function}: {parameter}: expected text, got {type(text).__name__}")
    cleaned = _CONTROL.sub(" ", text).encode("utf-8", "replace").decode("utf-8").strip()  # lone surrogates become ?
    if not cleaned:
        raise InvalidArgument(f"{function}: {parameter}: expected some words, got none; describe it in a sentence")
    return cleaned


def has_words(text: str) -> bool:
    """Whether there is a letter or digit of any script."""
    return any(character.isalnum() for character in text)


def pieces(text: str) -> list[tuple[int, int]]:
    """The first 64 sentences of a text, as spans."""
    return sentences(text)[:_MAX_PIECES]


def text_vector(encode: EncodeTexts, text: str) -> Floats:
    """The vector (T,) of a text: the mean of its whole and of its sentences, length 1.

    An encoder reads some 200 words; the sentences carry what comes after them.
    """
    spans = pieces(text)
    if len(spans) < 2:
        return np.asarray(encode([text])[0])
    vectors = encode([text, *(text[begin:end] for begin, end in spans)])
    return combine(vectors[0], vectors[1:])


def combine(whole: Floats, parts: Floats) -> Floats:
    """One unit vector (T,) from the whole text's (T,) and its sentences' (S, T)."""
    return unit(whole + unit(parts.mean(axis=0)))
