"""A model of a few bytes."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VOCABULARY = b"[PAD]\n[UNK]\nfilm\n"


@dataclass
class TinyModel:
    """What models.toml would say of it, and where its wheel lies."""

    name: str
    files: dict[str, bytes]
    weights: dict[str, np.ndarray]
    wheels: Path
    wheel: Path

    def write_wheel(self, files: dict[str, bytes]) -> None:
        """Replaces the wheel by one with these files."""
        with zipfile.ZipFile(self.wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(f"tiny_model/data/{name}", data)
            info = "tiny_model-1.0.dist-info"
            archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
