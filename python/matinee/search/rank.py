"""Ranks films for a request in plain words.

Channels: plots and posters, both in the joint index, searched apart because their scores are not on one scale; and
BM25 over titles, people, keywords and plots. A vector's score is standardised by how unrelated films score for the same
request, BM25 by its best; they are added (a convex combination: Bruch et al., "An analysis of fusion functions for
hybrid retrieval", 2023). Of a long description, sentences that only talk count little, and the plots that answer it
best lend it their words (pseudo relevance feedback: Rocchio, 1971).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from matinee.answers import Channel
from matinee.catalog.film import Film
from matinee.catalog.frozen import fold
from matinee.catalog.query_text import description_terms, query_terms
from matinee.search.request import EncodeTexts, pieces
from matinee.search.store import Rows, Sample, SearchStore, unit
from matinee.search.talk import content_shares

Floats = NDArray[np.float32]
Scores = NDArray[np.float64]

_POOL, _POOL_FACTOR = 300, 10  # films of each channel that are ranked
_ROWS_PER_FILM = 4  # plots have two or three rows: so many rows hold the wanted number of films
_FEEDBACK_FILMS = 5
_SEVERAL_SENTENCES = 3
_BEST_PLOTS = 100  # among which the one nearest to a description is looked for
# A score this many standard deviations above unrelated films' is worth telling as the reason for a film.
_TELLING = 2.0
_MIN_SPREAD = 1e-3
_LONGEST_TITLE = 12  # telling words
_MAX_NAMED = 1000
_YEAR = re.compile(r"\d{4}")


@dataclass(frozen=True)
class Recipe:
    """What each channel weighs, in standard deviations of the score of a plot: 0 leaves it out."""

    plot: float = 1.0
    poster: float = 0.5
    words: float = 12.0  # of the best match; another one gets its share
    name: float = 20.0  # whoever asks for a title or a name wants nothing else
    feedback: float = 0.5  # of descriptions
    popularity: float = 0.5  # a prior: people mostly mean films that many have seen


@dataclass
class Ranking:
    """Candidates, best first. C: candidates."""

    rows: Rows  # (C,) film rows
    scores: Scores  # (C,)
    vector: Floats  # (T,) of the request, as plots.index holds them
    nearest: float  # cosine with the best plot in the joint index; -1 without any
    named: set[int]  # film rows whose title or people the request names
    found_by: dict[int, list[Channel]] = field(default_factory=dict)  # film row -> channels that speak for it


@dataclass
class _Channels:
    """Standardised scores of the candidates, (C,) each; 0 is an unrelated film's."""

    plot: Scores
    poster: Scores
    words: Scores


def rank_films(
    store: SearchStore,
    text: str,
    *,
    encode: EncodeTexts,
    allowed: NDArray[np.bool_],
    k: int,
    recipe: Recipe | None = None,
) -> Ranking:
    """At least the `k` best films of those allowed, where so many have anything to do with the request.

    `allowed`: (N,) by film row. `text` has words.
    """
    recipe = recipe or Recipe()
    pool = max(_POOL, _POOL_FACTOR * k)
    vector = request_vector(store, encode, text)
    even, among_posters = store.space.text_to_plots(vector), store.space.text_to_joint(vector)
    among_plots = among_posters if tells_at_length(text) else even
    plots, nearest = _nearest_plots(store, among_plots, even, allowed, pool) if recipe.plot else ([], -1.0)
    posters = _nearest_posters(store, among_posters, allowed, pool) if recipe.poster else []
    matches = store.films.match(text, pool, allowed) if recipe.words else []
    named = _named_films(store, text, [match.row for match in matches])
    rows = np.array(sorted({*plots, *posters, *(match.row for match in matches)}), dtype=np.int64)
    words = np.zeros(len(rows))
    if matches:
        words[np.searchsorted(rows, [match.row for match in matches])] = [m.score / matches[0].score for m in matches]
    parts = _Channels(_plot_scores(store, among_plots, rows), _poster_scores(store, among_posters, rows), words)
    is_named = np.array([row in named for row in rows.tolist()], dtype=bool)
    scores = recipe.plot * parts.plot + recipe.poster * parts.poster + recipe.words * parts.words
    scores = scores + recipe.name * is_named
    scores = scores + recipe.popularity * store.films.popularity[rows]
    if recipe.feedback and description_terms(text) is not None:
        scores = scores + recipe.feedback * _feedback(store, rows, scores)
    order = np.argsort(-scores, kind="stable")
    columns = {match.row: match.channel for match in matches}
    found_by = {int(rows[i]): _found_by(columns.get(int(rows[i])), parts, i) for i in order[:k].tolist()}
    return Ranking(rows[order], scores[order], vector, nearest, named, found_by)


def tells_at_length(text: str) -> bool:
    """Whether a request is a description in several sentences: its plots are not asked for in even directions.

    What most plots share is then what is remembered, and the sentences say it all.
    """
    return len(pieces(text)) >= _SEVERAL_SENTENCES


def request_vector(store: SearchStore, encode: EncodeTexts, text: str) -> Floats:
    """The vector (T,) of a request: of its sentences by what they tell of a film.

    Of two sentences, their whole counts half as much beside them; of more, it would say only its talk once more.
    """
    spans = pieces(text)
    if len(spans) < 2:
        return np.asarray(encode([text])[0])
    whole = [] if tells_at_length(text) else [text]
    vectors = encode([*whole, *(text[begin:end] for begin, end in spans)])
    told = vectors[len(whole) :]
    told = content_shares(store.space.talk, told).astype(np.float32) @ told
    return unit(vectors[0] + 2 * told if whole else told)


def _nearest_plots(
    store: SearchStore, joint: Floats, even: Floats, allowed: NDArray[np.bool_], pool: int
) -> tuple[list[int], float]:
    """(film rows of the plots nearest to `joint` (T,), cosine of the best of them with `even` (T,))."""
    film_of = store.space.plot_film
    if store.joint is None or not len(film_of):
        return [], -1.0
    rows = np.zeros(len(store.joint), dtype=bool)
    rows[: len(film_of)] = allowed[film_of]
    found = store.joint.search(joint, pool * _ROWS_PER_FILM, allow=rows)
    count = int(found.counts[0])
    films = list(dict.fromkeys(film_of[found.ids[0, :count]].tolist()))[:pool]
    if not count or joint is even:
        return films, float(found.scores[0, 0]) if count else -1.0
    best = found.ids[0, : min(count, _BEST_PLOTS)]
    return films, float((store.joint.vectors(best) @ even).max())


def _nearest_posters(store: SearchStore, joint: Floats, allowed: NDArray[np.bool_], pool: int) -> list[int]:
    film_of = store.space.poster_film
    if store.joint is None or not store.space.has_posters_in_joint:
        return []
    num_plots = len(store.space.plot_film)
    rows = np.zeros(len(store.joint), dtype=bool)
    rows[num_plots:] = allowed[film_of]
    found = store.joint.search(joint, pool, allow=rows)
    films: list[int] = film_of[found.ids[0, : int(found.counts[0])] - num_plots].tolist()
    return films


def _plot_scores(store: SearchStore, joint: Floats, films: Rows) -> Scores:
    """Of the film's best sentence and of its whole plot, standardised and added; 0 without a plot."""
    scores = np.zeros(len(films))
    known = store.has_plot(films)
    if store.joint is None or not known.any():
        return scores
    rows, begins = store.plot_rows_of(films[known])
    sample = store.sample
    usual = _best_and_whole(sample.plots @ joint, sample.plot_begins, sample.plot_whole)
    found = _best_and_whole(store.joint.vectors(rows) @ joint, begins, store.space.plot_whole[rows])
    scores[known] = sum(_standard(f, u) for f, u in zip(found, usual, strict=True))
    return scores


def _poster_scores(store: SearchStore, joint: Floats, films: Rows) -> Scores:
    scores = np.zeros(len(films))
    of_poster = store.space.poster_film
    if not store.space.has_posters_in_joint or not len(of_poster) or not len(films):
        return scores
    rows = np.minimum(np.searchsorted(of_poster, films), len(of_poster) - 1)
    known = of_poster[rows] == films
    if known.any():
        found = store.joint_posters(rows[known]) @ joint
        scores[known] = _standard(found, store.sample.posters @ joint)
    return scores


def _feedback(store: SearchStore, films: Rows, scores: Scores) -> Scores:
    """Nearness of whole plots to those that answer best so far, standardised; 0 without a plot."""
    found = np.zeros(len(films))
    known = np.flatnonzero(store.has_plot(films))
    if store.joint is None or len(known) <= _FEEDBACK_FILMS:
        return found
    rows, _ = store.plot_rows_of(films[known])
    rows = rows[store.space.own_whole[rows]]
    plots = store.joint.vectors(rows)
    best = np.argsort(-scores[known], kind="stable")[:_FEEDBACK_FILMS]
    asked = unit(np.maximum(scores[known][best], 0).astype(np.float32) @ plots[best])
    sample: Sample = store.sample
    found[known] = _standard(plots @ asked, sample.plots[sample.plot_whole] @ asked)
    return found


def _best_and_whole(scores: Floats, begins: Rows, whole: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """(best row, row of the whole plot) of each film, from the scores of films' rows."""
    best = np.maximum.reduceat(scores, begins)
    return best, np.maximum.reduceat(np.where(whole, scores, np.float32(-1)), begins)


def _standard(scores: Floats, usual: Floats) -> Scores:
    return np.asarray((scores - usual.mean()) / max(float(usual.std()), _MIN_SPREAD), dtype=np.float64)


def _found_by(column: Channel | None, parts: _Channels, candidate: int) -> list[Channel]:
    """The channels that speak for a candidate: all that do so clearly, or else the one that does most."""
    strength: dict[Channel, float] = {
        "plot": float(parts.plot[candidate]) / 2,
        "poster": float(parts.poster[candidate]),
    }
    if column is not None:
        by_words = _TELLING * 2 * float(parts.words[candidate])
        strength[column] = max(strength.get(column, by_words), by_words)
    telling = [channel for channel, value in strength.items() if value >= _TELLING]
    return telling or [max(strength, key=lambda channel: strength[channel])]


def _named_films(store: SearchStore, text: str, rows: list[int]) -> set[int]:
    """Those of the films whose title, or whose people's names, hold every word of a short request.

    "Tom Hanks" asks for his films, not for plots about men called Tom: they come first, and the request is answered.
    """
    terms = {fold(term) for term in query_terms(text)}
    if not 0 < len(terms) <= _LONGEST_TITLE:
        return set()
    undated = [term for term in sorted(terms) if not _YEAR.fullmatch(term)] or sorted(terms)
    found = sorted({*store.films.naming(undated, _MAX_NAMED)}.intersection(rows))
    return {row for row, film in zip(found, store.films.films(found), strict=True) if _names(film, terms)}


def _names(film: Film, terms: set[str]) -> bool:
    title = f"{film.title} {film.year or ''}"
    people = " ".join(person.name for person in film.people)
    return any(terms <= {fold(word) for word in query_terms(names)} for names in (title, people))
