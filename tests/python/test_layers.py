"""Holds the dependency directions of docs/architecture.md; each rule is also shown to catch its own violation."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

LAYERS = ("core", "image", "text", "nn", "ann")
CAPABILITIES = ("genre", "posters", "search", "chat", "recommend", "boxoffice")

# First part of an included path -> the folder (or folders) of cpp/ that alone may include it. Eigen and std: everybody.
ROOMS = {
    "opencv2": "image",
    "jpeglib.h": "image",
    "png.h": "image",
    "oneapi": "nn",
    "dnnl.h": "nn",
    "dnnl.hpp": "nn",
    "nlohmann": "nn, image, text",
    "utf8proc.h": "text",
    "torch": "nn/torchscript",
    "ATen": "nn/torchscript",
    "c10": "nn/torchscript",
    "pybind11": "bindings",
    "Python.h": "bindings",
}
FOREIGN_TYPES = re.compile(r"\b(cv|dnnl|at|torch|c10|nlohmann|pybind11|py)::")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.MULTILINE)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def cpp_violations(path: str, text: str) -> list[str]:
    """What the C++ file at `path` (relative to the repository) does against the layers; empty when nothing."""
    parts = PurePosixPath(path).parts
    public = path.startswith("cpp/include/matinee/")
    if parts[0] == "bindings":
        room = layer = "bindings"
    else:
        inner = parts[3:] if public else parts[2:]
        layer = inner[0]
        room = "nn/torchscript" if inner[:2] == ("nn", "torchscript") or inner[:2] == ("nn", "torchscript.h") else layer
    found = []
    for included in INCLUDE.findall(text):
        head = PurePosixPath(included).parts[0]
        owner = ROOMS.get(head)
        if owner and room not in owner.split(", "):
            found.append(f"{path}: includes <{included}>, which only {owner} may")
        if owner and public:
            found.append(f"{path}: a public header includes <{included}>")
        target = PurePosixPath(included.removeprefix("matinee/")).parts[0]
        if target in LAYERS and layer != "bindings" and target not in {"core", layer}:
            found.append(f"{path}: {layer} includes its sibling {included}")
    if public:
        found += [f"{path}: a public header names {m[0]}" for m in FOREIGN_TYPES.finditer(COMMENT.sub("", text))]
    return found


def imported_modules(source: str, package: str) -> set[str]:
    """Absolute names of every module `source` imports, in functions too; `package` resolves relative imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                ancestors = package.split(".")
                kept = ancestors[: len(ancestors) - node.level + 1]
                base = ".".join([*kept, *([node.module] if node.module else [])])
            names.add(base)
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def package_of(path: str) -> str:
    """Package that holds the module at `path`: python/matinee/genre/train.py -> matinee.genre; app/ is matinee.app."""
    parts = PurePosixPath(path).parts
    folders = parts[1:-1] if parts[0] == "python" else ("matinee", *parts[:-1])
    return ".".join(folders)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def python_violations(path: str, source: str) -> list[str]:
    """What the Python file at `path` imports against the layers; empty when nothing."""
    parts = PurePosixPath(path).parts
    imports = imported_modules(source, package_of(path))

    def refuse(why: str, *packages: str, allow: tuple[str, ...] = ()) -> list[str]:
        bad = sorted(n for n in imports if within(n, *packages) and not within(n, *allow))
        return [f"{path}: imports {name}: {why}" for name in bad]

    found = []
    if parts[0] == "python":
        found += refuse("the package never imports the application above it", "matinee.app", "app")
        # torchscript.py loads pip's torch where the build was told to stand on it (MATINEE_TORCH=python); export.py
        # is for people who have trained with it, and imports it in the functions they call.
        # fusion_networks.py trains rows to compare with, where PyTorch happens to be there; finetune.py is for whoever
        # installs the extra `train`.
        rooms = {
            ("torchscript.py",): ("torch",),
            ("models", "export.py"): ("torch", "transformers"),
            ("evaluation", "fusion_networks.py"): ("torch",),
            ("genre", "finetune.py"): ("torch",),
        }
        torch_room = rooms.get(parts[2:], ())
        found += refuse("no torch in the product", "torch", "transformers", "torchvision", allow=torch_room)
        found += refuse("no web framework in the package", "flask", "gradio", "flask_openapi3")
        room = parts[2].removesuffix(".py") if len(parts) > 2 else ""
        capabilities = [f"matinee.{name}" for name in CAPABILITIES]
        if room in CAPABILITIES:
            others = [name for name in capabilities if name != f"matinee.{room}"]
            found += refuse("capabilities do not import one another", *others)
        if room in {"errors", "where", "answers", "models", "encode", "index", "catalog"}:
            found += refuse(
                "lies below the capabilities and the bundle", *capabilities, "matinee.bundle", "matinee.cli"
            )
    elif parts[:2] == ("app", "ui"):
        found += refuse("the UI knows the API's address and nothing else", "matinee", allow=("matinee.app.ui",))
        found += refuse("the UI is no server of the API", "flask", "flask_openapi3")
    elif parts[0] == "app":
        found += refuse("no torch in the product", "torch", "transformers", "torchvision")
        if parts[1] == "service.py" or parts[1] == "service":
            found += refuse(
                "the service is plain Python", "flask", "flask_openapi3", "gradio", "httpx", "matinee.app.api"
            )
        if parts[1] in {"api", "service.py", "service"}:
            found += refuse("only the UI is made with gradio", "gradio", "matinee.app.ui")
    elif parts[0] == "notebooks":
        allowed = (*sys.stdlib_module_names, "matinee", "IPython")
        found += [
            f"{path}: imports {n}: notebooks import only matinee" for n in sorted(imports) if not within(n, *allowed)
        ]
        found += refuse(
            "notebooks use the package, not the application or its private modules", "matinee.app", "matinee._core"
        )
    return found


def notebook_source(text: str) -> str:
    """The code cells of a notebook as one module; lines for the shell and IPython's magics left out."""
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("!", "%")))


def repository_files(repository: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of every source file, those not yet committed too."""
    for room in ("cpp", "bindings", "python", "app", "notebooks"):
        for path in sorted((repository / room).rglob("*")):
            if path.suffix in {".py", ".cpp", ".h", ".ipynb"} and ".ipynb_checkpoints" not in path.parts:
                yield path.relative_to(repository).as_posix(), path.read_text(encoding="utf-8")


def test_cpp_folders_depend_only_downwards_and_keep_third_parties_in_their_rooms(repository: Path) -> None:
    files = [(n, t) for n, t in repository_files(repository) if n.startswith(("cpp/include/", "cpp/src/", "bindings/"))]
    assert len(files) > 10
    assert [line for name, text in files for line in cpp_violations(name, text)] == []


def test_python_packages_depend_only_downwards(repository: Path) -> None:
    files = [(n, t) for n, t in repository_files(repository) if n.endswith(".py") and n.startswith(("python/", "app/"))]
    assert len(files) > 5
    assert [line for name, text in files for line in python_violations(name, text)] == []


def test_notebooks_import_only_the_package(repository: Path) -> None:
    files = [(n, t) for n, t in repository_files(repository) if n.endswith(".ipynb")]
    assert [line for name, text in files for line in python_violations(name, notebook_source(text))] == []


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("cpp/src/ann/exact.cpp", '#include "matinee/text/wordpiece.h"', "sibling"),
        ("cpp/src/core/file.cpp", '#include "matinee/image/decode.h"', "sibling"),
        ("cpp/src/nn/bert.cpp", '#include "text/utf8.h"', "sibling"),
        ("cpp/src/nn/bert.cpp", "#include <opencv2/core.hpp>", "only image"),
        ("cpp/src/nn/bert.cpp", "#include <torch/script.h>", "only nn/torchscript"),
        ("cpp/src/ann/exact.cpp", "# include <oneapi/dnnl/dnnl.hpp>", "only nn"),
        ("cpp/src/image/decode.cpp", "#include <pybind11/numpy.h>", "only bindings"),
        ("bindings/bind_image.cpp", "#include <opencv2/core.hpp>", "only image"),
        ("cpp/include/matinee/image/decode.h", "#include <opencv2/core.hpp>", "public header includes"),
        ("cpp/include/matinee/image/decode.h", "cv::Mat decode();", "public header names cv::"),
        ("cpp/include/matinee/nn/torchscript.h", "at::Tensor run();", "public header names at::"),
    ],
)
def test_the_cpp_rule_catches(path: str, text: str, expected: str) -> None:
    assert any(expected in line for line in cpp_violations(path, text))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("cpp/src/image/decode.cpp", '#include "matinee/core/error.h"\n#include <opencv2/core.hpp>\ncv::Mat image;'),
        ("cpp/src/nn/torchscript/module.cpp", '#include <torch/script.h>\n#include "matinee/nn/torchscript/module.h"'),
        ("cpp/include/matinee/image/decode.h", "// returned as cv::Mat would be\nArray decode();"),
        ("bindings/bind_nn.cpp", '#include <pybind11/numpy.h>\n#include "matinee/nn/bert.h"'),
        ("cpp/src/ann/exact.cpp", '#include <Eigen/Core>\n#include "matinee/ann/exact.h"'),
    ],
)
def test_the_cpp_rule_lets_pass(path: str, text: str) -> None:
    assert cpp_violations(path, text) == []


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("python/matinee/cli.py", "from matinee.app.commands import serve", "above it"),
        ("python/matinee/cli.py", "def f():\n    from .app import service", "above it"),
        ("python/matinee/genre/infer.py", "from matinee.posters import check", "one another"),
        ("python/matinee/search/mood.py", "from ..genre.labels import COURSE", "one another"),
        ("python/matinee/catalog/film.py", "import matinee.bundle.build", "below"),
        ("python/matinee/encode.py", "import torch", "no torch"),
        ("python/matinee/search/api.py", "from flask import request", "web framework"),
        ("app/ui/pages.py", "import matinee", "the UI knows"),
        ("app/ui/pages.py", "from ..service import Service", "the UI knows"),
        ("app/service.py", "import gradio as gr", "plain Python"),
        ("app/service.py", "from .api import create_app", "plain Python"),
        ("app/api/films.py", "from matinee.app.ui import page", "gradio"),
        ("notebooks/first.ipynb", "import numpy as np", "only matinee"),
        ("notebooks/first.ipynb", "from matinee import _core", "private"),
    ],
)
def test_the_python_rule_catches(path: str, text: str, expected: str) -> None:
    assert any(expected in line for line in python_violations(path, text))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("python/matinee/genre/infer.py", "from matinee.bundle import Bundle\nfrom matinee.genre.labels import COURSE"),
        ("app/ui/pages.py", "import gradio as gr\nfrom .client import Client\nfrom matinee.app.ui.theme import css"),
        ("app/api/films.py", "from flask import request\nfrom ..service import Service\nimport matinee"),
        ("notebooks/first.ipynb", "from pathlib import Path\nimport matinee"),
    ],
)
def test_the_python_rule_lets_pass(path: str, text: str) -> None:
    assert python_violations(path, text) == []


def test_notebook_source_reads_code_cells_only() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["import numpy"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import matinee\n"]},
    ]
    assert notebook_source(json.dumps({"cells": cells})) == "import matinee"


@pytest.mark.parametrize(
    "module", ["matinee", "matinee.bundle", "matinee.cli", "matinee.app.service", "matinee.app.api"]
)
def test_serving_loads_no_training_library(module: str) -> None:
    script = f"import sys, {module}; print(*sorted(m for m in sys.modules if '.' not in m))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert module.partition(".")[0] in loaded
    assert loaded.isdisjoint({"sklearn", "torch", "transformers", "pandas", "mlflow", "gradio", "lightgbm"})


@pytest.mark.parametrize("module", ["matinee", "matinee.cli", "matinee.app.commands", "matinee.app.ui.server"])
def test_the_pages_run_where_the_core_cannot_be_loaded(module: str) -> None:
    script = f"import sys; sys.modules['matinee._core'] = None; import {module}"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_every_public_name_of_the_package_loads() -> None:
    import matinee

    assert {name: getattr(matinee, name) for name in matinee.__all__}
    assert set(matinee.__all__) <= set(dir(matinee))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = matinee.Nothing
