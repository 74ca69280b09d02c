"""Answers with genres from a head's probabilities."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matinee.answers import GenreAnswer, GenreProbability, PosterCheck
from matinee.heads.head import Head

DISAGREE = "Poster and plot disagree"
DISAGREE_FROM = "disagree_from"
"""Setting of the fused head: from this mean difference of the two heads' probabilities on, they tell of two films."""


def disagreement(
    fused: Head, poster: tuple[Head, NDArray[np.float32]], plot: tuple[Head, NDArray[np.float32]]
) -> str | None:
    """A sentence where poster and plot, each a head with its opinions (M,), speak for different genres."""
    of_poster, of_plot = (head.probabilities(opinions)[0] for head, opinions in (poster, plot))
    if np.abs(of_poster - of_plot).mean() < fused.settings.get(DISAGREE_FROM, np.inf):
        return None
    apart = of_poster - of_plot
    shows, tells = fused.labels[int(apart.argmax())], fused.labels[int(apart.argmin())]
    return f"{DISAGREE}: the poster speaks for {shows}, the plot for {tells}."


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
