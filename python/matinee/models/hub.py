"""Fetches a model's files from the Hugging Face hub: at a pinned commit, resumable, checked against two checksums.

huggingface_hub knows the addresses, tokens, proxies and error answers; the bytes are written here. Its own downloader
throws a half-finished file away when a process ends, and 600 MB over a slow line want to be finished, not begun again.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from matinee.errors import FormatError, IoError, MatineeError, NotFound
from matinee.models.sources import Progress, check_room, disk_errors, watch
from matinee.models.spec import FileSpec, HubSource, ModelSpec

_CONNECT_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 15.0  # of silence, not of the whole file
_RETRIES = 4  # in a row without a byte; each waits twice as long as the one before
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0  # a server may ask for more; then the user is told instead
_BUSY = (408, 429, 500, 502, 503, 504)

_MIRROR = "if HF_ENDPOINT names a mirror, try without it"
_KEPT = "what has arrived is kept, pull again later"

T = TypeVar("T")


def fetch(spec: ModelSpec, source: HubSource, folder: Path, progress: Progress | None) -> None:
    """Puts the model's files into `folder`, from the hub or from the mirror that HF_ENDPOINT names.

    Whatever has arrived stays in `folder` when this fails, and the next call asks for the rest only. A file gets its
    name when its size, its sha256 and the hub's own checksum fit. Raises IoError where the hub cannot be reached, is
    busy, asks for permission, or where the disk is full; NotFound for a repository, commit or file it does not have;
    FormatError for other bytes than the published ones.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    hub = _Hub(os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or "https://huggingface.co", source)
    probe(hub.endpoint)
    folder.mkdir(parents=True, exist_ok=True)
    # all of them first: what is missing or without room is told before the long part
    remotes = [hub.describe(file) for file in spec.files]
    check_room(folder, spec.size - sum(path.stat().st_size for path in folder.iterdir()), source.repo)
    with watch(folder, spec.size, f"downloading {source.repo}", progress):
        for remote in remotes:
            hub.fetch(remote, folder)


@dataclass(frozen=True)
class _Remote:
    """A file, and what the hub says of it."""

    file: FileSpec
    url: str
    checksum: str  # sha256 of a large file, git's id of a small one

    def part(self, folder: Path) -> Path:
        """Where it grows. The checksum is in the name, so that halves of two versions never meet."""
        return folder / f"{self.file.name}.{self.file.sha256[:12]}.part"

    def problem(self, path: Path) -> FormatError | None:
        """What is wrong with a downloaded file, or None."""
        name, size = self.file.name, _size(path)
        if size != self.file.size:
            return FormatError(f"{name}: expected {self.file.size} bytes, got {size}: truncated")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != self.file.sha256:
            return FormatError(f"{name}: expected sha256 {self.file.sha256}, got {digest}: not the published file")
        if re.fullmatch(r"[0-9a-f]{40}", self.checksum):
            # git's id of a content: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
            blob = hashlib.sha1(f"blob {size}\0".encode() + path.read_bytes(), usedforsecurity=False).hexdigest()
            if blob != self.checksum:
                return FormatError(f"{name}: expected git's id {self.checksum}, got {blob}: the hub contradicts itself")
        return None


@dataclass(frozen=True)
class _Hub:
    """A repository of the hub, or of a mirror."""

    endpoint: str
    source: HubSource

    def describe(self, file: FileSpec) -> _Remote:
        """Asks for size, commit and checksum of a file; FormatError where they are not the published ones."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url  # noqa: PLC0415  half a second, and only for a pull

        name, source = file.name, self.source
        path = f"{source.folder}/{name}" if source.folder else name
        url = hf_hub_url(source.repo, path, revision=source.revision, endpoint=self.endpoint)
        facts = self._patiently(
            lambda: get_hf_file_metadata(url, timeout=_READ_TIMEOUT_S, endpoint=self.endpoint), file
        )
        if facts.commit_hash is None or facts.etag is None or facts.size is None:
            raise IoError(f"{self.endpoint}: {name}: no hub answers so (without commit, checksum or size); {_MIRROR}")
        if facts.commit_hash != source.revision:
            got = f"{self.endpoint} has {facts.commit_hash}"
            raise FormatError(f"{name}: expected commit {source.revision}, {got}; {_MIRROR}")
        if facts.size != file.size:
            got = f"{self.endpoint} has {facts.size}"
            raise FormatError(f"{name}: expected {file.size} bytes, {got}: another version; {_MIRROR}")
        if re.fullmatch(r"[0-9a-f]{64}", facts.etag) and facts.etag != file.sha256:
            got = f"{self.endpoint} has {facts.etag}"
            raise FormatError(f"{name}: expected sha256 {file.sha256}, {got}: not the published file; {_MIRROR}")
        return _Remote(file, url, facts.etag)

    def fetch(self, remote: _Remote, folder: Path) -> None:
        """Brings one file into `folder`, whole."""
        finished, part = folder / remote.file.name, remote.part(folder)
        with disk_errors(f"downloading {remote.file.name}"):
            if finished.is_file() and remote.problem(finished) is None:
                return
            resumed = _size(part) > 0  # left by an earlier process, perhaps by a machine that lost power: not trusted
            while True:
                self._patiently(lambda: _receive(remote, part), remote.file, lambda: _size(part))
                problem = remote.problem(part)
                if problem is None:
                    part.replace(finished)
                    return
                part.unlink()
                if not resumed:
                    raise problem
                resumed = False

    def _patiently(self, attempt: Callable[[], T], file: FileSpec, arrived: Callable[[], int] = lambda: 0) -> T:
        """Repeats what a broken connection or a busy server interrupted; a byte that arrives starts the count anew."""
        from huggingface_hub.errors import (  # type: ignore[attr-defined]  # noqa: PLC0415
            HfHubHTTPError,
            HTTPError,
            OfflineModeIsEnabled,
        )

        failures = 0
        while True:
            before = arrived()
            try:
                return attempt()
            except OfflineModeIsEnabled as error:  # as its client understood the environment when it was imported
                raise IoError(f"{self.endpoint}: {error}") from error
            except HTTPError as error:
                response = error.response if isinstance(error, HfHubHTTPError) else None
                failures = 1 if arrived() > before else failures + 1
                pause = _FIRST_PAUSE_S * 2 ** (failures - 1)
                if response is not None and response.headers.get("Retry-After", "").isdigit():
                    pause = max(pause, float(response.headers["Retry-After"]))
                final = response is not None and response.status_code not in _BUSY
                if final or failures > _RETRIES or pause > _LONGEST_PAUSE_S:
                    raise self._told(error, response.status_code if response is not None else None, file) from error
                time.sleep(pause)

    def _told(self, error: Exception, status: int | None, file: FileSpec) -> MatineeError:
        """The typed error, with its remedy, for an answer of the hub or the lack of one."""
        from huggingface_hub.errors import RemoteEntryNotFoundError, RevisionNotFoundError  # noqa: PLC0415

        where, repo, revision = f"{self.endpoint}: {self.source.repo}", self.source.repo, self.source.revision
        if status is None:
            return IoError(
                f"{where}: {file.name}: the connection broke ({str(error)[:200] or type(error).__name__}); {_KEPT}"
            )
        if status in (401, 403):
            terms = f"accept the terms at https://huggingface.co/{repo}, then set HF_TOKEN or run `hf auth login`"
            return IoError(f"{where}: access is refused ({status}); {terms}")
        if isinstance(error, RevisionNotFoundError):
            return NotFound(f"{where}: no commit {revision} there; {_MIRROR}")
        if isinstance(error, RemoteEntryNotFoundError):
            return NotFound(f"{where}: no {file.name} at commit {revision}; {_MIRROR}")
        if status == 404:
            return NotFound(f"{where}: no such repository; {_MIRROR}")
        limit = ", or set HF_TOKEN for a higher limit" if status == 429 else ""
        return IoError(f"{where}: {file.name}: the server answers {status}; {_KEPT}{limit}")


def _receive(remote: _Remote, part: Path) -> None:
    """Appends what is missing of the file to `part`, in one request."""
    from huggingface_hub import get_session  # noqa: PLC0415
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # noqa: PLC0415

    size = remote.file.size
    if _size(part) > size:
        part.unlink()
    start = _size(part)
    if start == size:
        return
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with get_session().stream("GET", remote.url, headers=headers, timeout=_READ_TIMEOUT_S) as response:
        hf_raise_for_status(response)
        # a server may answer with the whole file all the same
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        received = start if goes_on else 0
        with part.open("ab" if goes_on else "wb", buffering=0) as out:
            for chunk in response.iter_raw():
                received += len(chunk)
                if received > size:  # an endless answer must not fill the disk
                    raise FormatError(f"{remote.file.name}: expected {size} bytes, got more; {_MIRROR}")
                rest = memoryview(chunk)
                while rest:  # an unbuffered file may take less than it was given, as on a disk that fills up
                    rest = rest[out.write(rest) :]


def probe(endpoint: str) -> None:
    """Says within seconds that a host cannot be reached, instead of waiting and trying again."""
    parts = urlsplit(endpoint)
    if parts.hostname is None or parts.scheme not in ("http", "https"):
        raise IoError(f"HF_ENDPOINT: expected an http(s) address, got {endpoint!r}")
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname):
        return  # only the proxy knows
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise IoError(f"{endpoint} cannot be reached: {error.strerror or error}") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
