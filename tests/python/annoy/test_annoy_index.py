"""AnnoyIndex beside the real annoy, call by call."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import matinee
from matinee.annoy import (
    AnnoyIndex,
    FileUnreadable,
    MissingFile,
    NoSuchItem,
    NotBuilt,
    UnsupportedMetric,
    WrongLength,
    WrongState,
)

Array = npt.NDArray[Any]
METRICS = ("angular", "euclidean", "dot")
F = 24
N = 600
EVERYTHING = 10**8  # search_k that makes annoy look at all items


@pytest.fixture(scope="module")
def annoy() -> Any:
    """annoy's own class."""
    return pytest.importorskip("annoy.annoylib", reason="annoy is not installed (extra: test)").Annoy


def made_vectors(lengths: str) -> Array:
    """(N, F) float32 in clusters, some twice, one of zeros."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(9, F))[rng.integers(0, 9, N)] + rng.normal(size=(N, F)) * 0.4
    rows[100:110] = rows[200:210]
    if lengths == "unit":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    else:
        rows *= rng.uniform(0.01, 50, (N, 1))
        rows[300] = 0
    return rows.astype(np.float32)


def is_there(i: int) -> bool:
    """Gaps in the numbers, the first among them."""
    return i % 11 != 0


def filled(index: Any, vectors: Array, trees: int = 10) -> Any:
    for i, vector in enumerate(vectors):
        if is_there(i):
            index.add_item(i, vector)
    index.build(trees, n_jobs=1)
    return index


def distances_to(metric: str, query: Array, vectors: Array) -> Array:
    """The obvious twin, in float64, in annoy's conventions."""
    a, b = query.astype(np.float64), vectors.astype(np.float64)
    if metric == "dot":
        return b @ a
    if metric == "euclidean":
        return np.sqrt(((b - a) ** 2).sum(axis=1))
    lengths = np.linalg.norm(a) * np.linalg.norm(b, axis=1)
    cosines = np.divide(b @ a, lengths, out=np.zeros(len(b)), where=lengths > 0)
    return np.sqrt(np.maximum(2 - 2 * cosines, 0))


cases = pytest.mark.parametrize(
    ("metric", "lengths"), [*itertools.product(METRICS, ("unit", "varied"))], ids=lambda value: value
)


def check_answers(ours: AnnoyIndex, theirs: Any, metric: str, vectors: Array) -> None:
    """Every question has annoy's answer; equal distances may come in another order."""
    known = np.where([[is_there(i)] for i in range(N)], vectors, 0).astype(np.float32)
    assert (ours.get_n_items(), ours.f) == (theirs.get_n_items(), theirs.f) == (N, F)
    scale = float(np.abs(distances_to(metric, known[1], known)).max())
    queries = np.random.default_rng(5).normal(size=(5, F)).astype(np.float32)
    questions = [("get_nns_by_item", item, known[item]) for item in (0, 1, 100, 300, N - 1)]
    questions += [("get_nns_by_vector", query, query) for query in [*queries, known[7], np.zeros(F, np.float32)]]
    for (call, asked, query), n in itertools.product(questions, (0, 1, 10, N + 5, -1)):
        _, expected = getattr(theirs, call)(asked, n, EVERYTHING if n else -1, include_distances=True)
        items, distances = getattr(ours, call)(asked, n, include_distances=True)
        np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-3 * scale, err_msg=f"{call} {n}")
        true = distances_to(metric, query, known[items])
        np.testing.assert_allclose(distances, true, rtol=1e-5, atol=1e-6 * scale, err_msg=f"{call} {n}")
        assert distances == sorted(distances, reverse=metric == "dot")
        assert len(set(items)) == len(items)
        assert all(is_there(item) for item in items)
        assert getattr(ours, call)(asked, n) == items
    for one, other in itertools.product((0, 1, 100, 200, 300, 599), repeat=2):
        expected = theirs.get_distance(one, other)
        assert ours.get_distance(one, other) == pytest.approx(expected, rel=1e-4, abs=1e-3 * scale)
    for item in (0, 1, 300, 599):
        assert ours.get_item_vector(item) == pytest.approx(theirs.get_item_vector(item), rel=1e-6)


@cases
def test_answers_are_those_of_annoy_that_looks_at_everything(annoy: Any, metric: str, lengths: str) -> None:
    vectors = made_vectors(lengths)
    ours, theirs = filled(AnnoyIndex(F, metric), vectors), filled(annoy(F, metric), vectors)
    check_answers(ours, theirs, metric, vectors)
    assert ours.get_n_trees() == theirs.get_n_trees() == 10


@cases
def test_a_saved_index_answers_as_before_and_so_does_one_that_loads_it(
    annoy: Any, metric: str, lengths: str, tmp_path: Path
) -> None:
    vectors = made_vectors(lengths)
    ours, theirs = filled(AnnoyIndex(F, metric), vectors), filled(annoy(F, metric), vectors)
    assert ours.save(str(tmp_path / "films.ann")) is True
    check_answers(ours, theirs, metric, vectors)
    for prefault in (False, True):
        loaded = AnnoyIndex(F, metric)
        assert loaded.load(str(tmp_path / "films.ann"), prefault=prefault) is True
        check_answers(loaded, theirs, metric, vectors)
    assert matinee.Index.open(tmp_path / "films.ann").ids.tolist() == [i for i in range(N) if is_there(i)]


@cases
def test_a_file_of_annoy_is_loaded_and_saved_as_ours(annoy: Any, metric: str, lengths: str, tmp_path: Path) -> None:
    vectors = made_vectors(lengths)
    theirs = filled(annoy(F, metric), vectors)
    theirs.save(str(tmp_path / "theirs.ann"))
    ours = AnnoyIndex(F, metric)
    assert ours.load(str(tmp_path / "theirs.ann")) is True
    check_answers(ours, theirs, metric, vectors)
    assert ours.get_n_trees() == theirs.get_n_trees()
    ours.save(tmp_path / "ours.ann")
    again = AnnoyIndex(F, metric)
    again.load(tmp_path / "ours.ann")
    check_answers(again, theirs, metric, vectors)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("items", "n_jobs"),
    [([0], 1), ([7], 1), ([2000], 1), ([0, 1], 1), ([5, 3000], 1), (range(10), 1), (range(900, 930), 2), (range(N), 4)],
    ids=str,
)
def test_every_shape_of_annoys_trees_is_read(
    annoy: Any, metric: str, items: Sequence[int], n_jobs: int, tmp_path: Path
) -> None:
    vectors = made_vectors("varied")
    vectors[: N // 2] = vectors[0]  # no plane parts these
    theirs, ours = annoy(F, metric), AnnoyIndex(F, metric)
    for item in items:
        theirs.add_item(item, vectors[item % N])
    theirs.build(6, n_jobs)
    theirs.save(str(tmp_path / "theirs.ann"))
    ours.load(tmp_path / "theirs.ann")
    assert ours.get_n_items() == theirs.get_n_items() == max(items) + 1
    assert sorted(ours.get_nns_by_item(items[0], N)) == list(items)
    assert ours.get_item_vector(items[-1]) == pytest.approx(theirs.get_item_vector(items[-1]), rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("trees", [1, 10])
def test_recall_is_not_below_that_of_annoy_with_its_default_search_k(annoy: Any, metric: str, trees: int) -> None:
    vectors = made_vectors("varied")
    ours, theirs = filled(AnnoyIndex(F, metric), vectors, trees), annoy(F, metric)
    theirs.set_seed(1)
    filled(theirs, vectors, trees)
    there = np.array([i for i in range(N) if is_there(i)])
    recalls = []
    for index in (ours, theirs):
        found = 0
        for item in there[::10].tolist():
            distances = distances_to(metric, vectors[item], vectors[there])
            nearest = np.argsort(-distances if metric == "dot" else distances, kind="stable")[:10]
            found += len(set(index.get_nns_by_item(item, 10)) & set(there[nearest].tolist()))
        recalls.append(found)
    assert recalls[0] >= recalls[1]


@pytest.mark.parametrize("metric", METRICS)
def test_on_disk_build_leaves_a_file_and_can_be_unbuilt(metric: str, tmp_path: Path) -> None:
    path = tmp_path / "on-disk.ann"
    vectors = made_vectors("varied")
    index = AnnoyIndex(F, metric)
    assert index.on_disk_build(str(path)) is True
    filled(index, vectors)
    loaded = AnnoyIndex(F, metric)
    loaded.load(str(path))
    assert loaded.get_nns_by_item(7, 20) == index.get_nns_by_item(7, 20)
    assert index.unbuild() is True
    index.add_item(N, vectors[7])
    index.build(5)
    loaded.load(str(path))
    assert loaded.get_n_items() == index.get_n_items() == N + 1


def test_items_are_added_before_build_or_after_unbuild_and_the_last_one_counts() -> None:
    index = AnnoyIndex(2, metric="euclidean")
    index.add_item(0, [1, 0])
    index.add_item(i=5, vector=(9, 0))
    index.add_item(0, [2, 0])
    assert index.get_n_items() == 6
    assert index.get_distance(0, 5) == 7  # before build, too
    assert index.get_nns_by_vector([0, 0], 5) == []
    assert index.build(n_trees=-1) is True
    assert index.get_nns_by_vector(vector=[0, 0], n=5, search_k=-1, include_distances=True) == ([0, 5], [2.0, 9.0])
    with pytest.raises(WrongState, match="unbuild"):
        index.add_item(1, [0, 0])
    index.unbuild()
    assert (index.get_n_trees(), index.get_nns_by_item(0, 5)) == (0, [])
    index.add_item(1, [0, 0])
    index.build(3, n_jobs=-1)
    assert index.get_nns_by_item(0, 5) == [0, 1, 5]


@pytest.mark.parametrize("metric", METRICS)
def test_vectors_come_back_from_a_file_of_any_size(metric: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    # As many as matinee.Index.build would round to 12 bits an element.
    vectors = (rng.normal(size=(24_000, 320)) * rng.uniform(0.1, 9, (24_000, 1))).astype(np.float32)
    index = AnnoyIndex(320, metric)
    for i, vector in enumerate(vectors):
        index.add_item(i, vector)
    index.build(10)
    index.save(tmp_path / "large.ann")
    for item in (0, 1, 11_234, 23_999):
        assert index.get_item_vector(item) == pytest.approx(vectors[item].tolist(), rel=1e-6)
        expected = distances_to(metric, vectors[item], vectors[[17]])[0]
        assert index.get_distance(item, 17) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_a_large_number_costs_no_memory() -> None:
    index = AnnoyIndex(3, "angular")
    index.add_item(2_000_000_000, [1, 2, 3])
    index.build(1)
    assert index.get_n_items() == 2_000_000_001
    assert index.get_nns_by_vector([1, 2, 3], 4, include_distances=True) == ([2_000_000_000], [0.0])


def test_unload_leaves_a_new_index(tmp_path: Path) -> None:
    index = filled(AnnoyIndex(F, "angular"), made_vectors("unit"))
    index.save(tmp_path / "films.ann")
    assert index.unload() is True
    assert (index.get_n_items(), index.get_n_trees(), index.get_nns_by_vector([0.0] * F, 3)) == (0, 0, [])
    index.add_item(0, [1.0] * F)
    index.build(1)
    assert index.get_nns_by_item(0, 3) == [0]


def test_saving_over_the_file_it_was_loaded_from_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "films.ann"
    index = filled(AnnoyIndex(F, "angular"), made_vectors("varied"))
    expected = index.get_nns_by_item(7, 10)
    index.save(path)
    index.save(path)
    assert index.get_nns_by_item(7, 10) == expected


def test_an_empty_index_is_built_saved_and_loaded(tmp_path: Path) -> None:
    index = AnnoyIndex(4, "dot")
    index.build(10)
    index.save(tmp_path / "empty.ann")
    index.load(tmp_path / "empty.ann")
    assert (index.get_n_items(), index.get_nns_by_vector([1, 2, 3, 4], 3)) == (0, [])


def test_seed_and_verbosity_are_taken_as_annoy_takes_them(annoy: Any, capfd: pytest.CaptureFixture[str]) -> None:
    for kind in (annoy, AnnoyIndex):
        index = kind(F, "angular")
        assert index.set_seed(42) is None
        assert index.verbose(True) is True
        filled(index, made_vectors("unit"))
        assert capfd.readouterr().err
    with pytest.warns(FutureWarning, match="metric"):
        assert AnnoyIndex(3).f == 3


def test_threads_may_ask_the_same_index_at_once() -> None:
    index = filled(AnnoyIndex(F, "angular"), made_vectors("varied"))
    expected = [index.get_nns_by_item(i, 10) for i in range(50)]
    wrong: list[int] = []

    def ask() -> None:
        wrong.extend(i for i in range(50) if index.get_nns_by_item(i, 10) != expected[i])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_one_line_of_a_program_is_what_moving_over_takes(annoy: Any, tmp_path: Path) -> None:
    program = """
{import_line}
import random
random.seed(1)
t = AnnoyIndex(40, 'angular')
for i in range(1000):
    t.add_item(i, [random.gauss(0, 1) for z in range(40)])
t.build(10)
t.save({file!r})
u = AnnoyIndex(40, 'angular')
u.load({file!r})
print(u.get_nns_by_item(0, 1), u.get_n_items(), len(u.get_nns_by_item(0, 1000, search_k=100000)))
"""
    outputs = set()
    for line in ("from annoy import AnnoyIndex", "from matinee.annoy import AnnoyIndex"):
        source = program.format(import_line=line, file=str(tmp_path / "test.ann"))
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
        outputs.add(done.stdout)
    assert outputs == {"[0] 1000 1000\n"}


def built(kind: Any) -> Any:
    index = kind(3, "angular")
    index.add_item(1, [1, 0, 0])
    index.build(1)
    return index


def loaded(kind: Any, folder: Path) -> Any:
    index = built(kind)
    index.save(str(folder / f"{kind.__module__}.ann"))
    return index


# name, the call, and our class of what it raises (None: annoy's own kind of error is enough)
BAD_CALLS: list[tuple[str, Callable[[Any, Path], Any], type[Exception] | None]] = [
    ("no such metric", lambda kind, _: kind(3, "banana"), matinee.InvalidArgument),
    ("f of another type", lambda kind, _: kind("3", "angular"), None),
    ("a negative item is added", lambda kind, _: kind(3, "angular").add_item(-1, [1, 2, 3]), NoSuchItem),
    ("an item is no number", lambda kind, _: kind(3, "angular").add_item("one", [1, 2, 3]), None),
    ("a short vector", lambda kind, _: kind(3, "angular").add_item(0, [1, 2]), WrongLength),
    ("a long vector", lambda kind, _: kind(3, "angular").add_item(0, [1, 2, 3, 4]), WrongLength),
    ("a vector of text", lambda kind, _: kind(3, "angular").add_item(0, ["a", "b", "c"]), None),
    ("no vector", lambda kind, _: kind(3, "angular").add_item(0, None), None),
    ("a short query", lambda kind, _: built(kind).get_nns_by_vector([1, 2], 1), WrongLength),
    ("a query of text", lambda kind, _: built(kind).get_nns_by_vector("abc", 1), None),
    ("n of another type", lambda kind, _: built(kind).get_nns_by_vector([1, 2, 3], "many"), None),
    ("an item beyond the last", lambda kind, _: built(kind).get_nns_by_item(2, 1), NoSuchItem),
    ("a negative item is asked for", lambda kind, _: built(kind).get_nns_by_item(-1, 1), NoSuchItem),
    ("a vector beyond the last", lambda kind, _: built(kind).get_item_vector(2), NoSuchItem),
    ("a distance beyond the last", lambda kind, _: built(kind).get_distance(0, 2), NoSuchItem),
    ("add after build", lambda kind, folder: loaded(kind, folder).add_item(0, [1, 2, 3]), WrongState),
    ("build twice", lambda kind, _: built(kind).build(1), WrongState),
    ("build after save", lambda kind, folder: loaded(kind, folder).build(1), WrongState),
    ("unbuild after save", lambda kind, folder: loaded(kind, folder).unbuild(), WrongState),
    ("save before build", lambda kind, folder: kind(3, "angular").save(str(folder / "x.ann")), NotBuilt),
    ("save to no name", lambda kind, _: built(kind).save(""), matinee.IoError),
    ("save to no folder", lambda kind, folder: built(kind).save(str(folder / "no" / "x.ann")), matinee.IoError),
    ("build on no disk", lambda kind, folder: kind(3, "dot").on_disk_build(str(folder / "no" / "x")), matinee.IoError),
    ("load what is not there", lambda kind, folder: kind(3, "angular").load(str(folder / "none.ann")), MissingFile),
    ("load a file of no bytes", lambda kind, folder: kind(3, "angular").load(_file(folder, b"")), FileUnreadable),
    ("load a foreign file", lambda kind, folder: kind(3, "angular").load(_file(folder, b"text!" * 9)), FileUnreadable),
]


def _file(folder: Path, content: bytes) -> str:
    path = folder / "foreign.ann"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(("call", "error"), [case[1:] for case in BAD_CALLS], ids=[case[0] for case in BAD_CALLS])
def test_what_goes_wrong_raises_our_error_and_annoys(
    annoy: Any, call: Callable[[Any, Path], Any], error: type[Exception] | None, tmp_path: Path
) -> None:
    with pytest.raises(Exception) as theirs:  # annoy raises plain Exception in places
        call(annoy, tmp_path)
    with pytest.raises(theirs.type) as ours:
        call(AnnoyIndex, tmp_path)
    if error is not None:
        assert isinstance(ours.value, error)
        assert isinstance(ours.value, matinee.MatineeError)


@pytest.mark.parametrize("metric", ["manhattan", "hamming"])
def test_metrics_without_an_index_name_their_remedy(metric: str) -> None:
    with pytest.raises(UnsupportedMetric, match="use 'euclidean'"):
        AnnoyIndex(3, metric)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: AnnoyIndex(0, "angular"), "f: expected at least 1"),
        (lambda: AnnoyIndex(2, "angular").add_item(0, [1, float("nan")]), "finite"),
        (lambda: AnnoyIndex(2, "angular").add_item(0, [1, 1e39]), "finite"),
        (lambda: AnnoyIndex(2, "angular").add_item(2**31, [1, 1]), "i: expected less than"),
        (lambda: AnnoyIndex(2, "angular").build(0), "n_trees"),
        (lambda: built(AnnoyIndex).get_nns_by_vector([1, 2, float("inf")], 3), "finite"),
    ],
)
def test_what_annoy_takes_silently_and_could_not_answer_is_refused(call: Callable[[], Any], match: str) -> None:
    with pytest.raises(matinee.InvalidArgument, match=match):
        call()
