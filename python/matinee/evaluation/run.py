"""`matinee evaluate`: runs protocols on a bundle and writes the report, its pages and the model cards."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import matinee
from matinee.errors import InvalidArgument, IoError
from matinee.evaluation.cards import measured_cards
from matinee.evaluation.protocols import PROTOCOLS, protocol
from matinee.evaluation.render_html import to_html
from matinee.evaluation.render_markdown import to_markdown
from matinee.evaluation.report import Report
from matinee.evaluation.subject import Progress, from_source, held_back


def evaluate(
    bundle_path: str | Path,
    protocols: Sequence[str] = ("all",),
    *,
    test: str | Path | None = None,
    tuned: str | Path | None = None,
    learning_curve: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Measures a bundle's models beside plain ones, on films that they have not learned from.

    protocols: names of `PROTOCOLS`, or 'all'. test: a films.toml of films and images outside the bundle; without it,
    the films that the bundle's own split held back. tuned: the folder of a network that `matinee tune-posters`
    wrote, to be asked about posters, too. learning_curve: whether to measure what is fitted on fewer films as well:
    genre recipes, and all that finds posters by plots, which takes as long as two builds.
    Raises InvalidArgument for an unknown protocol, and what opening the bundle and reading the source raise.
    """
    names = list(PROTOCOLS) if "all" in protocols else list(dict.fromkeys(protocols))
    unknown = [name for name in names if name not in PROTOCOLS]
    if unknown:
        raise InvalidArgument(f"evaluate: protocols: expected some of {', '.join(PROTOCOLS)}, all; got {unknown[0]!r}")
    tell = progress or (lambda step, done, total: None)
    bundle = matinee.open_bundle(bundle_path)
    subject = held_back(bundle, tell, seed) if test is None else from_source(bundle, Path(test), tell, seed)
    subject = replace(subject, tuned=None if tuned is None else Path(tuned), learning_curve=learning_curve)
    findings = [protocol(name)(subject) for name in names]
    return Report(
        rows=tuple(row for found in findings for row in found.rows),
        sections=tuple(found.section for found in findings),
        data=subject.data,
        seed=seed,
        bundle=bundle.manifest.identity,
        demo=bundle.demo,
        version=matinee.__version__,
        created=datetime.now(UTC).replace(microsecond=0),
        machine=_machine(),
    )


def save_report(report: Report, out: Path, bundle: matinee.Bundle | None = None) -> list[Path]:
    """Writes REPORT.json, REPORT.md and REPORT.html beside each other and, given the bundle, its measured model cards
    in the folder REPORT.cards; returns what was written. Raises IoError."""
    files = {
        out: report.to_json(),
        out.with_suffix(".md"): to_markdown(report),
        out.with_suffix(".html"): to_html(report),
    }
    for card in measured_cards(report, bundle.cards) if bundle is not None else []:
        folder = out.with_suffix(".cards")
        files |= {folder / f"{card.name}.json": card.to_json(), folder / f"{card.name}.md": card.to_markdown()}
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(path.name + ".new")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
    except OSError as error:
        raise IoError(f"evaluate: out: cannot write {error.filename}: {error.strerror}") from error
    return list(files)


def _machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} threads"
