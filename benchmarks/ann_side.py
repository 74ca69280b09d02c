"""One side of the index benchmark, in a process of its own: ``python -m benchmarks.ann_side build|serve JOB.json``.

``build`` builds and saves one index and answers with the seconds the building took. ``serve`` opens what was built,
then answers a line of JSON for every line of JSON it reads. Nothing else happens in the process, so that what it takes
of memory is the index's.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ann_data import QUERIES, Data, recall
from benchmarks.ann_sides import SIDES
from benchmarks.encode_side import memory


def build(job: dict[str, Any]) -> None:
    """Answers {"seconds", "processor_seconds"}."""
    side = SIDES[job["side"]]()
    vectors = np.load(Path(job["data"]) / "vectors.npy")
    start, busy = time.perf_counter(), time.process_time()
    save = side.build(vectors, Path(job["index"]), job["threads"])
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - busy
    save()
    _answer(seconds=seconds, processor_seconds=processor_seconds)


def serve(job: dict[str, Any]) -> None:
    """Answers {"version", "open_seconds", "opened_megabytes", "efforts"}, then every request, until the input ends."""
    data = Data(Path(job["data"]), job["kind"])
    queries = data.queries()
    assert len(queries) == QUERIES
    side = SIDES[job["side"]]()
    empty = memory().get("pss", 0.0)
    start = time.perf_counter()
    side.open(Path(job["index"]), data.folder / "vectors.npy")
    seconds = time.perf_counter() - start
    _answer(
        version=importlib.metadata.version(side.package),
        open_seconds=seconds,
        opened_megabytes=memory().get("pss", 0.0) - empty,
        efforts=side.efforts,
    )
    share: float | None = None

    def allow(request: dict[str, Any]) -> dict[str, Any]:
        nonlocal share
        share = request["share"]
        try:
            side.allow(data.mask(request["share"]))
        except NotImplementedError:
            return {"possible": False}
        return {"possible": True}

    def search(request: dict[str, Any]) -> dict[str, Any]:
        asked = queries[: request["count"]]
        step = request["count"] if request["one_call"] else 1
        start = time.perf_counter()
        found = [side.search(asked[i : i + step], request["effort"]) for i in range(0, len(asked), step)]
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "recall": recall(np.concatenate(found), data.truth(share))}

    def megabytes(_: dict[str, Any]) -> dict[str, Any]:
        return {"megabytes": memory().get("pss", 0.0) - empty}

    answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "allow": allow,
        "search": search,
        "memory": megabytes,
    }
    for line in sys.stdin:
        request = json.loads(line)
        _answer(**answers[request["do"]](request))


def _answer(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def main() -> None:
    """Does what the command line says."""
    job = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    {"build": build, "serve": serve}[sys.argv[1]](job)


if __name__ == "__main__":
    main()
