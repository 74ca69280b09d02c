"""Models people bring: finished folders that models.toml knows nothing of."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matinee.errors import FormatError, IoError
from matinee.models.sources import disk_errors, local_folders
from matinee.models.spec import registry


def find(name: str) -> Path | None:
    """``FOLDER/<name>`` of a folder that MATINEE_MODELS names, where it holds a finished model; else None.

    The names of models.toml are never looked for: such a model comes out of the store, checked.
    """
    if name in registry().models or Path(name).name != name:
        return None
    return next((path for folder in local_folders() if ((path := folder / name) / "matinee.json").is_file()), None)


def weights_file(folder: Path, facts: dict[str, Any]) -> Path:
    """Where the weights are that `facts`, the folder's matinee.json, tells of. Raises FormatError for an odd name."""
    if facts.get("family") != "torchscript":
        return folder / "model.safetensors"
    name = facts.get("file", "model.pt")
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise FormatError(f"{folder / 'matinee.json'}: file: expected the name of a file in the folder, got {name!r}")
    return folder / name


@contextmanager
def new_folder(target: Path, where: str) -> Iterator[Path]:
    """A scratch folder that becomes `target` when the block ends well, and is gone otherwise.

    Raises IoError, naming the caller `where`, for a target that is there and not an empty folder, or cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise IoError(f"{where}: folder: expected a new or empty folder, got {target}")
    with disk_errors(f"{where}: folder"):
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        scratch.chmod(0o755)
    try:
        yield scratch
        with disk_errors(f"{where}: writing {target}"):
            if target.exists():
                target.rmdir()
            scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
