"""Reads the files that annoy 1.17 wrote.

Such a file is an array of nodes of one size and nothing else: first the items, by id, where an id that was never added
is a node of zeros; then the nodes of the trees; then a copy of every tree's root, by which annoy finds how many items
there are. A node begins with the number of items below it (1: it is an item, its vector follows); a node with few of
them lists them where others have their vector. There is no header, so what a file means follows from the metric and
dimension that the reader expects, and everything that must hold then is checked before anything is used.

Source: src/annoylib.h of annoy 1.17.3.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from matinee.annoy.errors import FileUnreadable, MissingFile
from matinee.errors import IoError

Metric: TypeAlias = Literal["angular", "euclidean", "dot"]

# Bytes of a node before its vector, and before its children (two node numbers, or the list of items below).
_HEADERS: dict[Metric, tuple[int, int]] = {
    "angular": (12, 4),  # descendants, children (of an item: its squared length)
    "euclidean": (16, 8),  # descendants, offset of the plane, children
    "dot": (16, 4),  # descendants, children, the component that makes all lengths equal
}
_STEP = 4096  # nodes looked at together
_ROUNDING = 1e-3  # of annoy's sums in float32, relative


@dataclass(frozen=True)
class AnnoyFile:
    """What of a file is kept: the items. Our index has no trees."""

    ids: npt.NDArray[np.int64]  # (n,), rising
    vectors: npt.NDArray[np.float32]  # (n, f), as they were added
    num_items: int  # ids are below it; the last one may never have been added
    num_trees: int


def read_annoy_file(path: str | os.PathLike[str], f: int, metric: Metric) -> AnnoyFile:
    """The items of a file of annoy 1.17 with vectors of `f` components.

    Raises:
        MissingFile: There is no such file.
        FileUnreadable: It is cut or damaged, or was written with another `f` or metric.
        IoError: The system refuses to read it.
    """
    node = _node_type(f, metric)
    try:
        size = Path(path).stat().st_size
        nodes = np.memmap(path, node, "r") if size and size % node.itemsize == 0 else None
    except FileNotFoundError as error:
        raise MissingFile(f"AnnoyIndex.load: fn: expected a file, got {os.fspath(path)!r}; there is none") from error
    except OSError as error:
        raise IoError(f"AnnoyIndex.load: fn: {os.fspath(path)!r} cannot be read: {error.strerror}") from error
    try:
        _expect(nodes is not None, f"a multiple of {node.itemsize} bytes", f"{size}")
        assert nodes is not None
        num_items = int(nodes["descendants"][-1])  # the last node is the copy of a root
        _expect(0 < num_items < len(nodes), f"1 … {len(nodes) - 1} items", f"{num_items}")
        _check_items(nodes[:num_items], metric)
        num_trees = _check_trees(nodes, num_items)
    except _Unexpected as error:
        raise FileUnreadable(
            f"AnnoyIndex.load: fn: {os.fspath(path)!r}: {error}; is it a file of annoy 1.17 or of Matinee, whole, and "
            f"written with f={f} and metric={metric!r}?"
        ) from None
    ids = np.flatnonzero(nodes["descendants"][:num_items])
    return AnnoyFile(ids.astype(np.int64), nodes["vector"][ids], num_items, num_trees)


def _node_type(f: int, metric: Metric) -> np.dtype[np.void]:
    """A node; the list of items overlaps the vector."""
    before_vector, before_children = _HEADERS[metric]
    size = before_vector + 4 * f
    return np.dtype(
        {
            "names": ["descendants", "children", "vector"],
            "formats": ["<i4", ("<i4", ((size - before_children) // 4,)), ("<f4", (f,))],
            "offsets": [0, before_children, before_vector],
            "itemsize": size,
        }
    )


class _Unexpected(Exception):
    """What was expected, and what is there."""


def _expect(met: bool | np.bool_, expected: str, got: str) -> None:
    if not met:
        raise _Unexpected(f"expected {expected}, got {got}")


def _check_items(items: npt.NDArray[np.void], metric: Metric) -> None:
    """Items are items or gaps, their vectors finite, and what annoy keeps of a vector besides agrees with it."""
    squares = np.empty(len(items))  # of the lengths
    further = np.zeros(len(items))  # what metric dot adds to them
    for start in range(0, len(items), _STEP):
        some = items[start : start + _STEP]
        there = some["descendants"] == 1
        _expect((there | (some["descendants"] == 0)).all(), f"{len(items)} items", "a node of a tree among them")
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged number is anything
            square = (some["vector"].astype(np.float64) ** 2).sum(axis=1)
            children = some["children"][:, :3]
            kept = np.ascontiguousarray(children).view("<f4").astype(np.float64)
            _expect(np.isfinite(square).all(), "finite vectors", "NaN or infinity")
            _expect(not square[~there].any(), "zeros where no item was added", "others")
            if metric == "angular":
                agrees = np.isclose(kept[:, 0], square, rtol=_ROUNDING, atol=1e-30)
                _expect(agrees.all(), "the squared length before every vector", "another number")
            else:
                _expect(not children[:, :2].any(), "items without children", "others")
            squares[start : start + _STEP] = square
            if metric == "dot":
                further[start : start + _STEP] = kept[:, 2] ** 2
    if metric == "dot":
        agrees = np.isclose(squares + further, squares.max(), rtol=_ROUNDING)
        _expect(agrees.all(), "vectors that a further component makes equally long", "others")


def _check_trees(nodes: npt.NDArray[np.void], num_items: int) -> int:
    """Every tree holds every item once, and its root is copied to the end; how many trees there are."""
    descendants = nodes["descendants"]
    there = descendants[:num_items] == 1
    inner = descendants[num_items:]
    in_range = (inner >= 1) & (inner <= num_items)
    _expect(in_range.all(), f"1 … {num_items} items below each node", f"{inner.min()} … {inner.max()}")
    # Of a root, annoy counts the numbers that were never added, too.
    roots = num_items + np.flatnonzero(inner == num_items)
    num_trees = len(roots) // 2
    end = len(nodes) - num_trees
    copied = [sorted(nodes[root].tobytes() for root in some) for some in (roots[:num_trees], roots[num_trees:])]
    at_the_end = np.array_equal(roots[num_trees:], np.arange(end, len(nodes)))
    _expect(at_the_end and copied[0] == copied[1], "a copy of every tree's root at the end", "others")

    capacity = nodes.dtype["children"].shape[0]
    present = int(there.sum())
    named = np.zeros(len(nodes), np.int64)  # how often a node is somebody's child
    for start in range(num_items, end, _STEP):
        below = descendants[start : min(start + _STEP, end)]
        children = nodes["children"][start : min(start + _STEP, end)]
        lists = (below <= capacity) | ((below == num_items) & (present == 1))
        length = np.where(lists, np.minimum(below, present), 2)
        used = children[np.arange(capacity) < length[:, np.newaxis]]
        in_range = (used >= 0) & (used < end)
        _expect(in_range.all(), f"numbers of nodes, below {end}", f"{used.min()} … {used.max()}")
        named += np.bincount(used, minlength=len(nodes))
    expected = np.ones(len(nodes), np.int64)
    expected[:num_items] = there * num_trees
    expected[roots] = 0
    _expect(np.array_equal(named, expected), "every item once in every tree", "others")
    return num_trees
