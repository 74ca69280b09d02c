"""The command `matinee evaluate`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from matinee.evaluation.protocols import PROTOCOLS


def add(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Adds the command to the parser of `matinee`."""
    parser = subparsers.add_parser("evaluate", help="measure a bundle's models beside plain ones and write a report")
    parser.add_argument(
        "protocol", nargs="*", default=["all"], metavar="PROTOCOL", help=f"{', '.join(PROTOCOLS)} or all (default)"
    )
    parser.add_argument("--bundle", required=True, type=Path, metavar="BUNDLE")
    parser.add_argument(
        "--test", type=Path, metavar="FILE", help="films.toml of films outside the bundle; else those it held back"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="REPORT.json",
        help=".md, .html and .cards are written beside it; default: beside the bundle, where the pages show it",
    )
    parser.add_argument(
        "--tuned", type=Path, metavar="FOLDER", help="a network that tune-posters wrote, to stand beside ours"
    )
    parser.add_argument(
        "--learning-curve", action="store_true", help="measure what is fitted on fewer films, too (minutes)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.set_defaults(run=_evaluate)


def _evaluate(args: argparse.Namespace) -> int:
    from matinee.bundle import open_bundle  # noqa: PLC0415
    from matinee.errors import InvalidArgument  # noqa: PLC0415
    from matinee.evaluation.report import report_of  # noqa: PLC0415
    from matinee.evaluation.run import evaluate, save_report  # noqa: PLC0415
    from matinee.progress import ProgressDisplay  # noqa: PLC0415

    out: Path = args.out or report_of(args.bundle)
    if out.suffix != ".json":
        raise InvalidArgument(f"evaluate: out: expected a name that ends in .json, got {out}")
    given = {"test": args.test, "tuned": args.tuned, "learning_curve": args.learning_curve, "seed": args.seed}
    with ProgressDisplay(sys.stderr) as progress:
        report = evaluate(args.bundle, args.protocol, progress=progress, **given)
    for row in report.rows:
        ours = "not defined" if row.ours is None else f"{row.ours:.3f}"
        interval = "" if row.interval is None else f" ({row.interval[0]:.3f} to {row.interval[1]:.3f})"
        plain = ", ".join(f"{name} {value:.3f}" for name, value in row.baselines.items() if value is not None)
        print(f"{row.work}: {row.metric} {ours}{interval}, n {row.n}{'; ' + plain if plain else ''}")
    written = save_report(report, out, open_bundle(args.bundle, "fast"))
    print(f"{written[0]} and {len(written) - 1} files beside it")
    return 0
