"""The committed type stubs are those of the built modules, and they let mypy refuse misuse."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def generator(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_stubs", repository / "scripts" / "generate_stubs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["_core", "_torch"])
def test_the_committed_stub_is_that_of_the_built_module(name: str, generator: ModuleType, repository: Path) -> None:
    text = generator.generate(name)
    if text is None:
        pytest.skip(f"matinee.{name} is not built here (MATINEE_TORCH=off)")
    committed = repository / "python" / "matinee" / f"{name}.pyi"
    assert committed.read_text() == text, "run: python scripts/generate_stubs.py"


USES = """
import numpy as np
from matinee import _core

image = _core.decode_rgb(b"...", max_pixels=1000)
smaller = _core.resize(image, height=np.int64(10), width=10)
planes, statuses = _core.Preprocessor(height=224).run([b"...", smaller])
error = statuses[0]
message = str(error) if error is not None else ""
"""
MISUSES = [
    "_core.decode_rgb('poster.jpg')",
    "_core.decode_rgb(b'...', 1000)",
    "_core.resize(image, 10, 10)",
    "_core.resize(image, height=10.5, width=10)",
    "_core.Preprocessor(edge=224)",
    "_core.Preprocessor().run(['poster.jpg'])",
    "_core.no_such_function()",
]


def test_mypy_accepts_right_use_and_refuses_each_misuse(tmp_path: Path, repository: Path) -> None:
    script = tmp_path / "uses.py"
    script.write_text(USES + "\n".join(MISUSES) + "\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(repository / "pyproject.toml"), str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=repository)
    first = USES.count("\n") + 1
    refused = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert refused == set(range(first, first + len(MISUSES))), done.stdout + done.stderr
