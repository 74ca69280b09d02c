"""Plain search over plots, as a tutorial would do it: what the product's search must beat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import hypergeom

Floats = NDArray[np.float32]
Scores = NDArray[np.float64]

_WORD = re.compile(r"[^\W_]+")
_K1, _B = 1.2, 0.75  # of Robertson and Zaragoza, 2009
_FUSION_OFFSET = 60  # of Cormack et al., 2009


def words_of(text: str) -> list[str]:
    """Lower-case words."""
    return _WORD.findall(text.lower())


class Bm25:
    """BM25 over whole words of N texts; no stemming, no stop words."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._number: dict[str, int] = {}
        rows, columns, counts = [], [], []
        for row, text in enumerate(texts):
            for word, count in Counter(words_of(text)).items():
                rows.append(row)
                columns.append(self._number.setdefault(word, len(self._number)))
                counts.append(float(count))
        times = sparse.csr_matrix((counts, (rows, columns)), shape=(len(texts), len(self._number)))
        lengths = np.asarray(times.sum(axis=1)).ravel()
        frequency = np.bincount(columns, minlength=len(self._number))
        self._rarity = np.log(1 + (len(texts) - frequency + 0.5) / (frequency + 0.5))
        damped = np.repeat(_K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1)), np.diff(times.indptr))
        times.data = times.data * (_K1 + 1) / (times.data + damped)
        self._weights = times.tocsc()

    def scores(self, text: str) -> Scores:
        """(N,) of every text for a request."""
        asked = np.zeros(len(self._number))
        for word in set(words_of(text)):
            if (number := self._number.get(word)) is not None:
                asked[number] = self._rarity[number]
        return np.asarray(self._weights @ asked, dtype=np.float64)


def fused(*scores: Scores) -> Scores:
    """Reciprocal rank fusion of several (N,) scores."""
    total = np.zeros(len(scores[0]))
    for one in scores:
        ranks = np.empty(len(one))
        ranks[np.argsort(-one, kind="stable")] = np.arange(len(one))
        total += 1 / (_FUSION_OFFSET + ranks)
    return total


def place_of(scores: Scores, target: int) -> int:
    """How many score above `target`; ties count half."""
    above, level = int((scores > scores[target]).sum()), int((scores == scores[target]).sum()) - 1
    return above + level // 2


def found_among(places: NDArray[np.int64], count: int, cut: int) -> NDArray[np.float64]:
    """(N,) how often the item at each place (N,) of N items is among the first `cut` when `count` - 1 others are drawn.

    The number of those drawn that stand before it is hypergeometric.
    """
    return np.asarray(hypergeom.cdf(cut - 1, len(places) - 1, places, count - 1), dtype=np.float64)


def ridge(inputs: Floats, targets: Floats, penalty: float = 10.0) -> Floats:
    """(D, T) least squares from standardised inputs (N, D) to targets (N, T), `penalty` a row."""
    x = inputs.astype(np.float64)
    solved = np.linalg.solve(x.T @ x + penalty * len(x) * np.eye(x.shape[1]), x.T @ targets)
    return np.asarray(solved, dtype=np.float32)
