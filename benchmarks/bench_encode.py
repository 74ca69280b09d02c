"""Texts and images a second beside pip's torch: ``python -m benchmarks.bench_encode --out encode.json``.

Every side runs in a process of its own with the same number of threads and does the same work on the same inputs, from
strings or JPEG bytes to vectors. Rounds are interleaved (one pass of each side, then the next round), so that whatever
else the machine does falls on all; values are medians over the rounds.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from benchmarks.report import Row, document, table, write
from matinee import _core, models

REPOSITORY = Path(__file__).resolve().parents[1]
Kind = Literal["texts", "images"]

WORDS = tuple(
    "the of and in to his her who from after before when city night house war love brother sister detective stranger "  # noqa: SIM905
    "train island secret murder money family dream road river summer winter police teacher dancer pilot returns finds "
    "loses follows discovers betrays saves leaves learns hides old young last first lost forgotten".split()
)


@dataclass(frozen=True)
class Work:
    """One comparison, before it is measured."""

    name: str
    kind: Kind
    unit: str
    items: Path
    count: int
    call_size: int | None = None  # texts a call; None: all in one
    precisions: tuple[str, ...] = ("bf16", "fp32")  # of ours; a row each


def main() -> None:
    """Measures, prints the table, writes the JSON and the page of the docs."""
    arguments = _arguments()
    sides_have_bf16 = _core.has_native_bf16()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        works, data = _works(arguments, root)
        rows = []
        for number, work in enumerate(work for work in works if arguments.only in work.name):
            folder = models.resolve("minilm-l6-v2" if work.kind == "texts" else "efficientnet-lite0")
            rows += _measure(work, folder, arguments, root / str(number), bf16=sides_have_bf16)
    import torch

    facts = {"data": data, "rounds": arguments.rounds, "load_average_before": load, "torch": torch.__version__}
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
    page = REPOSITORY / "docs" / "benchmarks" / "encode.md"
    parser.add_argument("--markdown", type=Path, default=page, help="the page of the docs to write")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="compute threads a side")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--only", default="", help="measure only rows whose name has this in it")
    parser.add_argument("--data", type=Path, help="folder with catalog.tsv and posters/ (default: MATINEE_TEST_DATA)")
    return parser.parse_args()


def _works(arguments: argparse.Namespace, root: Path) -> tuple[list[Work], str]:
    """Writes the inputs down; also says what they are."""
    named = arguments.data or os.environ.get("MATINEE_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    real = (folder / "catalog.tsv").is_file()
    plots, posters = _real_items(arguments, folder) if real else _generated_items(arguments)
    tokenizer = _core.WordPiece(models.resolve("minilm-l6-v2") / "vocab.txt", max_tokens=64)
    filled = [plot for plot in plots if len(tokenizer.encode(plot)) == 64] or [" ".join(WORDS)]
    # Cut at 64 tokens by words, so that both sides' own tokenizers give exactly as many.
    exact = [_words_of(tokenizer, filled[i % len(filled)], 62) for i in range(4 * 32)]
    for name, texts in (("plots", plots), ("exact", exact), ("queries", [_query(plot) for plot in plots[:64]])):
        (root / f"{name}.json").write_text(json.dumps(texts), encoding="utf-8")
    (root / "posters").mkdir()
    for i, data in enumerate(posters):
        (root / "posters" / f"{i:06}.jpg").write_bytes(data)
    kind = "real" if real else "generated"
    works = [
        Work(f"images/s, JPEG bytes to vectors, {len(posters)} {kind} posters", "images", "images/s",
             root / "posters", len(posters)),
        Work(f"texts/s, tokenisation included, {len(plots)} {kind} plots", "texts", "texts/s",
             root / "plots.json", len(plots)),
        Work("ms a text of 64 tokens, in batches of 32", "texts", "ms", root / "exact.json", len(exact), 32),
        Work("ms a search query, one at a time", "texts", "ms", root / "queries.json", min(64, len(plots)), 1),
    ]  # fmt: skip
    return works, f"{kind} posters and plots"


def _real_items(arguments: argparse.Namespace, folder: Path) -> tuple[list[str], list[bytes]]:
    with (folder / "catalog.tsv").open(encoding="utf-8") as file:
        plots = [plot for plot in (line.split("\t")[8] for line in file) if plot][1:]
    posters = sorted((folder / "posters").glob("*.jpg"))
    every = max(1, len(plots) // arguments.texts), max(1, len(posters) // arguments.images)
    return (
        plots[:: every[0]][: arguments.texts],
        [path.read_bytes() for path in posters[:: every[1]][: arguments.images]],
    )


def _generated_items(arguments: argparse.Namespace) -> tuple[list[str], list[bytes]]:
    """Texts with the lengths and posters with the size of real ones."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(3.9, 0.5, arguments.texts).astype(int), 5, 250)
    plots = [" ".join(rng.choice(WORDS, length)) for length in lengths]
    posters = []
    for _ in range(arguments.images):
        rough = Image.fromarray(rng.integers(0, 256, (28, 19, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        rough.resize((185, 278), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
        posters.append(buffer.getvalue())
    return plots, posters


def _words_of(tokenizer: Any, text: str, count: int) -> str:
    """The words of `text` that give `count` tokens besides [CLS] and [SEP], filled up with one of a single token."""
    words: list[str] = []
    for word in text.split():
        if len(tokenizer.encode(" ".join([*words, word]))) - 2 > count:
            break
        words.append(word)
    missing = count - (len(tokenizer.encode(" ".join(words))) - 2)
    return " ".join(words + ["film"] * missing)


def _query(plot: str) -> str:
    return " ".join(plot.split()[:9])


def _measure(work: Work, folder: Path, arguments: argparse.Namespace, scratch: Path, *, bf16: bool) -> list[Row]:
    precisions = [p for p in work.precisions if p == "fp32" or bf16]
    sides = [("torch", "fp32"), *([("torch", "bf16")] if bf16 else []), *(("matinee", p) for p in precisions)]
    seconds: dict[tuple[str, str], list[float]] = {side: [] for side in sides}
    vectors = {}
    with ExitStack() as stack:
        children = {}
        for side, precision in sides:
            own = scratch / f"{side}-{precision}"
            job = {"side": side, "precision": precision, "folder": str(folder), "threads": arguments.threads}
            children[side, precision] = stack.enter_context(_Child(work, job, own))
            vectors[side, precision] = np.load(own / "vectors.npy")
        for _ in range(arguments.rounds):
            for name, child in children.items():
                seconds[name].append(child.run())
    higher = work.unit.endswith("/s")
    value = {
        side: work.count / statistics.median(times) if higher else 1e3 * statistics.median(times) / work.count
        for side, times in seconds.items()
    }
    reference = vectors["torch", "fp32"]
    rows = []
    for precision in precisions:
        # Each precision beside the peers that are at least as exact; "auto" is the first.
        peers = {f"torch {p}": value["torch", p] for p in ("fp32", "bf16") if ("torch", p) in value}
        if precision == "fp32":
            peers.pop("torch bf16", None)
        rows.append(
            Row(
                work=f"{work.name}, {precision}",
                unit=work.unit,
                better="higher" if higher else "lower",
                ours=value["matinee", precision],
                peers=peers,
                cosine_to_reference=_lowest_cosine(vectors["matinee", precision], reference),
            )
        )
    return rows


def _lowest_cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


class _Child:
    """A side's process; warmed up when the context is entered."""

    def __init__(self, work: Work, job: dict[str, Any], scratch: Path) -> None:
        scratch.mkdir(parents=True)
        job |= {"kind": work.kind, "items": str(work.items), "call_size": work.call_size}
        job["vectors"] = str(scratch / "vectors.npy")
        (scratch / "job.json").write_text(json.dumps(job), encoding="utf-8")
        limits = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MATINEE_NUM_THREADS"), str(job["threads"]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.encode_side", str(scratch / "job.json")],
            cwd=REPOSITORY,
            env=os.environ | limits | {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._answer() != "ready":
            raise SystemExit(f"bench_encode: {job['side']} {job['precision']}: failed, see above")

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def run(self) -> float:
        """Seconds of one pass."""
        assert self._process.stdin
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


def _page(result: dict[str, Any], rows: str) -> str:
    return f"""# Encoding speed

Texts and posters to vectors, beside PyTorch {result["torch"]} (pip) doing the same work in the same run on the same
inputs with the same number of threads; each side in a process of its own, rounds interleaved, medians of
{result["rounds"]} rounds. Written by `make bench-encode`; the numbers are also in `benchmarks/results/encode.json`.

{result["cpu"]}, {result["threads"]} threads, {result["date"]}; {result["data"]}; load average before the run
{result["load_average_before"]:.1f}.

{rows}
PyTorch is used as its own users would: texts sorted by length before they are batched by 32, the fast tokenizer,
`inference_mode`; posters decoded and resized by Pillow on all threads while the network runs, channels-last batches of
32 through the reference EfficientNet-Lite0. The cosine is the lowest over all items to PyTorch in fp32; for posters it
includes the difference between two JPEG decoders. On a processor without bf16 instructions only fp32 is measured.
"""


if __name__ == "__main__":
    main()
