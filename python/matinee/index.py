"""Nearest neighbours among vectors.

    index = matinee.Index.build(vectors, ids)           # (N, D) float32 under (N,) int64
    found = index.search(queries, k=10)                 # found.ids (Q, 10), best first
    index.save("films.index")
    index = matinee.Index.open("films.index")           # mapped, ready at once

There are two kinds. An exact index answers as if every vector were compared: a first pass over 8-bit codes bounds every
score, and whatever the bounds cannot rule out is scored from its float32 vector. A partitioned index is for tens of
thousands of vectors and more: it looks only at the partitions nearest to a query, at 12 bits an element, finds nearly
all of the true neighbours in a fraction of the time and memory, and can be changed while it is searched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from matinee import _core
from matinee.errors import InvalidArgument

Metric: TypeAlias = Literal["cosine", "inner_product", "l2"]
Kind: TypeAlias = Literal["exact", "partitioned"]
Vectors: TypeAlias = npt.NDArray[np.float32]
Ids: TypeAlias = npt.NDArray[np.int64]
Progress: TypeAlias = Callable[[str, int, int], None]  # ("vectors", done, total)


@dataclass(frozen=True)
class PreparedFilter:
    """A filter made ready by `Index.prepare`; good for that index only."""

    core: _core.PreparedFilter
    num_ids: int  # that it allows, when it was made

    def __repr__(self) -> str:
        return f"PreparedFilter({self.num_ids} ids)"


# Which rows a search may return; see Index.search.
Allow: TypeAlias = npt.NDArray[np.bool_] | Ids | Sequence[Ids] | PreparedFilter

_MOST_NEIGHBORS = 2**31 - 1  # as many as an index holds
_FLOAT32 = np.dtype(np.float32)
_SINGLE = 1
_MATRIX = 2


@dataclass(frozen=True)
class Neighbors:
    """What a search found: Q queries, K = min(k, N) columns, best first.

    Query q has ``counts[q]`` results, min(k, rows its filter allows); columns behind them hold id -1 and score -inf.
    """

    ids: Ids  # (Q, K)
    scores: Vectors  # (Q, K) float32, higher is better
    counts: npt.NDArray[np.int64]  # (Q,)

    def __post_init__(self) -> None:
        if self.ids.shape != self.scores.shape or self.counts.shape != self.ids.shape[:1]:
            raise InvalidArgument(
                f"Neighbors: expected ids and scores (Q, K) and counts (Q,), got {self.ids.shape}, "
                f"{self.scores.shape} and {self.counts.shape}"
            )

    @classmethod
    def _of_core(cls, found: tuple[Ids, Vectors, npt.NDArray[np.int64]]) -> Neighbors:
        """What the core gives fits: checking it, field by field, would take as long as a small search's arithmetic."""
        neighbors = object.__new__(cls)
        neighbors.__dict__["ids"], neighbors.__dict__["scores"], neighbors.__dict__["counts"] = found
        return neighbors

    def __len__(self) -> int:
        """Q, the number of queries."""
        return len(self.counts)

    def pairs(self, query: int = 0) -> list[tuple[int, float]]:
        """(id, score) of one query's results, best first, without the padding."""
        count = int(self.counts[query])
        return list(zip(self.ids[query, :count].tolist(), self.scores[query, :count].tolist(), strict=True))

    def __repr__(self) -> str:
        return f"Neighbors(ids={self.ids.shape} {self.ids.dtype}, counts={self.counts.shape})"


class Index:
    """Vectors under 64-bit ids; `build` or `open` one.

    Safe for concurrent callers: searches run on the core's compute threads, without the GIL. A partitioned index may be
    changed meanwhile; a search sees a change whole or not at all, and never waits for one.
    """

    def __init__(self, core: _core.Index) -> None:
        self._core = core

    @classmethod
    def build(
        cls,
        vectors: Vectors,
        ids: npt.ArrayLike | None = None,
        *,
        metric: Metric = "cosine",
        kind: Kind | Literal["auto"] = "auto",
        num_partitions: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Index:
        """Builds an index in memory.

        Args:
            vectors: (N, D) float32, copied; N may be 0, D is 1 … 65536. NaN and infinity are refused: leave out what
                could not be encoded.
            ids: (N,) integers, unique, not -1; 0 … N-1 where none are given.
            metric: How vectors compare; the score is always higher for the better.
                ``"cosine"``: inner product of the unit vectors, -1 … 1 (up to the last bit). Rows are stored
                normalised. A zero vector has no direction: it scores 0 with everything.
                ``"inner_product"``: as given.
                ``"l2"``: the negative squared Euclidean distance, at most 0.
            kind: ``"exact"``, ``"partitioned"``, or ``"auto"``: partitioned from 20,000 vectors of 384 dimensions on,
                or as many elements in other dimensions.
            num_partitions: Of a partitioned index, 1 … N; chosen by N where none is given.
            seed: Of a partitioned index: the same seed and vectors give the same index.
            progress: Called with ``("vectors", done, total)`` now and then; what it raises stops the build.

        Raises:
            InvalidArgument: Another dtype, shape or range than above; a repeated id; a norm above 1e18 where the metric
                is not cosine.
        """
        rows = _matrix("Index.build: vectors", vectors)
        told: Callable[[int, int], bool] | None = None
        if progress is not None:
            tell = progress

            def told(done: int, total: int) -> bool:
                tell("vectors", done, total)
                return True

        core = _core.Index.build(
            rows,
            None if ids is None else _ids("Index.build: ids", ids),
            metric=metric,
            kind=kind,
            num_partitions=0 if num_partitions is None else _count("Index.build: num_partitions", num_partitions),
            seed=seed,
            progress=told,
        )
        return cls(core)

    @classmethod
    def open(cls, path: str | os.PathLike[str], verify: Literal["fast", "full"] = "fast") -> Index:
        """Opens a file that `save` wrote. It is mapped, not read: it must not be changed while the index lives.

        Args:
            path: The file.
            verify: ``"fast"`` checks the header, the table of sections and every size; ``"full"`` also reads every byte
                against its checksum.

        Raises:
            NotFound: There is no such file.
            FormatError: It is not an index, of a newer version, cut or damaged.
            IoError: It cannot be read.
        """
        return cls(_core.Index.open(path, verify))

    def search(
        self,
        queries: Vectors,
        k: int = 10,
        *,
        allow: Allow | None = None,
        recall: float = 0.98,
        num_probes: int | None = None,
    ) -> Neighbors:
        """The k nearest rows of each query.

        Args:
            queries: (Q, D) float32, or (D,) for one.
            k: How many, at least 1; more than N gives N.
            allow: Which rows may be found. ``None``: all. bool (N,): by row, for all queries. bool (Q, N): by row, for
                each query. int64 (M,): by id, for all queries. A list of Q such arrays: by id, for each query. Ids that
                the index does not hold are passed over. What `prepare` made: for all queries.
            recall: Of a partitioned index: the share of the true neighbours that is to be found, on average and for
                queries like those that it was calibrated with (see `calibrate`); above 0, and 1 looks everywhere.
            num_probes: Of a partitioned index: how many partitions are looked at, instead of as many as `recall` asks
                for. More find more and take longer. Where a filter lets few rows pass, these are all compared, and
                where it lets none of the near ones pass, the search goes farther.

        Returns:
            Neighbors, best first; equal scores are ordered by row. Always min(k, allowed rows) results. Scores of a
            partitioned index are those of its 12-bit vectors, off by less than about 0.0002 for unit vectors.

        Raises:
            InvalidArgument: k below 1; queries of another dtype or dimension, or with NaN or infinity; a filter of
                another size than the index or the queries.
        """
        matrix = _matrix("Index.search: queries", queries[np.newaxis] if _ndim(queries) == _SINGLE else queries)
        if not isinstance(k, (int, np.integer)) or k < 1:
            raise InvalidArgument(f"Index.search: k: expected a whole number, at least 1, got {k!r}")
        if isinstance(allow, PreparedFilter):
            prepared, masks, id_sets = allow.core, None, None
        else:
            prepared, (masks, id_sets) = None, _filters(allow, len(matrix))
        if not 0 < recall <= 1:
            raise InvalidArgument(f"Index.search: recall: expected above 0 and up to 1, got {recall!r}")
        probes = 0 if num_probes is None else _count("Index.search: num_probes", num_probes)
        wanted = int(min(k, _MOST_NEIGHBORS))
        return Neighbors._of_core(self._core.search(matrix, wanted, masks, id_sets, prepared, probes, recall))

    def prepare(self, allow: npt.NDArray[np.bool_] | Ids) -> PreparedFilter:
        """Makes a filter ready for many searches, which need not look for its rows each time.

        It allows the same ids when the index changes, and is made ready again by the next search then. A partitioned
        index may keep a copy of the allowed rows' codes for it, up to 2 D bytes each.

        Args:
            allow: bool (N,), by row, or int64 (M,), by id; see `search`.

        Raises:
            InvalidArgument: A bitmap of another size than the index.
        """
        masks, id_sets = _filters(allow, 1)
        if id_sets is not None:
            return PreparedFilter(self._core.prepare(ids=id_sets[0]), len(id_sets[0]))
        return PreparedFilter(self._core.prepare(mask=masks), int(np.count_nonzero(allow)))

    def add(self, vectors: Vectors, ids: npt.ArrayLike) -> None:
        """Puts new vectors into a partitioned index; their rows are behind the last.

        Args:
            vectors: (n, D) float32, copied.
            ids: (n,) integers, unique, not -1, none of which the index holds.

        Raises:
            InvalidArgument: As `build`; an id that is there already; an exact index. Nothing is changed then.
        """
        self._core.add(_matrix("Index.add: vectors", vectors), _ids("Index.add: ids", ids))

    def update(self, vectors: Vectors, ids: npt.ArrayLike) -> None:
        """Puts other vectors (n, D) float32 under ids (n,) of a partitioned index; their rows stay.

        Raises:
            NotFound: An id that the index does not hold. Nothing is changed then.
            InvalidArgument: As `add`.
        """
        self._core.update(_matrix("Index.update: vectors", vectors), _ids("Index.update: ids", ids))

    def delete(self, ids: npt.ArrayLike) -> None:
        """Takes ids (n,) out of a partitioned index. The last row takes the number of each that goes.

        Raises:
            NotFound: An id that the index does not hold. Nothing is changed then.
            InvalidArgument: A repeated id; an exact index.
        """
        self._core.delete(_ids("Index.delete: ids", ids))

    def calibrate(self, queries: Vectors) -> None:
        """Measures with queries (Q, D) float32 like those to come how many partitions a recall takes.

        Also how far the signs of elements, which a single query compares first, are to be trusted.

        `build` has done so with vectors of the index. Queries of another kind, such as texts that look for posters,
        need more; some hundred of them are enough. Every one is compared with all vectors. The result is saved with the
        index. An exact index has nothing to measure.

        Raises:
            InvalidArgument: Queries of another dtype or dimension, with NaN or infinity, or none.
        """
        self._core.calibrate(_matrix("Index.calibrate: queries", queries))

    def vectors(self, ids: npt.ArrayLike) -> Vectors:
        """A copy of the stored vectors of `ids` (n,): (n, D) float32, normalised where the metric is cosine.

        A partitioned index keeps 12 bits an element: the largest of a vector is exact, and the others are off by up to
        1/4095 of it.

        Raises:
            NotFound: An id that the index does not hold.
        """
        return self._core.vectors(_ids("Index.vectors: ids", ids))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes one file, so that a reader sees the old one or the new one, whole. docs/formats/index.md draws it.

        Raises:
            IoError: It cannot be written.
        """
        self._core.save(path)

    @property
    def ids(self) -> Ids:
        """Ids by row, (N,) int64; a copy."""
        return self._core.ids

    @property
    def dimension(self) -> int:
        """D."""
        return self._core.dimension

    @property
    def metric(self) -> Metric:
        """How vectors compare; see `build`."""
        metric: Any = self._core.metric
        return metric  # type: ignore[no-any-return]

    @property
    def kind(self) -> Kind:
        """exact or partitioned; see `build`."""
        kind: Any = self._core.kind
        return kind  # type: ignore[no-any-return]

    @property
    def num_partitions(self) -> int:
        """How many partitions there are; 0 in an exact index."""
        return self._core.num_partitions

    def __len__(self) -> int:
        """N, the number of vectors."""
        return len(self._core)

    def __repr__(self) -> str:
        return f"Index({len(self)} vectors, dimension={self.dimension}, metric={self.metric!r}, kind={self.kind!r})"


def _filters(
    allow: npt.NDArray[np.bool_] | Ids | Sequence[Ids] | None, num_queries: int
) -> tuple[npt.NDArray[np.bool_] | None, list[Ids] | None]:
    """The filter as the core takes it: rows of a mask, or sets of ids; one for all queries, or one for each."""
    where = "Index.search: allow"
    if allow is None:
        return None, None
    if isinstance(allow, np.ndarray) and allow.dtype != np.bool_:
        return None, [_ids(where, allow)]
    if isinstance(allow, np.ndarray) and allow.ndim == _SINGLE:
        return np.ascontiguousarray(allow[np.newaxis], np.bool_), None
    if isinstance(allow, np.ndarray) and allow.ndim == _MATRIX:
        _one_for_each(where, len(allow), num_queries)
        return np.ascontiguousarray(allow, np.bool_), None
    if isinstance(allow, (list, tuple)):
        _one_for_each(where, len(allow), num_queries)
        return None, [_ids(where, ids) for ids in allow]
    got = f"{allow.shape} {allow.dtype}" if isinstance(allow, np.ndarray) else type(allow).__name__
    raise InvalidArgument(f"{where}: expected bool (N,) or (Q, N), int64 (M,), or a list of int64 (M,), got {got}")


def _one_for_each(where: str, num_filters: int, num_queries: int) -> None:
    if num_filters != num_queries:
        raise InvalidArgument(f"{where}: expected one for each of {num_queries} queries, got {num_filters}")


def _count(where: str, value: int) -> int:
    if not isinstance(value, (int, np.integer)) or not 1 <= value <= _MOST_NEIGHBORS:
        raise InvalidArgument(f"{where}: expected a whole number, at least 1, got {value!r}")
    return int(value)


def _ndim(array: Any) -> int:
    return array.ndim if isinstance(array, np.ndarray) else 0


def _matrix(where: str, array: Any) -> Vectors:
    """`array` with its rows contiguous, copied only where they are not; dtype and shape are the core's to check."""
    if not isinstance(array, np.ndarray) or array.dtype != _FLOAT32 or array.ndim != _MATRIX:
        got = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        raise InvalidArgument(f"{where}: expected (N, D) float32, got {got}; convert with numpy.asarray(…, np.float32)")
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _ids(where: str, ids: npt.ArrayLike) -> Ids:
    """`ids` as one row of int64; anything that is not whole numbers, or does not fit, is refused."""
    array = np.asarray(ids)
    if array.size == 0 and array.ndim == _SINGLE:
        return np.zeros(0, np.int64)
    if array.ndim != _SINGLE or not np.can_cast(array.dtype, np.int64, "safe") or array.dtype == np.bool_:
        raise InvalidArgument(f"{where}: expected (n,) int64, got {array.shape} {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.int64)


__all__ = ["Index", "Neighbors", "PreparedFilter"]
