"""Words and pairs of words of plots as weighted counts (TF-IDF), in training and in answers the same."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W\d_]{2,}")
_MIN_PLOTS = 2  # plots that a term must be in to be in the vocabulary
# Words that say nothing of a genre; pairs reach over them ("falls in love" -> "falls love").
_EMPTY_WORDS = """
the an and or of to in on at for from by with as is are was were be been being it its this that these those there their
they them his her him he she who whom whose which when where while after before into onto out up down over under about
between through during but not no nor so than then too very can will just do does did has have had having if because
until what how all any both each few more most other some such only own same we you your our us my me one two also
however him himself herself themselves
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())


def terms(text: str) -> list[str]:
    """Telling words in lower case, and pairs of neighbouring ones; repeated as often as they occur."""
    words = [word for word in _WORD.findall(text.lower()) if word not in _EMPTY]
    return words + [f"{first} {second}" for first, second in pairwise(words)]


@dataclass(frozen=True)
class Words:
    """A vocabulary of V terms with their weights."""

    vocabulary: tuple[str, ...]
    rarity: NDArray[np.float32]  # (V,) inverse document frequency
    _place: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", {term: place for place, term in enumerate(self.vocabulary)})

    @classmethod
    def of(cls, plots: Iterable[str]) -> Words:
        """The terms of these plots that occur in at least two of them."""
        plots = list(plots)
        found = Counter(term for plot in plots for term in set(terms(plot)))
        kept = sorted(term for term, count in found.items() if count >= _MIN_PLOTS)
        rarity = [math.log((1 + len(plots)) / (1 + found[term])) + 1 for term in kept]
        return cls(tuple(kept), np.array(rarity, np.float32))

    def weigh(self, plot: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Places in the vocabulary (n,) and weights (n,) of a plot's known terms; squares of weights add up to 1."""
        counts = Counter(place for term in terms(plot) if (place := self._place.get(term)) is not None)
        places = np.fromiter(sorted(counts), np.int64, len(counts))
        weights = np.array([1 + math.log(counts[place]) for place in places.tolist()], np.float32)
        weights *= self.rarity[places]
        return places, weights / max(float(np.linalg.norm(weights)), 1e-9)
