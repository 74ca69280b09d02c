"""Texts and images to vectors beside other runtimes: ``python -m benchmarks.bench_encode --out encode.json``.

Every side runs in a process of its own with the same number of threads and does the same work on the same inputs, from
strings or JPEG bytes to vectors. Rounds are interleaved (one pass of each side, then the next round), so that whatever
else the machine does falls on all; values are medians over the rounds. Where the items are many, a round encodes a part
of them that is like the others, and all rounds together encode each once.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from benchmarks import bench_preprocess
from benchmarks.report import Row, document, table, write
from matinee import _core, models
from matinee.search.sentences import sentences

REPOSITORY = Path(__file__).resolve().parents[1]
Kind = Literal["texts", "images", "pixels"]

# Columns of the peers: (side, precision) -> name.
PEERS = {
    ("torch", "fp32"): "torch fp32",
    ("torch", "bf16"): "torch bf16",
    ("onnxruntime", "fp32"): "onnxruntime fp32",
    ("openvino", "fp32"): "OpenVINO f32",
    ("openvino", "bf16"): "OpenVINO bf16",
}
REFERENCE = ("torch", "fp32")  # of the cosines
PACKAGES = ("torch", "onnxruntime", "openvino")
_PAUSE = 0.05  # seconds before a pass: threads of the side before, which spin for a while, have gone to sleep by then

WORDS = tuple(
    "the of and in to his her who from after before when city night house war love brother sister detective stranger "  # noqa: SIM905
    "train island secret murder money family dream road river summer winter police teacher dancer pilot returns finds "
    "loses follows discovers betrays saves leaves learns hides old young last first lost forgotten".split()
)


@dataclass(frozen=True)
class Work:
    """One comparison, before it is measured."""

    name: str
    unit: str
    network: str  # one of benchmarks.torch_networks.NETWORKS
    kind: Kind
    items: Path
    count: int
    rivals: Mapping[
        str, tuple[str, ...]
    ]  # precision of ours, a row each -> precisions of the peers it is compared with
    call_size: int | None = None  # items a call; None: all in one
    in_parts: bool = False  # a round encodes one part of the items


@dataclass(frozen=True)
class Networks:
    """The model folders by network, and their ONNX files beside the other inputs."""

    folders: dict[str, Path]
    root: Path

    def job(self, work: Work, side: str, precision: str, threads: int, slices: int = 1) -> dict[str, Any]:
        """What benchmarks.encode_side needs to know."""
        return {
            "side": side,
            "precision": precision,
            "threads": threads,
            "network": work.network,
            "folder": str(self.folders[work.network]),
            "onnx": str(self._onnx(work.network)) if side in ("onnxruntime", "openvino") else None,
            "kind": work.kind,
            "items": str(work.items),
            "count": work.count,
            "call_size": work.call_size,
            "slices": slices,
        }

    def _onnx(self, network: str) -> Path:
        path = self.root / "onnx" / (network.replace("/", "-") + ".onnx")
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            _torch_networks("export", network, str(self.folders[network]), str(path))
        return path


def main() -> None:
    """Measures, prints the table, writes the JSON and the page of the docs."""
    arguments = _arguments()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        inputs = _Inputs.write(arguments, root)
        folders = {"MiniLM": models.resolve("minilm-l6-v2"), "EfficientNet-Lite0": models.resolve("efficientnet-lite0")}
        folders["ViT-B/32"] = root / "vit-b32"
        _torch_networks("generate", str(folders["ViT-B/32"]))
        networks = Networks(folders, root)
        rows: list[Row] = []
        for work in _works(inputs):
            if arguments.only in work.name:
                rows += _measure(work, networks, arguments, root / "sides")
        if arguments.only in MEMORY:
            rows += _memory_rows(inputs, networks, arguments, root / "sides")
    if arguments.only in "resize, preprocess":
        rows += bench_preprocess.rows(data=arguments.data)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    facts = {
        "data": f"{inputs.kind} plots and posters",
        "rounds": arguments.rounds,
        "load_average_before": load,
        **versions,
    }
    result = document(rows, threads=arguments.threads, **facts)
    write(arguments.out, result)
    text = table(rows)
    print(text)
    if arguments.markdown:
        arguments.markdown.parent.mkdir(parents=True, exist_ok=True)
        arguments.markdown.write_text(_page(result, text), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_encode", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON document to write")
    parser.add_argument("--markdown", type=Path, help="the page of the docs to write")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="compute threads a side")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--posters", type=int, default=512)
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--only", default="", help="measure only rows whose name has this in it")
    parser.add_argument("--data", type=Path, help="folder with catalog.tsv and posters/ (default: MATINEE_TEST_DATA)")
    return parser.parse_args()


def _torch_networks(*arguments: str) -> None:
    """In a process of its own: what PyTorch takes here must not stand in the way of what is measured."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.torch_networks", *arguments]
    subprocess.run(command, cwd=REPOSITORY, check=True)


@dataclass(frozen=True)
class _Inputs:
    """What the works read, written down once."""

    root: Path
    kind: str  # real or generated
    sentences: int
    posters: int

    @staticmethod
    def write(arguments: argparse.Namespace, root: Path) -> _Inputs:
        named = arguments.data or os.environ.get("MATINEE_TEST_DATA")
        folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
        kind = "real" if (folder / "catalog.tsv").is_file() else "generated"
        texts, posters = _real_items(arguments, folder) if kind == "real" else _generated_items(arguments)
        tokenizer = _core.WordPiece(models.resolve("minilm-l6-v2") / "vocab.txt", max_tokens=64)
        # Sentences put together and cut at 64 tokens by words, so that every tokenizer gives exactly as many.
        joined = [" ".join(texts[(i * 8 + j) % len(texts)] for j in range(8)) for i in range(4 * 32)]
        exact = [_words_of(tokenizer, text, 62) for text in joined]
        queries = [text for text in texts if 11 <= len(text.split()) <= 13][:64] or [" ".join(WORDS[:12])]
        for name, some in (("sentences", texts), ("exact", exact), ("queries", queries)):
            (root / f"{name}.json").write_text(json.dumps(some), encoding="utf-8")
        (root / "posters").mkdir()
        for i, data in enumerate(posters):
            (root / "posters" / f"{i:06}.jpg").write_bytes(data)
        pixels, _ = _core.Preprocessor.from_json(json.dumps(bench_preprocess.CLIP)).run((posters * 32)[:32])
        np.save(root / "pixels.npy", pixels)
        return _Inputs(root, kind, len(texts), len(posters))


def _works(inputs: _Inputs) -> list[Work]:
    bf16 = _core.has_native_bf16()
    # Beside the fastest of the peers that compute in bf16, or in fp32; a processor without bf16 runs int8 all the same.
    low = ("bf16",) if bf16 else ("fp32",)
    alike = {**({"bf16": low} if bf16 else {}), "int8": low, "fp32": ("fp32",)}
    # What `auto` chooses beside the fastest of all.
    best: dict[str, tuple[str, ...]] = {"bf16": ("bf16", "fp32")} if bf16 else {"fp32": ("fp32",)}
    root = inputs.root
    queries = len(json.loads((root / "queries.json").read_text(encoding="utf-8")))
    vit = [
        Work("ViT-B/32 {precision} batch " + str(size), "ms an image", "ViT-B/32", "pixels",
             root / "pixels.npy", 32, alike, size)
        for size in (1, 8, 32)
    ]  # fmt: skip
    plots = f"MiniLM on the {inputs.sentences:,} {inputs.kind} sentences of the catalogue's plots"
    minilm = [
        Work(f"{plots}, tokenisation included", "ms a sentence", "MiniLM", "texts",
             root / "sentences.json", inputs.sentences, best, in_parts=True),
        Work("MiniLM one query of ~12 words, tokenisation included", "ms a query", "MiniLM", "texts",
             root / "queries.json", queries, best, 1),
        Work("MiniLM on texts of 64 tokens in calls of 32, tokenisation included", "ms a text", "MiniLM", "texts",
             root / "exact.json", 128, best, 32),
    ]  # fmt: skip
    efficientnet = Work(f"EfficientNet-Lite0 on the {inputs.posters:,} posters, JPEG bytes to vectors", "ms an image",
                        "EfficientNet-Lite0", "images", root / "posters", inputs.posters, best,
                        in_parts=True)  # fmt: skip
    return [*vit, *minilm, efficientnet]


def _real_items(arguments: argparse.Namespace, folder: Path) -> tuple[list[str], list[bytes]]:
    """Sentences of plots, and the bytes of posters."""
    with (folder / "catalog.tsv").open(encoding="utf-8") as file:
        plots = [line.split("\t")[8] for line in file][1:]
    texts = [plot[begin:end] for plot in plots for begin, end in sentences(plot)]
    posters = sorted((folder / "posters").glob("*.jpg"))
    every = max(1, len(texts) // arguments.sentences), max(1, len(posters) // arguments.posters)
    return (
        texts[:: every[0]][: arguments.sentences],
        [path.read_bytes() for path in posters[:: every[1]][: arguments.posters]],
    )


def _generated_items(arguments: argparse.Namespace) -> tuple[list[str], list[bytes]]:
    """Sentences with the lengths and posters with the size of real ones."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(2.9, 0.5, arguments.sentences).astype(int), 4, 60)
    texts = [" ".join(rng.choice(WORDS, length)) for length in lengths]
    posters = []
    for _ in range(arguments.posters):
        rough = Image.fromarray(rng.integers(0, 256, (28, 19, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        rough.resize((185, 278), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
        posters.append(buffer.getvalue())
    return texts, posters


def _words_of(tokenizer: Any, text: str, count: int) -> str:
    """The words of `text` that give `count` tokens besides [CLS] and [SEP], filled up with one of a single token."""
    words: list[str] = []
    for word in text.split():
        if len(tokenizer.encode(" ".join([*words, word]))) - 2 > count:
            break
        words.append(word)
    missing = count - (len(tokenizer.encode(" ".join(words))) - 2)
    return " ".join(words + ["film"] * missing)


def _sides(peer_precisions: tuple[str, ...], ours: tuple[str, ...]) -> list[tuple[str, str]]:
    peers = [peer for peer in PEERS if peer[1] in peer_precisions]
    if ("torch", "bf16") in peers and "bf16" in ours and "fp32" not in ours:
        peers.remove(("torch", "fp32"))  # never the faster of PyTorch's two, and by far the slowest of all
    return [*peers, *(("matinee", precision) for precision in ours)]


def _vectors(job: dict[str, Any], scratch: Path) -> np.ndarray:
    """Of one pass that is not timed."""
    with _Child([job], scratch) as child:
        return child.vectors[0]


def _measure(work: Work, networks: Networks, arguments: argparse.Namespace, scratch: Path) -> list[Row]:
    needed = {precision for precisions in work.rivals.values() for precision in precisions}
    sides = _sides(tuple(needed), tuple(work.rivals))
    seconds: dict[tuple[str, str], list[float]] = {side: [] for side in sides}
    slices = arguments.rounds if work.in_parts else 1
    vectors = {REFERENCE: _vectors(networks.job(work, *REFERENCE, arguments.threads, slices), scratch)}
    with ExitStack() as stack:
        children = {}
        for side, precision in sides:
            job = networks.job(work, side, precision, arguments.threads, slices)
            child = stack.enter_context(_Child([job], scratch))
            children[side, precision] = child
            vectors[side, precision] = child.vectors[0]
        for number in range(arguments.rounds):
            items = len(range(number % slices, work.count, slices))
            for name, child in children.items():
                time.sleep(_PAUSE)
                seconds[name].append(child.run() / items)
    value = {side: 1e3 * statistics.median(times) for side, times in seconds.items()}
    reference = vectors[REFERENCE]
    rows = []
    for precision, rivals in work.rivals.items():
        title = work.name.format(precision=precision)
        rows.append(
            Row(
                work=title if title != work.name else f"{title}, {precision}",
                unit=work.unit,
                better="lower",
                ours=value["matinee", precision],
                peers={PEERS[peer]: value[peer] for peer in value if peer in PEERS and peer[1] in rivals},
                cosine_to_reference=_lowest_cosine(vectors["matinee", precision], reference),
            )
        )
    # A side that computes something else is no peer.
    for peer in PEERS.keys() & vectors.keys():
        lowest = _lowest_cosine(vectors[peer], reference)
        assert lowest > (0.9999 if peer[1] == "fp32" else 0.98), f"{work.name}: {PEERS[peer]}: cosine {lowest}"
    return rows


MEMORY = "memory of a process with MiniLM and ViT-B/32 {precision} loaded"


def _memory_rows(inputs: _Inputs, networks: Networks, arguments: argparse.Namespace, scratch: Path) -> list[Row]:
    """After one query and one image: resident memory, and the same with shared pages counted in proportion."""
    ours = "bf16" if _core.has_native_bf16() else "fp32"
    parts = [
        Work("", "", "MiniLM", "texts", inputs.root / "queries.json", 1, {}, 1),
        Work("", "", "ViT-B/32", "pixels", inputs.root / "pixels.npy", 1, {}, 1),
    ]
    taken = {}
    for side, precision in _sides((ours, "fp32"), (ours,)):
        jobs = [networks.job(part, side, precision, arguments.threads) for part in parts]
        with _Child(jobs, scratch) as child:
            taken[side, precision] = child.memory
    return [
        Row(
            work=f"{MEMORY.format(precision=ours)}, {measure.upper()}",
            unit="MB",
            better="lower",
            ours=taken["matinee", ours][measure],
            peers={PEERS[side]: values[measure] for side, values in taken.items() if side in PEERS},
        )
        for measure in taken["matinee", ours]
    ]


def _lowest_cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


class _Child:
    """A side's process; warmed up when the context is entered."""

    def __init__(self, jobs: list[dict[str, Any]], scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        paths = [scratch / f"{i}.npy" for i in range(len(jobs))]
        for job, path in zip(jobs, paths, strict=True):
            job["vectors"] = str(path)
        (scratch / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
        limits = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MATINEE_NUM_THREADS"), str(jobs[0]["threads"]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.encode_side", str(scratch / "jobs.json")],
            cwd=REPOSITORY,
            env=os.environ | limits | {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = self._answer()
        if not ready:
            raise SystemExit(f"bench_encode: {jobs[0]['side']} {jobs[0]['precision']}: failed, see above")
        self.memory: dict[str, float] = json.loads(ready)  # MB
        self.vectors = [np.load(path) for path in paths]
        shutil.rmtree(scratch)

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def run(self) -> float:
        """Seconds of the next pass."""
        assert self._process.stdin
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


def _page(result: dict[str, Any], rows: str) -> str:
    return f"""# Encoding speed

Texts and posters to vectors, beside PyTorch {result["torch"]}, ONNX Runtime {result["onnxruntime"]} and OpenVINO
{result["openvino"]} doing the same work in the same run on the same inputs with the same number of threads; each side
in a process of its own, rounds interleaved, medians of {result["rounds"]} rounds. Written by `make bench-encode`; the
numbers are also in `benchmarks/results/encode.json`.

{result["cpu"]}, {result["threads"]} threads, {result["date"]}; {result["data"]}; load average before the run
{result["load_average_before"]:.1f}.

{rows}
The ratio is Matinee's value by the best peer's: below 1 is better where lower is better, above 1 where higher is. Peers
are those a row is meant to be compared with: for ViT-B/32 in bf16 and int8 those that compute in bf16, in fp32 those in
fp32; for the others all, whatever their precision (PyTorch's fp32 only where it has no bf16, which is faster). On a
processor without bf16 instructions only fp32 and int8 run.

Peers are used as their own users would use them: texts sorted by length before they are batched by 32, the fast
tokenizer; posters decoded and resized by Pillow on all threads while the network runs, in batches of 32. PyTorch runs
in `inference_mode` with channels-last images; ONNX Runtime and OpenVINO run the network exported from PyTorch to ONNX,
OpenVINO with its latency hint, and with the shape fixed for ViT-B/32. ViT-B/32 has its real shape with generated
weights, and begins at normalised pixels. The cosine is the lowest over all items to PyTorch in fp32; for posters it
includes the difference between two JPEG decoders. Of the sentences and posters a round encodes a part that is like the
others, and all rounds together encode each once; their cosine is over the first part. Memory is that of a whole process
after one query and one image: RSS what is resident, PSS with shared pages counted in proportion. Rows "a core" run on
one thread.
"""


if __name__ == "__main__":
    main()
