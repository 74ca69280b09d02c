"""Checks a bundle against its manifest."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from matinee.bundle.manifest import FileEntry, Manifest
from matinee.errors import FormatError, InvalidArgument, IoError

Verify = Literal["fast", "full"]


def verify(path: str | Path, mode: Verify = "full") -> Manifest:
    """The manifest of a bundle whose files are what it says.

    fast: the manifest itself, and that every file is there in its size. full: the sha256 of every byte (about a second
    for a gigabyte). Raises NotFound where there is no bundle, FormatError naming the first file that is not right.
    """
    if mode not in ("fast", "full"):
        raise InvalidArgument(f"verify: mode: expected 'fast' or 'full', got {mode!r}")
    folder = Path(path)
    manifest = Manifest.load(folder)
    for name, entry in manifest.files.items():
        _check_size(folder / name, entry)
    if mode == "full":
        # Largest first, so that no thread is left alone with it at the end.
        entries = sorted(manifest.files.items(), key=lambda item: -item[1].size)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(lambda item: _check_content(folder / item[0], item[1]), entries):
                pass
    return manifest


def entry_of(path: Path) -> FileEntry:
    """Size and hash of a file as it is now."""
    with path.open("rb") as file:
        return FileEntry(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _check_size(path: Path, entry: FileEntry) -> None:
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FormatError(f"{path}: the file is missing; build or copy the bundle again") from error
    except OSError as error:
        raise IoError(f"{path}: cannot be read: {error.strerror}") from error
    if not path.is_file() or size != entry.size:
        raise FormatError(f"{path}: expected {entry.size} bytes, got {size}; build or copy the bundle again")


def _check_content(path: Path, entry: FileEntry) -> None:
    try:
        found = entry_of(path).sha256
    except OSError as error:
        raise IoError(f"{path}: cannot be read: {error.strerror}") from error
    if found != entry.sha256:
        raise FormatError(f"{path}: the content has changed since the build; build or copy the bundle again")
