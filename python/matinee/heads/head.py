"""A head: one linear map on frozen features, with calibrated probabilities. NumPy only: serving needs no scikit-learn.

File: safetensors with `weight` (L, D), `bias` (L,), `thresholds` (L,), optionally `center`, `spread` (D,); the metadata
entry `matinee` holds the rest as JSON. Standardisation and calibration are folded into weight and bias when training.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from matinee.errors import FormatError, InvalidArgument, IoError

_FORMAT = 1  # 1: as described above


@dataclass(frozen=True)
class Head:
    """Probabilities of L labels from feature vectors of D dimensions. Immutable and thread-safe."""

    name: str  # as in the model cards: 'genre-poster-multi'
    labels: tuple[str, ...]
    link: Literal["sigmoid", "softmax"]  # independent labels, or exactly one
    weight: NDArray[np.float32]  # (L, D)
    bias: NDArray[np.float32]  # (L,)
    thresholds: NDArray[np.float32]  # (L,) a label is predicted from this probability on (sigmoid)
    demo: bool  # trained on demo data
    center: NDArray[np.float32] | None = None  # (D,) mean of the training features
    spread: NDArray[np.float32] | None = None  # (D,) their standard deviation
    settings: dict[str, float] = field(default_factory=dict)  # named numbers of the capability: bands, limits

    def __post_init__(self) -> None:
        num_labels, dimension = len(self.labels), self.weight.shape[-1]
        expected = {"weight": (num_labels, dimension), "bias": (num_labels,), "thresholds": (num_labels,)}
        if self.center is not None or self.spread is not None:
            expected |= {"center": (dimension,), "spread": (dimension,)}
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is None or array.shape != shape or not np.isfinite(array).all():
                got = "nothing" if array is None else str(array.shape)
                raise FormatError(f"head {self.name}: {name}: expected finite numbers of shape {shape}, got {got}")

    @property
    def dimension(self) -> int:
        """D, the length of a feature vector."""
        return int(self.weight.shape[1])

    def probabilities(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """(B, L) probabilities of feature vectors (B, D) or (D,). Raises InvalidArgument for another D."""
        rows = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
        if rows.shape[1] != self.dimension:
            raise InvalidArgument(f"head {self.name}: vectors: expected (B, {self.dimension}), got {rows.shape}")
        logits = (rows @ self.weight.T + self.bias).astype(np.float64)
        if self.link == "softmax":
            shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
            return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
        return sigmoid(logits)

    def strangeness(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """(B,) how far features lie from those trained on: mean squared standardised value, about 1 for familiar ones.

        Raises InvalidArgument where the head was saved without the statistics.
        """
        if self.center is None or self.spread is None:
            raise InvalidArgument(f"head {self.name}: it keeps no statistics of its training features")
        rows = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
        return np.asarray((((rows - self.center) / self.spread) ** 2).mean(axis=1), dtype=np.float64)

    def to_bytes(self) -> bytes:
        """The head as a safetensors file; the same head gives the same bytes."""
        tensors = {"weight": self.weight, "bias": self.bias, "thresholds": self.thresholds}
        if self.center is not None and self.spread is not None:
            tensors |= {"center": self.center, "spread": self.spread}
        facts = {
            "format": _FORMAT,
            "name": self.name,
            "labels": self.labels,
            "link": self.link,
            "demo": self.demo,
            "settings": self.settings,
        }
        metadata = {"matinee": json.dumps(facts, sort_keys=True)}
        return save({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in tensors.items()}, metadata=metadata)

    @classmethod
    def load(cls, path: Path) -> Head:
        """Reads a head file. Raises FormatError naming the file for anything that is not a complete one; IoError."""
        tensors, facts = read_tensors(path)
        try:
            if facts["format"] != _FORMAT:
                raise FormatError(f"{path}: expected a head of format {_FORMAT}, got {facts['format']}; rebuild it")
            return cls(
                name=str(facts["name"]),
                labels=tuple(str(label) for label in facts["labels"]),
                link="softmax" if facts["link"] == "softmax" else "sigmoid",
                weight=tensors["weight"],
                bias=tensors["bias"],
                thresholds=tensors["thresholds"],
                demo=bool(facts["demo"]),
                center=tensors.get("center"),
                spread=tensors.get("spread"),
                settings={str(k): float(v) for k, v in facts["settings"].items()},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{path}: expected a head, got {type(error).__name__}: {error}") from error


def read_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Tensors and the JSON of metadata entry `matinee` of a safetensors file. Raises FormatError naming it; IoError."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        return tensors, dict(json.loads(metadata.get("matinee", "{}")))
    except (SafetensorError, ValueError, TypeError) as error:
        raise FormatError(f"{path}: expected a safetensors file, got {error}") from error
    except OSError as error:
        raise IoError(f"{path}: cannot be read: {error.strerror or error}") from error


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)) without overflow."""
    return np.asarray(np.where(logits >= 0, 1.0, np.exp(np.minimum(logits, 0))) / (1.0 + np.exp(-np.abs(logits))))
