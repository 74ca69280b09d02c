"""Genres of posters by a network that `matinee.genre.finetune` wrote: TorchScript, run by the core's libtorch."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matinee import _core
from matinee.answers import Labels
from matinee.bundle.poster_view import poster_view
from matinee.encode import Encoder, ImageEncoder, image_side
from matinee.errors import NotFound
from matinee.heads.head import Head

HEAD, SINGLE_HEAD = "head.safetensors", "head_single.safetensors"
"""Beside the network in its model folder: what makes probabilities of its logits."""


@dataclass(frozen=True)
class TunedAnswers:
    """What the network says of B posters."""

    labels: tuple[str, ...]
    scores: NDArray[np.float64]  # (B, L) calibrated probabilities
    thresholds: NDArray[np.float32]  # (L,) a label is predicted from this probability on; of 'multi' only


class TunedPosters:
    """The network and its heads. Immutable and thread-safe; for a process without pip's torch."""

    def __init__(self, encoder: ImageEncoder, heads: dict[Labels, Head]) -> None:
        """Use `load`."""
        self._encoder, self._heads = encoder, heads

    @classmethod
    def load(cls, folder: Path) -> TunedPosters:
        """Raises NotFound, FormatError (damaged, or of another kind), TorchConflict."""
        files: dict[Labels, Path] = {"multi": folder / HEAD, "single": folder / SINGLE_HEAD}
        if not files["multi"].is_file():
            raise NotFound(f"{files['multi']}: no such file; expected a folder that matinee tune-posters wrote")
        heads = {kind: Head.load(file) for kind, file in files.items() if file.is_file()}
        return cls(image_side(Encoder.load(folder, squash=True)), heads)

    def logits(self, posters: Sequence[bytes]) -> NDArray[np.float32]:
        """(B, L) of poster files, seen as the bundle's encoder sees them. Raises what decoding one raises."""
        return self._encoder.encode([poster_view(_core.decode_rgb(poster)) for poster in posters]).vectors

    def answer(self, posters: Sequence[bytes], labels: Labels) -> TunedAnswers:
        """Genres of posters. Raises NotFound where too few films had a single label to answer with one."""
        head = self._heads.get(labels)
        if head is None:
            raise NotFound(f"answer: labels: no head for {labels!r}; the network's films had too few such labels")
        return TunedAnswers(head.labels, head.probabilities(self.logits(posters)), head.thresholds)


def answer_elsewhere(folder: Path, posters: Sequence[bytes], labels: Labels) -> TunedAnswers:
    """As `TunedPosters.answer`, in a process of its own: this one may hold pip's torch."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_answer, folder, list(posters), labels).result()


def _answer(folder: Path, posters: list[bytes], labels: Labels) -> TunedAnswers:
    return TunedPosters.load(folder).answer(posters, labels)
