"""Discovery: a request in plain words, answered from one index of plots and posters and from the words themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers import Channel, FilmList
from matinee.catalog.film import Film
from matinee.catalog.query_text import query_terms
from matinee.search.rank import Ranking, Recipe, rank_films
from matinee.search.request import EncodeTexts, check_k, clean_text, has_words
from matinee.search.similar import closest_sentence, hit
from matinee.search.store import SearchStore
from matinee.where import Where

Floats = NDArray[np.float32]

FITS_FROM = "fits_from"
"""Setting of the search space: requests whose best plot is at least this near in the joint space have an answer."""


@dataclass(frozen=True)
class Facets:
    """A request taken apart: what a film must be beside what it is about."""

    text: str  # what it says besides; may be empty
    where: Where = field(default_factory=Where)
    without: Sequence[str] = ()  # words that title, keywords and plot must not hold
    best_known: Sequence[int] = ()  # all rows, best known first: the order where it says nothing besides

    def within(self, filters: Where) -> Where:
        """Filters given apart and those of the request; of one kind, those given apart."""
        given = {key: value for key in Where.model_fields if (value := getattr(filters, key)) != getattr(Where(), key)}
        return self.where.model_copy(update=given)


def discover(
    store: SearchStore,
    text: str,
    *,
    encode: EncodeTexts,
    k: int = 10,
    where: Where | dict[str, Any] | None = None,
    popularity: bool = True,
    facets: Facets | None = None,
) -> FilmList:
    """At most `k` films, best first. `nothing_fits`: no plot comes near the request, and no title or name answers it;
    the nearest films are listed all the same.

    Of a long text the first 64 sentences and words are read. A text without any letter or digit fits nothing and lists
    nothing. popularity: among films that fit about alike, those that more people have rated come first.
    facets: the text taken apart; None: all of it says what the film is about. Where it says nothing of that, the best
    known of the films that pass are listed.
    Raises InvalidArgument for empty text, k outside 1 … 1000, an unknown filter.
    """
    k = check_k("discover", k)
    cleaned = clean_text("discover", "text", text)
    facets = facets or Facets(cleaned)
    filters = facets.within(Where.parse(where))
    allowed, left_out = store.films.allow(filters)
    for words in facets.without:
        allowed[store.films.holding(words)] = False
    request: dict[str, object] = {
        "text": text,
        "k": k,
        "where": filters.model_dump(mode="json", exclude_defaults=True),
        "popularity": popularity,
    }
    if facets.text != cleaned:
        request |= {"about": facets.text, "without": list(facets.without)}
    if not has_words(facets.text):
        found = [row for row in facets.best_known if allowed[row]][:k]
        hits = [hit(film, 1 / (1 + i), (), facts_of(film)) for i, film in enumerate(store.films.films(found))]
        return FilmList(films=hits, request=request, nothing_fits=not hits, left_out=left_out)
    recipe = Recipe() if popularity else Recipe(popularity=0)
    ranking = rank_films(store, facets.text, encode=encode, allowed=allowed, k=k, recipe=recipe)
    rows = ranking.rows[:k].tolist()
    hits = []
    for row, score, film in zip(rows, ranking.scores[:k].tolist(), store.films.films(rows), strict=True):
        channels = ranking.found_by[row]
        quote = closest_sentence(store, film, row, ranking.vector) if "plot" in channels else ""
        hits.append(hit(film, score, channels, _why(film, channels, quote, facets.text)))
    nothing_fits = not hits or not has_answer(store, ranking)
    return FilmList(films=hits, request=request, nothing_fits=nothing_fits, left_out=left_out)


def facts_of(film: Film) -> str:
    """A line on a film that was found by its facts alone."""
    directors = [person.name for person in film.people if person.role == "director"]
    parts = [", ".join(film.genres[:3]), f"by {directors[0]}" if directors else ""]
    return " · ".join(part for part in parts if part)


def has_answer(store: SearchStore, ranking: Ranking) -> bool:
    """Whether a plot comes near the request, or a title or name answers it."""
    return bool(ranking.named) or ranking.nearest >= store.space.settings.get(FITS_FROM, -1.0)


def nearest_plot(store: SearchStore, vectors: Floats) -> NDArray[np.float64]:
    """(B,) for request vectors (B, T): how near the nearest plot lies in the joint space, -1 without plots."""
    if store.joint is None or not len(store.space.plot_film):
        return np.full(len(vectors), -1.0)
    rows = np.arange(len(store.joint)) < len(store.space.plot_film)
    neighbors = store.joint.search(store.space.text_to_plots(vectors), 1, allow=rows)
    return np.where(neighbors.counts > 0, neighbors.scores[:, 0], -1.0).astype(np.float64)


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
