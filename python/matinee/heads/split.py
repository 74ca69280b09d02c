"""Which part of the data a film belongs to: fixed by its id, so that no rebuild moves a film from test to training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["train", "validation", "test"]

_TEST_PERCENT = 15
_VALIDATION_PERCENT = 15


def part_of(key: str) -> Part:
    """70 % train, 15 % validation, 15 % test, by SHA-256 of `key`: a film id, or the hash of an image of no film."""
    percent = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 100
    if percent < _TEST_PERCENT:
        return "test"
    return "validation" if percent < _TEST_PERCENT + _VALIDATION_PERCENT else "train"


def parts_of(keys: Iterable[str]) -> NDArray[np.str_]:
    """`part_of` of each key, (N,)."""
    return np.array([part_of(key) for key in keys], dtype="U10")
