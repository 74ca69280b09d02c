"""What a search reads: the vector indexes of a bundle, which film each row is of, and the joint space.

plots.index   one row a sentence of every plot, and one a whole plot of several sentences; MiniLM vectors (C, T)
posters.index one row a poster: centred features (P, D)
joint.index   the C rows of plots, then the P posters, all in the joint space (C + P, T)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
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
_FORMAT = 4  # 2: talk; posters projected from details; 3: text_map; 4: genres that plots and posters speak for
GENRE_WEIGHT = "genre_weight"
"""Setting of the space: what agreement on genres weighs in a pair, against 1 of the joint space."""
_SAMPLE = 512  # films or posters that a request is compared with, to know what a score is worth


def unit(vectors: ArrayLike) -> Floats:
    """Rows scaled to length 1; zero rows stay zero."""
    rows = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), dtype=np.float32)


def genre_directions(probabilities: ArrayLike, usual: Floats) -> Floats:
    """(B, L) unit vectors of what probabilities of genres (B, L) say beyond the usual root of each (L,).

    Roots compare rare genres and common ones alike (Hellinger's distance of distributions).
    """
    return unit(np.sqrt(np.asarray(probabilities, dtype=np.float32)) - usual)


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
    """Row tables and the joint space; the content of search.safetensors.

    T: values of a plot's vector, D: of a poster's features, E: of its details. W: own plots, L: labels of the genre
    heads, 0 unless there is one for plots and one for posters.
    """

    plot_film: Rows  # (C,) film row of each row of plots.index, ascending
    plot_number: Rows  # (C,) 0: of the film's own plot; n: of the n-th of its other plots
    plot_span: NDArray[np.int64]  # (C, 2) begin and end of the piece in that plot, in characters
    plot_whole: NDArray[np.bool_]  # (C,) the row stands for a whole plot
    poster_film: Rows  # (P,) film row of each row of posters.index, ascending
    text_mean: Floats  # (T,)
    text_map: Floats  # (T, T) damps the directions in which plots differ most; see fit.fit_text_map
    poster_mean: Floats  # (D,)
    detail_mean: Floats  # (E,)
    detail_spread: Floats  # (E,)
    projection: Floats  # (E, T) from standardised details of posters to centred plots; zero where none was learned
    usual_plot_genres: Floats  # (L,) see genre_directions
    usual_poster_genres: Floats  # (L,)
    plot_genres: Floats  # (W, L) directions of the own plots, told by what had not learned from them; zero: not told
    poster_genres: Floats  # (P, L)
    plot_background: Background
    poster_background: Background
    talk: Floats  # (T + 1,) see talk.fit_talk
    settings: dict[str, float] = field(default_factory=dict)  # see discover

    @property
    def own_whole(self) -> NDArray[np.bool_]:
        """(C,) the rows that stand for films' own plots."""
        return np.asarray(self.plot_whole & (self.plot_number == 0))

    @cached_property
    def has_posters_in_joint(self) -> bool:
        """Whether a joint space could be learned."""
        return bool(self.projection.any())

    def center_poster(self, features: ArrayLike) -> Floats:
        """Poster features (B, D) as posters.index stores them: without what all posters share, length 1."""
        return unit(np.asarray(features, dtype=np.float32) - self.poster_mean)

    def text_to_joint(self, vectors: ArrayLike) -> Floats:
        """Plot or request vectors (B, T) in the joint space, to be compared with posters there."""
        return unit(np.asarray(vectors, dtype=np.float32) - self.text_mean)

    def text_to_plots(self, vectors: ArrayLike) -> Floats:
        """Plot or request vectors (B, T) as the joint index holds plots, to be compared with each other."""
        return unit((np.asarray(vectors, dtype=np.float32) - self.text_mean) @ self.text_map)

    def poster_to_joint(self, details: ArrayLike) -> Floats:
        """Details of posters (B, E) in the joint space."""
        standard = (np.asarray(details, dtype=np.float32) - self.detail_mean) / self.detail_spread
        return unit(standard @ self.projection)

    def with_genres(self, joint: Floats, directions: Floats) -> Floats:
        """(B, T + L) unit vectors to hold a plot against a poster: the joint space (B, T) and genres (B, L) in one."""
        return unit(np.hstack([joint, np.float32(self.settings.get(GENRE_WEIGHT, 0.0) ** 0.5) * directions]))

    def with_settings(self, settings: dict[str, float]) -> Space:
        """The same space with these settings added."""
        return replace(self, settings={**self.settings, **settings})

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        tensors: dict[str, NDArray[Any]] = {
            "plot_film": self.plot_film,
            "plot_number": self.plot_number,
            "plot_span": self.plot_span,
            "plot_whole": self.plot_whole.astype(np.uint8),
            "poster_film": self.poster_film,
            "text_mean": self.text_mean,
            "text_map": self.text_map,
            "poster_mean": self.poster_mean,
            "detail_mean": self.detail_mean,
            "detail_spread": self.detail_spread,
            "projection": self.projection,
            "usual_plot_genres": self.usual_plot_genres,
            "usual_poster_genres": self.usual_poster_genres,
            "plot_genres": self.plot_genres,
            "poster_genres": self.poster_genres,
            "talk": self.talk,
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
                plot_number=tensors["plot_number"],
                plot_span=tensors["plot_span"],
                plot_whole=tensors["plot_whole"].astype(bool),
                poster_film=tensors["poster_film"],
                text_mean=tensors["text_mean"],
                text_map=tensors["text_map"],
                poster_mean=tensors["poster_mean"],
                detail_mean=tensors["detail_mean"],
                detail_spread=tensors["detail_spread"],
                projection=tensors["projection"],
                usual_plot_genres=tensors["usual_plot_genres"],
                usual_poster_genres=tensors["usual_poster_genres"],
                plot_genres=tensors["plot_genres"],
                poster_genres=tensors["poster_genres"],
                plot_background=Background(*map(float, facts["plot_background"])),
                poster_background=Background(*map(float, facts["poster_background"])),
                talk=tensors["talk"],
                settings={str(k): float(v) for k, v in facts["settings"].items()},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"{path}: expected the tables of a search, got {type(error).__name__}: {error}"
            ) from error


@dataclass(frozen=True)
class Sample:
    """What unrelated films look like in the joint space."""

    plots: Floats  # (S, T) rows of some films as the joint index holds plots, one film after the other
    plot_begins: Rows  # where each film's rows begin
    plot_whole: NDArray[np.bool_]  # (S,)
    posters: Floats  # (P, T)
    pair_plots: Floats  # (F, T + L) own plots of those films, to be held against posters
    pair_posters: Floats  # (P, T + L) the same posters, to be held against plots


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

    @cached_property
    def _first_plot_row(self) -> Rows:
        """(N + 1,) where the rows of each film begin in plots.index."""
        return np.searchsorted(self.space.plot_film, np.arange(len(self.films) + 1)).astype(np.int64)

    @cached_property
    def sample(self) -> Sample:
        """Rows of films and posters spread over the catalogue."""
        films = _spread(np.unique(self.space.plot_film))
        rows, begins = self.plot_rows_of(films)
        posters = _spread(np.arange(len(self.space.poster_film)))
        empty = np.zeros((0, len(self.space.text_mean)), np.float32)
        own = rows[self.space.own_whole[rows]]
        whole = empty if self.plots is None else self.space.text_to_joint(self.plots.vectors(own))
        seen = self.joint_posters(posters) if self.space.has_posters_in_joint else empty
        told = self.space.plot_genres[np.searchsorted(np.flatnonzero(self.space.own_whole), own)]
        return Sample(
            plots=empty if self.joint is None else self.joint.vectors(rows),
            plot_begins=begins,
            plot_whole=self.space.plot_whole[rows],
            posters=seen,
            pair_plots=self.space.with_genres(whole, told),
            pair_posters=self.space.with_genres(seen, self.space.poster_genres[posters][: len(seen)]),
        )

    def plot_rows_of(self, films: Rows) -> tuple[Rows, Rows]:
        """(rows of plots.index of these films, one film after the other; where each film's begin among them).

        Every film must have a plot.
        """
        first, last = self._first_plot_row[films], self._first_plot_row[films + 1]
        counts = last - first
        begins = np.cumsum(counts) - counts
        return np.repeat(first - begins, counts) + np.arange(int(counts.sum())), begins

    def joint_posters(self, rows: Rows) -> Floats:
        """The vectors (B, T), in the joint space, of these rows of posters.index."""
        assert self.joint is not None
        return self.joint.vectors(rows + len(self.space.plot_film))

    def has_plot(self, films: Rows) -> NDArray[np.bool_]:
        """(B,) which of these films have a plot."""
        return np.asarray(self._first_plot_row[films + 1] > self._first_plot_row[films])

    def plot_rows(self, film: int) -> range:
        """Rows of plots.index of the film in row `film`; empty without a plot."""
        return range(int(self._first_plot_row[film]), int(self._first_plot_row[film + 1]))

    def whole_plot_row(self, film: int) -> int | None:
        """The row that stands for the film's own plot."""
        return next((row for row in self.plot_rows(film) if self.space.plot_whole[row]), None)

    def poster_row(self, film: int) -> int | None:
        """The film's row of posters.index."""
        row = int(np.searchsorted(self.space.poster_film, film))
        found = row < len(self.space.poster_film) and int(self.space.poster_film[row]) == film
        return row if found else None

    def sentences(self, film: int) -> list[tuple[int, int, tuple[int, int]]]:
        """(row, number of the plot, span in it) of the film's sentences; of a whole plot where it is one sentence."""
        space = self.space
        rows = self.plot_rows(film)
        several = {int(space.plot_number[row]) for row in rows if not space.plot_whole[row]}
        pieces = [row for row in rows if not space.plot_whole[row] or int(space.plot_number[row]) not in several]
        begins, ends = space.plot_span[pieces, 0].tolist(), space.plot_span[pieces, 1].tolist()
        numbers = space.plot_number[pieces].tolist()
        return [(row, n, (b, e)) for row, n, b, e in zip(pieces, numbers, begins, ends, strict=True)]


def _spread(rows: Rows) -> Rows:
    """At most `_SAMPLE` of the rows, evenly spread."""
    if len(rows) <= _SAMPLE:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, _SAMPLE).astype(np.int64)], dtype=np.int64)
