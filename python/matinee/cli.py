"""The command `matinee`.

Commands of the package are here; those that live above it (serve, demo) come from the entry-point group
"matinee.commands": each entry is a function that takes the subparsers and adds its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import matinee
from matinee.errors import InvalidArgument, MatineeError
from matinee.evaluation import commands as evaluation_commands
from matinee.models import commands as model_commands

ERROR, INTERRUPTED = 2, 130
_GROUP = "matinee.commands"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 2 for what went wrong, 130 for Ctrl-C.

    An error of Matinee is one line on stderr; MATINEE_DEBUG=1 shows where it came from.
    """
    # Whoever started this program may have blocked Ctrl-C, which a child inherits.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parser = build_parser()
    args = parser.parse_args(arguments)
    try:
        return int(args.run(args))
    except MatineeError as error:
        if os.environ.get("MATINEE_DEBUG") == "1":
            raise
        print(f"matinee: {' '.join(str(error).split())}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        if os.environ.get("MATINEE_DEBUG") == "1":
            raise
        hint = "; the same command continues where it stopped" if args.command == "build" else ""
        print(f"\nmatinee: stopped{hint}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # `matinee … | head`: the reader has seen enough. Python must not complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command, also those of other distributions."""
    parser = argparse.ArgumentParser(prog="matinee", description=matinee.__doc__)
    parser.add_argument("--version", action="version", version=f"matinee {matinee.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_build(subparsers)
    _add_bundle(subparsers)
    _add_tag(subparsers)
    _add_tune_posters(subparsers)
    model_commands.add(subparsers)
    evaluation_commands.add(subparsers)
    for entry in sorted(entry_points(group=_GROUP), key=lambda entry: entry.name):
        try:
            register = entry.load()
        except ImportError as error:
            _add_unavailable(subparsers, entry.name, error)
        else:
            register(subparsers)
    return parser


def _add_unavailable(subparsers: argparse._SubParsersAction[Any], name: str, error: ImportError) -> None:
    """A command whose packages are not installed says so when it is called, and hinders no other."""

    def run(args: argparse.Namespace) -> int:
        raise InvalidArgument(f"{name}: needs {error.name or error}; install matinee[serve]") from error

    parser = subparsers.add_parser(name, help="(not installed: pip install 'matinee[serve]')", add_help=False)
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


# build


def _add_build(subparsers: argparse._SubParsersAction[Any]) -> None:
    parser = subparsers.add_parser("build", help="make a bundle from a films.toml or a folder of data")
    parser.add_argument("--source", required=True, type=Path, metavar="FILE", help="films.toml, or a folder with data")
    parser.add_argument("--out", required=True, type=Path, metavar="BUNDLE", help="where the bundle shall be")
    parser.add_argument("--text-model", metavar="NAME", help="encodes the plots; a model of yours, or of `models list`")
    parser.add_argument("--image-model", metavar="NAME", help="encodes the posters")
    parser.set_defaults(run=_build)


def _build(args: argparse.Namespace) -> int:
    # Imported here: scikit-learn is slow to load and of no use to the other commands.
    from matinee.bundle.builder import build  # noqa: PLC0415
    from matinee.progress import ProgressDisplay  # noqa: PLC0415

    with ProgressDisplay(sys.stderr) as progress:
        chosen = {"text_model": args.text_model, "image_model": args.image_model}
        given = {option: name for option, name in chosen.items() if name is not None}
        result = build(args.source, args.out, progress=progress, **given)
    counts = ", ".join(f"{count:,} {what}" for what, count in result.manifest.counts.items())
    seconds = ", ".join(f"{name} {value:.0f} s" for name, value in result.seconds.items())
    print(f"{result.path}: {counts}")
    print(f"verified, id {result.manifest.identity}; {sum(result.seconds.values()):.0f} s ({seconds})")
    for name, why in result.manifest.missing_heads.items():
        print(f"no {name}: {why}")
    problems = ", ".join(f"{count} {name}" for name, count in result.report.counts().most_common())
    if problems:
        print(f"reported: {problems}; see {result.path / 'build_report.md'}")
    return 0


# tune-posters


def _add_tune_posters(subparsers: argparse._SubParsersAction[Any]) -> None:
    parser = subparsers.add_parser(
        "tune-posters",
        help="fine-tune the poster encoder's last blocks on a bundle's genres (needs matinee[train])",
        description="Writes a network of its own as a model folder; `matinee evaluate --tuned FOLDER` measures it.",
    )
    parser.add_argument("--bundle", required=True, type=Path, metavar="BUNDLE", help="whose films it learns from")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="the model folder to write")
    parser.add_argument("--blocks", type=int, metavar="N", help="how many of the last blocks learn")
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the films, of which the best is kept")
    parser.add_argument("--rate", type=float, metavar="X", help="learning rate of the blocks")
    parser.set_defaults(run=_tune_posters)


def _tune_posters(args: argparse.Namespace) -> int:
    from matinee.bundle import open_bundle  # noqa: PLC0415
    from matinee.progress import ProgressDisplay  # noqa: PLC0415

    try:
        from matinee.genre.finetune import LabelledPosters, Tuning, fine_tune  # noqa: PLC0415

        with ProgressDisplay(sys.stderr) as progress:
            chosen = {"blocks": args.blocks, "epochs": args.epochs, "rate": args.rate}
            tuning = Tuning(**{name: value for name, value in chosen.items() if value is not None})
            bundle = open_bundle(args.bundle)
            model = bundle.manifest.models["image"].name
            films = LabelledPosters.of(bundle)
            tuned = fine_tune(films, args.out, image_model=model, tuning=tuning, progress=progress)
    except ImportError as error:
        raise InvalidArgument(f"tune-posters: needs {error.name or error}; install matinee[train]") from error
    scores = ", ".join(f"{score:.3f}" for score in tuned.scores)
    print(f"{tuned.path}: mAP on validation films, epoch by epoch: {scores}")
    return 0


# bundle


def _add_bundle(subparsers: argparse._SubParsersAction[Any]) -> None:
    parser = subparsers.add_parser("bundle", help="check a bundle, or show what it holds")
    parts = parser.add_subparsers(dest="bundle_command", required=True, metavar="COMMAND")
    part = parts.add_parser("verify", help="read every byte and compare checksums")
    part.add_argument("bundle", type=Path, metavar="BUNDLE")
    part.add_argument("--fast", action="store_true", help="compare names and sizes only")
    part.set_defaults(run=_verify)
    part = parts.add_parser("info", help="show what it holds and how good its heads are")
    part.add_argument("bundle", type=Path, metavar="BUNDLE")
    part.add_argument("--json", action="store_true", help="print JSON instead of text")
    part.set_defaults(run=_info)


def _verify(args: argparse.Namespace) -> int:
    from matinee.bundle.verify import verify  # noqa: PLC0415

    manifest = verify(args.bundle, "fast" if args.fast else "full")
    size = sum(entry.size for entry in manifest.files.values())
    print(f"{args.bundle}: {len(manifest.files)} files, {size:,} bytes, id {manifest.identity}: as built")
    return 0


def _info(args: argparse.Namespace) -> int:
    from matinee.bundle.opened import CARDS  # noqa: PLC0415
    from matinee.bundle.verify import verify  # noqa: PLC0415
    from matinee.heads import ModelCard  # noqa: PLC0415

    manifest = verify(args.bundle, "fast")
    names = sorted(name for name in manifest.files if name.startswith(f"{CARDS}/") and name.endswith(".json"))
    cards = [ModelCard.load(args.bundle / name) for name in names]
    if args.json:
        document = {"id": manifest.identity, **manifest.model_dump(mode="json")}
        print(json.dumps({**document, "cards": [card.model_dump(mode="json") for card in cards]}, indent=1))
        return 0
    print(f"{manifest.name}{' (demo data)' if manifest.demo else ''}")
    print(f"  id {manifest.identity}, built {manifest.created:%Y-%m-%d %H:%M} UTC by matinee {manifest.version}")
    print("  " + ", ".join(f"{count:,} {what}" for what, count in manifest.counts.items()))
    for kind, model in manifest.models.items():
        print(f"  {kind}: {model.name} ({model.sha256[:12]}, {model.precision}, {model.dimension}-d)")
    for card in cards:
        print(f"  {card.name}")
        for metric in card.metrics:
            value = "not defined" if metric.value is None else f"{metric.value:.3f}"
            interval = "" if metric.low is None or metric.high is None else f" ({metric.low:.3f} to {metric.high:.3f})"
            plain = "".join(f", {n} {v:.3f}" for n, v in metric.baselines.items() if v is not None)
            print(f"    {metric.name}: {value}{interval}{plain}, n {metric.count}")
    for name, why in manifest.missing_heads.items():
        print(f"  no {name}: {why}")
    return 0


# tag


def _add_tag(subparsers: argparse._SubParsersAction[Any]) -> None:
    parser = subparsers.add_parser("tag", help="genres and poster checks for a folder of images or a CSV of films")
    parser.add_argument("input", type=Path, metavar="INPUT", help="folder of images, or CSV with columns poster, plot")
    parser.add_argument("--bundle", required=True, type=Path, metavar="BUNDLE")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="JSON Lines, one line an item")
    parser.add_argument("--labels", choices=["multi", "single"], default="multi")
    parser.set_defaults(run=_tag)


def _tag(args: argparse.Namespace) -> int:
    from matinee.bundle import open_bundle  # noqa: PLC0415
    from matinee.progress import ProgressDisplay  # noqa: PLC0415
    from matinee.tagging import read_items, tag  # noqa: PLC0415

    items = read_items(args.input)
    bundle = open_bundle(args.bundle)
    temporary = args.out.with_name(args.out.name + ".new")
    failed = 0
    with temporary.open("w", encoding="utf-8") as file, ProgressDisplay(sys.stderr) as progress:
        for done, line in enumerate(tag(bundle, items, args.labels), start=1):
            failed += "error" in line
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            progress("tag", done, len(items))
    temporary.replace(args.out)
    print(f"{args.out}: {len(items)} items, {failed} with an error")
    return 0


if __name__ == "__main__":
    sys.exit(main())
