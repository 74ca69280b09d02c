"""Queries of many callers, computed together and each on its own: ``python -m benchmarks.bench_batching --out FILE``.

MiniLM, queries of 12 words, callers in threads that ask again as soon as they are answered; rounds are interleaved and
values are medians over them. The "peer" is the same network called by every thread for itself.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.report import Row, document, table, write
from matinee import Encoder, TextEncoder, _core

TEXT = "a young thief plans one last heist with old friends in a quiet seaside town before winter comes"
CALLERS = (1, 2, 4, 16, 32)
ROUND_S = 0.5


def rows(*, rounds: int = 9) -> list[Row]:
    """Queries a second for each number of callers."""
    encoder = Encoder.load("minilm-l6-v2")
    assert isinstance(encoder, TextEncoder)
    rng = np.random.default_rng(0)
    tokens = [encoder._tokenizer.encode_batch([" ".join(rng.choice(TEXT.split(), 12))]) for _ in range(256)]

    def alone(number: int) -> None:
        encoder._network.encode(*tokens[number % 256])

    def together(number: int) -> None:
        encoder._batcher.encode(*tokens[number % 256])

    _queries_a_second(alone, 1)  # warm
    found = []
    for callers in CALLERS:
        ours, theirs = zip(
            *((_queries_a_second(together, callers), _queries_a_second(alone, callers)) for _ in range(rounds)),
            strict=True,
        )
        peers = {"each on its own": statistics.median(theirs)}
        found.append(
            Row(
                "a lone caller" if callers == 1 else f"{callers} callers",
                "queries/s",
                "higher",
                statistics.median(ours),
                peers,
            )
        )
    return found


def _queries_a_second(encode: Callable[[int], None], callers: int) -> float:
    end = time.perf_counter() + ROUND_S
    counts = [0] * callers

    def ask(caller: int) -> None:
        while time.perf_counter() < end:
            encode(7 * counts[caller] + caller)
            counts[caller] += 1

    threads = [threading.Thread(target=ask, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / ROUND_S


def main() -> None:
    """Writes the JSON document and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    found = rows(rounds=arguments.rounds)
    write(arguments.out, document(found, threads=_core.num_threads()))
    print(table(found))


if __name__ == "__main__":
    main()
