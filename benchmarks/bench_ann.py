"""The index beside other libraries: ``python -m benchmarks.bench_ann --out ann.json``.

Every side runs in processes of its own: one builds (two threads), another opens what was saved and searches (one
thread). A side's effort is raised until the recall is reached, nothing is interpolated, and its cheapest configuration
that reaches it is measured in interleaved rounds, of which the median counts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matinee
from benchmarks import ann_mixed
from benchmarks.ann_children import Built, Child, Pass, Unavailable, build, cheapest, interleaved
from benchmarks.ann_data import QUERIES, SHARES, Data, prepare, prepare_across, recall
from benchmarks.ann_sides import EXACT, GRAPHS, OURS
from benchmarks.report import Row, document, table, write

RECALLS = (0.95, 0.99)
FILTERED_RECALL = 0.98
_EXACT_RECALL = 0.9999  # float32 sums in another order may swap two rows of one score
FILTERED = (OURS, "hnswlib M16", "faiss HNSW32 f32", "faiss flat f32", "faiss flat f32, BLAS", "numpy")
_SHAPES = {True: f"{QUERIES:,} queries in one call", False: "single calls"}

GRAPH, MEMORY, BUILD, FILTER, EXACTLY, OPEN, MIXED = "graph", "memory", "build", "filter", "exact", "open", "mixed"
ACROSS = "across"
ACROSS_SIDES = (OURS, "hnswlib M16", "faiss HNSW32 f32")
_ASKED = 0.98  # of our index, before and after it has seen queries of the other kind


@dataclass
class Run:
    """What is known so far."""

    data: Data
    arguments: argparse.Namespace
    rows: list[Row] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # side -> why
    reached: dict[str, dict[str, Any]] = field(default_factory=dict)  # work -> side -> effort and recall
    versions: dict[str, str] = field(default_factory=dict)
    indexes: dict[str, Built] = field(default_factory=dict)

    def built(self, sides: dict[str, Any] | tuple[str, ...]) -> list[Built]:
        """The indexes of those sides that can be built here; ours first."""
        wanted = [side for side in sides if side.startswith(OURS) or self.arguments.peers.search(side)]
        for side in wanted:
            if side in self.indexes or side in self.left_out:
                continue
            try:
                self.indexes[side] = build(side, self.data, self.arguments.build_threads)
                one = self.indexes[side]
                print(f"built {side}: {one.seconds:.1f} s ({one.processor_seconds:.1f} s of processors)", flush=True)
            except Unavailable as error:
                self.leave_out(side, str(error))
        return [self.indexes[side] for side in wanted if side in self.indexes]

    def open(self, stack: ExitStack, built: list[Built]) -> list[Child]:
        """A process for each."""
        children = []
        for one in built:
            try:
                child = stack.enter_context(Child(one, self.data, self.arguments.threads))
            except Unavailable as error:
                self.leave_out(one.side, str(error))
                continue
            self.versions[one.side] = child.version
            children.append(child)
        return children

    def leave_out(self, side: str, reason: str) -> None:
        self.left_out[side] = reason
        print(f"left out {side}: {reason}", flush=True)

    def add(self, work: str, unit: str, better: Any, values: dict[str, float]) -> None:
        """A row of ours beside the others, or a line that says why there is none."""
        ours = [side for side in values if side.startswith(OURS)]
        peers = {side: value for side, value in values.items() if side not in ours}
        if not ours or not peers:
            print(f"{work}: no row: only {', '.join(values) or 'nobody'} got there: {values}", flush=True)
            return
        self.rows.append(Row(work=work, unit=unit, better=better, ours=values[ours[0]], peers=peers))
        print(table(self.rows[-1:]).splitlines()[-1], flush=True)

    def add_speed(self, work: str, swept: dict[Child, list[Pass]], recall: float, *, one_call: bool) -> None:
        """A row of queries a second at a recall, measured with the cheapest configuration of each side."""
        found = {child: cheapest(passes, recall) for child, passes in swept.items()}
        chosen = {child: one for child, one in found.items() if one is not None}
        if not one_call:  # a library may go another way for a single query, and has to look farther then
            alone = {child: child.reaching(recall, one.effort, one_call=False) for child, one in chosen.items()}
            chosen = {child: one for child, one in alone.items() if one is not None}
        if not chosen:
            return
        title = f"{work}, {_SHAPES[one_call]}"
        self.reached[title] = {
            child.built.side: {"effort": one.effort, "recall": round(one.recall, 4)} for child, one in chosen.items()
        }
        self.add(title, "queries/s", "higher", interleaved(chosen, self.arguments.rounds, one_call=one_call))


def main() -> None:
    """Measures, prints the table, writes the JSON and the page of the docs."""
    arguments = _arguments()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.cache or Path(scratch)
        run = Run(prepare(arguments.rows, folder, arguments.data), arguments)
        for name, measure in MEASURES.items():
            if arguments.only in name:
                measure(run)
    facts = {
        "build_threads": arguments.build_threads,
        "data": f"{arguments.rows:,} x 384, {run.data.kind}",
        "rounds": arguments.rounds,
        "load_average_before": load,
        "versions": run.versions,
        "left_out": run.left_out,
        "reached": run.reached,
    }
    result = document(run.rows, threads=arguments.threads, **facts)
    if arguments.keep and arguments.out.exists():
        result = merged(json.loads(arguments.out.read_text(encoding="utf-8")), result)
    write(arguments.out, result)
    text = table([Row(**{k: v for k, v in row.items() if k != "ratio_to_best"}) for row in result["rows"]])
    print(text)
    if arguments.markdown:
        arguments.markdown.parent.mkdir(parents=True, exist_ok=True)
        arguments.markdown.write_text(_page(result, text), encoding="utf-8")


def merged(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The documents of two runs with other peers or parts. Of a row in both, ours is the worse of the two."""
    rows = {row["work"]: row for row in before["rows"]}
    for row in now["rows"]:
        kept = rows.get(row["work"])
        rows[row["work"]] = row if kept is None else _both(kept, row)
    reached = {
        work: before["reached"].get(work, {}) | now["reached"].get(work, {})
        for work in before["reached"] | now["reached"]
    }
    left_out = {
        side: why for side, why in (before["left_out"] | now["left_out"]).items() if side not in now["versions"]
    }
    return now | {
        "load_average_before": max(before["load_average_before"], now["load_average_before"]),
        "versions": before["versions"] | now["versions"],
        "left_out": left_out,
        "reached": reached,
        "rows": list(rows.values()),
    }


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    worse = min if one["better"] == "higher" else max
    ours = worse(one["ours"], other["ours"])
    return asdict(Row(one["work"], one["unit"], one["better"], ours, one["peers"] | other["peers"]))


def graph_rows(run: Run) -> None:
    """Speed at a recall, what the process has taken after that, and how long the index took to build."""
    name = f"{run.arguments.rows:,} vectors"
    with ExitStack() as stack:
        children = run.open(stack, run.built(GRAPHS))
        swept = {child: child.sweep(RECALLS[-1]) for child in children}
        for child, passes in swept.items():
            print(child.built.side, *(f"{p.effort}: {p.recall:.4f} {p.queries_per_second:.0f}/s," for p in passes))
        for recall in RECALLS:
            for one_call in (True, False):
                run.add_speed(f"graph QPS at recall@10 >= {recall}, {name}", swept, recall, one_call=one_call)
        taken = {child.built.side: child.megabytes() for child in children}
        run.add(
            f"memory of the searching process after the run, PSS less the empty process, {name}", "MB", "lower", taken
        )
        reaching = [child.built for child, passes in swept.items() if cheapest(passes, RECALLS[0])]
        threads = run.arguments.build_threads
        seconds = {one.side: one.seconds if one.side == OURS else one.undisturbed(threads) for one in reaching}
        run.add(f"build, {run.arguments.build_threads} threads, {name}, those that reach 0.95", "s", "lower", seconds)


def filter_rows(run: Run) -> None:
    """Speed where a filter lets a share of the rows pass."""
    with ExitStack() as stack:
        children = run.open(stack, run.built(FILTERED))
        for share in SHARES:
            able = [child for child in children if child.allow(share)]
            swept = {child: child.sweep(FILTERED_RECALL) for child in able}
            work = f"filter {100 * share:g} % at recall@10 >= {FILTERED_RECALL}, {run.arguments.rows:,} vectors"
            for one_call in (True, False):
                run.add_speed(work, swept, FILTERED_RECALL, one_call=one_call)


def across_rows(run: Run) -> None:
    """Speed where queries are of another kind than the rows, and the recall that ours gives unless told otherwise."""
    if run.arguments.bundle is None:
        run.leave_out(ACROSS, "it needs --bundle, a catalogue with plots and posters")
        return
    data = prepare_across(run.arguments.rows, run.arguments.cache or run.data.folder, run.arguments.bundle)
    other = Run(data, run.arguments, run.rows, run.left_out, run.reached, run.versions)
    with ExitStack() as stack:
        built = other.built(ACROSS_SIDES)
        swept = {child: child.sweep(RECALLS[-1]) for child in other.open(stack, built)}
        work = f"plots against posters, {run.arguments.rows:,} vectors: QPS at recall@10"
        for wanted in RECALLS:
            other.add_speed(f"{work} >= {wanted}", swept, wanted, one_call=True)
    index = matinee.Index.open(next(one.path for one in built if one.side == OURS))
    seen, unseen = data.queries()[::2], data.queries()[1::2]
    reached = {}
    for when in ("as built", "calibrated with other plots"):
        found = index.search(unseen, recall=_ASKED).ids
        reached[when] = {"asked": _ASKED, "recall": round(recall(found, data.truth()[1::2]), 4)}
        index.calibrate(seen)
    run.reached["plots against posters, ours by the recall asked for"] = reached
    print(reached, flush=True)


def exact_rows(run: Run) -> None:
    """Speed of comparing with everything. SQ8 flat is in, though its codes cost it a little recall."""
    with ExitStack() as stack:
        children = run.open(stack, run.built(EXACT))
        swept = {child: child.sweep(_EXACT_RECALL) for child in children}
        for child, passes in swept.items():
            assert not child.built.side.startswith(OURS) or passes[0].recall >= _EXACT_RECALL, passes
        work = f"exact, recall 1.0, {run.arguments.rows:,} vectors"
        for one_call in (False, True):
            run.add_speed(work, swept, 0.0, one_call=one_call)


def open_rows(run: Run) -> None:
    """How long opening takes, and what it takes of memory before the first search."""
    openings: dict[str, list[Child]] = {}
    for _ in range(run.arguments.rounds):
        for built in run.built(GRAPHS):
            with ExitStack() as stack:
                for child in run.open(stack, [built]):
                    openings.setdefault(built.side, []).append(child)
    work = f"open an index of {run.arguments.rows:,} vectors, fast verify"
    milliseconds = {side: statistics.median(c.open_milliseconds for c in opened) for side, opened in openings.items()}
    megabytes = {side: statistics.median(c.opened_megabytes for c in opened) for side, opened in openings.items()}
    run.add(work, "ms", "lower", milliseconds)
    run.add(f"{work}: memory before the first search", "MB", "lower", megabytes)


def mixed_rows(run: Run) -> None:
    """Searching while the index changes, beside searching alone."""
    try:
        outcome = ann_mixed.measure(run.data)
    except Unavailable as error:
        run.leave_out(MIXED, str(error))
        return
    run.rows.append(
        Row(
            work=f"mixed, {ann_mixed.OPERATIONS:,} operations on 4 threads: p99 of a search, beside read-only",
            unit="ms",
            better="lower",
            ours=outcome.mixed_p99,
            peers={"matinee read-only": outcome.read_only_p99},
        )
    )


MEASURES = {
    f"{GRAPH} {MEMORY} {BUILD}": graph_rows,
    FILTER: filter_rows,
    EXACTLY: exact_rows,
    ACROSS: across_rows,
    OPEN: open_rows,
    MIXED: mixed_rows,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_ann", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON document to write")
    parser.add_argument("--markdown", type=Path, help="the page of the docs to write")
    parser.add_argument(
        "--keep", action="store_true", help="add to what --out holds; of a row in both, ours is the worse"
    )
    parser.add_argument("--rows", type=int, default=200_000, help="vectors in the index")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="threads of a search")
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument("--only", default="", help=f"measure only this part, one of: {', '.join(MEASURES)}")
    parser.add_argument("--peers", type=re.compile, default=re.compile(""), help="expression the peers' names match")
    parser.add_argument("--cache", type=Path, help="folder that keeps the data and the peers' indexes for the next run")
    parser.add_argument("--data", type=Path, help="folder with catalog.tsv (default: MATINEE_TEST_DATA)")
    parser.add_argument("--bundle", type=Path, help="a catalogue built with posters, for queries of another kind")
    return parser.parse_args()


def _page(result: dict[str, Any], rows: str) -> str:
    versions = ", ".join(
        sorted({f"{side.split()[0].rstrip(',')} {version}" for side, version in result["versions"].items()})
    )
    missing = "".join(f"Left out: {side} ({reason}).\n" for side, reason in result["left_out"].items())
    return f"""# Index speed

Nearest neighbours beside other libraries, each in one run with Matinee on the same vectors; each side in processes of
its own, rounds interleaved, medians of {result["rounds"]} rounds. Written by `make bench-ann`; the numbers, the
versions and the configuration behind each number are also in `benchmarks/results/ann.json`.

{result["cpu"]}, {result["threads"]} thread a search, {result["build_threads"]} threads a build, {result["date"]}; data:
{result["data"]}; load average before the run {result["load_average_before"]:.1f}. {versions}.
{missing}
{rows}
The ratio is Matinee's value by the best peer's: above 1 is better where higher is, below 1 where lower is.

**Data.** Rows are mixed from the vectors (MiniLM) of sentences of plots: 0.5 … 1.0 of one, the rest of another, and
normal noise of 0.02 a component; held-out sentences are the {QUERIES:,} queries. Recall is counted against an exact
search in float32. Rows of this table that name another number of vectors come from a run with `--rows`.

**Speed at a recall.** Every library's own knob (`ef`, `search_k`, …) is raised until the recall is reached, for single
calls until they reach it, too; nothing is interpolated. A side whose pass would take more than 20 s is measured on its
first queries, once. Annoy has no call for many queries, so its queries are asked one by one in both rows.

**Memory.** Proportional set size of the process that opened the index and has answered everything above, pages of
mapped files included, less the same process before it opened the index.

**Build.** Once, on {result["build_threads"]} threads, from float32 rows in memory; saving is not counted. A peer that
other programs disturbed is counted with its processor time divided by the threads, which is less than it takes alone.

**Who wins where.** As measured on an Intel processor with AMX: scalable-vs with LVQ codes, which run on Intel's
processors only, is the nearest rival for single calls. faiss HNSW SQ8 without float32 rows takes the least memory, and
never reaches 0.99. faiss flat by BLAS is the fastest exact search of many queries in one call. Annoy with 50 trees does
not reach 0.95.

**Pieces.** The peers of a row may have been measured in several runs (`--keep`), each beside Matinee; Matinee's value
is the worst of them.

**Filters.** The same random rows for all queries, made ready before the clock starts on every side: `Index.prepare`
(Matinee), a callable (hnswlib), a bitmap (faiss HNSW); flat and NumPy scan the matching rows alone, put together
before. usearch, Annoy, Voyager and scalable-vs have no filter in Python.

**Plots against posters.** Queries of another kind than the rows: plots, in the joint space of a catalogue's plots and
posters. Rows are mixed from the vectors of posters. Asked for a recall of {_ASKED}, Matinee gives what
`reached` in `ann.json` says: as built, and after `calibrate` with other plots.

**Exact.** For a call of many queries, faiss flat goes through memory once a query by default, and once for all of them
by BLAS. faiss SQ8 compares 8-bit codes only, and its recall is a little under 1.
"""


if __name__ == "__main__":
    main()
