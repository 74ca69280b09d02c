"""Answers with genres from a head's probabilities."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matinee.answers import GenreAnswer, GenreProbability, PosterCheck
from matinee.heads.head import Head


def answer(
    head: Head,
    vector: NDArray[np.float32],
    *,
    used: list[Literal["poster", "plot"]],
    poster: PosterCheck | None = None,
    note: str | None = None,
) -> GenreAnswer:
    """The head's genres for one feature vector (D,), most probable first.

    A head of independent labels predicts all above their own thresholds (none is a possible answer); an exclusive head
    predicts the top one.
    """
    probabilities = head.probabilities(vector)[0]
    order = np.argsort(-probabilities, kind="stable")
    exclusive = head.link == "softmax"
    genres = [
        GenreProbability(
            name=head.labels[i],
            probability=float(probabilities[i]),
            predicted=bool(place == 0 if exclusive else probabilities[i] >= head.thresholds[i]),
            threshold=None if exclusive else float(head.thresholds[i]),
        )
        for place, i in enumerate(order)
    ]
    return GenreAnswer(
        genres=genres, top=genres[0].name, used=used, poster=poster, note=note, model=head.name, demo=head.demo
    )
