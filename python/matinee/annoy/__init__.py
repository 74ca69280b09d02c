"""The API of annoy 1.17 on our index, for programs that begin with ``from annoy import AnnoyIndex``.

    from matinee.annoy import AnnoyIndex                 # the line to replace

    index = AnnoyIndex(384, "angular")
    for i, vector in enumerate(vectors):
        index.add_item(i, vector)
    index.build(50)
    index.save("films.ann")                              # a file that matinee.Index.open reads, too
    index.get_nns_by_item(0, 10, include_distances=True)

Calls, conventions of distances and kinds of errors are annoy's. All vectors are compared, none is looked for in
trees: the number of trees, the seed and `search_k` are taken and change nothing. `load` also reads what annoy wrote.
"""

from __future__ import annotations

import operator
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from matinee.annoy.errors import (
    FileUnreadable,
    MissingFile,
    NoSuchItem,
    NotBuilt,
    UnsupportedMetric,
    WrongLength,
    WrongState,
)
from matinee.annoy.files import Metric, read_annoy_file
from matinee.errors import FormatError, InvalidArgument, IoError, NotFound
from matinee.index import Index
from matinee.index import Metric as IndexMetric

Floats: TypeAlias = npt.NDArray[np.float32]
Vector: TypeAlias = Sequence[float] | npt.NDArray[Any]
FileName: TypeAlias = str | os.PathLike[str]

_MAGIC = b"MATINDEX"
_MAX_ITEM = 2**31 - 1
_INDEX_METRICS: dict[Metric, IndexMetric] = {"angular": "cosine", "euclidean": "l2", "dot": "inner_product"}
_REMEDIES = {
    "manhattan": "use 'euclidean', or keep annoy for this index",
    "hamming": "use 'euclidean' on vectors of 0 and 1, whose squared distance is the number of bits that differ",
}

# Note [Lengths of angular vectors]
# Angles do not depend on lengths, and a cosine index does not keep them, but get_item_vector gives vectors back as they
# were added. Where they are not of length 1 anyway, the index therefore holds unit vectors with one more component,
# under inner product; queries have 0 there. The component is the length times a power of two, which costs no digit and
# makes it so small that 8-bit codes of the others stay as fine as they were.
_LENGTH_UNIT = np.float32(2.0**-64)
_UNIT_TOLERANCE = 1e-6


class AnnoyIndex:
    """Nearest neighbours among vectors under whole numbers from 0, with annoy's calls."""

    f: int
    _items: _Items
    _index: Index | None  # from build, save or load on
    _loaded: bool  # whether the items are in the index alone
    _disk: FileName | None  # where build writes to
    _num_items: int
    _num_trees: int

    def __init__(self, f: int, metric: str | None = None) -> None:
        """An empty index.

        Args:
            f: Components of a vector, at least 1.
            metric: ``"angular"``: sqrt(2 (1 - cosine)); a zero vector is sqrt(2) from everything. ``"euclidean"``.
                ``"dot"``: the inner product, for which more is nearer. Left out, as annoy allows with a warning:
                ``"angular"``.

        Raises:
            UnsupportedMetric: ``"manhattan"`` or ``"hamming"``.
            InvalidArgument: Another metric, or `f` below 1.
        """
        if metric is None:
            warnings.warn("AnnoyIndex: metric: pass metric='angular' explicitly", FutureWarning, stacklevel=2)
            metric = "angular"
        if metric in _REMEDIES:
            raise UnsupportedMetric(
                f"AnnoyIndex: metric: expected 'angular', 'euclidean' or 'dot', got {metric!r}; {_REMEDIES[metric]}"
            )
        if metric not in _INDEX_METRICS:
            raise InvalidArgument(f"AnnoyIndex: metric: expected 'angular', 'euclidean' or 'dot', got {metric!r}")
        self.f = operator.index(f)
        if self.f < 1:
            raise InvalidArgument(f"AnnoyIndex: f: expected at least 1, got {f}")
        self._metric: Metric = metric
        self._verbose = False
        self._reset()

    def add_item(self, i: int, vector: Vector) -> None:
        """Adds `vector`, `f` numbers, as item `i`, or puts it in the place of the one there.

        Numbers that are never added count as items, too, without ever being found; they cost nothing.

        Raises:
            NoSuchItem: `i` below 0.
            WrongLength: Another number of components.
            InvalidArgument: NaN, infinity, or more than 2**31 - 1 items.
            WrongState: After `build`, `save` or `load`.
        """
        if self._loaded:
            raise WrongState("AnnoyIndex.add_item: You can't add an item to a loaded index; unload() it first")
        if self._index is not None:
            raise WrongState("AnnoyIndex.add_item: You can't add an item to a built index; unbuild() it first")
        item = operator.index(i)
        if item < 0:
            raise NoSuchItem(f"AnnoyIndex.add_item: i: Item index can not be negative, got {i}")
        if item >= _MAX_ITEM:
            raise InvalidArgument(f"AnnoyIndex.add_item: i: expected less than {_MAX_ITEM}, got {i}")
        self._items.put(item, self._vector("add_item", vector))
        self._num_items = max(self._num_items, item + 1)

    def build(self, n_trees: int, n_jobs: int = -1) -> Literal[True]:
        """Builds the index; nothing can be added from then on.

        Args:
            n_trees: At least 1, or -1. There are no trees here; `get_n_trees` gives the number back.
            n_jobs: As many threads as the core has (``MATINEE_NUM_THREADS``) work, whatever this says.

        Raises:
            InvalidArgument: `n_trees` 0 or below -1.
            WrongState: On a built or loaded index.
            IoError: The file named by `on_disk_build` cannot be written.
        """
        trees = operator.index(n_trees)
        operator.index(n_jobs)
        if self._loaded:
            raise WrongState("AnnoyIndex.build: You can't build a loaded index; unload() it first")
        if self._index is not None:
            raise WrongState("AnnoyIndex.build: You can't build a built index; unbuild() it first")
        if trees < 1 and trees != -1:
            raise InvalidArgument(f"AnnoyIndex.build: n_trees: expected at least 1, or -1, got {n_trees}")
        ids, vectors = self._items.sorted()
        self._index = self._built(ids, vectors)
        self._num_trees = max(trees, 1)
        if self._disk is not None:
            self._index.save(self._disk)
            self._index = Index.open(self._disk)
        return True

    def unbuild(self) -> Literal[True]:
        """Goes back to before `build`, so that items can be added.

        Raises:
            WrongState: On an index that was saved or loaded.
        """
        if self._loaded:
            raise WrongState("AnnoyIndex.unbuild: You can't unbuild a loaded index; add the items to a new one")
        self._index = None
        self._num_trees = 0
        return True

    def save(self, fn: FileName, prefault: bool = False) -> Literal[True]:
        """Writes one file, whole or not at all, and goes on with it, as if loaded.

        It is a file of `matinee.Index`, not one that annoy reads. An index loaded from annoy's file is built first.

        Args:
            fn: The file.
            prefault: Read it at once; see `load`.

        Raises:
            NotBuilt: Before `build`.
            IoError: It cannot be written.
        """
        if self._index is None:
            raise NotBuilt("AnnoyIndex.save: You can't save an index that hasn't been built; build() it first")
        self._index.save(fn)
        self._open(fn, prefault)
        return True

    def load(self, fn: FileName, prefault: bool = False) -> Literal[True]:
        """Opens a file that `save` wrote, or annoy 1.17 with the same `f` and metric.

        Our file is mapped and ready at once. Of annoy's the items are read, an index of them is built in memory, and
        the file is not needed afterwards; `save` makes a file of ours of it.

        Args:
            fn: The file.
            prefault: Read all of it now, and compare it with its checksums.

        Raises:
            MissingFile: There is none.
            FileUnreadable: It is cut, damaged, foreign, or of another metric or dimension.
        """
        if _is_ours(fn):
            self._open(fn, prefault)
            return True
        read = read_annoy_file(fn, self.f, self._metric)
        index = self._built(read.ids, read.vectors)
        self._reset()
        self._index, self._loaded = index, True
        self._num_items, self._num_trees = read.num_items, read.num_trees
        return True

    def unload(self) -> Literal[True]:
        """Forgets everything: the index is as new."""
        self._reset()
        return True

    @overload
    def get_nns_by_item(
        self, i: int, n: int, search_k: int = ..., include_distances: Literal[False] = ...
    ) -> list[int]: ...
    @overload
    def get_nns_by_item(
        self, i: int, n: int, search_k: int = ..., *, include_distances: Literal[True]
    ) -> tuple[list[int], list[float]]: ...
    @overload
    def get_nns_by_item(
        self, i: int, n: int, search_k: int, include_distances: bool
    ) -> list[int] | tuple[list[int], list[float]]: ...
    def get_nns_by_item(
        self, i: int, n: int, search_k: int = -1, include_distances: bool = False
    ) -> list[int] | tuple[list[int], list[float]]:
        """The `n` items nearest to item `i`, itself among them; see `get_nns_by_vector`.

        Raises:
            NoSuchItem: `i` below 0 or above the largest item.
        """
        return self._nearest(self._item_vectors("get_nns_by_item", [i])[0], n, search_k, include_distances)

    @overload
    def get_nns_by_vector(
        self, vector: Vector, n: int, search_k: int = ..., include_distances: Literal[False] = ...
    ) -> list[int]: ...
    @overload
    def get_nns_by_vector(
        self, vector: Vector, n: int, search_k: int = ..., *, include_distances: Literal[True]
    ) -> tuple[list[int], list[float]]: ...
    @overload
    def get_nns_by_vector(
        self, vector: Vector, n: int, search_k: int, include_distances: bool
    ) -> list[int] | tuple[list[int], list[float]]: ...
    def get_nns_by_vector(
        self, vector: Vector, n: int, search_k: int = -1, include_distances: bool = False
    ) -> list[int] | tuple[list[int], list[float]]:
        """The `n` items nearest to `vector`, nearest first.

        Args:
            vector: `f` numbers.
            n: How many; fewer come where there are fewer. Below 0: all.
            search_k: Changes nothing; all items are compared.
            include_distances: Also their distances, in annoy's convention; see the constructor.

        Returns:
            Items, or (items, distances). Empty before `build`, as in annoy.

        Raises:
            WrongLength: Another number of components.
            InvalidArgument: NaN or infinity.
        """
        return self._nearest(self._vector("get_nns_by_vector", vector), n, search_k, include_distances)

    def get_item_vector(self, i: int, /) -> list[float]:
        """The vector of item `i`, as it was added; zeros for a number below the largest that was never added.

        After `save` or `load`, vectors of an angular index may differ in their last bit.

        Raises:
            NoSuchItem: `i` below 0 or above the largest item.
        """
        found: list[float] = self._item_vectors("get_item_vector", [i])[0].tolist()
        return found

    def get_distance(self, i: int, j: int, /) -> float:
        """The distance between two items, in annoy's convention; see the constructor.

        Raises:
            NoSuchItem: An item below 0 or above the largest.
        """
        one, other = self._item_vectors("get_distance", [i, j])
        return float(self._distances(one, other[np.newaxis])[0])

    def get_n_items(self) -> int:
        """The largest item and one; numbers that were never added count."""
        return self._num_items

    def get_n_trees(self) -> int:
        """What `build` was told (1 for -1), or what a file of annoy has; 1 for a file of ours, 0 without an index."""
        return self._num_trees

    def on_disk_build(self, fn: FileName) -> Literal[True]:
        """`build` will write the index to this file and go on with it, without needing `save`.

        Raises:
            IoError: The file cannot be written.
        """
        try:
            Path(fn).write_bytes(b"")
        except OSError as error:
            raise IoError(f"AnnoyIndex.on_disk_build: fn: {os.fspath(fn)!r}: {error.strerror}") from error
        self._disk = fn
        return True

    def verbose(self, v: bool, /) -> Literal[True]:
        """Whether `build` tells on stderr how far it is."""
        self._verbose = bool(v)
        return True

    def set_seed(self, s: int, /) -> None:
        """Changes nothing: the same items give the same index."""
        operator.index(s)

    def _reset(self) -> None:
        self._items = _Items(self.f)
        self._index = None
        self._loaded = False
        self._disk = None
        self._num_items = 0
        self._num_trees = 0

    def _vector(self, call: str, vector: Vector) -> Floats:
        """(f,) of what the caller gave, checked."""
        if len(vector) != self.f:
            raise WrongLength(
                f"AnnoyIndex.{call}: vector: Vector has wrong length (expected {self.f}, got {len(vector)})"
            )
        with np.errstate(over="ignore"):  # what does not fit is infinite, and refused
            array = np.asarray(vector)
            if array.dtype.kind not in "fiub" or array.ndim != 1:
                raise TypeError(
                    f"AnnoyIndex.{call}: vector: expected ({self.f},) numbers, got {array.dtype} {array.shape}"
                )
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise InvalidArgument(f"AnnoyIndex.{call}: vector: expected finite numbers, got NaN or infinity")
        return array

    def _item_vectors(self, call: str, items: Sequence[int]) -> Floats:
        """(n, f) vectors of items that the caller named, which are checked."""
        for item in items:
            if operator.index(item) < 0:
                raise NoSuchItem(f"AnnoyIndex.{call}: i: Item index can not be negative, got {item}")
            if item >= self._num_items:
                raise NoSuchItem(
                    f"AnnoyIndex.{call}: i: Item index larger than the largest item index: expected less than "
                    f"{self._num_items}, got {item}"
                )
        return self._vectors(items)

    def _nearest(
        self, vector: Floats, n: int, search_k: int, include_distances: bool
    ) -> list[int] | tuple[list[int], list[float]]:
        n = operator.index(n)
        operator.index(search_k)
        items: list[int] = []
        distances: list[float] = []
        if self._index is not None and len(self._index) and n:
            found = self._index.search(self._query(self._index, vector), n if n > 0 else len(self._index))
            items = found.ids[0, : found.counts[0]].tolist()
            if include_distances:
                exact = self._distances(vector, self._vectors(items))
                # The order is the index's; what rounding says otherwise about neighbours in it is not told.
                further = np.minimum if self._metric == "dot" else np.maximum
                distances = further.accumulate(exact).tolist()
        return (items, distances) if include_distances else items

    def _distances(self, vector: Floats, others: Floats) -> npt.NDArray[np.float64]:
        """(n,) distances of (n, f) vectors, in annoy's convention."""
        one, many = vector.astype(np.float64), others.astype(np.float64)
        distances: npt.NDArray[np.float64]
        if self._metric == "dot":
            distances = many @ one
        elif self._metric == "euclidean":
            distances = np.linalg.norm(many - one, axis=1)
        else:
            distances = np.linalg.norm(_unit(many) - _unit(one[np.newaxis]), axis=1)
            distances[~many.any(axis=1) | ~one.any()] = np.sqrt(2.0)  # without a direction, the cosine is 0
        return distances

    def _built(self, ids: npt.NDArray[np.int64], vectors: Floats) -> Index:
        """An index of (n, f) vectors; see Note [Lengths of angular vectors]."""
        tell = _tell if self._verbose else None
        metric = _INDEX_METRICS[self._metric]
        if self._metric == "angular":
            lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
            if (np.abs(lengths[lengths > 0] - 1) > _UNIT_TOLERANCE).any():
                vectors = np.column_stack([_unit(vectors), lengths.astype(np.float32) * _LENGTH_UNIT])
                metric = "inner_product"
        rows = np.ascontiguousarray(vectors, np.float32)
        # Of any size: a partitioned index rounds vectors, and annoy's users get back what they added.
        return Index.build(rows, ids, metric=metric, kind="exact", progress=tell)

    def _query(self, index: Index, vector: Floats) -> Floats:
        """`vector` as `index` compares it."""
        if index.dimension == self.f:
            return vector
        return np.append(_unit(vector[np.newaxis])[0], 0).astype(np.float32)

    def _vectors(self, items: Sequence[int]) -> Floats:
        """(n, f) vectors as they were added, zeros for numbers that never were."""
        if not self._loaded:
            return np.stack([self._items.get(item) for item in items])
        index = self._index
        assert index is not None
        try:
            rows = index.vectors(np.asarray(items, np.int64))
        except NotFound:
            rows = np.zeros((len(items), index.dimension), np.float32)
            for row, item in enumerate(items):
                with suppress(NotFound):
                    rows[row] = index.vectors([item])[0]
        if index.dimension == self.f:
            return rows
        return rows[:, : self.f] * (rows[:, self.f :] / _LENGTH_UNIT)

    def _open(self, fn: FileName, prefault: bool) -> None:
        """Goes on with a file of ours."""
        try:
            index = Index.open(fn, verify="full" if prefault else "fast")
        except FormatError as error:
            raise FileUnreadable(str(error)) from error
        expected = {(_INDEX_METRICS[self._metric], self.f)}
        if self._metric == "angular":
            expected.add(("inner_product", self.f + 1))
        if (index.metric, index.dimension) not in expected:
            raise FileUnreadable(
                f"AnnoyIndex.load: fn: {os.fspath(fn)!r}: expected an index of f={self.f}, metric={self._metric!r}, "
                f"got dimension {index.dimension}, metric {index.metric!r}"
            )
        self._reset()
        self._index, self._loaded = index, True
        self._num_items = int(index.ids.max(initial=-1)) + 1
        self._num_trees = 1


class _Items:
    """Vectors (f,) by item, before there is an index."""

    def __init__(self, f: int) -> None:
        self._rows: dict[int, int] = {}
        self._vectors = np.zeros((0, f), np.float32)  # (capacity, f), rows in the order they were added

    def put(self, item: int, vector: Floats) -> None:
        row = self._rows.setdefault(item, len(self._rows))
        if row == len(self._vectors):
            grown = np.zeros((max(64, 2 * row), self._vectors.shape[1]), np.float32)
            grown[:row] = self._vectors
            self._vectors = grown
        self._vectors[row] = vector

    def get(self, item: int) -> Floats:
        row = self._rows.get(item)
        vector: Floats = np.zeros(self._vectors.shape[1], np.float32) if row is None else self._vectors[row]
        return vector

    def sorted(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """Items (n,) in rising order, which decides between equal distances, and their vectors (n, f)."""
        items = sorted(self._rows)
        rows = [self._rows[item] for item in items]
        return np.array(items, np.int64), self._vectors[np.array(rows, np.int64)]


def _unit(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(n, f) vectors made as long as 1; zeros stay."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: npt.NDArray[np.float64] = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    return unit


def _is_ours(fn: FileName) -> bool:
    """Whether the file begins as an index file of ours; False where it cannot be read."""
    try:
        with Path(fn).open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _tell(what: str, done: int, total: int) -> None:
    print(f"AnnoyIndex.build: {what}: {done:,} of {total:,}", file=sys.stderr)


__all__ = [
    "AnnoyIndex",
    "FileUnreadable",
    "MissingFile",
    "NoSuchItem",
    "NotBuilt",
    "UnsupportedMetric",
    "WrongLength",
    "WrongState",
]
