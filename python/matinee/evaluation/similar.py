"""Similar films measured by what people liked together and by the genres they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from matinee.bundle.opened import Bundle
from matinee.catalog.film import Film
from matinee.errors import NotFound
from matinee.evaluation.report import Figure, Row, compared
from matinee.evaluation.subject import Subject
from matinee.where import AnyNone, Where

Scores = NDArray[np.float64]

_LIKED_FROM = 4.0  # stars
_MIN_LIKES = 10  # of a film, to be a candidate
_SHRINKAGE = 10.0  # likes: a few in common by chance are not likeness
_MIN_CANDIDATES = 50
_SEEDS = 300
_FIRST = 10
_WORKS: Mapping[str, Mapping[str, float] | None] = {
    "similar films by plot": {"plot": 1.0, "poster": 0.0},
    "similar films by poster": {"plot": 0.0, "poster": 1.0},
    "similar films by both": None,
}


@dataclass(frozen=True)
class CoLikes:
    """Films that enough people liked (C of them), and how much they were liked together."""

    film_ids: list[str]
    likes: Scores  # (C,) people
    together: Scores  # (C, C) cosine of who liked them, shrunk; 0 on the diagonal


def co_likes(likes: Sequence[tuple[str, str]], min_likes: int = _MIN_LIKES) -> CoLikes:
    """From (person, film id) pairs; a pair counts once."""
    people = {person: i for i, person in enumerate(dict.fromkeys(person for person, _ in likes))}
    films = {film: i for i, film in enumerate(dict.fromkeys(film for _, film in likes))}
    pairs = np.array(sorted({(people[p], films[f]) for p, f in likes}), dtype=np.int64).reshape(-1, 2)
    table = sparse.csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(people), len(films)))
    counts = np.asarray(table.sum(axis=0)).ravel()
    kept = np.flatnonzero(counts >= min_likes)
    table, counts = table[:, kept], counts[kept]
    both = np.asarray((table.T @ table).todense())
    np.fill_diagonal(both, 0)
    names = list(films)
    return CoLikes([names[i] for i in kept], counts, both / (np.sqrt(np.outer(counts, counts)) + _SHRINKAGE))


def liked_together(subject: Subject) -> CoLikes:
    """What the ratings of the test source say, of films that the bundle has."""
    home = _homes(subject.bundle, {rating.film for rating in subject.ratings})
    return co_likes([(r.person, home[r.film]) for r in subject.ratings if r.value >= _LIKED_FROM and r.film in home])


def similar_rows(subject: Subject) -> list[Row] | str:
    """Rows for each kind of evidence, or why there are none."""
    bundle = subject.bundle
    liked = liked_together(subject)
    if len(liked.film_ids) < _MIN_CANDIDATES:
        return (
            f"Similar films: {len(liked.film_ids)} that {_MIN_LIKES} people liked; {_MIN_CANDIDATES} are needed "
            "(a test source can bring ratings)."
        )
    films = [bundle.film(film_id) for film_id in liked.film_ids]
    rng = np.random.default_rng(subject.seed)
    usable = np.array([bool(film.plot) and film.has_poster for film in films])
    seeds = rng.permutation(np.flatnonzero(usable & (liked.together.max(axis=1) > 0)))[:_SEEDS]
    genres = _genre_agreement(films)
    plain = _plain(films, liked, seeds, rng)
    where = Where(ids=AnyNone(any=tuple(liked.film_ids)))
    row_of = {film_id: i for i, film_id in enumerate(liked.film_ids)}
    rows = []
    for work, weights in _WORKS.items():
        ours = []
        for number, seed in enumerate(seeds.tolist()):
            answer = bundle.similar(liked.film_ids[seed], weights=weights, k=_FIRST, where=where)
            ours.append([row_of[hit.id] for hit in answer.films])
            subject.progress(work, number + 1, len(seeds))
        for metric, agreement in (("liked together, first 10", liked.together), ("genres shared, first 10", genres)):
            rows.append(
                compared(
                    "search",
                    work,
                    metric,
                    len(seeds),
                    ours=_mean_over(seeds, ours, agreement),
                    baselines={name: _mean_over(seeds, found, agreement) for name, found in plain.items()},
                    model="joint-space",
                    seed=subject.seed,
                )
            )
    return rows


def _homes(bundle: Bundle, film_ids: set[str]) -> dict[str, str]:
    """Ids and aliases -> the bundle's ids of these films."""
    homes = {}
    for film_id in film_ids:
        try:
            homes[film_id] = bundle.film(film_id).id
        except NotFound:
            continue
    return homes


def _genre_agreement(films: Sequence[Film]) -> Scores:
    """(C, C) share of two films' genres that both have."""
    names = {name: i for i, name in enumerate(sorted({genre for film in films for genre in film.genres}))}
    table = np.zeros((len(films), len(names)))
    for row, film in enumerate(films):
        table[row, [names[genre] for genre in film.genres]] = 1
    both = table @ table.T
    either = table.sum(axis=1)[:, None] + table.sum(axis=1)[None] - both
    return np.asarray(both / np.maximum(either, 1), dtype=np.float64)


def _plain(
    films: Sequence[Film], liked: CoLikes, seeds: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, list[list[int]]]:
    """What chance, the most liked films and TF-IDF of plots answer for each seed."""
    words = TfidfVectorizer(stop_words="english", sublinear_tf=True).fit_transform([film.plot or "" for film in films])
    alike = np.asarray((words[seeds] @ words.T).todense())

    def best(scores: Callable[[int], Scores]) -> list[list[int]]:
        found = []
        for number, seed in enumerate(seeds.tolist()):
            order = np.argsort(-scores(number), kind="stable")
            found.append(order[order != seed][:_FIRST].tolist())
        return found

    return {
        "chance": best(lambda _: rng.random(len(films))),
        "most liked": best(lambda _: liked.likes),
        "TF-IDF": best(lambda number: alike[number]),
    }


def _mean_over(seeds: NDArray[np.int64], found: Sequence[Sequence[int]], agreement: Scores) -> Figure:
    means = np.array(
        [agreement[seed, list(rows)].mean() if rows else 0.0 for seed, rows in zip(seeds.tolist(), found, strict=True)]
    )
    return lambda i: float(means[i].mean())
