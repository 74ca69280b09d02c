"""Decoding, resizing and normalising beside Pillow: ``python -m benchmarks.bench_preprocess --out FILE.json``.

One thread each, in one process, on the same bytes; rounds are interleaved and values are medians over them. `rows`
gives the rows alone, for a table with others.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.report import Row, document, table, write
from matinee import _core

REPOSITORY = Path(__file__).resolve().parents[1]

WIDTH = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
CLIP = {
    "size": {"shortest_edge": WIDTH},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": WIDTH, "width": WIDTH},
    "image_mean": MEAN,
    "image_std": STD,
}


def rows(*, data: Path | None = None, images: int = 200, rounds: int = 15) -> list[Row]:
    """Preprocessing posters (real ones where `data` has them), and resizing alone at two sizes; images/s a thread."""
    files, kind = _posters(data, images)
    before = _core.num_threads()
    _core.set_num_threads(1)
    try:
        return [_preprocess_row(files, kind, rounds), *(_resize_row(files[0], size, rounds) for size in SIZES)]
    finally:
        _core.set_num_threads(before)


SIZES = ((185, 278), (1000, 1500))  # (width, height)


def _preprocess_row(files: list[bytes], kind: str, rounds: int) -> Row:
    preprocessor = _core.Preprocessor.from_json(json.dumps(CLIP))
    # As a NumPy user writes it who cares for speed: one multiplication and one addition, in place, in float32.
    scale = np.array([1 / (255 * s) for s in STD], np.float32)
    shift = np.array([-m / s for m, s in zip(MEAN, STD, strict=True)], np.float32)

    def ours() -> np.ndarray:
        planes, errors = preprocessor.run(files)
        assert not any(errors)
        return planes

    def theirs() -> np.ndarray:
        planes = np.empty((len(files), 3, WIDTH, WIDTH), np.float32)
        for plane, file in zip(planes, files, strict=True):
            image = Image.open(io.BytesIO(file)).convert("RGB")
            width, height = image.size
            short = min(width, height)
            width, height = WIDTH * width // short, WIDTH * height // short
            image = image.resize((width, height), Image.Resampling.BICUBIC)
            left, top = (width - WIDTH) // 2, (height - WIDTH) // 2
            pixels = np.asarray(image.crop((left, top, left + WIDTH, top + WIDTH)), np.float32)
            pixels *= scale
            pixels += shift
            plane[:] = pixels.transpose(2, 0, 1)
        return planes

    # Two JPEG decoders may differ by 2 of 255.
    assert np.abs(ours() - theirs()).max() < 4 / 255 / min(STD)
    seconds = _medians({"ours": ours, "theirs": theirs}, rounds)
    return Row(
        work=f"preprocess, JPEG bytes to normalised tensor, {len(files)} {kind} posters",
        unit="images/s a core",
        better="higher",
        ours=len(files) / seconds["ours"],
        peers={"Pillow + NumPy": len(files) / seconds["theirs"]},
    )


def _resize_row(file: bytes, size: tuple[int, int], rounds: int) -> Row:
    image = Image.open(io.BytesIO(file)).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(image)
    height = round(WIDTH * size[1] / size[0])
    repeats = max(1, 20_000_000 // (size[0] * size[1] + WIDTH * height) // 4)

    def ours() -> np.ndarray:
        for _ in range(repeats):
            resized = _core.resize(pixels, height=height, width=WIDTH)
        return resized

    def theirs() -> np.ndarray:
        for _ in range(repeats):
            resized = image.resize((WIDTH, height), Image.Resampling.BICUBIC)
        return np.asarray(resized)

    np.testing.assert_array_equal(ours(), theirs())
    seconds = _medians({"ours": ours, "theirs": theirs}, rounds)
    return Row(
        work=f"resize, exact, alone, {size[0]}x{size[1]} to {WIDTH} wide",
        unit="images/s a core",
        better="higher",
        ours=repeats / seconds["ours"],
        peers={"Pillow": repeats / seconds["theirs"]},
    )


def _medians(sides: dict[str, Callable[[], np.ndarray]], rounds: int) -> dict[str, float]:
    """Seconds of a pass of each side, after one that warms up."""
    for run in sides.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def _posters(data: Path | None, count: int) -> tuple[list[bytes], str]:
    """The bytes of posters, and whether they are real or generated."""
    named = data or os.environ.get("MATINEE_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    paths = sorted((folder / "posters").glob("*.jpg"))
    if paths:
        return [path.read_bytes() for path in paths[:: max(1, len(paths) // count)][:count]], "real"
    rng = np.random.default_rng(0)
    files = []
    for _ in range(count):
        rough = Image.fromarray(rng.integers(0, 256, (28, 19, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        rough.resize((185, 278), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
        files.append(buffer.getvalue())
    return files, "generated"


def main() -> None:
    """Measures, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_preprocess", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON document to write")
    parser.add_argument("--data", type=Path, help="folder with posters/ (default: MATINEE_TEST_DATA)")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    found = rows(data=arguments.data, images=arguments.images, rounds=arguments.rounds)
    write(arguments.out, document(found, threads=1, rounds=arguments.rounds))
    print(table(found))


if __name__ == "__main__":
    main()
