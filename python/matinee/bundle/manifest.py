"""manifest.json: what a bundle holds, from what it was made, and the size and hash of every file."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from matinee.errors import FormatError, IoError, NotFound

FILE_NAME = "manifest.json"
FORMAT = 4
"""1: films.sqlite, posters.bin, plots/posters/joint.index, search.safetensors, heads/, cards/, build_report.
2: genre heads stand on genre-poster-experts and genre-plot-experts in heads/.
3: the poster check stands on what the encoder's stages see; duplicates.safetensors.
4: search.safetensors holds the genres that plots and posters speak for."""

Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Strict):
    """One file of a bundle."""

    size: int = Field(ge=0, description="Bytes.")
    sha256: Sha256


class ModelEntry(_Strict):
    """An encoder of the model store that the bundle's vectors were made with; requests need the same one."""

    name: str
    sha256: Sha256 = Field(description="Of the weights.")
    dimension: int = Field(ge=1)
    precision: str = Field(description="Of the build; serving may use another.")


class Manifest(_Strict):
    """The content of manifest.json."""

    format: int
    name: str = Field(description="Of the catalogue.")
    version: str = Field(description="Of the Matinee that built it.")
    created: datetime
    demo: bool = Field(description="Built from demo data: answers say so.")
    counts: dict[str, int]
    models: dict[str, ModelEntry] = Field(description="'text' and 'image'.")
    heads: tuple[str, ...] = Field(description="Names of the heads in heads/.")
    missing_heads: dict[str, str] = Field(description="Head -> why the catalogue did not suffice for it.")
    files: dict[str, FileEntry] = Field(description="Relative path, with / -> size and hash. Not of manifest.json.")

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, FileEntry]) -> dict[str, FileEntry]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or str(path) != name or name == FILE_NAME:
                raise ValueError(f"expected paths inside the bundle, got {name!r}")
        return files

    @property
    def identity(self) -> str:
        """Short hash of all content: equal for bundles that differ in `created` alone."""
        content = "\n".join(f"{name} {entry.size} {entry.sha256}" for name, entry in sorted(self.files.items()))
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """The one form of the file: its own sha256 comes first, so that a changed byte shows here, too."""
        body = self.model_dump(mode="json")
        return _serialise({"sha256": _digest(body), **body})

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Reads the manifest of a bundle. Raises NotFound where `folder` is none, FormatError naming the file."""
        path = folder / FILE_NAME
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(
                f"open_bundle: path: expected a bundle (a folder with {FILE_NAME}), found none at {folder}"
            ) from error
        except NotADirectoryError as error:
            raise FormatError(f"open_bundle: path: expected a folder, got the file {folder}") from error
        except OSError as error:
            raise IoError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            document: dict[str, Any] = json.loads(data)
            digest = document.pop("sha256")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(f"{path}: the file is damaged; build or copy the bundle again") from error
        found = document.get("format")
        if isinstance(found, int) and found != FORMAT and digest == _digest(document):
            raise FormatError(f"{path}: expected a bundle of format {FORMAT}, got {found}; build it with this version")
        # Compared as bytes, too: white space, escapes and repeated keys are part of the file.
        if digest != _digest(document) or data != _serialise({"sha256": digest, **document}):
            raise FormatError(f"{path}: the file is damaged; build or copy the bundle again")
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise FormatError(f"{path}: expected a bundle's manifest: {error.errors()[0]['msg']}") from error


def _serialise(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
