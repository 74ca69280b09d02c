"""Draws many pictures on several processors, in a stable order.

The workers are plain subprocesses that read JSON and write JPEGs. A process pool would fork a program that may already
run threads, or import the caller's script a second time; a subprocess does neither.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from matinee.catalog.demo.artwork.direction import Art
from matinee.catalog.demo.negatives import draw_negative
from matinee.catalog.demo.posters import draw_poster
from matinee.catalog.film import Film
from matinee.errors import InternalError

_SMALL = 60  # fewer pictures than this are drawn here: starting a worker takes about as long


def draw_posters(
    films: Sequence[Film],
    seed: int = 0,
    *,
    art: Mapping[str, Art] | None = None,
    processes: int | None = None,
) -> Iterator[bytes]:
    """The poster of each film, in order. `art` is by film id; `processes` defaults to the number of processors."""
    orders = []
    for film in films:
        order: dict[str, Any] = {"film": film.model_dump(mode="json", exclude_defaults=True), "seed": seed}
        if art and film.id in art:
            order["art"] = {"show": art[film.id].show, "layout": art[film.id].layout}
        orders.append(order)
    return _draw(orders, processes)


def draw_negatives(
    wanted: Sequence[tuple[str, int]], seed: int = 0, *, processes: int | None = None
) -> Iterator[bytes]:
    """The picture of each (kind, index), in order."""
    return _draw([{"kind": kind, "index": index, "seed": seed} for kind, index in wanted], processes)


def _draw(orders: list[dict[str, Any]], processes: int | None) -> Iterator[bytes]:
    workers = processes or os.cpu_count() or 1
    if workers == 1 or len(orders) < _SMALL:
        yield from (_one(order) for order in orders)
        return
    size = max(_SMALL, -(-len(orders) // (workers * 3)))  # a few parcels each, so that pictures come while others wait
    parcels = [orders[i : i + size] for i in range(0, len(orders), size)]
    threads = ThreadPoolExecutor(workers)
    try:
        for pictures in threads.map(_in_worker, parcels):
            yield from pictures
    finally:
        threads.shutdown(cancel_futures=True)  # who stops taking pictures does not wait for the rest


def _one(order: dict[str, Any]) -> bytes:
    if "film" in order:
        art = Art(tuple(order["art"]["show"]), order["art"]["layout"]) if "art" in order else None
        return draw_poster(Film.model_validate(order["film"]), order["seed"], art)
    return draw_negative(order["kind"], order["index"], order["seed"])


def _in_worker(parcel: list[dict[str, Any]]) -> list[bytes]:
    done = subprocess.run(
        [sys.executable, "-m", "matinee.catalog.demo.pool"],
        input=json.dumps(parcel).encode(),
        capture_output=True,
        check=False,
    )
    pictures, at = [], 0
    while at + 4 <= len(done.stdout):
        (length,) = struct.unpack_from("<I", done.stdout, at)
        pictures.append(done.stdout[at + 4 : at + 4 + length])
        at += 4 + length
    if done.returncode != 0 or len(pictures) != len(parcel):
        complaint = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise InternalError(f"draw: a worker ended with {done.returncode} after {len(pictures)} pictures: {complaint}")
    return pictures


def main() -> None:
    """A worker: a JSON list of orders in, pictures out, each after its length (4 bytes, little-endian)."""
    out = sys.stdout.buffer
    for order in json.load(sys.stdin.buffer):
        picture = _one(order)
        out.write(struct.pack("<I", len(picture)) + picture)


if __name__ == "__main__":
    main()
