"""Every bound call that can take a millisecond lets other Python threads run.

To add a call: write a function that prepares its input and returns the call, and name it in CALLS.
"""

from __future__ import annotations

import io
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_folders import WORDS, write_image_model, write_text_model

from matinee import _core

LONG_ENOUGH_S = 0.05  # of a call, so that a sleeping thread has many chances to wake up
TICKS_WHEN_RELEASED = 5


@pytest.fixture
def ticks_during() -> Iterator[Callable[[Callable[[], object]], int]]:
    """Counts how often another Python thread ran while a call was under way.

    With an endless switch interval the interpreter never takes the GIL away from a thread: the other one runs only
    when the call itself lets go of it. A call that keeps it gives 0 (or 1, at its very end).
    """
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0.001)

    def measure(call: Callable[[], object]) -> int:
        before = ticks
        call()
        return ticks - before

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    yield measure
    stop.set()
    sys.setswitchinterval(interval)
    ticker.join()


def large_jpeg() -> bytes:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)).resize((4000, 3000))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def decode_call() -> Callable[[], object]:
    data = large_jpeg()
    return lambda: _core.decode_rgb(data)


def resize_call() -> Callable[[], object]:
    image = np.zeros((6000, 6000, 3), np.uint8)
    return lambda: _core.resize(image, height=5000, width=5000)


def preprocess_call() -> Callable[[], object]:
    images = [large_jpeg()] * 2
    preprocessor = _core.Preprocessor(height=224, width=224)
    return lambda: preprocessor.run(images)


def tokenize_call() -> Callable[[], object]:
    with tempfile.TemporaryDirectory() as folder:
        vocab = Path(folder) / "vocab.txt"
        vocab.write_text("[UNK]\n[CLS]\n[SEP]\nfilm\n")
        tokenizer = _core.WordPiece(vocab)
    texts = [" " * 1_000_000 + "film"] * 16
    return lambda: tokenizer.encode_batch(texts)


def index_call(what: str) -> Callable[[], object]:
    vectors = np.random.default_rng(0).normal(size=(20_000, 128)).astype(np.float32)
    index = _core.Index.build(vectors, metric="cosine", kind="exact")
    if what == "build":
        return lambda: _core.Index.build(vectors, metric="cosine", kind="exact")
    return lambda: index.search(vectors[:1000], 10)


def bert_call() -> Callable[[], object]:
    with tempfile.TemporaryDirectory() as folder:
        encoder = _core.TokenEncoder.load(write_text_model(Path(folder), hidden=64, max_tokens=256))
    token_ids = np.arange(256 * 64, dtype=np.int32) % len(WORDS)
    offsets = np.arange(65, dtype=np.int64) * 256
    return lambda: encoder.encode(token_ids, offsets)


def batcher_call() -> Callable[[], object]:
    with tempfile.TemporaryDirectory() as folder:
        encoder = _core.TokenEncoder.load(write_text_model(Path(folder), hidden=64, max_tokens=256))
    batcher = _core.TextBatcher(encoder)
    token_ids = np.arange(256 * 64, dtype=np.int32) % len(WORDS)
    offsets = np.arange(65, dtype=np.int64) * 256
    return lambda: batcher.encode(token_ids, offsets)


def convnet_call() -> Callable[[], object]:
    with tempfile.TemporaryDirectory() as folder:
        net = _core.ConvNet.load(write_image_model(Path(folder), image_size=224))
    pixels = np.zeros((8, 3, 224, 224), np.float32)
    return lambda: net.features(pixels)


def load_call() -> Callable[[], object]:
    folder = tempfile.TemporaryDirectory()
    path = write_image_model(Path(folder.name))

    def load(keep: object = folder) -> object:
        return _core.ConvNet.load(path)

    return load


CALLS = {
    "decode_rgb": decode_call,
    "resize": resize_call,
    "Preprocessor.run": preprocess_call,
    "WordPiece.encode_batch": tokenize_call,
    "Index.build": lambda: index_call("build"),
    "Index.search": lambda: index_call("search"),
    "TokenEncoder.encode": bert_call,
    "TextBatcher.encode": batcher_call,
    "ConvNet.features": convnet_call,
    "ConvNet.load": load_call,
}


@pytest.mark.parametrize("name", CALLS)
def test_other_threads_run_during_a_long_call(name: str, ticks_during: Callable[[Callable[[], object]], int]) -> None:
    call = CALLS[name]()

    def long_call() -> None:
        end = time.perf_counter() + LONG_ENOUGH_S
        call()
        while time.perf_counter() < end:
            call()

    assert ticks_during(long_call) >= TICKS_WHEN_RELEASED


def test_the_measure_sees_a_call_that_keeps_the_gil(ticks_during: Callable[[Callable[[], object]], int]) -> None:
    numbers = list(range(500_000, 0, -1)) * 4

    def keeps_the_gil() -> None:
        for _ in range(3):
            sorted(numbers)  # one long call of C code

    assert ticks_during(keeps_the_gil) <= 1
