"""Experts: what looks at a poster or a plot and says how much speaks for each genre, before the heads weigh it.

A linear map and a small network on the encoder's features, the films nearest in them, and for plots a linear map on
their words. Each is wrong in its own way; `heads` learns how far to trust which from films that the experts had not
seen. NumPy only.

File: safetensors with `center`, `spread` (D,), `linear.weight` (L, D), `linear.bias` (L,), `first` (D, H),
`first_bias`, `second` (H, L), `second_bias`, `near.directions` (D, R), `near.vectors` (N, R) float16 and `near.truth`
(N, L) uint8; for plots `words.rarity` (V,), `words.weight` (V, L), `words.bias` (L,) and `words.vocabulary`, V terms
in UTF-8, one a line.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from matinee.errors import FormatError
from matinee.genre.words import Words
from matinee.heads.head import read_tensors
from matinee.heads.perceptron import Perceptron

Floats = NDArray[np.float32]

_FORMAT = 2
_NEIGHBOURS = 60
_NEIGHBOUR_VOICES = 20.0  # against one voice of all films
_NEIGHBOUR_ROWS = 256  # at a time: (256, N, L) fits in memory


@dataclass(frozen=True)
class WordExpert:
    """A linear map on the weighted words of a plot."""

    words: Words
    weight: Floats  # (V, L)
    bias: Floats  # (L,)

    def __call__(self, plots: Sequence[str]) -> Floats:
        """(B, L) logits."""
        logits = np.tile(self.bias, (len(plots), 1))
        for row, plot in enumerate(plots):
            places, weights = self.words.weigh(plot)
            logits[row] += weights @ self.weight[places]
        return logits


@dataclass(frozen=True)
class NeighbourExpert:
    """The genres of the films most alike, the nearer the louder, and those of all films as a quiet voice beside."""

    vectors: NDArray[np.float16]  # (N, R) unit rows
    truth: NDArray[np.uint8]  # (N, L)
    directions: Floats  # (D, R) in which films are compared
    nearness: float  # how much louder a neighbour is that is nearer by a cosine of 1, as a logarithm
    _known: Floats = field(init=False, repr=False, compare=False)  # half floats are slow to multiply

    def __post_init__(self) -> None:
        object.__setattr__(self, "_known", self.vectors.astype(np.float32))

    def __call__(self, rows: Floats) -> Floats:
        """(B, L) logits of standardised features (B, D)."""
        prior = self.truth.mean(axis=0)
        units = unit_rows(rows @ self.directions)
        logits = np.empty((len(rows), self.truth.shape[1]), np.float32)
        for begin in range(0, len(rows), _NEIGHBOUR_ROWS):
            near = units[begin : begin + _NEIGHBOUR_ROWS] @ self._known.T
            count = min(_NEIGHBOURS, near.shape[1])
            nearest = np.argpartition(-near, count - 1, axis=1)[:, :count]
            weights = np.take_along_axis(near, nearest, axis=1)
            weights = np.exp((weights - weights.max(axis=1, keepdims=True)) * self.nearness)
            share = np.einsum("bk,bkl->bl", weights / weights.sum(axis=1, keepdims=True), self.truth[nearest])
            share = (_NEIGHBOUR_VOICES * share + prior) / (_NEIGHBOUR_VOICES + 1)
            share = np.clip(share, 1e-4, 1 - 1e-4)
            logits[begin : begin + len(near)] = np.log(share / (1 - share))
        return logits


def unit_rows(rows: Floats) -> Floats:
    """Rows (N, D) at length 1; those without any length stay zero."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)


@dataclass(frozen=True)
class Experts:
    """The experts of one kind of evidence, over L labels. Immutable and thread-safe."""

    name: str  # 'genre-poster-experts'
    labels: tuple[str, ...]
    center: Floats  # (D,)
    spread: Floats  # (D,)
    weight: Floats  # (L, D), of standardised features
    bias: Floats  # (L,)
    network: Perceptron
    near: NeighbourExpert
    words: WordExpert | None = None

    def __post_init__(self) -> None:
        size, dimension = len(self.labels), len(self.center)
        net = self.network
        hidden = len(net.first_bias)
        expected: list[tuple[str, NDArray[Any], tuple[int, ...]]] = [
            ("spread", self.spread, (dimension,)),
            ("linear.weight", self.weight, (size, dimension)),
            ("linear.bias", self.bias, (size,)),
            ("first", net.first, (dimension, hidden)),
            ("second", net.second, (hidden, size)),
            ("second_bias", net.second_bias, (size,)),
            ("near.directions", self.near.directions, (dimension, self.near.vectors.shape[-1])),
            ("near.vectors", self.near.vectors, (len(self.near.truth), self.near.directions.shape[-1])),
            ("near.truth", self.near.truth, (len(self.near.vectors), size)),
        ]
        if self.words is not None:
            terms = len(self.words.words.vocabulary)
            expected += [
                ("words.rarity", self.words.words.rarity, (terms,)),
                ("words.weight", self.words.weight, (terms, size)),
                ("words.bias", self.words.bias, (size,)),
            ]
        for name, array, shape in expected:
            if array.shape != shape or not np.isfinite(array).all():
                raise FormatError(f"{self.name}: {name}: expected finite numbers of shape {shape}, got {array.shape}")

    @property
    def dimension(self) -> int:
        """D, the length of a feature vector."""
        return len(self.center)

    @property
    def num_opinions(self) -> int:
        """Values that `__call__` gives an item: one a label from each expert."""
        return len(self.labels) * (3 if self.words is None else 4)

    def __call__(self, features: Floats, plots: Sequence[str] = ()) -> Floats:
        """(B, num_opinions) logits, expert by expert, of features (B, D) and, for plots, their texts."""
        rows = (np.atleast_2d(features) - self.center) / self.spread
        opinions: list[NDArray[np.floating]] = [rows @ self.weight.T + self.bias, self.network(rows), self.near(rows)]
        if self.words is not None:
            opinions.append(self.words(plots))
        return np.hstack(opinions).astype(np.float32)

    def to_bytes(self) -> bytes:
        """The experts as a safetensors file; the same experts give the same bytes."""
        net = self.network
        tensors: dict[str, NDArray[Any]] = {
            "center": self.center,
            "spread": self.spread,
            "linear.weight": self.weight,
            "linear.bias": self.bias,
            "first": net.first,
            "first_bias": net.first_bias,
            "second": net.second,
            "second_bias": net.second_bias,
            "near.directions": self.near.directions,
            "near.vectors": self.near.vectors,
            "near.truth": self.near.truth,
        }
        if self.words is not None:
            vocabulary = "\n".join(self.words.words.vocabulary).encode()
            tensors |= {
                "words.rarity": self.words.words.rarity,
                "words.weight": self.words.weight,
                "words.bias": self.words.bias,
                "words.vocabulary": np.frombuffer(vocabulary, np.uint8),
            }
        facts = {"format": _FORMAT, "name": self.name, "labels": self.labels, "nearness": self.near.nearness}
        contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        return save(contiguous, metadata={"matinee": json.dumps(facts, sort_keys=True)})

    @classmethod
    def load(cls, path: Path) -> Experts:
        """Reads a file of experts. Raises FormatError naming the file for what is not a complete one; IoError."""
        tensors, facts = read_tensors(path)
        try:
            if facts["format"] != _FORMAT:
                raise FormatError(f"{path}: expected experts of format {_FORMAT}, got {facts['format']}; rebuild it")
            words = None
            if "words.weight" in tensors:
                vocabulary = tensors["words.vocabulary"].tobytes().decode()
                known = Words(tuple(vocabulary.split("\n")) if vocabulary else (), tensors["words.rarity"])
                words = WordExpert(known, tensors["words.weight"], tensors["words.bias"])
            near = NeighbourExpert(
                tensors["near.vectors"], tensors["near.truth"], tensors["near.directions"], float(facts["nearness"])
            )
            network = Perceptron(*(tensors[name] for name in ("first", "first_bias", "second", "second_bias")))
            return cls(
                name=str(facts["name"]),
                labels=tuple(str(label) for label in facts["labels"]),
                center=tensors["center"],
                spread=tensors["spread"],
                weight=tensors["linear.weight"],
                bias=tensors["linear.bias"],
                network=network,
                near=near,
                words=words,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{path}: expected genre experts, got {type(error).__name__}: {error}") from error
