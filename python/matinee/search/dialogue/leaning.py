"""How far films lie in the direction of a tone: by the vectors of their plots and by their genres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.catalog.frozen import fold
from matinee.search.dialogue.state import Tone
from matinee.search.dialogue.vocabulary import Vocabulary
from matinee.search.dialogue.words import TONE_WORDS
from matinee.search.request import EncodeTexts
from matinee.search.store import SearchStore, unit

Floats = NDArray[np.float32]

_GENRE_SHARE = 1.0  # standard deviations of plots that a fitting genre is worth
_READ_AT_ONCE = 4096


class Leaning:
    """Scores of all films for each tone, computed when the tone is first asked for. Safe for all threads."""

    def __init__(self, store: SearchStore, vocabulary: Vocabulary, encode: EncodeTexts) -> None:
        self._store = store
        self._vocabulary = vocabulary
        self._encode = encode
        self._scores: dict[Tone, Floats] = {}

    def scores(self, tone: Tone) -> Floats:
        """(N,) higher lies further in the direction of `tone`; in standard deviations of the catalogue's plots.

        A film without a plot is judged by its genres alone.
        """
        found = self._scores.get(tone)
        if found is None:
            opposite = TONE_WORDS[tone].opposite
            toward, away = (np.mean(self._encode(TONE_WORDS[t].toward), axis=0) for t in (tone, opposite))
            found = self._by_plot(unit(toward - away))
            up, down = ({fold(name) for name in TONE_WORDS[t].genres} for t in (tone, opposite))
            for row, genres in enumerate(self._vocabulary.genres_of):
                folded = {fold(name) for name in genres}
                found[row] += _GENRE_SHARE * (bool(folded & up) - bool(folded & down))
            self._scores[tone] = found  # two threads at once compute the same
        return found

    def _by_plot(self, direction: Floats) -> Floats:
        store = self._store
        scores = np.zeros(len(store.films), np.float32)
        rows = np.flatnonzero(store.space.own_whole)
        if store.plots is None or len(rows) < 2:  # no spread to measure by
            return scores
        along = np.concatenate(
            [
                store.plots.vectors(rows[begin : begin + _READ_AT_ONCE]) @ direction
                for begin in range(0, len(rows), _READ_AT_ONCE)
            ]
        )
        standard = (along - along.mean()) / max(float(along.std()), 1e-6)
        scores[store.space.plot_film[rows]] = standard
        return scores
