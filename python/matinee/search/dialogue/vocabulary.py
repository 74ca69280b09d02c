"""The names a catalogue knows, and which of its films a title means."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from matinee.catalog.film import Film
from matinee.catalog.frozen import FilmTable, fold

_READ_AT_ONCE = 1000
_RATINGS_SHARE = 3.0  # of popularity, in the units of `_fame`
_SUBTITLE = re.compile(r"\s*(?::| - | – ).*$")
_TRANSLATION = re.compile(r"\s*\(.*\)\s*$")
_NO_WORD = re.compile(r"[\W_]+")
_NEAR_TITLES, _NEAR_FROM = 3, 0.84
_MISTYPED = 2  # letters more or fewer
_SHORTEST_GUESS = 4  # letters; shorter titles must be written as they are


def title_key(title: str) -> str:
    """How titles compare: without case, accents, signs and a leading 'The'."""
    words = _NO_WORD.sub(" ", fold(title).replace("'", "").replace("’", "")).strip()
    return words.removeprefix("the ") or words


class Vocabulary:
    """Titles, people, genres, languages and countries of a catalogue, read once. Immutable; safe for all threads."""

    def __init__(self, films: FilmTable) -> None:
        self._titles: dict[str, list[int]] = defaultdict(list)
        self._short_titles: dict[str, list[int]] = defaultdict(list)
        names: dict[str, dict[str, str]] = {kind: {} for kind in ("genre", "language", "country", "certificate")}
        count = len(films)
        self.year: NDArray[np.int32] = np.zeros(count, np.int32)
        """(N,) year of each film, 0 where unknown."""
        self.runtime: NDArray[np.int32] = np.zeros(count, np.int32)
        """(N,) minutes, 0 where unknown."""
        self.genres_of: list[frozenset[str]] = []
        """Canonical genres of each film."""
        fame = np.zeros(count)
        displayed: dict[str, str] = {}
        num_films: Counter[str] = Counter()
        for row, film in enumerate(_all(films)):
            self._add_titles(row, film.title)
            for person in {person.name for person in film.people}:
                key = fold(person)
                displayed.setdefault(key, person)
                num_films[key] += 1
            for kind, values in (
                ("genre", film.genres),
                ("language", film.languages),
                ("country", film.countries),
                ("certificate", (film.certificate,) if film.certificate else ()),
            ):
                for value in values:
                    names[kind].setdefault(fold(value), value)
            self.year[row], self.runtime[row] = film.year or 0, film.runtime or 0
            self.genres_of.append(frozenset(film.genres))
            fame[row] = _fame(film)
        self.genres, self.languages, self.countries, self.certificates = names.values()
        """Folded name -> name as it is written."""
        self._people, self._num_films = displayed, num_films
        self._surnames: dict[str, list[str]] = defaultdict(list)
        for key in displayed:
            self._surnames[key.rsplit(" ", 1)[-1]].append(key)
        fame += _RATINGS_SHARE * films.popularity
        self.by_fame: NDArray[np.int64] = np.argsort(-fame, kind="stable")
        """(N,) rows, best known first."""
        self.fame_rank: NDArray[np.int64] = np.empty(count, np.int64)
        """(N,) place of each row in `by_fame`."""
        self.fame_rank[self.by_fame] = np.arange(count)
        self.newest_year = int(self.year.max(initial=0))

    def titled(self, words: str, year: int | None = None) -> list[int]:
        """Films of exactly this title, best known first; only those of `year` where it is given and there are some."""
        rows = self._titles.get(title_key(words), [])
        return self._best_first([row for row in rows if self.year[row] == year] if year else rows)

    def titled_nearly(self, words: str) -> list[int]:
        """Films that may be meant: by the title before its subtitle, by a part of it, or mistyped; best known first."""
        key = title_key(words)
        if len(key) < _SHORTEST_GUESS:
            return []
        if rows := self._short_titles.get(key):
            return self._best_first(rows)
        padded = f" {key} "
        held = [row for title, rows in self._titles.items() if padded in f" {title} " for row in rows]
        if held:
            return self._best_first(held)
        alike = [title for title in self._titles if title[:1] == key[:1] and abs(len(title) - len(key)) <= _MISTYPED]
        close = difflib.get_close_matches(key, alike, n=_NEAR_TITLES, cutoff=_NEAR_FROM)
        return [row for title in close for row in self._best_first(self._titles[title])]

    def person(self, words: str) -> str | None:
        """The name of the person of exactly this full name."""
        return self._people.get(fold(words))

    def surnamed(self, word: str) -> str | None:
        """The person of this surname who has most films."""
        keys = self._surnames.get(fold(word), [])
        return self._people[max(keys, key=lambda key: (self._num_films[key], key))] if keys else None

    def _add_titles(self, row: int, title: str) -> None:
        bare = _TRANSLATION.sub("", title)
        for key in {title_key(title), title_key(bare)}:
            self._titles[key].append(row)
        short = title_key(_SUBTITLE.sub("", bare))
        if short not in (title_key(bare), ""):
            self._short_titles[short].append(row)

    def _best_first(self, rows: Iterable[int]) -> list[int]:
        return sorted(set(rows), key=lambda row: int(self.fame_rank[row]))


def _fame(film: Film) -> float:
    """How well known a film seems from what is recorded of it: a guess for catalogues that hold few ratings or none.

    Sources hold more about films that more people have seen, and what those have paid.
    """
    facts = sum(map(bool, (film.plot, film.plot, film.has_poster, film.runtime, film.keywords, film.tagline)))
    return facts + math.log10(1 + (film.revenue or 0)) / 2 + min(len(film.people), 10) / 10


def _all(films: FilmTable) -> Iterator[Film]:
    for begin in range(0, len(films), _READ_AT_ONCE):
        yield from films.films(range(begin, min(begin + _READ_AT_ONCE, len(films))))
