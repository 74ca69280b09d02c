"""Puts a finished directory in place of an older one, so that the path always names a complete one."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def put_in_place(new: Path, place: Path, old: Path) -> None:
    """Renames `new` to `place`; what was there goes to `old`, which must not exist. All on one file system.

    Where the kernel can exchange two names this is one step. Elsewhere there is a moment between two renames in which
    `place` does not exist; `recover` undoes the first of them if the process ends there.
    """
    if not place.exists():
        new.rename(place)
    elif _exchange(new, place):
        new.rename(old)
    else:
        place.rename(old)
        new.rename(place)
    sync_folder(place.parent)


def recover(place: Path, old: Path) -> None:
    """Brings back what an interrupted `put_in_place` had moved out of the way; the rest of `old` is left alone."""
    if old.is_dir() and not place.exists():
        old.rename(place)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Makes every file and name under `folder` durable."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


def _exchange(first: Path, second: Path) -> bool:
    """Swaps two names at once (Linux, renameat2). False where the kernel, C library or file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(second))
