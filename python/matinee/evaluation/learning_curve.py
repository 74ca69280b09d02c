"""How well plots find their posters, by the films that there are to learn from: whether more of them would help."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matinee.bundle.assemble import genre_table, labelled_films, told_genres
from matinee.bundle.opened import Bundle
from matinee.catalog.film import Film
from matinee.evaluation.metrics import roc_auc
from matinee.evaluation.report import Cell, Table
from matinee.evaluation.subject import Progress
from matinee.genre.labels import EVIDENCE
from matinee.genre.train import Provenance, train_genres
from matinee.heads.split import part_of, parts_of
from matinee.search.fit import MIN_PAIRS, SearchVectors, fit_space, plots_as_asked
from matinee.search.pair import pair_scores
from matinee.search.request import EncodeTexts

Floats = NDArray[np.float32]

EIGHTHS = (1, 2, 4, 8)
"""Of the training films."""


def learning_curve(bundle: Bundle, progress: Progress) -> Table:
    """A table for a bundle with plots and posters; every poster is encoded again, and all is fitted anew each time."""
    store = bundle.search_store
    space = store.space
    assert store.plots is not None and store.posters is not None
    films = list(bundle.films())
    details = []
    for done, row in enumerate(space.poster_film.tolist(), start=1):
        details.append(bundle.poster_details(bundle.poster(films[row].id)[0]))
        progress("see posters again", done, len(space.poster_film))
    vectors = SearchVectors(
        plot_film=space.plot_film,
        plot_number=space.plot_number,
        plot_span=space.plot_span,
        plot_whole=space.plot_whole,
        plots=store.plots.vectors(np.arange(len(space.plot_film))),
        poster_film=space.poster_film,
        posters=store.posters.vectors(np.arange(len(space.poster_film))),
        details=np.stack(details),
        genres=genre_table(films),
    )
    return curve_of(films, vectors, bundle.encode_texts, progress)


def curve_of(films: Sequence[Film], vectors: SearchVectors, encode: EncodeTexts, progress: Progress) -> Table:
    """The table, from what the space is fitted on; measured on the films that the split keeps for testing."""
    lines: list[tuple[Cell, ...]] = []
    for done, eighths in enumerate(EIGHTHS, start=1):
        learned = [film.id for film in films if part_of(film.id) != "test" and _eighth(film.id) < eighths]
        asked, seen, sample = _fitted(films, vectors, encode, learned)
        progress("learn from fewer films", done, len(EIGHTHS))
        if len(sample[0]) < MIN_PAIRS:
            lines.append((f"{eighths}/8", len(sample[0]), None, None))
            continue
        own = np.eye(len(asked), dtype=bool)
        places = ((scores := asked @ seen.T) > np.diag(scores)[:, None]).sum(axis=1)
        pairs = pair_scores(asked, seen, *sample)
        lines.append(
            (f"{eighths}/8", len(sample[0]), float((places < 10).mean()), float(roc_auc(own.ravel(), pairs.ravel())))
        )
    return Table(
        title="plot → its own poster, by the films to learn from",
        columns=("of the training films", "pairs among them", "recall at 10", "AUROC, own against all other posters"),
        rows=tuple(lines),
        note=f"{len(asked):,} films held back. Genre heads and joint space are fitted anew on each share.",
    )


def _eighth(film_id: str) -> int:
    """Of a division of films by chance; that of the split looks at other bytes of the hash."""
    return hashlib.sha256(film_id.encode()).digest()[16] % 8


def _fitted(
    films: Sequence[Film], vectors: SearchVectors, encode: EncodeTexts, learned: Sequence[str]
) -> tuple[Floats, Floats, tuple[Floats, Floats]]:
    """((B, J) plots held back, (B, J) their posters, the same two of the films learned from)."""
    ids = [film.id for film in films]
    test = parts_of(ids) == "test"
    trainable = test | np.isin(ids, learned)
    labelled = labelled_films(films, {ids[row] for row in np.flatnonzero(trainable)}, vectors)
    genres = train_genres(labelled, Provenance({}, dict.fromkeys(EVIDENCE, ""), demo=False))
    space, _, _ = fit_space(vectors, ids, trainable, encode, told=told_genres(films, labelled, genres))
    rows, of_plot, of_poster = np.intersect1d(
        vectors.plot_film[vectors.own_whole], vectors.poster_film, return_indices=True
    )
    plots = space.text_to_joint(plots_as_asked(vectors)[of_plot])
    asked = space.with_genres(plots, space.plot_genres[of_plot])
    seen = space.with_genres(space.poster_to_joint(vectors.details[of_poster]), space.poster_genres[of_poster])
    held_back, known = test[rows], (trainable & ~test)[rows]
    return asked[held_back], seen[held_back], (asked[known], seen[known])
