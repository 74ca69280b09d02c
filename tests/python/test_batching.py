"""Requests of many callers: the same vectors as alone, whoever cancels, fails, floods or forks meanwhile."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_folders import write_image_model, write_text_model

from matinee import (
    BatchOptions,
    Encoder,
    FormatError,
    ImageEncoder,
    InvalidArgument,
    MatineeError,
    Overloaded,
    TextEncoder,
    _core,
    models,
)

PRECISIONS = ["fp32", "bf16"]
BATCH_TOLERANCE = 1e-5  # as TextEncoder.encode promises
QUERIES = [" ".join("abcdefghij"[(i * j) % 10] for j in range(1 + i % 9)) + " film" for i in range(40)]


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_model(tmp_path_factory.mktemp("text"), hidden=32)


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image_model(tmp_path_factory.mktemp("image"))


def load_text(folder: Path, precision: Any = "fp32", **options: Any) -> TextEncoder:
    encoder = Encoder.load(folder, precision, batching=BatchOptions(**options))
    assert isinstance(encoder, TextEncoder)
    return encoder


class GatedNetwork:
    """A network in Python that stays in its first call until the gate opens; a token's vector is (id, length)."""

    dimension = 2

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches: list[int] = []

    def encode(self, token_ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        self.batches.append(len(offsets) - 1)
        self.entered.set()
        assert self.gate.wait(60)
        if (token_ids < 0).any():
            raise FormatError("a bad token")
        return np.stack([token_ids[offsets[:-1]], np.diff(offsets)], axis=1).astype(np.float32)


class LengthTokenizer:
    """A text's tokens are its length, as often."""

    def encode_batch(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        return packed(*(len(text) for text in texts))


def over(network: GatedNetwork, **options: Any) -> TextEncoder:
    """An encoder whose network is `network`."""
    encoder = object.__new__(TextEncoder)
    encoder._network, encoder._tokenizer = network, LengthTokenizer()  # type: ignore[assignment]
    encoder._batcher = _core.TextBatcher(network, **asdict(BatchOptions(**options)))
    return encoder


def packed(*lengths: int) -> tuple[np.ndarray, np.ndarray]:
    """Items whose tokens are their length."""
    return np.repeat(lengths, lengths).astype(np.int32), np.cumsum([0, *lengths]).astype(np.int64)


def rows(*lengths: int) -> list[list[float]]:
    return [[length, length] for length in lengths]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_texts_have_the_same_vectors_whatever_they_are_batched_with(text_folder: Path, precision: str) -> None:
    encoder = load_text(text_folder, precision, max_batch=7, max_running=1)
    expected = np.concatenate([load_text(text_folder, precision).encode([query]) for query in QUERIES])
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda i: encoder.encode_one(QUERIES[i % 40]), range(800)))
    for i, vector in enumerate(found):
        np.testing.assert_allclose(vector, expected[i % 40], rtol=0, atol=BATCH_TOLERANCE)
    counts = encoder.statistics
    assert (counts["requests"], counts["items"], counts["waiting"]) == (800, 800, 0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_queries_of_the_real_model_agree_whatever_they_are_batched_with(precision: str) -> None:
    try:
        encoder = load_text(models.verify("minilm-l6-v2"), precision, max_running=1)
    except MatineeError as error:
        pytest.skip(str(error))
    queries = [f"{subject} {verb} {place}" for subject in ("a thief", "two old friends", "the last detective of Rome")
               for verb in ("plans a heist in", "falls in love", "hides from the war, and from everyone,")
               for place in ("space", "a small town by the sea")]  # fmt: skip
    expected = np.concatenate([encoder.encode([query]) for query in queries])
    with ThreadPoolExecutor(len(queries)) as pool:
        found = np.stack(list(pool.map(encoder.encode_one, queries)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=BATCH_TOLERANCE)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_images_have_the_same_vectors_whatever_they_are_batched_with(image_folder: Path, precision: Any) -> None:
    encoder = Encoder.load(image_folder, precision, batching=BatchOptions(max_running=1))
    assert isinstance(encoder, ImageEncoder)
    pictures = [np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8) for i in range(6)]
    expected = encoder.encode(pictures * 6).vectors[:6]  # in bulk: it does not join
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: encoder.encode_one(pictures[i % 6]), range(48)))
    for i, vector in enumerate(found):
        np.testing.assert_array_equal(vector, expected[i % 6])


def test_requests_that_arrive_during_a_batch_make_the_next_one() -> None:
    network = GatedNetwork()
    batcher = _core.TextBatcher(network, max_running=1, max_delay_ms=0)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(batcher.encode, *packed(5))]
        assert network.entered.wait(60)
        calls += [pool.submit(batcher.encode, *packed(length, 1)) for length in (2, 3, 4)]
        wait_for(lambda: batcher.statistics["waiting"] == 6)
        network.gate.set()
        assert [call.result().tolist() for call in calls] == [rows(5), rows(2, 1), rows(3, 1), rows(4, 1)]
    assert network.batches == [1, 6]


def test_only_the_request_that_does_not_bear_computing_fails() -> None:
    network = GatedNetwork()
    batcher = _core.TextBatcher(network, max_running=1, max_delay_ms=0)
    bad = np.array([-1], np.int32), np.array([0, 1], np.int64)
    with ThreadPoolExecutor(4) as pool:
        pool.submit(batcher.encode, *packed(1))
        assert network.entered.wait(60)
        good, failing = pool.submit(batcher.encode, *packed(2)), pool.submit(batcher.encode, *bad)
        wait_for(lambda: batcher.statistics["waiting"] == 2)
        network.gate.set()
        assert good.result().tolist() == rows(2)
        with pytest.raises(FormatError, match="a bad token"):
            failing.result()


def test_a_submitted_request_is_answered_or_cancelled_but_not_both() -> None:
    network = GatedNetwork()
    batcher = _core.TextBatcher(network, max_running=1, max_queue=2)
    answers: list[tuple[str, Any, Any]] = []

    def submit(name: str, tokens: tuple[np.ndarray, np.ndarray]) -> Callable[[], bool]:
        return batcher.submit(*tokens, lambda vectors, error: answers.append((name, vectors, error)))

    running = submit("running", packed(1))
    assert network.entered.wait(60)
    dropped, bad = submit("dropped", packed(2)), submit("bad", (np.array([-1], np.int32), np.array([0, 1], np.int64)))
    with pytest.raises(Overloaded, match="at most 2 items"):
        submit("refused", packed(3))
    assert dropped()
    assert not dropped()
    kept = submit("kept", packed(3))
    assert not running()
    network.gate.set()
    wait_for(lambda: len(answers) == 3)
    assert not kept()
    assert not bad()
    found = {name: (vectors, error) for name, vectors, error in answers}
    assert found["running"][0].tolist() == rows(1)
    assert found["kept"][0].tolist() == rows(3)
    assert isinstance(found["bad"][1], FormatError)
    assert found["bad"][0] is None
    counts = batcher.statistics
    assert (counts["requests"], counts["refused"], counts["cancelled"], counts["waiting"]) == (4, 1, 1, 0)


def test_a_callback_that_raises_is_reported_and_the_batcher_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    network = GatedNetwork()
    network.gate.set()
    batcher = _core.TextBatcher(network)

    def fail(vectors: object, error: object) -> None:
        raise ZeroDivisionError

    batcher.submit(*packed(1), fail)
    wait_for(lambda: len(reported) == 1)
    assert reported[0].exc_type is ZeroDivisionError
    reported.clear()
    assert batcher.encode(*packed(2)).tolist() == rows(2)


def test_a_batcher_that_goes_away_tells_who_waits_and_holds_on_to_nothing() -> None:
    network = GatedNetwork()
    batcher = _core.TextBatcher(network, max_running=1)
    told: list[Any] = []
    batcher.submit(*packed(1), lambda vectors, error: told.append(vectors))
    assert network.entered.wait(60)
    batcher.submit(*packed(2), lambda vectors, error: told.append(error))
    opener = threading.Timer(0.2, network.gate.set)  # the end waits for what runs
    opener.start()
    del batcher
    opener.join()
    wait_for(lambda: len(told) == 2)
    errors = [item for item in told if isinstance(item, Exception)]
    assert [type(error).__name__ for error in errors] == ["Cancelled"]
    gone = weakref.ref(network)
    del network, opener
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "options",
    [{"max_batch": 0}, {"max_delay_ms": -1}, {"max_wait_ms": float("nan")}, {"max_delay_ms": 1e9}],
    ids=lambda options: next(iter(options)),
)
def test_options_out_of_range_are_refused(text_folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        load_text(text_folder, **options)


def test_inputs_that_do_not_fit_are_refused(image_folder: Path) -> None:
    batcher = _core.TextBatcher(GatedNetwork())
    ids, offsets = packed(2, 3)
    for wrong in [(ids.astype(np.int64), offsets), (ids, offsets[:-1]), (ids, offsets + 1), (ids, offsets[:0])]:
        with pytest.raises(InvalidArgument, match="encode: "):
            batcher.encode(*wrong)
        with pytest.raises(InvalidArgument, match="encode: "):
            batcher.submit(*wrong, print)
    assert batcher.encode(ids[:0], offsets[:1]).shape == (0, 2)
    images = _core.ImageBatcher(_core.ConvNet.load(image_folder), height=32, width=32)
    for shape in [(1, 3, 32, 31), (1, 1, 32, 32), (3, 32, 32)]:
        with pytest.raises(InvalidArgument, match="pixels"):
            images.encode(np.zeros(shape, np.float32))


# asyncio


def test_tasks_get_the_vectors_that_calls_get(text_folder: Path, image_folder: Path) -> None:
    text, image = load_text(text_folder), Encoder.load(image_folder)
    assert isinstance(image, ImageEncoder)
    pictures: list[Any] = [np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8) for i in range(3)]
    pictures.insert(1, b"no image")
    told: list[tuple[str, int, int]] = []

    async def run() -> tuple[list[np.ndarray], Any, np.ndarray]:
        many = asyncio.gather(*(text.encode_async([query]) for query in QUERIES))
        long = text.encode_async(["film " * 2000] * 300, progress=lambda *state: told.append(state))
        return await many, await image.encode_async(pictures), await long

    vectors, images, long = asyncio.run(run())
    np.testing.assert_allclose(np.concatenate(vectors), text.encode(QUERIES), rtol=0, atol=BATCH_TOLERANCE)
    expected = image.encode(pictures)
    np.testing.assert_array_equal(images.vectors, expected.vectors)
    assert [type(error) for error in images.errors] == [type(error) for error in expected.errors]
    assert long.shape == (300, 32)
    assert told == [("texts", 128, 300), ("texts", 256, 300), ("texts", 300, 300)]


def test_the_loop_goes_on_while_vectors_are_computed() -> None:
    network = GatedNetwork()
    encoder = over(network)

    async def run() -> list[list[float]]:
        task = asyncio.create_task(encoder.encode_async(["ab", "abc"]))
        while not network.entered.is_set():
            await asyncio.sleep(0.001)
        for _ in range(10):  # the loop turns while the network does not come back
            await asyncio.sleep(0)
        assert not task.done()
        network.gate.set()
        return (await task).tolist()

    assert asyncio.run(run()) == rows(2, 3)


def test_cancelling_a_task_takes_its_request_out_of_the_queue() -> None:
    network = GatedNetwork()
    encoder = over(network, max_running=1)

    async def run() -> None:
        encode = encoder.encode_async
        running = asyncio.create_task(encode(["film"]))
        while not network.entered.is_set():
            await asyncio.sleep(0.001)
        waiting = [asyncio.create_task(encode(["noir"])) for _ in range(5)]
        while encoder.statistics["waiting"] < 5:
            await asyncio.sleep(0.001)
        waiting[2].cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting[3], 0.01)
        with pytest.raises(asyncio.CancelledError):
            await waiting[2]
        assert encoder.statistics["waiting"] == 3
        running.cancel()  # too late for the computation; its result is let go of
        with pytest.raises(asyncio.CancelledError):
            await running
        network.gate.set()
        for i in (0, 1, 4):
            assert (await waiting[i]).shape == (1, 2)

    asyncio.run(run())
    assert encoder.statistics["cancelled"] == 2
    assert network.batches == [1, 3]


def test_a_full_queue_reaches_the_task_that_asked() -> None:
    network = GatedNetwork()
    encoder = over(network, max_running=1, max_queue=1)

    async def run() -> list[Any]:
        tasks = [asyncio.create_task(encoder.encode_async(["film"]))]
        while not network.entered.is_set():
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(encoder.encode_async(["film"])) for _ in range(3)]
        await asyncio.sleep(0.01)
        network.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    kinds = [type(result) for result in asyncio.run(run())]
    assert kinds == [np.ndarray, np.ndarray, Overloaded, Overloaded]


# Processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_encodes_while_the_parent_is_busy(text_folder: Path) -> None:
    program = """
import os, sys, threading
from pathlib import Path
from matinee import BatchOptions, Encoder
encoder = Encoder.load(Path(sys.argv[1]), "fp32")
expected = encoder.encode_one("film noir").tobytes()
stop = threading.Event()
def work():
    while not stop.is_set():
        encoder.encode_one("a film")
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        os._exit(0 if encoder.encode_one("film noir").tobytes() == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
"""
    subprocess.run([sys.executable, "-c", program, str(text_folder)], check=True, timeout=120)


def test_a_program_may_end_while_requests_wait(text_folder: Path) -> None:
    program = """
import sys
from pathlib import Path
from matinee import Encoder
encoder = Encoder.load(Path(sys.argv[1]), "fp32")
tokens = encoder._tokenizer.encode_batch(["film noir"] * 50)
for _ in range(20):
    encoder._batcher.submit(*tokens, print)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(text_folder)], capture_output=True, text=True, check=True, timeout=120
    )
    assert "terminate" not in done.stderr
    assert "Fatal" not in done.stderr
