"""The partitioned index against the exact one, which compares everything."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import matinee
from matinee.index import Metric

Array = npt.NDArray[Any]
METRICS: list[Metric] = ["cosine", "inner_product", "l2"]


def clustered(count: int, dimension: int, seed: int) -> Array:
    """Rows around the same centres for every seed."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(20, dimension))
    return (centres[rng.integers(0, 20, count)] + rng.normal(size=(count, dimension)) / 2).astype(np.float32)


def recall(found: matinee.Neighbors, truth: matinee.Neighbors) -> float:
    hits = [len({i for i, _ in found.pairs(q)} & {i for i, _ in truth.pairs(q)}) for q in range(len(truth))]
    return sum(hits) / int(truth.counts.sum())


@pytest.fixture(scope="module")
def rows() -> Array:
    return clustered(3000, 48, 1)


@pytest.mark.parametrize("metric", METRICS)
def test_looking_everywhere_finds_what_the_exact_index_finds(rows: Array, metric: Metric) -> None:
    queries = clustered(50, 48, 2)
    index = matinee.Index.build(rows, metric=metric, kind="partitioned")
    truth = matinee.Index.build(rows, metric=metric, kind="exact").search(queries)
    found = index.search(queries, recall=1)
    assert recall(found, truth) >= 0.99
    same = found.ids == truth.ids
    np.testing.assert_allclose(found.scores[same], truth.scores[same], atol=5e-4 if metric == "cosine" else 0.05)
    few, many = (recall(index.search(queries, num_probes=n), truth) for n in (1, 40))
    assert few < many


def test_auto_chooses_by_size() -> None:
    small = clustered(100, 16, 3)
    assert matinee.Index.build(small).kind == "exact"
    assert matinee.Index.build(small).num_partitions == 0
    large = np.zeros((20_000, 384), np.float32)
    large[:, 0] = np.arange(len(large))
    index = matinee.Index.build(large, kind="auto", num_partitions=20, metric="l2")
    assert (index.kind, index.num_partitions) == ("partitioned", 20)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
def test_a_filter_gives_as_many_as_it_allows(rows: Array, metric: Metric, share: float) -> None:
    queries = clustered(30, 48, 4)
    mask = np.random.default_rng(5).random(len(rows)) < share
    index = matinee.Index.build(rows, metric=metric, kind="partitioned")
    truth = matinee.Index.build(rows, metric=metric, kind="exact").search(queries, allow=mask)
    for allow in (mask, np.flatnonzero(mask), index.prepare(mask), index.prepare(np.flatnonzero(mask))):
        found = index.search(queries, allow=allow)
        assert found.counts.tolist() == truth.counts.tolist()
        assert recall(found, truth) >= 0.9
        assert mask[found.ids[found.ids >= 0]].all()
    of_each = index.search(queries, allow=np.tile(mask, (30, 1)))
    assert of_each.counts.tolist() == truth.counts.tolist()


@pytest.mark.parametrize("kind", ["exact", "partitioned"])
def test_a_prepared_filter_is_good_for_its_index_only(rows: Array, kind: Any) -> None:
    index, other = (matinee.Index.build(rows[:50], kind=kind) for _ in range(2))
    prepared = index.prepare(np.array([3, 4]))
    assert repr(prepared) == "PreparedFilter(2 ids)"
    assert sorted(index.search(rows[0], 2, allow=prepared).ids[0].tolist()) == [3, 4]
    with pytest.raises(matinee.InvalidArgument, match="this index prepared"):
        other.search(rows[0], 2, allow=prepared)
    with pytest.raises(matinee.InvalidArgument, match="each of 50 rows"):
        index.prepare(np.ones(49, bool))


def test_a_prepared_filter_goes_on_to_allow_its_ids(rows: Array) -> None:
    index = matinee.Index.build(rows[:1000], metric="l2", kind="partitioned")
    prepared = index.prepare(np.array([3, 500, 2000]))
    index.add(rows[2000:2001], [2000])
    index.update(rows[2500:2501], [3])
    index.delete([500, 7])
    assert index.search(rows[2500], 5, allow=prepared).pairs()[0] == (3, pytest.approx(0, abs=0.01))
    assert sorted(i for i, _ in index.search(rows[0], 5, allow=prepared).pairs()) == [3, 2000]


def test_vectors_come_back_nearly_as_they_were(rows: Array) -> None:
    index = matinee.Index.build(rows, metric="l2", kind="partitioned")
    back = index.vectors([7, 0, 2999])
    tolerance = np.abs(rows[[7, 0, 2999]]).max(axis=1, keepdims=True) / 4000
    assert (np.abs(back - rows[[7, 0, 2999]]) <= tolerance).all()


def test_changes_are_seen_saved_and_opened(rows: Array, tmp_path: Path) -> None:
    index = matinee.Index.build(rows[:1000], metric="l2", kind="partitioned")
    index.add(rows[1000:1010], np.arange(1000, 1010))
    index.update(rows[2000:2001], [3])
    index.delete([5, 1003])
    assert len(index) == 1008
    assert set(index.ids.tolist()) == set(range(1010)) - {5, 1003}
    assert index.search(rows[1004], 1, recall=1).ids[0, 0] == 1004
    assert index.search(rows[2000], 1, recall=1).ids[0, 0] == 3
    assert index.search(rows[5], 1, recall=1).ids[0, 0] != 5
    index.save(tmp_path / "changed.index")
    opened = matinee.Index.open(tmp_path / "changed.index", verify="full")
    queries = rows[:100]
    np.testing.assert_array_equal(opened.search(queries, recall=1).ids, index.search(queries, recall=1).ids)
    opened.delete([3])
    assert len(opened) == 1007
    assert len(matinee.Index.open(tmp_path / "changed.index")) == 1008


def test_searches_go_on_while_rows_come_and_go(rows: Array) -> None:
    index = matinee.Index.build(rows[:1500], metric="l2", kind="partitioned")
    stop = threading.Event()
    wrong: list[str] = []

    def search() -> None:
        while not stop.is_set():
            found = index.search(rows[:20], 3000, recall=1)
            for query in range(20):
                ids = found.ids[query, : found.counts[query]]
                if len(np.unique(ids)) != len(ids) or not np.isin(np.arange(1500), ids).all():
                    wrong.append(f"{len(ids)} ids, {len(np.unique(ids))} of them different")

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(1500, 2500, 20):
        index.add(rows[start : start + 20], np.arange(start, start + 20))
        index.delete(np.arange(start, start + 10))
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(index) == 2000


def test_calibrating_looks_as_far_as_the_queries_need(rows: Array) -> None:
    index = matinee.Index.build(rows, kind="partitioned")
    queries = np.random.default_rng(6).normal(size=(200, 48)).astype(np.float32)  # of another kind than the rows
    truth = matinee.Index.build(rows, kind="exact").search(queries)
    index.calibrate(queries)
    assert recall(index.search(queries, recall=0.95), truth) >= 0.93


def test_building_tells_how_far_it_is_and_stops_when_told(rows: Array) -> None:
    told: list[tuple[str, int, int]] = []
    matinee.Index.build(rows, kind="partitioned", progress=lambda *step: told.append(step))
    assert told[-1] == ("vectors", 3000, 3000)
    assert told == sorted(told)

    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        matinee.Index.build(rows, kind="partitioned", progress=stop)


ROWS = clustered(20, 4, 7)
NAN = np.full((1, 4), np.nan, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda index: index.search(ROWS, 0), matinee.InvalidArgument, "k: expected"),
        (lambda index: index.search(ROWS, recall=0.0), matinee.InvalidArgument, "recall: expected above 0"),
        (lambda index: index.search(ROWS, recall=1.5), matinee.InvalidArgument, "recall: expected above 0"),
        (lambda index: index.search(ROWS, num_probes=0), matinee.InvalidArgument, "num_probes: expected"),
        (lambda index: index.search(ROWS[:, :3]), matinee.InvalidArgument, r"expected \(Q, 4\)"),
        (lambda index: index.search(ROWS.astype(np.float64)), matinee.InvalidArgument, "float32"),
        (lambda index: index.search(NAN), matinee.InvalidArgument, "finite"),
        (lambda index: index.search(ROWS, allow=np.ones(19, bool)), matinee.InvalidArgument, "each of 20 rows"),
        (lambda index: index.add(ROWS[:1], [3]), matinee.InvalidArgument, "does not hold, got 3; use update"),
        (lambda index: index.add(ROWS[:1], [-1]), matinee.InvalidArgument, "no -1"),
        (lambda index: index.add(ROWS[:2], [50, 50]), matinee.InvalidArgument, "once, got 50 twice"),
        (lambda index: index.add(ROWS[:2], [50]), matinee.InvalidArgument, "one for each vector"),
        (lambda index: index.add(NAN, [50]), matinee.InvalidArgument, "finite"),
        (lambda index: index.add(ROWS[:1, :3], [50]), matinee.InvalidArgument, r"expected \(n, 4\)"),
        (lambda index: index.update(ROWS[:1], [50]), matinee.NotFound, "got 50; use add"),
        (lambda index: index.delete([50]), matinee.NotFound, "got 50"),
        (lambda index: index.delete([3, 3]), matinee.InvalidArgument, "twice"),
        (lambda index: index.calibrate(ROWS[:0]), matinee.InvalidArgument, "Q at least 1"),
        (lambda index: index.vectors([50]), matinee.NotFound, "50"),
        (lambda index: matinee.Index.build(ROWS, kind="graph"), matinee.InvalidArgument, "exact or partitioned"),
        (lambda index: matinee.Index.build(ROWS, kind="exact").add(ROWS, [1]), matinee.InvalidArgument, "partitioned"),
        (
            lambda index: matinee.Index.build(ROWS, kind="partitioned", num_partitions=0),
            matinee.InvalidArgument,
            "num_partitions: expected",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(call: Any, error: type[Exception], message: str) -> None:
    index = matinee.Index.build(ROWS, kind="partitioned")
    with pytest.raises(error, match=message):
        call(index)
    assert index.ids.tolist() == list(range(20))
