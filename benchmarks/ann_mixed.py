"""Searching while an index changes: ``python -m benchmarks.ann_mixed FOLDER KIND``, a part of the index benchmark.

Four threads do 100,000 operations: of a hundred, 80 search, 15 add a vector and 5 delete one. No answer may hold an id
that was deleted before the search began (a phantom), and afterwards every id that should be there is there and finds
itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ann_children import Unavailable
from benchmarks.ann_data import REPOSITORY, Data, K

OPERATIONS = 100_000
THREADS = 4
_ADDED, _DELETED = 0.15, 0.05


@dataclass(frozen=True)
class Outcome:
    """Milliseconds of a search that 99 of 100 stay below, and what went wrong (nothing should)."""

    mixed_p99: float
    read_only_p99: float
    phantoms: int
    lost: int  # ids that should be there and are not
    unreached: int  # ids there whose own vector does not find them


def measure(data: Data) -> Outcome:
    """In a process of its own; Unavailable as long as matinee.Index cannot change."""
    import matinee

    if not (hasattr(matinee.Index, "add") and hasattr(matinee.Index, "delete")):
        raise Unavailable("matinee.Index has no add and delete yet")
    cores = {"MATINEE_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
    command = [sys.executable, "-m", "benchmarks.ann_mixed", str(data.folder), data.kind]
    done = subprocess.run(command, cwd=REPOSITORY, env=os.environ | cores, check=True, stdout=subprocess.PIPE)
    outcome = Outcome(**json.loads(done.stdout))
    assert outcome.phantoms == outcome.lost == 0, outcome
    return outcome


class _Work:
    """The operations of all threads on one index; thread t alone changes the ids that leave t when divided by 4."""

    def __init__(self, data: Data) -> None:
        import matinee

        vectors = data.vectors()
        spare = round(OPERATIONS * _ADDED * 1.1)
        self.base = len(vectors) - spare
        self._vectors = np.asarray(vectors)
        self._queries = data.queries()
        self._index: Any = matinee.Index.build(np.ascontiguousarray(vectors[: self.base]), kind="partitioned")
        self.alive = set(range(self.base))
        self._deleted_at: dict[int, float] = {}
        self._lock = threading.Lock()
        self.phantoms = 0

    def run(self, *, mixed: bool) -> float:
        """Every thread's share of the operations; milliseconds that 99 of 100 searches stay below."""
        with ThreadPoolExecutor(THREADS) as pool:
            waits = pool.map(lambda thread: self._run_thread(thread, mixed=mixed), range(THREADS))
            return 1e3 * float(np.percentile(np.concatenate(list(waits)), 99))

    def missing(self) -> tuple[int, int]:
        """Ids that should be there and are not, and ids that their own vector does not find."""
        there = set(self._index.ids.tolist())
        ids = np.array(sorted(self.alive & there))
        unreached = 0
        for start in range(0, len(ids), 10_000):
            some = ids[start : start + 10_000]
            found = self._index.search(np.ascontiguousarray(self._vectors[some]), K).ids
            unreached += int((found != some[:, np.newaxis]).all(axis=1).sum())
        return len(self.alive ^ there), unreached

    def _run_thread(self, thread: int, *, mixed: bool) -> list[float]:
        rng = np.random.default_rng(thread)
        mine = list(range(thread, self.base, THREADS))
        fresh = iter(range(self.base + thread, len(self._vectors), THREADS))
        seconds = []
        for draw in rng.random(OPERATIONS // THREADS):
            if mixed and draw < _ADDED:
                new = next(fresh)
                self._index.add(self._vectors[new : new + 1], [new])
                mine.append(new)
                with self._lock:
                    self.alive.add(new)
            elif mixed and draw < _ADDED + _DELETED:
                old = mine.pop(int(rng.integers(len(mine))))
                self._index.delete([old])
                with self._lock:
                    self.alive.remove(old)
                    self._deleted_at[old] = time.perf_counter()
            else:
                query = self._queries[rng.integers(len(self._queries))]
                start = time.perf_counter()
                found = self._index.search(query, K).ids[0].tolist()
                seconds.append(time.perf_counter() - start)
                self.phantoms += sum(self._deleted_at.get(one, start) < start for one in found)
        return seconds


def main() -> None:
    """Prints the outcome as JSON."""
    work = _Work(Data(Path(sys.argv[1]), sys.argv[2]))
    read_only = work.run(mixed=False)
    mixed = work.run(mixed=True)
    lost, unreached = work.missing()
    print(json.dumps(asdict(Outcome(mixed, read_only, work.phantoms, lost, unreached))))


if __name__ == "__main__":
    main()
