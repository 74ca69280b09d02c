"""Turns a model's delivered files into the folder that the engines read. See `ModelSpec.files` and `.write`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from safetensors.numpy import save

from matinee.errors import FormatError
from matinee.models.pth import read_pth
from matinee.models.sources import disk_errors
from matinee.models.spec import ModelSpec


def convert(name: str, spec: ModelSpec, delivered: Path, out: Path) -> None:
    """Fills the empty folder `out`: copies, converted weights, and the JSON documents of models.toml.

    `matinee.json` always says kind and family, so a folder can be told from its content. Files are on disk when this
    returns. Raises FormatError for weights that cannot be read, IoError where `out` cannot be written.
    """
    for file in spec.files:
        target = out / (file.convert_to or file.name)
        with disk_errors(f"writing {target.name}"):
            if file.convert_to is None:
                link_or_copy(delivered / file.name, target)
            elif file.name.endswith(".pth") and target.suffix == ".safetensors":
                arrays = read_pth(delivered / file.name)
                # one metadata entry only: their order is random, and equal input shall give equal bytes
                target.write_bytes(save(arrays, metadata={"format": "pt"}))
            else:
                raise FormatError(f"convert: {name}: no way from {file.name} to {file.convert_to}")
    for document, written in spec.write.items():
        told = {"name": name, "kind": spec.kind, "family": spec.family} if document == "matinee.json" else {}
        with disk_errors(f"writing {document}"):
            (out / document).write_text(json.dumps({**told, **written}, indent=2) + "\n", encoding="utf-8")
    for path in out.iterdir():
        sync(path)


def link_or_copy(file: Path, target: Path) -> None:
    """A second name for the same bytes where the file system has such a thing, else a copy: weights are large."""
    try:
        target.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, target)


def sync(path: Path) -> None:
    """Forces a file or folder to disk, so that a rename after it never shows half of it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
