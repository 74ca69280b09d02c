"""The processes of the index benchmark: built once and kept, opened, asked in turns."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ann_data import QUERIES, REPOSITORY, Data
from benchmarks.ann_sides import OURS, SIDES

_PAUSE = 0.05  # seconds before a pass: threads of the side before, which spin for a while, have gone to sleep by then
_FEW = 20  # queries that show whether a whole pass would take too long
_DISTURBED = 0.8  # share of its processors that a build has where it is alone
_LONGEST = 20.0  # seconds of a pass; slower than that is no rival, and is measured on few queries


class Unavailable(Exception):
    """A side that cannot run here; the message is its reason."""


@dataclass(frozen=True)
class Built:
    """An index on disk."""

    side: str
    path: Path
    seconds: float
    processor_seconds: float  # of all threads; far less than threads times seconds where others had the processor, too

    def undisturbed(self, threads: int) -> float:
        """Seconds where nothing else ran beside it, or what it can have taken at least."""
        busy = self.processor_seconds / threads
        return busy if busy < _DISTURBED * self.seconds else self.seconds


@dataclass(frozen=True)
class Pass:
    """One pass over queries."""

    effort: int
    queries_per_second: float
    recall: float
    whole: bool  # all the queries; else only a few, because it is that slow


def build(side: str, data: Data, threads: int) -> Built:
    """Builds the index of `side` in a process of its own, or finds it beside the data; ours is never kept."""
    # What follows a comma concerns searching alone.
    folder = data.folder / "indexes" / side.partition(",")[0].replace(" ", "-")
    record = folder / f"built-{threads}.json"
    if not record.exists() or side.startswith(OURS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        job = {"side": side, "data": str(data.folder), "index": str(folder / "index"), "threads": threads}
        command, environment = _command("build", job, folder), _environment(threads)
        done = subprocess.run(command, check=False, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable((done.stderr.strip().splitlines() or [f"stopped with {done.returncode}"])[-1])
        record.write_text(done.stdout.splitlines()[-1], encoding="utf-8")
    return Built(side, folder / "index", **json.loads(record.read_text(encoding="utf-8")))


class Child:
    """A process that has opened a built index and answers; a context."""

    def __init__(self, built: Built, data: Data, threads: int = 1) -> None:
        self.built = built
        job = {"side": built.side, "data": str(data.folder), "kind": data.kind, "index": str(built.path)}
        self._process = subprocess.Popen(
            _command("serve", job, built.path.parent),
            cwd=REPOSITORY,
            env=_environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        opened = self._answer()
        self.version: str = opened["version"]
        self.open_milliseconds = 1e3 * opened["open_seconds"]
        self.opened_megabytes: float = opened["opened_megabytes"]
        self._efforts: Sequence[int] = opened["efforts"]

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def allow(self, share: float) -> bool:
        """From now on only this share of the rows may be found; False where the library has no filter."""
        return bool(self._ask(do="allow", share=share)["possible"])

    def megabytes(self) -> float:
        """What the process has taken since it was empty, shared and mapped pages in proportion."""
        return float(self._ask(do="memory")["megabytes"])

    def run(self, effort: int, *, one_call: bool) -> Pass:
        """One pass: all queries in one call, or one by one; only a few where all would take far too long."""
        few = self._search(effort, _FEW, one_call)
        if QUERIES / few.queries_per_second > _LONGEST:
            return few
        return self._search(effort, QUERIES, one_call)

    def sweep(self, recall: float, *, one_call: bool = True) -> list[Pass]:
        """Passes of rising effort, until one reaches `recall` or takes too long."""
        passes: list[Pass] = []
        for effort in self._efforts:
            passes.append(self.run(effort, one_call=one_call))
            if passes[-1].recall >= recall or not passes[-1].whole:
                break
        return passes

    def reaching(self, recall: float, effort: int, *, one_call: bool) -> Pass | None:
        """The first pass of at least that effort which reaches `recall`; None where it would take too long."""
        for more in self._efforts:
            if more < effort:
                continue
            one = self.run(more, one_call=one_call)
            if one.recall >= recall:
                return one
            if not one.whole:
                break
        return None

    def _search(self, effort: int, count: int, one_call: bool) -> Pass:
        answer = self._ask(do="search", effort=effort, count=count, one_call=one_call)
        return Pass(effort, count / answer["seconds"], answer["recall"], count == QUERIES)

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable(f"its process stopped with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def cheapest(passes: Sequence[Pass], recall: float) -> Pass | None:
    """The pass with the lowest effort of those that reach `recall`."""
    return next((one for one in passes if one.recall >= recall), None)


def interleaved(chosen: dict[Child, Pass], rounds: int, *, one_call: bool) -> dict[str, float]:
    """Queries a second by side, medians over rounds in which every side has its turn.

    Sides that took a tenth of the fastest one's speed in their sweep are measured in the first round only.
    """
    fastest = max(one.queries_per_second for one in chosen.values())
    speeds: dict[Child, list[float]] = {child: [] for child in chosen}
    for turn in range(rounds):
        for child, one in chosen.items():
            if turn == 0 or one.queries_per_second > fastest / 10:
                time.sleep(_PAUSE)
                speeds[child].append(child.run(one.effort, one_call=one_call).queries_per_second)
    return {child.built.side: statistics.median(values) for child, values in speeds.items()}


def _command(what: str, job: dict[str, Any], folder: Path) -> list[str]:
    assert job["side"] in SIDES
    path = folder / f"{what}.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return [sys.executable, "-W", "ignore", "-m", "benchmarks.ann_side", what, str(path)]


def _environment(threads: int) -> dict[str, str]:
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MATINEE_NUM_THREADS")
    return os.environ | dict.fromkeys(variables, str(threads))
