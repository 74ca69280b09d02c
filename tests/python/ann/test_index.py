"""The index against numpy, which compares everything."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import matinee
from matinee.index import Metric

Array = npt.NDArray[Any]
METRICS: list[Metric] = ["cosine", "inner_product", "l2"]


def unit(rows: Array) -> Array:
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros(rows.shape), where=norms > 0).astype(np.float32)


def all_scores(vectors: Array, queries: Array, metric: Metric) -> Array:
    """(Q, N) float32, made in float64."""
    if metric == "cosine":
        vectors, queries = unit(vectors), unit(queries)
    a, b = queries.astype(np.float64), vectors.astype(np.float64)
    if metric == "l2":
        return np.stack([0.0 - ((b - query) ** 2).sum(axis=1) for query in a]).astype(np.float32)
    return (a @ b.T).astype(np.float32)


def brute_force(scores: Array, k: int, mask: Array | None = None) -> tuple[list[int], list[float]]:
    """Rows and scores of one query's best, equal scores by row."""
    order = np.argsort(-scores, kind="stable")
    if mask is not None:
        order = order[mask[order]]
    return order[:k].tolist(), scores[order[:k]].tolist()


def found(neighbors: matinee.Neighbors, query: int) -> tuple[list[int], list[float]]:
    pairs = neighbors.pairs(query)
    return [row for row, _ in pairs], [score for _, score in pairs]


def real_looking(count: int, dimension: int, seed: int) -> Array:
    """Vectors in clusters, some of them repeated, a few of them zero."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, dimension))
    rows = centres[rng.integers(0, 12, count)] + rng.normal(size=(count, dimension)) * rng.choice(
        [0.01, 0.5], (count, 1)
    )
    rows[rng.integers(0, count, count // 10)] = rows[rng.integers(0, count, count // 10)]
    rows[rng.integers(0, count, 3)] = 0
    return rows.astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("count", "dimension"), [(5, 3), (1000, 100), (6000, 384), (2000, 1280)])
def test_search_gives_what_comparing_everything_gives(metric: Metric, count: int, dimension: int) -> None:
    vectors, queries = real_looking(count, dimension, 1), real_looking(20, dimension, 2)
    queries[:5] = vectors[:5]
    index = matinee.Index.build(vectors, metric=metric)
    scores = all_scores(vectors, queries, metric)
    for k in (1, 10, 200):
        neighbors = index.search(queries, k)
        assert neighbors.ids.shape == neighbors.scores.shape == (20, min(k, count))
        for q in range(20):
            assert found(neighbors, q) == brute_force(scores[q], k)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.004, 0.0])
def test_a_filter_gives_the_best_of_what_it_allows(metric: Metric, share: float) -> None:
    vectors, queries = real_looking(3000, 48, 3), real_looking(4, 48, 4)
    ids = np.random.default_rng(0).permutation(10_000)[:3000].astype(np.int64) * 1_000_000_007
    index = matinee.Index.build(vectors, ids, metric=metric)
    scores = all_scores(vectors, queries, metric)
    masks = np.random.default_rng(5).random((4, 3000)) < share
    strangers = np.array([1, 2, 3], np.int64)  # in no index
    one = masks[0]
    answers = {
        "mask": (index.search(queries, 25, allow=one), [one] * 4),
        "masks": (index.search(queries, 25, allow=masks), list(masks)),
        "ids": (index.search(queries, 25, allow=np.concatenate([ids[one], strangers])), [one] * 4),
        "id sets": (index.search(queries, 25, allow=[ids[mask] for mask in masks]), list(masks)),
    }
    for name, (neighbors, expected) in answers.items():
        for q, mask in enumerate(expected):
            rows, values = brute_force(scores[q], 25, mask)
            assert found(neighbors, q) == (ids[rows].tolist(), values), name
            count = min(25, int(mask.sum()))
            assert neighbors.counts[q] == count
            assert (neighbors.ids[q, count:] == -1).all()
            assert (neighbors.scores[q, count:] == -np.inf).all()


finite = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), metric=st.sampled_from(METRICS))
def test_any_vectors_are_ranked_as_by_comparing_everything(data: st.DataObject, metric: Metric) -> None:
    dimension = data.draw(st.integers(1, 9))
    values = st.lists(finite, min_size=dimension, max_size=dimension)
    vectors = np.array(data.draw(st.lists(values, min_size=1, max_size=40)), np.float32)
    queries = np.array(data.draw(st.lists(values, min_size=1, max_size=5)), np.float32)
    k = data.draw(st.integers(1, 45))
    neighbors = matinee.Index.build(vectors, metric=metric).search(queries, k)
    scores = all_scores(vectors, queries, metric)
    for q in range(len(queries)):
        ids, values_found = found(neighbors, q)
        assert len(set(ids)) == min(k, len(vectors))
        # Sums of very different numbers depend on their order in the last bit, here as in numpy; so compare values.
        expected = np.sort(scores[q])[::-1][: len(ids)]
        np.testing.assert_allclose(values_found, expected, rtol=1e-6, atol=1e-6 * float(np.abs(scores[q]).max() + 1e-9))
        np.testing.assert_allclose(
            scores[q][ids], values_found, rtol=1e-6, atol=1e-30 + 1e-9 * float(np.abs(scores).max())
        )


def test_one_query_may_be_a_single_row() -> None:
    vectors = real_looking(50, 8, 1)
    index = matinee.Index.build(vectors)
    assert index.search(vectors[7], 3).ids.tolist() == index.search(vectors[7:8], 3).ids.tolist()
    assert index.search(vectors[7], 3).ids.shape == (1, 3)


def test_rows_and_queries_may_be_views_of_larger_arrays() -> None:
    vectors = real_looking(60, 16, 1)
    plain = matinee.Index.build(vectors[::3, 4:12].copy()).search(vectors[:5, 4:12].copy(), 4)
    views = matinee.Index.build(vectors[::3, 4:12]).search(vectors[:5, 4:12], 4)
    assert plain.ids.tolist() == views.ids.tolist()
    backwards = matinee.Index.build(vectors[::-1]).search(vectors[0], 1)
    assert backwards.ids.tolist() == [[matinee.Index.build(vectors[::-1].copy()).search(vectors[0], 1).ids[0, 0]]]


@pytest.mark.parametrize("verify", ["fast", "full"])
@pytest.mark.parametrize("metric", METRICS)
def test_a_saved_index_answers_as_before(tmp_path: Path, metric: Metric, verify: Any) -> None:
    vectors, queries = real_looking(700, 20, 1), real_looking(5, 20, 2)
    ids = np.arange(700)[::-1] * 3
    index = matinee.Index.build(vectors, ids, metric=metric)
    index.save(tmp_path / "films.index")
    opened = matinee.Index.open(tmp_path / "films.index", verify=verify)
    assert (len(opened), opened.dimension, opened.metric) == (700, 20, metric)
    assert opened.ids.tolist() == ids.tolist()
    before, after = index.search(queries, 9), opened.search(queries, 9)
    assert (before.ids == after.ids).all()
    assert (before.scores == after.scores).all()
    assert (index.vectors(ids[:9]) == opened.vectors(ids[:9])).all()


def test_vectors_come_back_as_stored() -> None:
    vectors = real_looking(30, 6, 1)
    ids = np.arange(100, 130)
    as_given = matinee.Index.build(vectors, ids, metric="l2")
    assert (as_given.vectors([107, 100, 107]) == vectors[[7, 0, 7]]).all()
    assert as_given.vectors([]).shape == (0, 6)
    np.testing.assert_allclose(matinee.Index.build(vectors, ids).vectors(ids), unit(vectors), rtol=0, atol=1e-7)
    with pytest.raises(matinee.NotFound, match="99"):
        as_given.vectors([100, 99])


def test_the_ids_are_a_copy_by_row() -> None:
    index = matinee.Index.build(real_looking(30, 6, 1), np.arange(30) * 2)
    ids = index.ids
    assert ids.tolist() == list(range(0, 60, 2))
    ids[0] = 5
    assert index.ids[0] == 0


VECTORS = real_looking(10, 4, 1)
NAN = np.where(np.arange(40).reshape(10, 4) == 21, np.nan, VECTORS).astype(np.float32)  # row 5, column 1


@pytest.mark.parametrize(
    ("vectors", "ids", "message"),
    [
        (VECTORS.astype(np.float64), None, r"expected \(N, D\) float32, got \(10, 4\) float64"),
        (VECTORS[0], None, r"got \(4,\) float32"),
        (VECTORS.tolist(), None, "got list"),
        (VECTORS[:, :0], None, "1..65536 columns, got 0"),
        (NAN, None, "nan in row 5, column 1"),
        (VECTORS, np.arange(9), "expected 10, one for each vector, got 9"),
        (VECTORS, np.zeros(10, np.int64), "got 0 twice"),
        (VECTORS, np.arange(10) - 1, "expected no -1"),
        (VECTORS, np.arange(10.0), r"expected \(n,\) int64, got \(10,\) float64"),
        (VECTORS, np.ones(10, bool), r"expected \(n,\) int64"),
        (VECTORS, np.arange(10, dtype=np.uint64), r"expected \(n,\) int64, got \(10,\) uint64"),
        (VECTORS, np.arange(10).reshape(2, 5), r"expected \(n,\) int64"),
        (VECTORS, ["a"] * 10, r"expected \(n,\) int64"),
    ],
)
def test_what_cannot_be_indexed_is_a_typed_error(vectors: Any, ids: Any, message: str) -> None:
    with pytest.raises(matinee.InvalidArgument, match=message):
        matinee.Index.build(vectors, ids)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k: expected a whole number, at least 1, got 0"),
        ({"k": -3}, "got -3"),
        ({"k": 2.5}, "got 2.5"),
        ({"queries": VECTORS[:, :3].copy()}, r"expected \(Q, 4\), got \(10, 3\)"),
        ({"queries": VECTORS.astype(np.float64)}, "float64"),
        ({"queries": NAN}, "nan in row 5"),
        ({"queries": VECTORS[0].tolist()}, "got list"),
        ({"allow": np.ones(9, bool)}, "10 rows, got 9"),
        ({"allow": np.ones((2, 10), bool)}, "one for each of 10 queries, got 2"),
        ({"allow": np.ones((1, 10), bool)}, "one for each of 10 queries, got 1"),
        ({"allow": np.ones((1, 1, 10), bool)}, "bool"),
        ({"allow": []}, "one for each of 10 queries, got 0"),
        ({"allow": [np.arange(3)]}, "one for each of 10 queries, got 1"),
        ({"allow": np.ones(10)}, "int64"),
        ({"allow": "all"}, "got str"),
    ],
)
def test_a_wrong_question_is_a_typed_error(arguments: dict[str, Any], message: str) -> None:
    index = matinee.Index.build(VECTORS)
    with pytest.raises(matinee.InvalidArgument, match=message):
        index.search(**{"queries": VECTORS, "k": 3, **arguments})


def test_unknown_metrics_and_checks_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(matinee.InvalidArgument, match="cosine, inner_product or l2, got 'dot'"):
        matinee.Index.build(VECTORS, metric="dot")  # type: ignore[arg-type]
    matinee.Index.build(VECTORS).save(tmp_path / "a.index")
    with pytest.raises(matinee.InvalidArgument, match="fast or full"):
        matinee.Index.open(tmp_path / "a.index", verify="some")  # type: ignore[arg-type]


def test_more_neighbours_than_rows_gives_every_row() -> None:
    index = matinee.Index.build(VECTORS)
    assert sorted(index.search(VECTORS[0], 10**30).ids[0].tolist()) == list(range(10))


def test_an_empty_index_finds_nothing() -> None:
    index = matinee.Index.build(VECTORS[:0])
    neighbors = index.search(VECTORS, 3)
    assert (neighbors.ids.shape, neighbors.counts.tolist()) == ((10, 0), [0] * 10)
    assert len(matinee.Index.build(VECTORS).search(VECTORS[:0], 3)) == 0


def test_damaged_and_foreign_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "films.index"
    matinee.Index.build(VECTORS).save(path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(matinee.FormatError, match=r"films\.index"):
            matinee.Index.open(path, verify="full")
    for size in range(0, len(whole), 11):
        path.write_bytes(whole[:size])
        with pytest.raises(matinee.FormatError, match=r"films\.index"):
            matinee.Index.open(path)
    with pytest.raises(matinee.NotFound):
        matinee.Index.open(tmp_path / "none.index")
    with pytest.raises(matinee.IoError):
        matinee.Index.open(tmp_path)


def test_progress_is_told_and_its_error_stops_the_build() -> None:
    told: list[tuple[str, int, int]] = []
    vectors = np.ones((30_000, 2), np.float32)
    matinee.Index.build(vectors, progress=lambda *step: told.append(step))
    assert told[-1] == ("vectors", 30_000, 30_000)
    assert all(a[1] < b[1] for a, b in itertools.pairwise(told))

    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        matinee.Index.build(vectors, progress=stop)


def test_many_threads_search_one_index_on_the_asked_number_of_compute_threads() -> None:
    """In a process of its own: 16 callers, and no more new threads than were asked for."""
    script = """
import os, threading
import numpy as np
import matinee
from matinee import _core
_core.set_num_threads(2)
vectors = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32)
index = matinee.Index.build(vectors)
expected = index.search(vectors[:8], 10).ids
before = len(os.listdir("/proc/self/task"))
most, wrong = [0], []
def call():
    for _ in range(10):
        if not (index.search(vectors[:8], 10).ids == expected).all():
            wrong.append(1)
        most[0] = max(most[0], len(os.listdir("/proc/self/task")))
callers = [threading.Thread(target=call) for _ in range(16)]
[c.start() for c in callers]
[c.join() for c in callers]
assert not wrong
assert most[0] <= before + 16, (before, most)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("level", ["scalar", "avx2", "avx512", "avx512_vnni"])
def test_every_instruction_level_gives_the_same_bits(level: str, tmp_path: Path) -> None:
    script = f"""
import numpy as np
import matinee
rng = np.random.default_rng(0)
vectors = rng.normal(size=(3000, 77)).astype(np.float32)
found = matinee.Index.build(vectors, metric="l2").search(vectors[:50] + np.float32(0.25), 20)
np.savez({str(tmp_path / level)!r}, ids=found.ids, scores=found.scores)
"""
    environment = {**os.environ, "MATINEE_MAX_CPU_ISA": level}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 77)).astype(np.float32)
    here = matinee.Index.build(vectors, metric="l2").search(vectors[:50] + np.float32(0.25), 20)
    there = np.load(tmp_path / f"{level}.npz")
    assert (there["ids"] == here.ids).all()
    assert (there["scores"] == here.scores).all()


def test_results_print_their_shapes() -> None:
    index = matinee.Index.build(VECTORS)
    assert repr(index) == "Index(10 vectors, dimension=4, metric='cosine', kind='exact')"
    assert repr(index.search(VECTORS, 2)) == "Neighbors(ids=(10, 2) int64, counts=(10,))"
    with pytest.raises(matinee.InvalidArgument, match="Neighbors"):
        matinee.Neighbors(np.zeros((2, 3), np.int64), np.zeros((2, 2), np.float32), np.zeros(2, np.int64))
