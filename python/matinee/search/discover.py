"""Discovery: a request in plain words, answered from one index of plots and posters and from the words themselves.

Channels: sentences of plots and posters, both in the joint index, searched apart because their scores are not on one
scale; and BM25 over titles, people, keywords and plots. They are fused by reciprocal rank (Cormack et al., 2009).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers import Channel, FilmList
from matinee.catalog.film import Film
from matinee.catalog.frozen import fold
from matinee.catalog.query_text import query_terms
from matinee.search.request import EncodeTexts, check_k, clean_text, has_words, text_vector
from matinee.search.similar import closest_sentence, hit
from matinee.search.store import SearchStore
from matinee.where import Where

Floats = NDArray[np.float32]

FITS_FROM = "fits_from"
"""Setting of the search space: requests whose best plot is at least this near in the joint space have an answer."""

# Rank 1 in the poster channel is worth rank 20 in the plot channel: of held-out films, a sentence of the plot finds the
# poster among the first 10 of 760 in 11 % of cases (the card "joint-space" has the figures of the bundle at hand).
_RANK_OFFSET = 20.0
_SHARES: dict[str, float] = {"plot": 1.0, "poster": 0.5, "words": 1.0, "name": 2.0}
_JOINT_CHANNELS: tuple[Channel, ...] = ("plot", "poster")
_POOL, _POOL_FACTOR = 100, 3  # films of each channel that enter the fusion
_ROWS_PER_FILM = 4  # plots have two or three rows: so many rows hold the wanted number of films
_LONG_QUERY_TERMS = 12  # from so many words on, a request is a description, not a title or name


@dataclass
class _Found:
    score: float = 0.0
    channels: dict[Channel, int] = field(default_factory=dict)  # channel -> rank in it


def discover(
    store: SearchStore,
    text: str,
    *,
    encode: EncodeTexts,
    k: int = 10,
    where: Where | dict[str, Any] | None = None,
) -> FilmList:
    """At most `k` films, best first. `nothing_fits`: no plot comes near the request, and no title or name answers it;
    the nearest films are listed all the same.

    Of a long text the first 64 sentences and words are read. A text without any letter or digit fits nothing and lists
    nothing. Raises InvalidArgument for empty text, k outside 1 … 1000, an unknown filter.
    """
    k = check_k("discover", k)
    cleaned = clean_text("discover", "text", text)
    filters = Where.parse(where)
    allowed, left_out = store.films.allow(filters)
    request: dict[str, object] = {"text": text, "k": k, "where": filters.model_dump(mode="json", exclude_defaults=True)}
    if not has_words(cleaned):
        return FilmList(films=[], request=request, nothing_fits=True, left_out=left_out)
    pool = max(_POOL, _POOL_FACTOR * k)
    vector = text_vector(encode, cleaned)
    found: defaultdict[int, _Found] = defaultdict(_Found)
    nearest = -1.0
    for channel in _JOINT_CHANNELS:
        ranked, best = _joint_ranking(store, channel, vector, allowed, pool)
        if channel == "plot":
            nearest = best
        for rank, row in enumerate(ranked):
            found[row].score += _SHARES[channel] / (_RANK_OFFSET + rank)
            found[row].channels[channel] = rank
    matches = store.films.match(cleaned, pool, allowed)
    for rank, match in enumerate(matches):
        found[match.row].score += _SHARES["words"] / (_RANK_OFFSET + rank)
        found[match.row].channels.setdefault(match.channel, rank)
    named = _named_films(store, cleaned, [match.row for match in matches])
    for row in named:
        found[row].score += _SHARES["name"] / _RANK_OFFSET
    order = sorted(found, key=lambda row: (-found[row].score, row))[:k]
    films = store.films.films(order)
    hits = []
    for row, film in zip(order, films, strict=True):
        line = found[row]
        channels = _named(line)
        quote = closest_sentence(store, film, row, vector) if "plot" in channels else ""
        hits.append(hit(film, line.score, channels, _why(film, channels, quote, cleaned)))
    fits = bool(hits) and (bool(named) or nearest >= store.space.settings.get(FITS_FROM, -1.0))
    return FilmList(films=hits, request=request, nothing_fits=not fits, left_out=left_out)


def nearest_plot(store: SearchStore, vectors: Floats) -> NDArray[np.float64]:
    """(B,) for request vectors (B, T): how near the nearest plot lies in the joint space, -1 without plots."""
    if store.joint is None or not len(store.space.plot_film):
        return np.full(len(vectors), -1.0)
    rows = _rows_of(store, "plot")
    neighbors = store.joint.search(store.space.text_to_joint(vectors), 1, allow=rows)
    return np.where(neighbors.counts > 0, neighbors.scores[:, 0], -1.0).astype(np.float64)


def _rows_of(store: SearchStore, channel: str) -> NDArray[np.bool_]:
    num_plots, num_posters = len(store.space.plot_film), len(store.space.poster_film)
    rows = np.zeros(num_plots + (num_posters if store.space.has_posters_in_joint else 0), dtype=bool)
    rows[slice(0, num_plots) if channel == "plot" else slice(num_plots, None)] = True
    return rows


def _joint_ranking(
    store: SearchStore, channel: str, vector: Floats, allowed: NDArray[np.bool_], pool: int
) -> tuple[list[int], float]:
    """Films by their best row of one modality, best first, and the best score."""
    film_of = store.space.plot_film if channel == "plot" else store.space.poster_film
    if store.joint is None or not len(film_of) or (channel == "poster" and not store.space.has_posters_in_joint):
        return [], -1.0
    rows = _rows_of(store, channel)
    rows[rows] = allowed[film_of]
    wanted = pool * _ROWS_PER_FILM if channel == "plot" else pool
    neighbors = store.joint.search(store.space.text_to_joint(vector), wanted, allow=rows)
    count = int(neighbors.counts[0])
    offset = 0 if channel == "plot" else len(store.space.plot_film)
    films = film_of[neighbors.ids[0, :count] - offset].tolist()
    best = float(neighbors.scores[0, 0]) if count else -1.0
    return list(dict.fromkeys(films))[:pool], best


def _named(found: _Found) -> list[Channel]:
    """The channels that brought a film: all that ranked it in their first 30, or else the best one."""
    near = [channel for channel, rank in found.channels.items() if rank < 30]
    return near or [min(found.channels, key=lambda channel: found.channels[channel])]


def _why(film: Film, channels: list[Channel], quote: str, text: str) -> str:
    parts = []
    terms = set(query_terms(text))
    if "title" in channels:
        parts.append("Title matches.")
    if "people" in channels:
        names = [person.name for person in film.people if terms & {*query_terms(person.name)}]
        parts.append(f"With {', '.join(dict.fromkeys(names[:3]))}." if names else "People match.")
    if "keywords" in channels:
        words = [word for word in (*film.keywords, *film.genres) if terms & {*query_terms(word)}]
        parts.append(f"Tagged {', '.join(dict.fromkeys(words[:3]))}." if words else "Keywords match.")
    if quote:
        parts.append(f"Plot: “{quote}”")
    if "poster" in channels:
        parts.append("Its poster looks like such a film.")
    return " ".join(parts) or "Its words match."


def _named_films(store: SearchStore, text: str, rows: list[int]) -> set[int]:
    """Those of the films whose title, or whose people's names, hold every word of a short request.

    "Tom Hanks" asks for his films, not for plots about men called Tom: they come first, and the request is answered.
    """
    terms = {fold(term) for term in query_terms(text)}
    if not terms or len(terms) > _LONG_QUERY_TERMS:
        return set()
    named = set()
    for row, film in zip(rows, store.films.films(rows), strict=True):
        title = f"{film.title} {film.year or ''}"
        people = " ".join(person.name for person in film.people)
        if any(terms <= {fold(word) for word in query_terms(names)} for names in (title, people)):
            named.add(row)
    return named
