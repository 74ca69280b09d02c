"""Films alike to given films, to a plot, to a poster, or to several of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from matinee.answers import Channel, FilmHit, FilmList
from matinee.catalog.film import Film
from matinee.errors import InvalidArgument
from matinee.index import Index
from matinee.search.request import EncodeTexts, check_k, clean_text, has_words, text_vector
from matinee.search.sentences import best_sentence
from matinee.search.store import Background, SearchStore, unit
from matinee.where import Where

Floats = NDArray[np.float32]

MAX_SEEDS = 100
_WEIGHTS: dict[Channel, float] = {"plot": 1.0, "poster": 0.5}
# A channel "found" a film whose score lies this many standard deviations above that of unrelated films.
_FOUND_FROM = 2.0
_FACTS_POOL = 200
_SMALL_POOL, _POOL_FACTOR = 100, 5  # candidates of each channel: enough that fusion can turn their order round


@dataclass(frozen=True)
class _Query:
    """What is sought in one channel: a unit vector, and how its index reads."""

    channel: Channel
    vector: Floats
    weight: float
    index: Index
    film_of: NDArray[np.int64]  # film row of each row of the index
    usable: NDArray[np.bool_] | None  # rows of the index to look at; None: all
    background: Background


def similar(
    store: SearchStore,
    *,
    films: Sequence[str] = (),
    plot: str | None = None,
    encode: EncodeTexts | None = None,
    poster: Floats | None = None,
    weights: Mapping[str, float] | None = None,
    k: int = 10,
    where: Where | dict[str, Any] | None = None,
) -> FilmList:
    """At most `k` films, most alike first; seeds and films that `where` excludes are not among them.

    films: ids; plot: a plot, read by `encode`; poster: the features (D,) of one. Several seeds mean the mean of their
    vectors. weights: 'plot' and 'poster', each >= 0 and not both 0; default 1 and 0.5. A film's score is the weighted
    mean, over what was asked for, of how many standard deviations it lies above unrelated films; a film without a plot
    or poster scores 0 there. Seeds without plot and poster are compared by people, keywords and genres.
    Raises InvalidArgument, NotFound for an unknown id.
    """
    k = check_k("similar", k)
    if len(films) > MAX_SEEDS:
        raise InvalidArgument(f"similar: film: expected at most {MAX_SEEDS} films, got {len(films)}")
    if not films and plot is None and poster is None:
        raise InvalidArgument("similar: expected a film, a plot or a poster, got none of them; give at least one")
    shares = _checked_weights(weights)
    seeds = [store.films.row_of(film_id) for film_id in dict.fromkeys(films)]
    filters = Where.parse(where)
    allowed, left_out = store.films.allow(filters)
    allowed = allowed.copy()
    allowed[seeds] = False
    plot_vectors = []
    if plot is not None:
        text = clean_text("similar", "plot", plot)
        if encode is not None and has_words(text):
            plot_vectors.append(text_vector(encode, text))
    queries = _queries(store, seeds, plot_vectors, poster, shares)
    if queries:
        hits = _by_vectors(store, queries, allowed, k)
    else:
        hits = _by_facts(store, store.films.films(seeds), allowed, k)
    request: dict[str, object] = {"films": [store.films.id_of(row) for row in seeds]}
    if plot is not None:
        request["plot"] = plot
    request |= {
        "poster": poster is not None,
        "weights": {q.channel: q.weight for q in queries},
        "k": k,
        "where": filters.model_dump(mode="json", exclude_defaults=True),
    }
    return FilmList(films=hits, request=request, nothing_fits=not hits, left_out=left_out)


def _checked_weights(weights: Mapping[str, float] | None) -> dict[Channel, float]:
    if weights is None:
        return dict(_WEIGHTS)
    known = {name: name for name in _WEIGHTS}
    shares: dict[Channel, float] = {}
    for name, value in weights.items():
        if name not in known:
            raise InvalidArgument(f"similar: weights: expected plot and poster, got {name!r}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise InvalidArgument(f"similar: weights: {name}: expected a number from 0 on, got {value!r}")
        shares[known[name]] = float(value)
    if not any(shares.values()):
        raise InvalidArgument("similar: weights: expected at least one above 0")
    return shares


def _queries(
    store: SearchStore,
    seeds: Sequence[int],
    plot_vectors: list[Floats],
    poster: Floats | None,
    shares: Mapping[Channel, float],
) -> list[_Query]:
    queries = []
    space = store.space
    if store.plots is not None and shares.get("plot", 0) > 0:
        rows = [row for row in map(store.whole_plot_row, seeds) if row is not None]
        vectors = [*plot_vectors, *store.plots.vectors(np.array(rows, np.int64))] if rows else plot_vectors
        if vectors:
            usable = space.own_whole
            background = space.plot_background
            mean = unit(np.mean(vectors, axis=0))
            queries.append(_Query("plot", mean, shares["plot"], store.plots, space.plot_film, usable, background))
    if store.posters is not None and shares.get("poster", 0) > 0:
        rows = [row for row in map(store.poster_row, seeds) if row is not None]
        vectors = list(store.posters.vectors(np.array(rows, np.int64))) if rows else []
        if poster is not None:
            vectors.append(space.center_poster(poster))
        if vectors:
            mean = unit(np.mean(vectors, axis=0))
            background = space.poster_background
            queries.append(_Query("poster", mean, shares["poster"], store.posters, space.poster_film, None, background))
    return queries


@dataclass(frozen=True)
class _Ranking:
    """Films by how alike they are, most alike first."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    by_channel: dict[Channel, NDArray[np.float64]]


def rank_alike(store: SearchStore, films: Sequence[str], allowed: NDArray[np.bool_], k: int) -> list[int]:
    """Rows of at most `k` allowed films, most alike to `films` first: the order of `similar`, without its words."""
    seeds = [store.films.row_of(film_id) for film_id in dict.fromkeys(films)]
    queries = _queries(store, seeds, [], None, _WEIGHTS)
    others = allowed.copy()
    others[seeds] = False
    if queries:
        return [int(row) for row in _rank(store, queries, others, k).rows]
    return [store.films.row_of(found.id) for found in _by_facts(store, store.films.films(seeds), others, k)]


def _rank(store: SearchStore, queries: list[_Query], allowed: NDArray[np.bool_], k: int) -> _Ranking:
    pool = max(_SMALL_POOL, _POOL_FACTOR * k)
    candidates: set[int] = set()
    for query in queries:
        rows = allowed[query.film_of] if query.usable is None else allowed[query.film_of] & query.usable
        found = query.index.search(query.vector, pool, allow=rows)
        candidates.update(query.film_of[found.ids[0, : int(found.counts[0])]].tolist())
    ordered = np.array(sorted(candidates), dtype=np.int64)
    if not len(ordered):
        return _Ranking(ordered, np.zeros(0), {})
    scores = np.stack([_scores(store, query, ordered) for query in queries])  # (queries, candidates)
    weights = np.array([query.weight for query in queries])
    fused = weights @ scores / weights.sum()
    best = np.argsort(-fused, kind="stable")[:k]
    by_channel = {query.channel: scores[number, best] for number, query in enumerate(queries)}
    return _Ranking(ordered[best], fused[best], by_channel)


def _by_vectors(store: SearchStore, queries: list[_Query], allowed: NDArray[np.bool_], k: int) -> list[FilmHit]:
    ranking = _rank(store, queries, allowed, k)
    hits = []
    for place, film in enumerate(store.films.films(ranking.rows.tolist())):
        of_film = {channel: float(scores[place]) for channel, scores in ranking.by_channel.items()}
        top = max(of_film, key=lambda channel: of_film[channel])
        channels = [c for c, score in of_film.items() if score >= _FOUND_FROM or c == top]
        why = _why(store, film, int(ranking.rows[place]), channels, queries)
        hits.append(hit(film, float(ranking.scores[place]), channels, why))
    return hits


def _scores(store: SearchStore, query: _Query, films: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standardised scores of films (rows) in one channel; 0, as of an unrelated film, without a plot or poster."""
    row_of = store.whole_plot_row if query.channel == "plot" else store.poster_row
    rows = [row_of(int(film)) for film in films]
    known = np.array([row is not None for row in rows])
    scores = np.zeros(len(films))
    if known.any():
        vectors = query.index.vectors(np.array([row for row in rows if row is not None], np.int64))
        scores[known] = query.background.standard(vectors @ query.vector)
    return scores


def _why(store: SearchStore, film: Film, row: int, channels: Sequence[Channel], queries: list[_Query]) -> str:
    parts = []
    if "plot" in channels and store.plots is not None:
        query = next(q for q in queries if q.channel == "plot")
        parts.append(f"Plot alike: “{closest_sentence(store, film, row, query.vector)}”")
    if "poster" in channels:
        parts.append("Poster looks alike.")
    return " ".join(parts)


def closest_sentence(store: SearchStore, film: Film, row: int, vector: Floats) -> str:
    """The sentence of the film's plots nearest to `vector` (T,), as a quote; empty without a plot."""
    pieces = store.sentences(row)
    if not pieces or store.plots is None or film.plot is None:
        return ""
    scores = store.plots.vectors(np.array([index_row for index_row, _, _ in pieces], np.int64)) @ vector
    _, number, span = pieces[int(scores.argmax())]
    return best_sentence((film.plot, *film.other_plots)[number], [span])


def _by_facts(store: SearchStore, seeds: Sequence[Film], allowed: NDArray[np.bool_], k: int) -> list[FilmHit]:
    """For seeds that have neither plot nor poster: films that share people, keywords or genres with them."""
    words = " ".join(" ".join([*(p.name for p in s.people), *s.keywords, *s.genres]) for s in seeds)
    if not has_words(words):
        return []
    found = store.films.match(words, _FACTS_POOL, allowed)
    films = store.films.films([match.row for match in found])
    people = {person.name for seed in seeds for person in seed.people}
    tags = {tag for seed in seeds for tag in (*seed.keywords, *seed.genres)}
    hits = []
    for match, film in zip(found, films, strict=True):
        names = [name for name in dict.fromkeys(person.name for person in film.people) if name in people]
        shared = [tag for tag in dict.fromkeys((*film.keywords, *film.genres)) if tag in tags]
        if names or shared:  # a word of the seeds' facts in a title or plot is no likeness
            channels: list[Channel] = [*(["people"] if names else []), *(["keywords"] if shared else [])]  # type: ignore[list-item]
            hits.append(hit(film, match.score, channels, f"Shares {', '.join([*names, *shared][:4])}."))
    return hits[:k]


def hit(film: Film, score: float, channels: Sequence[Channel], why: str) -> FilmHit:
    """A line of an answer; channels in the order that answers always have."""
    ordered = [channel for channel in get_args(Channel) if channel in channels]
    return FilmHit(
        id=film.id,
        title=film.title,
        year=film.year,
        score=score,
        channels=ordered,
        why=why,
        has_poster=film.has_poster,
    )
