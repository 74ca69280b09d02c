"""What one answer of the product takes: ``python -m benchmarks.bench_product BUNDLE --out FILE.json``.

One caller in Python, one answer after the other, each for a poster or a text that was not asked for before, so that
nothing is remembered from an earlier answer; decoding and encoding are within.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import matinee
from benchmarks.report import document, write
from matinee import _core
from matinee.bundle.opened import Bundle
from matinee.catalog.film import Film

_WARM = 10  # answers before those that count
_SENTENCE_WORDS = 12
_MESSAGES = ("something like {}", "but funnier", "not from the 50s", "not that one")


def rows(bundle: Bundle, answers: int) -> list[dict[str, Any]]:
    """A row for each kind of answer: the median in ms as `ours`, and what nine in ten stay within as `p90`."""
    films = [film for film in bundle.films() if film.has_poster and film.plot]
    films = [films[i] for i in np.random.default_rng(0).permutation(len(films)).tolist()]
    works: list[tuple[str, Callable[[Any], object], Callable[[Film], Any]]] = [
        ("genres from a poster", bundle.predict_genres, _poster(bundle)),
        ("genres from a plot", lambda plot: bundle.predict_genres(plot=plot), _plot),
        ("poster check, with the search for copies", bundle.check_poster, _poster(bundle)),
        ("poster and plot: do they fit", lambda pair: bundle.poster_fits_plot(*pair), _both(bundle)),
        ("similar films to a film", bundle.similar, lambda film: film.id),
        ("discovery from a sentence", bundle.discover, _sentence),
        ("discovery from a whole plot", bundle.discover, _plot),
        ("chat, a conversation of four turns", lambda film: _converse(bundle, film), lambda film: film),
    ]
    if len(films) < len(works) * (_WARM + answers):
        answers = len(films) // len(works) - _WARM
    found = []
    for number, (work, answer, given) in enumerate(works):
        begin = number * (_WARM + answers)
        seconds = _timed(answer, [given(film) for film in films[begin : begin + _WARM + answers]])
        ms = 1000 * np.array(seconds[_WARM:])
        row = {"work": work, "unit": "ms", "better": "lower", "ours": float(f"{np.median(ms):.4g}"), "peers": {}}
        found.append({**row, "p90": float(f"{np.quantile(ms, 0.9):.4g}"), "answers": len(ms)})
    return found


def _timed(answer: Callable[[Any], object], items: Sequence[Any]) -> list[float]:
    seconds = []
    for item in items:
        begin = time.perf_counter()
        answer(item)
        seconds.append(time.perf_counter() - begin)
    return seconds


def _poster(bundle: Bundle) -> Callable[[Film], bytes]:
    return lambda film: bundle.poster(film.id)[0]


def _plot(film: Film) -> str:
    return film.plot or ""


def _both(bundle: Bundle) -> Callable[[Film], tuple[bytes, str]]:
    return lambda film: (bundle.poster(film.id)[0], _plot(film))


def _sentence(film: Film) -> str:
    return " ".join(_plot(film).split()[:_SENTENCE_WORDS])


def _converse(bundle: Bundle, film: Film) -> None:
    state = None
    for message in _MESSAGES:
        state = bundle.chat(message.format(film.label), state).state


def _markdown(content: dict[str, Any]) -> str:
    lines = [f"| {row['work']} | {row['ours']:.1f} | {row['p90']:.1f} | {row['answers']} |" for row in content["rows"]]
    return "\n".join(
        [
            "# What an answer takes",
            "",
            "One caller in Python, every poster and text new to the process, decoding and encoding included. Written",
            "by `make bench-product BUNDLE=…`; the numbers are also in `benchmarks/results/product.json`.",
            "",
            f"{content['cpu']}, {content['threads']} threads, {content['date']}; a bundle of {content['films']:,}",
            f"films with {content['posters']:,} posters; load average before the run {content['load_before']}.",
            "",
            "| work | median, ms | nine in ten within, ms | answers |",
            "|---|---:|---:|---:|",
            *lines,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--answers", type=int, default=120, help="of each kind (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/product.json"))
    parser.add_argument("--markdown", type=Path, default=Path("build/product.md"))
    arguments = parser.parse_args()
    bundle = matinee.open_bundle(arguments.bundle, "fast")
    bundle.warm_up()
    counts = bundle.manifest.counts
    facts = {"films": counts["films"], "posters": counts["posters"], "load_before": round(os.getloadavg()[0], 1)}
    measured = {"rows": rows(bundle, arguments.answers)}
    content = {**document([], threads=_core.num_threads(), **facts), **measured}
    write(arguments.out, content)
    arguments.markdown.write_text(_markdown(content), encoding="utf-8")
    print(_markdown(content))


if __name__ == "__main__":
    main()
