"""Files that annoy 1.17.3 wrote: read whole, or refused.

`files/` holds one of each metric: 60 items of 6 components, every tenth number missing, 4 trees.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import matinee
from matinee.annoy import AnnoyIndex, FileUnreadable
from matinee.annoy.files import read_annoy_file

METRICS = ("angular", "euclidean", "dot")
FILES = Path(__file__).parent / "files"
F, N, TREES = 6, 60, 4
# What was added, by number; those that leave 3 when divided by 10 were not.
ADDED = np.sin(np.arange(N * F).reshape(N, F) ** 1.5).astype(np.float32)
THERE = [i for i in range(N) if i % 10 != 3]

each_metric = pytest.mark.parametrize("metric", METRICS)


@each_metric
def test_items_come_back_bit_for_bit(metric: str) -> None:
    read = read_annoy_file(FILES / f"{metric}.annoy", F, metric)  # type: ignore[arg-type]
    assert read.ids.tolist() == THERE
    np.testing.assert_array_equal(read.vectors, ADDED[THERE])
    assert (read.num_items, read.num_trees) == (N, TREES)


@each_metric
def test_a_loaded_file_is_an_index_that_needs_the_file_no_more(metric: str, tmp_path: Path) -> None:
    path = tmp_path / "films.annoy"
    shutil.copyfile(FILES / f"{metric}.annoy", path)
    index = AnnoyIndex(F, metric)
    index.load(path)
    path.write_bytes(b"")
    assert index.get_n_items() == N
    assert index.get_item_vector(7) == pytest.approx(ADDED[7].tolist(), rel=1e-6)
    assert index.get_item_vector(13) == [0.0] * F
    found, _ = index.get_nns_by_item(7, N, include_distances=True)
    assert sorted(found) == THERE
    with pytest.raises(matinee.InvalidArgument, match="loaded"):
        index.add_item(13, [0.0] * F)


@each_metric
@pytest.mark.parametrize("other", METRICS)
@pytest.mark.parametrize("f", [F - 1, F, F + 1, 2 * F])
def test_another_metric_or_dimension_is_refused(metric: str, other: str, f: int) -> None:
    if (metric, F) == (other, f):
        pytest.skip("this is what the file is")
    with pytest.raises(FileUnreadable, match=rf"written with f={f} and metric='{other}'"):
        AnnoyIndex(f, other).load(FILES / f"{metric}.annoy")


def test_files_of_ours_are_refused_with_another_metric_or_dimension(tmp_path: Path) -> None:
    for metric in METRICS:
        index = AnnoyIndex(F, metric)
        index.load(FILES / f"{metric}.annoy")
        index.save(tmp_path / f"{metric}.ann")
    for metric, other, f in (("angular", "dot", F), ("euclidean", "angular", F), ("dot", "dot", F - 1)):
        with pytest.raises(FileUnreadable, match="dimension"):
            AnnoyIndex(f, other).load(tmp_path / f"{metric}.ann")
    damaged = tmp_path / "dot.ann"
    content = bytearray(damaged.read_bytes())
    content[-100] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(FileUnreadable):
        AnnoyIndex(F, "dot").load(damaged, prefault=True)


@each_metric
def test_a_file_cut_anywhere_is_refused(metric: str, tmp_path: Path) -> None:
    content = (FILES / f"{metric}.annoy").read_bytes()
    path = tmp_path / "cut.annoy"
    node = {"angular": 12, "euclidean": 16, "dot": 16}[metric] + 4 * F
    for size in {*range(0, len(content), node), *range(0, len(content), 37)}:
        path.write_bytes(content[:size])
        with pytest.raises(FileUnreadable):
            AnnoyIndex(F, metric).load(path)


@each_metric
def test_a_flipped_bit_is_refused_or_changes_a_vector_a_little_and_nothing_else(metric: str, tmp_path: Path) -> None:
    content = (FILES / f"{metric}.annoy").read_bytes()
    path = tmp_path / "flipped.annoy"
    kept = 0
    for position in range(0, len(content), 3):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            read = read_annoy_file(path, F, metric)  # type: ignore[arg-type]
        except FileUnreadable:
            continue
        kept += 1
        assert read.ids.tolist() == THERE
        assert (read.vectors != ADDED[THERE]).sum() <= 1
        if metric != "euclidean":  # of which annoy keeps nothing besides
            np.testing.assert_allclose((read.vectors**2).sum(1), (ADDED[THERE] ** 2).sum(1), rtol=5e-3)
    assert kept < len(content) / 3
