"""Finds the catalogue's poster that an image is nearly: compressed again, cut, resized or lettered anew.

The index of posters proposes: features of a copy hardly change. A comparison place by place decides: both pictures as
small grey ones in blocks, each block with its own brightness and contrast taken out, the query against a few windows of
the candidate. What counts is the median block, so a third of the picture may be lettered over; a poster that only
resembles another agrees in a few blocks by chance.

File: safetensors with `thumbnails` (P, 72, 48) uint8 in the order of posters.index; the metadata entry `matinee` holds
the rest as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from matinee import _core
from matinee.errors import FormatError
from matinee.heads.head import read_tensors

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

NUM_CANDIDATES = 10  # that the index proposes
_FORMAT = 1
_HEIGHT, _WIDTH, _BLOCK = 72, 48, 12
_CLOSER = 2  # candidates of each ranking that are compared window by window
# Of width and height: 5 % cut off altogether, in one of five places, or on each side, in one of three.
_KEPT = ((0.95, 5), (0.9, 3))
_QUIET = 3.0  # grey levels; the contrast of a block with nothing in it
_SAME = 0.9  # from here on it is one picture twice in the catalogue, and finding it no false alarm
_FALSE_ALARMS = 0.0005  # share of new posters
_MARGIN = 0.02
_FEWEST, _MOST = 200, 2000  # posters to choose the bound with


def thumbnail(view: Pixels) -> Pixels:
    """(72, 48) grey of a poster view (H, W, 3)."""
    small = _core.resize(np.ascontiguousarray(view), height=_HEIGHT, width=_WIDTH, filter="bicubic")
    return np.asarray(np.round(small.astype(np.float32).mean(axis=2)), dtype=np.uint8)


@dataclass(frozen=True)
class Signatures:
    """What posters look like, small."""

    thumbnails: Pixels  # (P, 72, 48)
    alarm_from: float  # agreement from which an image is said to be a copy

    def nearest(self, query: Pixels, candidates: Sequence[int]) -> tuple[int, float] | None:
        """The candidate row that agrees best with a thumbnail (72, 48) and the agreement, -1 … 1; None without any."""
        if not len(candidates):
            return None
        rows = np.asarray(candidates)
        wanted = _blocks(query[None].astype(np.float32))
        whole = self.thumbnails[rows].astype(np.float32)
        agreement = _agreement(wanted, _blocks(whole))
        closer = list(dict.fromkeys([*range(min(_CLOSER, len(rows))), *np.argsort(-agreement)[:_CLOSER].tolist()]))
        for place in closer:
            agreement[place] = max(agreement[place], _agreement(wanted, _blocks(_windows(whole[place]))).max())
        best = int(agreement.argmax())
        return int(rows[best]), float(agreement[best])

    def copy_of(self, query: Pixels, candidates: Sequence[int]) -> int | None:
        """The candidate row that a thumbnail is a copy of."""
        found = self.nearest(query, candidates)
        return found[0] if found is not None and found[1] >= self.alarm_from else None

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        facts = {"format": _FORMAT, "alarm_from": self.alarm_from}
        return save(
            {"thumbnails": np.ascontiguousarray(self.thumbnails)},
            metadata={"matinee": json.dumps(facts, sort_keys=True)},
        )

    @classmethod
    def load(cls, path: Path) -> Signatures:
        """Raises FormatError naming the file."""
        tensors, facts = read_tensors(path)
        try:
            thumbnails, alarm_from = tensors["thumbnails"], float(facts["alarm_from"])
            if facts["format"] != _FORMAT or thumbnails.dtype != np.uint8:
                raise FormatError(f"{path}: expected thumbnails of format {_FORMAT}; build the bundle again")
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{path}: expected thumbnails, got {type(error).__name__}: {error}") from error
        if thumbnails.shape[1:] != (_HEIGHT, _WIDTH):
            raise FormatError(f"{path}: expected (P, {_HEIGHT}, {_WIDTH}) thumbnails, got {thumbnails.shape}")
        return cls(thumbnails, alarm_from)


def with_bound(
    thumbnails: Pixels, learned: NDArray[np.bool_], propose: Callable[[int], Sequence[int]], seed: int = 0
) -> Signatures:
    """Signatures whose bound holds on the learned posters (P,): hardly one of them is taken for a copy of another.

    propose: row -> rows of the posters nearest to it, itself among them or not.
    """
    signatures = Signatures(thumbnails, alarm_from=_SAME)
    rows = np.flatnonzero(learned)
    asked = np.random.default_rng(seed).permutation(rows)[:_MOST]
    if len(asked) < _FEWEST:
        return signatures
    best = []
    for row in asked.tolist():
        found = signatures.nearest(thumbnails[row], [other for other in propose(row) if other != row])
        best.append(-1.0 if found is None else found[1])
    others = np.array(best)
    bound = float(np.quantile(others[others < _SAME], 1 - _FALSE_ALARMS)) + _MARGIN if (others < _SAME).any() else _SAME
    return Signatures(thumbnails, alarm_from=min(bound, _SAME))


def _blocks(pictures: Floats) -> tuple[Floats, Floats]:
    """Blocks (N, B, 144) without their mean, and the length (N, B) of each."""
    down, across = _HEIGHT // _BLOCK, _WIDTH // _BLOCK
    blocks = pictures.reshape(-1, down, _BLOCK, across, _BLOCK).swapaxes(2, 3).reshape(len(pictures), -1, _BLOCK**2)
    blocks = blocks - blocks.mean(axis=2, keepdims=True)
    return blocks, np.sqrt((blocks * blocks).sum(axis=2))


def _agreement(query: tuple[Floats, Floats], others: tuple[Floats, Floats]) -> NDArray[np.float64]:
    """(N,) the median correlation over blocks; those with contrast weigh more, but no few of them outvote the rest."""
    products = (query[0] * others[0]).sum(axis=2)
    correlation = products / np.maximum(query[1] * others[1], (_QUIET * _BLOCK) ** 2)
    weight = np.sqrt(np.maximum(query[1], others[1])) + np.float32(1e-3)
    order = np.argsort(correlation, axis=1)
    heap = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    middle = (heap < heap[:, -1:] / 2).sum(axis=1)
    return np.take_along_axis(correlation, np.take_along_axis(order, middle[:, None], axis=1), axis=1)[:, 0].astype(
        np.float64
    )


def _windows(picture: Floats) -> Floats:
    """(W, 72, 48) windows of a picture (72, 48), each stretched to all of it."""
    found = []
    for down, across in _stretches():
        tall = down @ picture
        found += [tall @ wide for wide in across]
    return np.stack(found)


@lru_cache(maxsize=1)
def _stretches() -> list[tuple[Floats, list[Floats]]]:
    """Linear maps that stretch windows: in height, from the left, and for each in width, from the right."""

    def stretch(size: int, kept: float, start: float) -> Floats:
        places = np.clip((np.arange(size) + 0.5) * kept - 0.5 + start * (1 - kept) * size, 0, size - 1)
        lower = np.minimum(np.floor(places).astype(int), size - 2)
        matrix = np.zeros((size, size), np.float32)
        matrix[np.arange(size), lower] = 1 - (places - lower)
        matrix[np.arange(size), lower + 1] = places - lower
        return matrix

    stretches = []
    for kept, places in _KEPT:
        starts = np.linspace(0, 1, places).tolist()
        across = [np.ascontiguousarray(stretch(_WIDTH, kept, left).T) for left in starts]
        stretches += [(stretch(_HEIGHT, kept, top), across) for top in starts]
    return stretches


__all__ = ["NUM_CANDIDATES", "Signatures", "thumbnail", "with_bound"]
