"""The libraries of the index benchmark behind one interface, each used as its own users would use it.

A side imports its library when it is made; nothing here is imported by another side's process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.ann_data import K

Vectors = npt.NDArray[np.float32]
Found = npt.NDArray[np.int64]  # (Q, K) ids, best first
# How hard a search tries, lowest first: the candidates a graph search keeps, unless the side says otherwise.
_EFFORTS = (10, 12, 14, 16, 18, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72, 80, 96, 112, 128, 144, 160, 192, 224, 256, 320,
            384, 448, 512, 640, 768, 1024)  # fmt: skip


class Side(Protocol):
    """One library with one way to store vectors."""

    package: str  # on PyPI; its version is reported
    efforts: tuple[int, ...]  # what to try, lowest first; one where the search is exact

    def build(self, vectors: Vectors, path: Path, threads: int) -> Callable[[], None]:
        """Builds from (N, D) unit vectors; what it returns writes the index to `path`."""

    def open(self, path: Path, vectors: Path) -> None:
        """Opens what `build` wrote; `vectors` is the .npy file of the rows, for those that need it."""

    def allow(self, mask: npt.NDArray[np.bool_]) -> None:
        """Searches from now on find only these rows (N,); NotImplementedError where the library has no such thing."""

    def search(self, queries: Vectors, effort: int) -> Found:
        """The K nearest of each of (Q, D) queries, in one call, on one thread."""


class _Unfiltered:
    def allow(self, mask: npt.NDArray[np.bool_]) -> None:
        raise NotImplementedError


class Matinee:
    """Tries the harder the more partitions it looks at."""

    package = "matinee"
    efforts: tuple[int, ...] = (0,)

    def __init__(self, kind: str) -> None:
        from matinee import Index

        self._index_type = Index
        self._kind = kind
        self._allow: Any = None

    def build(self, vectors: Vectors, path: Path, threads: int) -> Callable[[], None]:
        index = self._index_type.build(vectors, kind=self._kind)
        return lambda: index.save(path)

    def open(self, path: Path, vectors: Path) -> None:
        self._index = self._index_type.open(path)
        if self._index.num_partitions:
            shares = 0.01 * 1.1 ** np.arange(49)
            self.efforts = tuple(
                dict.fromkeys((np.minimum(shares, 1) * self._index.num_partitions).astype(int).tolist())
            )

    def allow(self, mask: npt.NDArray[np.bool_]) -> None:
        self._allow = self._index.prepare(mask)

    def search(self, queries: Vectors, effort: int) -> Found:
        return self._index.search(queries, K, allow=self._allow, num_probes=effort or None).ids


class Hnswlib:
    package = "hnswlib"
    efforts = _EFFORTS

    def __init__(self) -> None:
        import hnswlib

        self._hnswlib = hnswlib
        self._filter: Callable[[int], bool] | None = None

    def build(self, vectors: Vectors, path: Path, threads: int) -> Callable[[], None]:
        index = self._hnswlib.Index("ip", vectors.shape[1])
        index.init_index(len(vectors), M=16, ef_construction=200)
        index.add_items(vectors, num_threads=threads)
        return lambda: index.save_index(str(path))

    def open(self, path: Path, vectors: Path) -> None:
        self._index = self._hnswlib.Index("ip", np.load(vectors, mmap_mode="r").shape[1])
        self._index.load_index(str(path))

    def allow(self, mask: npt.NDArray[np.bool_]) -> None:
        self._filter = mask.tolist().__getitem__

    def search(self, queries: Vectors, effort: int) -> Found:
        self._index.set_ef(effort)
        found: Found = self._index.knn_query(queries, K, num_threads=1, filter=self._filter)[0]
        return found


class FaissGraph:
    """HNSW32 over float32 or 8-bit codes; these also with a second look at the float32 rows."""

    package = "faiss-cpu"
    efforts = _EFFORTS

    def __init__(self, kind: str, *, rescored: bool = False) -> None:
        import faiss

        self._faiss = faiss
        self._kind = kind
        self._rescored = rescored
        self._selector: Any = None

    def build(self, vectors: Vectors, path: Path, threads: int) -> Callable[[], None]:
        self._faiss.omp_set_num_threads(threads)
        index = self._faiss.index_factory(vectors.shape[1], self._kind, self._faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.add(vectors)
        return lambda: self._faiss.write_index(index, str(path))

    def open(self, path: Path, vectors: Path) -> None:
        self._faiss.omp_set_num_threads(1)
        self._index = self._base = self._faiss.read_index(str(path))
        if self._rescored:
            rows = np.load(vectors)
            self._flat = self._faiss.IndexFlatIP(rows.shape[1])
            self._flat.add(rows)
            self._index = self._faiss.IndexRefine(self._base, self._flat)

    def allow(self, mask: npt.NDArray[np.bool_]) -> None:
        self._bits = np.packbits(mask, bitorder="little")
        self._selector = self._faiss.IDSelectorBitmap(self._bits)

    def search(self, queries: Vectors, effort: int) -> Found:
        parameters = self._faiss.SearchParametersHNSW(efSearch=effort, sel=self._selector)
        if self._rescored:
            # As many of the graph's candidates as it kept, three times those wanted at most.
            factor = min(effort / K, 3)
            parameters = self._faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=parameters)
        found: Found = self._index.search(queries, K, params=parameters)[1]
        return found


class FaissFlat:
    """Every row, or under a filter the matching rows alone, which are put together before the clock starts."""

    package = "faiss-cpu"
    efforts = (0,)

    def __init__(self, kind: str, *, blas: bool = False) -> None:
        import faiss

        self._faiss = faiss
        self._kind = kind
        self._rows: Found | None = None
        if blas:  # from 20 queries in a call on; the default of this release is 128,000
            faiss.cvar.distance_compute_blas_threshold = 20

    def build(self, vectors: Vectors, path: Path, threads: int) -> Callable[[], None]:
        self._faiss.omp_set_num_threads(threads)
        index = self._of(vectors)
        return lambda: self._faiss.write_index(index, str(path))

    def open(self, path: Path, vectors: Path) -> None:
        self._faiss.omp_set_num_threads(1)
        self._vectors = vectors
        self._index = self._faiss.read_index(str(path))

    def allow(self, mask: npt.NDArray[np.bool_]) -> None:
        self._rows = np.flatnonzero(mask)
        self._index = self._of(np.load(self._vectors, mmap_mode="r")[self._rows])

    def search(self, queries: Vectors, effort: int) -> Found:
        found: Found = self._index.search(queries, K)[1]
        return found if self._rows is None else self._rows[found]

    def _of(self, vectors: Vectors) -> Any:
        index = self._faiss.index_factory(vectors.shape[1], self._kind, self._faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.add(vectors)
        return index


class Numpy:
    """A product with every row, or with the matching ones, which are put together before the clock starts."""

    package = "numpy"
    efforts = (0,)

    def __init__(self) -> None:
        self._rows: Found | None = None

    def build(self, vectors: Vectors, path: Path, threads: int) -> Callable[[], None]:
        return path.touch

    def open(self, path: Path, vectors: Path) -> None:
        self._all = self._vectors = np.load(vectors)

    def allow(self, mask: npt.NDArray[np.bool_]) -> None:
        self._rows = np.flatnonzero(mask)
        self._vectors = self._all[self._rows]

    def search(self, queries: Vectors, effort: int) -> Found:
        best = []
        step = max(1, 2**25 // len(self._vectors))  # scores of a step: 128 MB
        for start in range(0, len(queries), step):
            scores = queries[start : start + step] @ self._vectors.T
            top = np.argpartition(scores, -K, axis=1)[:, -K:]
            order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1)
            best.append(np.take_along_axis(top, order, axis=1))
        found = np.concatenate(best)
        return found if self._rows is None else self._rows[found]


class Usearch(_Unfiltered):
    """Its search takes no filter in Python."""

    package = "usearch"
    efforts = _EFFORTS

    def __init__(self, dtype: str) -> None:
        from usearch.index import Index

        self._index_type = Index
        # Its int8 is made for cosines; for the others a unit vector's inner product is the shorter way.
        self._options = {"metric": "cos" if dtype == "i8" else "ip", "dtype": dtype}

    def build(self, vectors: Vectors, path: Path, threads: int) -> Callable[[], None]:
        index = self._index_type(ndim=vectors.shape[1], **self._options)
        index.add(np.arange(len(vectors)), vectors, threads=threads)
        return lambda: index.save(str(path))

    def open(self, path: Path, vectors: Path) -> None:
        self._index = self._index_type(ndim=np.load(vectors, mmap_mode="r").shape[1], **self._options)
        self._index.load(str(path))

    def search(self, queries: Vectors, effort: int) -> Found:
        self._index.expansion_search = effort
        found: Found = self._index.search(queries, K, threads=1).keys.astype(np.int64)
        return found.reshape(len(queries), K)


class Annoy(_Unfiltered):
    """Has no call for many queries: they are asked one by one."""

    package = "annoy"
    efforts = tuple(100 * effort for effort in _EFFORTS)  # search_k, the nodes it looks at

    def __init__(self, trees: int) -> None:
        from annoy import AnnoyIndex

        self._index_type = AnnoyIndex
        self._trees = trees

    def build(self, vectors: Vectors, path: Path, threads: int) -> Callable[[], None]:
        index = self._index_type(vectors.shape[1], "angular")
        for row, vector in enumerate(vectors):
            index.add_item(row, vector)
        index.build(self._trees, threads)
        return lambda: index.save(str(path))

    def open(self, path: Path, vectors: Path) -> None:
        self._index = self._index_type(np.load(vectors, mmap_mode="r").shape[1], "angular")
        self._index.load(str(path))

    def search(self, queries: Vectors, effort: int) -> Found:
        return np.array([self._index.get_nns_by_vector(query, K, effort) for query in queries])


class Voyager(_Unfiltered):
    package = "voyager"
    efforts = _EFFORTS

    def __init__(self) -> None:
        import voyager

        self._voyager = voyager

    def build(self, vectors: Vectors, path: Path, threads: int) -> Callable[[], None]:
        index = self._voyager.Index(self._voyager.Space.Cosine, vectors.shape[1], M=16, ef_construction=200)
        index.add_items(vectors, num_threads=threads)
        return lambda: index.save(str(path))

    def open(self, path: Path, vectors: Path) -> None:
        self._index = self._voyager.Index.load(str(path))

    def search(self, queries: Vectors, effort: int) -> Found:
        found: Found = self._index.query(queries, K, num_threads=1, query_ef=effort)[0].astype(np.int64)
        return found


class ScalableVs(_Unfiltered):
    """Vamana over float32, or over LVQ codes (whose library accepts Intel's processors only)."""

    package = "scalable-vs"
    efforts = _EFFORTS

    def __init__(self, bits: tuple[int, int] | None = None) -> None:
        import svs

        self._svs = svs
        self._bits = bits  # of LVQ: the first pass's codes, and what re-scoring adds

    def build(self, vectors: Vectors, path: Path, threads: int) -> Callable[[], None]:
        svs = self._svs
        parameters = svs.VamanaBuildParameters(graph_max_degree=64, window_size=128, alpha=0.95)
        data: Any = vectors
        if self._bits:
            source = path.with_suffix(".fvecs")
            svs.write_vecs(vectors, str(source))
            loader = svs.VectorDataLoader(str(source), svs.DataType.float32, dims=vectors.shape[1])
            data = svs.LVQLoader(loader, primary=self._bits[0], residual=self._bits[1])
        index = svs.Vamana.build(parameters, data, svs.DistanceType.MIP, num_threads=threads)
        return lambda: self._save(index, path)

    def open(self, path: Path, vectors: Path) -> None:
        svs = self._svs
        stored = str(path / "data")
        data: Any = svs.LVQLoader(stored) if self._bits else svs.VectorDataLoader(stored, svs.DataType.float32)
        graph = svs.GraphLoader(str(path / "graph"))
        self._index = svs.Vamana(str(path / "config"), graph, data, svs.DistanceType.MIP, num_threads=1)

    def search(self, queries: Vectors, effort: int) -> Found:
        self._index.search_window_size = effort
        found: Found = self._index.search(queries, K)[0].astype(np.int64)
        return found

    @staticmethod
    def _save(index: Any, path: Path) -> None:
        path.mkdir()
        index.save(str(path / "config"), str(path / "graph"), str(path / "data"))
        path.with_suffix(".fvecs").unlink(missing_ok=True)


OURS = "matinee"
# Name in the report -> how the side is made.
GRAPHS: dict[str, Callable[[], Side]] = {
    OURS: lambda: Matinee("auto"),
    "hnswlib M16": Hnswlib,
    "faiss HNSW32 f32": lambda: FaissGraph("HNSW32"),
    "faiss HNSW32 SQ8": lambda: FaissGraph("HNSW32_SQ8"),
    "faiss HNSW32 SQ8, re-scored": lambda: FaissGraph("HNSW32_SQ8", rescored=True),
    "usearch f32": lambda: Usearch("f32"),
    "usearch bf16": lambda: Usearch("bf16"),
    "usearch i8": lambda: Usearch("i8"),
    "annoy 50 trees": lambda: Annoy(50),
    "voyager M16": Voyager,
    "scalable-vs Vamana f32": ScalableVs,
    "scalable-vs Vamana LVQ4x8": lambda: ScalableVs((4, 8)),
    "scalable-vs Vamana LVQ8": lambda: ScalableVs((8, 0)),
}
EXACT: dict[str, Callable[[], Side]] = {
    "matinee exact": lambda: Matinee("exact"),
    "faiss flat f32": lambda: FaissFlat("Flat"),
    "faiss flat f32, BLAS": lambda: FaissFlat("Flat", blas=True),
    "faiss flat SQ8": lambda: FaissFlat("SQ8"),
    "numpy": Numpy,
}
SIDES = GRAPHS | EXACT
