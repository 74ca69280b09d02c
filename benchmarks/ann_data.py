"""What the index benchmark searches: vectors mixed from sentences of plots, queries, and the exact answers.

Sentences of the catalogue's plots are encoded by MiniLM (generated ones where there is no catalogue). Held-out
sentences are the queries. A row of the index is 0.5 … 1.0 of one sentence and the rest of another, plus normal noise of
0.02 a component, normalised: as many rows as wanted, with the shape of real ones.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

REPOSITORY = Path(__file__).resolve().parents[1]
K = 10
QUERIES = 1000
NOISE = 0.02
# Shares of the rows that a filter lets pass.
SHARES = (0.001, 0.01, 0.1, 0.5)
_GENERATED_SENTENCES = 20_000


@dataclass(frozen=True)
class Data:
    """Arrays in a folder: ``vectors`` (N, D) and ``queries`` (Q, D) float32, the truth (Q, K) int64 by share."""

    folder: Path
    kind: str  # real or generated

    def vectors(self) -> npt.NDArray[np.float32]:
        """(N, D), mapped."""
        mapped: npt.NDArray[np.float32] = np.load(self.folder / "vectors.npy", mmap_mode="r")
        return mapped

    def queries(self) -> npt.NDArray[np.float32]:
        """(Q, D)."""
        read: npt.NDArray[np.float32] = np.load(self.folder / "queries.npy")
        return read

    def mask(self, share: float) -> npt.NDArray[np.bool_]:
        """(N,): which rows the filter of this share lets pass."""
        read: npt.NDArray[np.bool_] = np.load(self.folder / f"mask-{share}.npy")
        return read

    def truth(self, share: float | None = None) -> npt.NDArray[np.int64]:
        """(Q, K): the nearest rows of each query, among all or among those that pass."""
        read: npt.NDArray[np.int64] = np.load(self.folder / f"truth-{share or 1}.npy")
        return read


def prepare(rows: int, folder: Path, source: Path | None) -> Data:
    """The data of `rows` rows in `folder`, made where it is not there yet; `source` holds catalog.tsv."""
    import faiss

    named = source or os.environ.get("MATINEE_TEST_DATA")
    catalogue = (Path(named) if named else REPOSITORY.parent / "shared" / "data") / "catalog.tsv"
    kind = "real" if catalogue.is_file() else "generated"
    data = Data(folder / f"{kind}-{rows}", kind)
    finished = data.folder / "finished"
    if finished.exists():
        return data
    data.folder.mkdir(parents=True, exist_ok=True)
    sentences = _sentence_vectors(folder / f"{kind}-sentences.npy", catalogue if kind == "real" else None)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(sentences))
    queries = np.ascontiguousarray(sentences[order[:QUERIES]])
    vectors = _mixed(sentences[order[QUERIES:]], rows, rng)
    np.save(data.folder / "queries.npy", queries)
    np.save(data.folder / "vectors.npy", vectors)
    _, truth = faiss.knn(queries, vectors, K, metric=faiss.METRIC_INNER_PRODUCT)
    np.save(data.folder / "truth-1.npy", truth)
    for share in SHARES:
        passing = np.sort(rng.choice(rows, max(K, round(rows * share)), replace=False))
        _, truth = faiss.knn(queries, vectors[passing], K, metric=faiss.METRIC_INNER_PRODUCT)
        np.save(data.folder / f"mask-{share}.npy", np.isin(np.arange(rows), passing))
        np.save(data.folder / f"truth-{share}.npy", passing[truth])
    finished.touch()
    return data


def prepare_across(rows: int, folder: Path, bundle: Path) -> Data:
    """Queries of another kind than the rows: plots that look for posters, in the joint space of a catalogue's bundle.

    Rows are mixed from the posters' vectors as `prepare` mixes sentences; 1,000 plots are the queries.
    """
    import faiss

    from matinee import Index

    data = Data(folder / f"across-{rows}", "plots against posters")
    finished = data.folder / "finished"
    if finished.exists():
        return data
    data.folder.mkdir(parents=True, exist_ok=True)
    joint = Index.open(bundle / "joint.index")
    plots = len(Index.open(bundle / "plots.index"))  # come first there
    vectors = joint.vectors(joint.ids)
    rng = np.random.default_rng(0)
    queries = vectors[rng.permutation(plots)[:QUERIES]]
    mixed = _mixed(vectors[plots:], rows, rng)
    np.save(data.folder / "queries.npy", queries)
    np.save(data.folder / "vectors.npy", mixed)
    np.save(data.folder / "truth-1.npy", faiss.knn(queries, mixed, K, metric=faiss.METRIC_INNER_PRODUCT)[1])
    finished.touch()
    return data


def recall(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> float:
    """The mean share of the true K that were found; the first queries of the truth where fewer were asked."""
    hits = [len(np.intersect1d(ours, true)) for ours, true in zip(found, truth[: len(found)], strict=True)]
    return float(np.sum(hits)) / (len(hits) * truth.shape[1])


def _mixed(sentences: npt.NDArray[np.float32], rows: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    vectors = np.empty((rows, sentences.shape[1]), np.float32)
    step = 50_000
    for start in range(0, rows, step):
        part = vectors[start : start + step]
        one, other = rng.integers(0, len(sentences), (2, len(part)))
        share = rng.uniform(0.5, 1.0, (len(part), 1)).astype(np.float32)
        noise = rng.normal(0, NOISE, part.shape).astype(np.float32)
        part[:] = share * sentences[one] + (1 - share) * sentences[other] + noise
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors


def _sentence_vectors(cached: Path, catalogue: Path | None) -> npt.NDArray[np.float32]:
    """Unit vectors (S, D) of the catalogue's sentences, each once; of generated ones without a catalogue."""
    from benchmarks.bench_encode import WORDS
    from matinee import Encoder, TextEncoder, models
    from matinee.search.sentences import sentences

    if not cached.exists():
        if catalogue:
            with catalogue.open(encoding="utf-8") as file:
                plots = [line.split("\t")[8] for line in file][1:]
            texts = [plot[begin:end] for plot in plots for begin, end in sentences(plot)]
        else:
            rng = np.random.default_rng(0)
            lengths = np.clip(rng.lognormal(2.9, 0.5, _GENERATED_SENTENCES).astype(int), 4, 60)
            texts = [" ".join(rng.choice(WORDS, length)) for length in lengths]
        encoder = Encoder.load(models.resolve("minilm-l6-v2"))
        assert isinstance(encoder, TextEncoder)
        vectors = encoder.encode(list(dict.fromkeys(texts)))
        cached.parent.mkdir(parents=True, exist_ok=True)
        np.save(cached, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    read: npt.NDArray[np.float32] = np.load(cached)
    return read
