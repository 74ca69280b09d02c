"""films.sqlite: the frozen copy of the catalogue inside a bundle.

Rows are numbered 0 … N-1 in the order they were written; vector indexes, filters and answers refer to films by row,
people and programs by id. The file is opened immutable, so any number of threads and processes read it without locks.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from matinee.answers import Channel
from matinee.catalog.film import Film
from matinee.catalog.freeze import FORMAT, TOKENIZER, PosterSpan, fold, write_films
from matinee.catalog.query_text import (
    MAX_QUERY_TERMS,
    any_term_query,
    description_terms,
    prefix_query,
    query_terms,
)
from matinee.errors import FormatError, InvalidArgument, NotFound
from matinee.where import AnyAllNone, AnyNone, Range, Span, Where

_UNKNOWN = -(2**31)
_MAX_CACHED_BITMAPS = 256  # one byte a film each: every genre, language and country of a large catalogue
_LONGEST_TITLE = 300  # characters; a longer text is no title

# A word in the title says more than the same word in a plot; names sit between.
_COLUMNS: tuple[tuple[Channel, float], ...] = (("title", 8.0), ("people", 5.0), ("keywords", 3.0), ("plot", 1.0))


class TextMatch(NamedTuple):
    """A film found by its words: its row, BM25 score (higher is better) and the column that found it."""

    row: int
    score: float
    channel: Channel


class FilmTable:
    """films.sqlite, opened for reading. Safe to use from many threads; open it after a fork, not before.

    Raises NotFound where there is no file, FormatError where it is not a film table of this version.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        if not self._path.is_file():
            raise NotFound(f"FilmTable: path: expected a films.sqlite, found nothing at {self._path}")
        self._local = threading.local()
        self._bitmaps: dict[tuple[str, str], npt.NDArray[np.bool_]] = {}
        with self._format_errors():
            version = self._query("PRAGMA user_version")[0][0]
            if version != FORMAT:
                raise FormatError(
                    f"{self._path.name}: expected a film table of format {FORMAT}, got {version}; rebuild the bundle"
                )
            rows = self._query("SELECT id, year, runtime, poster_length IS NOT NULL, votes FROM film ORDER BY row")
            self._ids: list[str] = [row[0] for row in rows]
            self._years = _known([row[1] for row in rows])
            self._runtimes = _known([row[2] for row in rows])
            self._has_poster: npt.NDArray[np.bool_] = np.array([bool(row[3]) for row in rows], dtype=np.bool_)
            self._popularity = _standard_log([row[4] for row in rows])
            self._row_of = {film_id: row for row, film_id in enumerate(self._ids)}
            if len(self._row_of) != len(rows):
                raise FormatError(f"{self._path.name}: expected every id once")
            self._row_of = dict(self._query("SELECT alias, row FROM alias")) | self._row_of
            self._has_fact = {
                kind: self._bitmap(self._rows_with(kind, ""))
                for kind in ("genre", "language", "country", "certificate", "person")
            }

    def __len__(self) -> int:
        return len(self._ids)

    # -- films ---------------------------------------------------------------------------------------------------

    def row_of(self, film_id: str) -> int:
        """The row of a film id or of one of its aliases. Raises NotFound."""
        try:
            return self._row_of[film_id]
        except KeyError:
            raise NotFound(
                f"film: expected the id of a film in this catalogue, got {film_id!r}; search by title to find its id"
            ) from None

    def id_of(self, row: int) -> str:
        """The id of row `row` (0 … N-1)."""
        return self._ids[row]

    @property
    def has_poster(self) -> npt.NDArray[np.bool_]:
        """(N,) bool: which films have a poster."""
        return self._has_poster

    @property
    def popularity(self) -> npt.NDArray[np.float64]:
        """(N,) how many people rated each film: standardised logarithms, 0 where that is not known."""
        return self._popularity

    def film(self, film_id: str) -> Film:
        """One film by id or alias. Raises NotFound."""
        return self.films([self.row_of(film_id)])[0]

    def films(self, rows: Sequence[int]) -> list[Film]:
        """The films of these rows, in this order."""
        wanted = list(dict.fromkeys(int(row) for row in rows))
        found: dict[int, Film] = {}
        for start in range(0, len(wanted), 500):  # SQLite's default limit on parameters is 999
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            for row, facts in self._query(f"SELECT row, facts FROM film WHERE row IN ({marks})", part):
                found[row] = Film.model_validate_json(facts)
        return [found[int(row)] for row in rows]

    def poster_span(self, film_id: str) -> PosterSpan | None:
        """Where the film's poster lies in posters.bin; None without one. Raises NotFound for an unknown film."""
        sql = "SELECT poster_offset, poster_length, poster_type FROM film WHERE row = ?"
        offset, length, media_type = self._query(sql, (self.row_of(film_id),))[0]
        return None if offset is None else PosterSpan(offset, length, media_type)

    def names(self, kind: str) -> Counter[str]:
        """Folded names of one kind of fact (genre, language, country, certificate, person) -> films that have it."""
        return Counter(dict(self._query("SELECT name, films FROM fact WHERE kind = ? AND name != ''", (kind,))))

    # -- filters -------------------------------------------------------------------------------------------------

    def allow(self, where: Where) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
        """Which films pass: ((N,) bool by row, {fact: films left out because that fact is unknown}).

        A film is counted under a fact when it passes every other filter and only that fact is unknown.
        """
        tests: list[tuple[str, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]] = []  # fact, known, passes if known
        for fact, kind, names in (
            ("genres", "genre", where.genres),
            ("language", "language", where.language),
            ("country", "country", where.country),
            ("certificate", "certificate", where.certificate),
            ("people", "person", where.people),
        ):
            if names != type(names)():
                tests.append((fact, self._has_fact[kind], self._passes(kind, names)))
        for fact, values, limits in (("year", self._years, where.year), ("runtime", self._runtimes, where.runtime)):
            if limits != Range():
                tests.append((fact, values != _UNKNOWN, _passes_range(values, limits)))
        allowed = self._ids_pass(where.ids)
        if not tests:
            return allowed, {}
        for _, known, passes in tests:
            allowed = allowed & known & passes
        left_out = {}
        for fact, known, _ in tests:
            others = self._ids_pass(where.ids) & ~known
            for other, other_known, other_passes in tests:
                if other != fact:
                    others = others & other_known & other_passes
            if count := int(others.sum()):
                left_out[fact] = count
        return allowed, left_out

    def _passes(self, kind: str, names: AnyNone) -> npt.NDArray[np.bool_]:
        passes = np.ones(len(self), dtype=np.bool_)
        if names.any:
            passes &= np.logical_or.reduce([self._having(kind, name) for name in names.any])
        for name in names.none:
            passes &= ~self._having(kind, name)
        if isinstance(names, AnyAllNone):
            for name in names.all:
                passes &= self._having(kind, name)
        return passes

    def _having(self, kind: str, name: str) -> npt.NDArray[np.bool_]:
        key = (kind, fold(name))
        bits = self._bitmaps.get(key)
        if bits is None:
            bits = self._bitmap(self._rows_with(*key))
            if len(self._bitmaps) < _MAX_CACHED_BITMAPS:
                self._bitmaps[key] = bits
        return bits

    def _rows_with(self, kind: str, name: str) -> npt.NDArray[np.int32]:
        """Rows of the films with this fact, ascending; `name` is folded, '' means any."""
        found = self._query("SELECT rows FROM fact WHERE kind = ? AND name = ?", (kind, name))
        rows = np.frombuffer(found[0][0] if found else b"", "<i4")
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            raise FormatError(f"{self._path.name}: fact {kind} {name!r} names a row outside the table; rebuild it")
        return rows

    def _ids_pass(self, ids: AnyNone) -> npt.NDArray[np.bool_]:
        def bitmap(wanted: Sequence[str]) -> npt.NDArray[np.bool_]:
            return self._bitmap([self._row_of[film_id] for film_id in wanted if film_id in self._row_of])

        passes = bitmap(ids.any) if ids.any else np.ones(len(self), dtype=np.bool_)
        return passes & ~bitmap(ids.none) if ids.none else passes

    def _bitmap(self, rows: npt.NDArray[np.int32] | list[int]) -> npt.NDArray[np.bool_]:
        bits = np.zeros(len(self), dtype=np.bool_)
        bits[rows] = True
        return bits

    # -- words ---------------------------------------------------------------------------------------------------

    def match(self, text: str, k: int, allow: npt.NDArray[np.bool_] | None = None) -> list[TextMatch]:
        """Films whose title, people, keywords or plot hold words of `text`, best BM25 first, at most `k`.

        User text is never query syntax. Common words are dropped, and beyond MAX_QUERY_TERMS the rest of a long text is
        not looked at; a text without words matches nothing. A film of exactly that title comes first: BM25 itself
        prefers whichever title match has the shortest plot. In a text too long for a title or a name all columns weigh
        alike, and its channel is the plot: its words are chance hits in titles. `allow` is a (N,) bool bitmap by row.
        """
        if k < 1:
            raise InvalidArgument(f"match: k: expected at least 1, got {k}")
        description = description_terms(text)
        if description is not None:
            return self._titled_first(text, self._described(description, k, allow), allow)[:k]
        query = any_term_query(query_terms(text))
        if query is None:
            return []
        # bm25() with all weights but one at zero is the share of that column: the largest names the channel.
        silent = ["0.0"] * len(_COLUMNS)
        shares = [", ".join([*silent[:i], str(w), *silent[i + 1 :]]) for i, (_, w) in enumerate(_COLUMNS)]
        columns = ", ".join(f"-bm25(film_text, {share})" for share in shares)
        total = f"-bm25(film_text, {', '.join(str(weight) for _, weight in _COLUMNS)})"
        self._local.allow = allow
        passes = "" if allow is None or allow.all() else "AND allowed(rowid)"
        sql = (
            f"SELECT rowid, {total}, {columns} FROM film_text WHERE film_text MATCH ? {passes} ORDER BY 2 DESC LIMIT ?"
        )
        matches = [
            TextMatch(row, score, _COLUMNS[int(np.argmax(parts))][0])
            for row, score, *parts in self._query(sql, (query, k))
        ]
        return self._titled_first(text, matches, allow)[:k]

    def _described(self, words: list[str], k: int, allow: npt.NDArray[np.bool_] | None) -> list[TextMatch]:
        """The best `k` films by all their columns together, from the weights that the build has computed."""
        terms = self._terms(words)
        marks = ",".join("?" * len(terms))
        scores = np.zeros(len(self), np.float32)
        for rows, weights in self._query(f"SELECT rows, weights FROM posting WHERE term IN ({marks})", terms):
            scores[np.frombuffer(rows, "<i4")] += np.frombuffer(weights, "<f4")
        if allow is not None:
            scores[~allow] = 0
        near = np.argpartition(-scores, k)[:k] if k < len(scores) else np.arange(len(scores))
        near = near[scores[near] > 0]
        order = near[np.lexsort((near, -scores[near]))]
        return [TextMatch(int(row), float(scores[row]), "plot") for row in order]

    def _terms(self, words: list[str]) -> list[str]:
        """The terms that FTS5 makes of words: stems, without accents."""
        tokenizer: sqlite3.Connection | None = getattr(self._local, "tokenizer", None)
        if tokenizer is None:
            tokenizer = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            tokenizer.execute(f"CREATE VIRTUAL TABLE words USING fts5(text, tokenize='{TOKENIZER}')")
            tokenizer.execute("CREATE VIRTUAL TABLE term USING fts5vocab('words', 'row')")
            self._local.tokenizer = tokenizer
        tokenizer.execute("INSERT INTO words(text) VALUES (?)", (" ".join(words),))
        terms = [term for (term,) in tokenizer.execute("SELECT term FROM term")]
        tokenizer.execute("DELETE FROM words")
        return terms

    def naming(self, terms: Sequence[str], k: int) -> list[int]:
        """At most `k` rows of films whose title and people's names hold all of these words between them."""
        query = " ".join(f'"{term}"' for term in terms)
        return [
            row for (row,) in self._query("SELECT rowid FROM film_name WHERE film_name MATCH ? LIMIT ?", (query, k))
        ]

    def holding(self, words: str) -> list[int]:
        """Rows, ascending, of the films that hold every word of `words` in title, keywords or plot, in any form of it.

        Common words are not looked at; a text of nothing else is held by no film.
        """
        terms = query_terms(words)
        if not terms:
            return []
        query = "- people : (" + " AND ".join(f'"{term}"' for term in terms) + ")"
        sql = "SELECT rowid FROM film_text WHERE film_text MATCH ? ORDER BY rowid"
        return [row for (row,) in self._query(sql, (query,))]

    def _titled_first(
        self, text: str, matches: list[TextMatch], allow: npt.NDArray[np.bool_] | None
    ) -> list[TextMatch]:
        if not matches or len(text) > _LONGEST_TITLE:
            return matches
        titled = self._rows_with("title", fold(text)) if text.strip() else ()
        scores = {match.row: match.score for match in matches}
        # Above the best of the others, and among themselves in the order that BM25 gives them.
        first = [
            TextMatch(row, matches[0].score + scores.get(row, 0.0), "title")
            for row in map(int, titled)
            if allow is None or allow[row]
        ]
        first.sort(key=lambda match: -match.score)
        rows = {match.row for match in first}
        return first + [match for match in matches if match.row not in rows]

    def find(self, query: str, k: int = 20, offset: int = 0) -> list[Film]:
        """Films by title or name, for a search box: every word must match, the last one by its first letters.

        An empty query lists the catalogue in row order. Raises InvalidArgument for k < 1 or offset < 0.
        """
        if k < 1 or offset < 0:
            raise InvalidArgument(f"find: expected k >= 1 and offset >= 0, got k={k}, offset={offset}")
        if not query.strip():
            return self.films(range(min(offset, len(self)), min(offset + k, len(self))))
        words = prefix_query(query)
        if words is None:
            return []
        # Titles that begin with what was typed come first, the shortest (nearest) of them on top.
        sql = """SELECT film.row FROM film_name JOIN film ON film.row = film_name.rowid WHERE film_name MATCH ?
                 ORDER BY instr(lower(film.title), lower(?)) = 1 DESC, length(film.title), film.row LIMIT ? OFFSET ?"""
        return self.films([row for (row,) in self._query(sql, (words, query.strip(), k, offset))])

    # -- SQLite --------------------------------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            uri = f"file:{quote(str(self._path.resolve()))}?mode=ro&immutable=1"
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            connection.execute("PRAGMA mmap_size = 268435456")
            # Called back on the thread of the query, for the bitmap that match() has just set there.
            connection.create_function("allowed", 1, lambda row: bool(self._local.allow[row]))
            self._local.connection = connection
        return connection

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._format_errors():
            return self._connection().execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _format_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise FormatError(
                f"{self._path.name}: {error}; the file is damaged, rebuild or pull the bundle again"
            ) from error


def _known(values: list[int | None]) -> npt.NDArray[np.int64]:
    return np.array([_UNKNOWN if value is None else value for value in values], dtype=np.int64)


def _standard_log(votes: list[int | None]) -> npt.NDArray[np.float64]:
    """(N,) standardised logarithms of the known ones; 0 where none is known."""
    known = np.array([vote is not None for vote in votes], dtype=np.bool_)
    logarithms = np.log1p(np.array([vote or 0 for vote in votes], dtype=np.float64))
    spread = float(logarithms[known].std()) if known.any() else 0.0
    if not spread:
        return np.zeros(len(votes))
    return np.where(known, (logarithms - logarithms[known].mean()) / spread, 0.0)


def _passes_range(values: npt.NDArray[np.int64], limits: Range) -> npt.NDArray[np.bool_]:
    passes = _within(values, limits)
    for span in limits.none:
        passes &= ~_within(values, span)
    return passes


def _within(values: npt.NDArray[np.int64], limits: Span) -> npt.NDArray[np.bool_]:
    passes = np.ones(len(values), dtype=np.bool_)
    if limits.min is not None:
        passes &= values >= limits.min
    if limits.max is not None:
        passes &= values <= limits.max
    return passes


__all__ = ["FORMAT", "MAX_QUERY_TERMS", "FilmTable", "PosterSpan", "TextMatch", "fold", "write_films"]
