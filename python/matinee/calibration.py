"""Makes a model ready for int8: sees which channels of its activations are large, and measures what int8 then costs.

    agreement = matinee.calibrate("minilm-l6-v2", texts=plots)
    encoder = matinee.Encoder.load("minilm-l6-v2", precision="int8")

int8 activations have one scale a token, so one channel that is much larger than the others takes their precision away.
Such channels are made smaller, and their weights larger, by factors from the ranges seen here (SmoothQuant, Xiao et al.
2023, https://arxiv.org/abs/2211.10438). Without a calibration int8 works, less exactly.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from matinee.encode import Encoder, Image, ImageEncoder, JointEncoder, TextEncoder, Vectors, model_folder
from matinee.errors import InvalidArgument, IoError
from matinee.models.store import CALIBRATION_FILE

_FEWEST = 32  # items of a kind; ranges of fewer say little
_NEIGHBOURS = 10


@dataclass(frozen=True)
class Agreement:
    """How near int8 is to fp32, on items that the calibration did not see."""

    kind: str  # "texts" or "images"
    items: int  # that were compared
    calibrated_on: int  # items
    mean_centred_cosine: float  # of a vector with the same one in fp32, both less the mean of all
    lowest_centred_cosine: float
    neighbour_overlap: float  # share of the 10 nearest others that are the same; 0..1


def calibrate(
    name_or_folder: str | os.PathLike[str],
    *,
    texts: Sequence[str] | None = None,
    images: Sequence[Image] | None = None,
) -> list[Agreement]:
    """Writes a model's calibration for int8 beside its weights and returns its agreement with fp32.

    Half of the items (at least 32 in all of a kind) are for the calibration, the others for the agreement. A model of
    texts takes `texts`, a model of images `images`, a joint one both. What was there before is replaced, at once or
    not at all. Raises InvalidArgument where items are missing or too few, NotFound, FormatError and IoError as
    `Encoder.load` does.
    """
    folder = model_folder(name_or_folder)
    exact = Encoder.load(folder, "fp32")
    parts: list[tuple[TextEncoder | ImageEncoder, list[Any]]] = []  # each with items of its own kind
    for part in (exact.texts, exact.images) if isinstance(exact, JointEncoder) else (exact,):
        items = texts if isinstance(part, TextEncoder) else images
        what = "texts" if isinstance(part, TextEncoder) else "images"
        if items is None or len(items) < _FEWEST:
            got = "none" if items is None else str(len(items))
            raise InvalidArgument(f"calibrate: {what}: expected at least {_FEWEST}, got {got}")
        parts.append((part, list(items)))

    ranges: dict[str, npt.NDArray[np.float32]] = {}
    for part, items in parts:
        ranges |= part.activation_ranges(items[::2])
    path = folder / CALIBRATION_FILE
    _save(path, ranges, {})
    quick = Encoder.load(folder, "int8")
    agreements = []
    for part, items in parts:
        other = items[1::2]
        if isinstance(quick, JointEncoder):
            half = quick.texts if isinstance(part, TextEncoder) else quick.images
        else:
            half = quick
        agreements.append(_agreement(_vectors(part, other), _vectors(half, other), part, len(items[::2])))
    _save(path, ranges, {"agreement": json.dumps([asdict(agreement) for agreement in agreements])})
    return agreements


def _vectors(encoder: TextEncoder | ImageEncoder, items: Sequence[Any]) -> Vectors:
    if isinstance(encoder, TextEncoder):
        return encoder.encode(items)
    encoded = encoder.encode(items)
    return encoded.vectors[[error is None for error in encoded.errors]]


def _agreement(exact: Vectors, quick: Vectors, part: TextEncoder | ImageEncoder, calibrated_on: int) -> Agreement:
    a, b = exact - exact.mean(0), quick - quick.mean(0)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(1) / np.maximum(norms, 1e-12)
    near_exact, near_quick = _nearest(exact), _nearest(quick)
    overlap = np.mean(
        [len(set(one) & set(other)) / len(one) for one, other in zip(near_exact, near_quick, strict=True)]
    )
    return Agreement(
        kind="texts" if isinstance(part, TextEncoder) else "images",
        items=len(exact),
        calibrated_on=calibrated_on,
        mean_centred_cosine=float(cosines.mean()),
        lowest_centred_cosine=float(cosines.min()),
        neighbour_overlap=float(overlap),
    )


def _nearest(vectors: Vectors) -> list[list[int]]:
    """The nearest others of each, by cosine."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -np.inf)
    k = min(_NEIGHBOURS, len(vectors) - 1)
    return [row.tolist() for row in np.argsort(-scores, axis=1, kind="stable")[:, :k]]


def _save(path: Path, ranges: dict[str, npt.NDArray[np.float32]], metadata: dict[str, str]) -> None:
    from safetensors.numpy import save  # noqa: PLC0415  slow to import, and needed here only

    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(save(ranges, metadata or None))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise IoError(f"calibrate: {path}: {error.strerror}") from error


__all__ = ["Agreement", "calibrate"]
