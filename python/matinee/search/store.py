"""What a search reads: the vector indexes of a bundle, which film each row is of, and the joint space.

plots.index   one row a sentence of every plot, and one a whole plot of several sentences; MiniLM vectors (C, T)
posters.index one row a poster: centred features (P, D)
joint.index   the C rows of plots, then the P posters, all in the joint space (C + P, T)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import save

from matinee.catalog.frozen import FilmTable
from matinee.errors import FormatError
from matinee.heads.head import read_tensors
from matinee.index import Index

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

PLOTS, POSTERS, JOINT, SPACE = "plots.index", "posters.index", "joint.index", "search.safetensors"
_FORMAT = 1


def unit(vectors: ArrayLike) -> Floats:
    """Rows scaled to length 1; zero rows stay zero."""
    rows = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), dtype=np.float32)


@dataclass(frozen=True)
class Background:
    """Scores of pairs that have nothing to do with each other: what is above them means something."""

    mean: float
    spread: float

    @classmethod
    def of(cls, vectors: Floats, num_pairs: int = 20_000) -> Background:
        """Of random pairs of unit rows (N, D)."""
        if len(vectors) < 2:
            return cls(0.0, 1.0)
        rng = np.random.default_rng(0)
        first, second = rng.integers(0, len(vectors), (2, num_pairs))
        scores = (vectors[first] * vectors[second]).sum(axis=1)[first != second]
        return cls(float(scores.mean()), max(float(scores.std()), 1e-3))

    def standard(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Scores as standard deviations above unrelated ones."""
        return (np.asarray(scores, dtype=np.float64) - self.mean) / self.spread


@dataclass(frozen=True)
class Space:
    """Row tables and the joint space; the content of search.safetensors. T: plot vector, D: poster features."""

    plot_film: Rows  # (C,) film row of each row of plots.index, ascending
    plot_span: NDArray[np.int64]  # (C, 2) begin and end of the piece in the plot, in characters
    plot_whole: NDArray[np.bool_]  # (C,) the row stands for the whole plot
    poster_film: Rows  # (P,) film row of each row of posters.index, ascending
    text_mean: Floats  # (T,)
    poster_mean: Floats  # (D,)
    poster_spread: Floats  # (D,)
    projection: Floats  # (D, T) from standardised posters to centred plots; all zero where none could be learned
    plot_background: Background
    poster_background: Background
    settings: dict[str, float] = field(default_factory=dict)  # see discover

    @property
    def has_posters_in_joint(self) -> bool:
        """Whether a joint space could be learned."""
        return bool(self.projection.any())

    def center_poster(self, features: ArrayLike) -> Floats:
        """Poster features (B, D) as posters.index stores them: without what all posters share, length 1."""
        return unit(np.asarray(features, dtype=np.float32) - self.poster_mean)

    def text_to_joint(self, vectors: ArrayLike) -> Floats:
        """Plot or request vectors (B, T) in the joint space."""
        return unit(np.asarray(vectors, dtype=np.float32) - self.text_mean)

    def poster_to_joint(self, features: ArrayLike) -> Floats:
        """Poster features (B, D) in the joint space."""
        standard = (np.asarray(features, dtype=np.float32) - self.poster_mean) / self.poster_spread
        return unit(standard @ self.projection)

    def with_settings(self, settings: dict[str, float]) -> Space:
        """The same space with these settings added."""
        return replace(self, settings={**self.settings, **settings})

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        tensors: dict[str, NDArray[Any]] = {
            "plot_film": self.plot_film,
            "plot_span": self.plot_span,
            "plot_whole": self.plot_whole.astype(np.uint8),
            "poster_film": self.poster_film,
            "text_mean": self.text_mean,
            "poster_mean": self.poster_mean,
            "poster_spread": self.poster_spread,
            "projection": self.projection,
        }
        facts = {
            "format": _FORMAT,
            "plot_background": [self.plot_background.mean, self.plot_background.spread],
            "poster_background": [self.poster_background.mean, self.poster_background.spread],
            "settings": self.settings,
        }
        metadata = {"matinee": json.dumps(facts, sort_keys=True)}
        return save({k: np.ascontiguousarray(v) for k, v in tensors.items()}, metadata=metadata)

    @classmethod
    def load(cls, path: Path) -> Space:
        """Reads search.safetensors. Raises FormatError naming the file."""
        tensors, facts = read_tensors(path)
        try:
            if facts["format"] != _FORMAT:
                raise FormatError(f"{path}: expected format {_FORMAT}, got {facts['format']}; rebuild the bundle")
            return cls(
                plot_film=tensors["plot_film"],
                plot_span=tensors["plot_span"],
                plot_whole=tensors["plot_whole"].astype(bool),
                poster_film=tensors["poster_film"],
                text_mean=tensors["text_mean"],
                poster_mean=tensors["poster_mean"],
                poster_spread=tensors["poster_spread"],
                projection=tensors["projection"],
                plot_background=Background(*map(float, facts["plot_background"])),
                poster_background=Background(*map(float, facts["poster_background"])),
                settings={str(k): float(v) for k, v in facts["settings"].items()},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"{path}: expected the tables of a search, got {type(error).__name__}: {error}"
            ) from error


@dataclass(frozen=True)
class SearchStore:
    """Everything a search reads. Immutable; safe for concurrent threads."""

    films: FilmTable
    plots: Index | None  # None: the catalogue has no plots
    posters: Index | None
    joint: Index | None
    space: Space

    @classmethod
    def open(cls, folder: Path, films: FilmTable) -> SearchStore:
        """Opens the search files of a bundle. Raises FormatError naming the file that does not fit the others."""
        space = Space.load(folder / SPACE)
        num_plots, num_posters = len(space.plot_film), len(space.poster_film)
        in_joint = num_plots + (num_posters if space.has_posters_in_joint else 0)
        indexes = {}
        for name, count in ((PLOTS, num_plots), (POSTERS, num_posters), (JOINT, in_joint)):
            # The bundle has verified the files' bytes already.
            indexes[name] = Index.open(folder / name, verify="fast") if count else None
            if (found := indexes[name]) is not None and len(found) != count:
                raise FormatError(f"{folder / name}: expected {count} vectors, got {len(found)}; rebuild the bundle")
        for rows in (space.plot_film, space.poster_film):
            if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < len(films)):
                raise FormatError(f"{folder / SPACE}: expected film rows below {len(films)}; rebuild the bundle")
        return cls(films, indexes[PLOTS], indexes[POSTERS], indexes[JOINT], space)

    def plot_rows(self, film: int) -> range:
        """Rows of plots.index of the film in row `film`; empty without a plot."""
        first, last = np.searchsorted(self.space.plot_film, [film, film + 1])
        return range(int(first), int(last))

    def whole_plot_row(self, film: int) -> int | None:
        """The row that stands for the film's whole plot."""
        return next((row for row in self.plot_rows(film) if self.space.plot_whole[row]), None)

    def poster_row(self, film: int) -> int | None:
        """The film's row of posters.index."""
        row = int(np.searchsorted(self.space.poster_film, film))
        found = row < len(self.space.poster_film) and int(self.space.poster_film[row]) == film
        return row if found else None

    def sentence_spans(self, film: int) -> list[tuple[int, tuple[int, int]]]:
        """(row, span) of the film's sentences; of the whole plot where it is one sentence."""
        rows = self.plot_rows(film)
        sentences = [row for row in rows if not self.space.plot_whole[row]] or list(rows)
        return [(row, (int(self.space.plot_span[row, 0]), int(self.space.plot_span[row, 1]))) for row in sentences]
