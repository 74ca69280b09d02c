"""Holds what the repository promises of itself; each check is also shown to find what it looks for."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

LARGEST_FILE = 1 << 20  # bytes; pictures for the documentation fit, weights and data sets do not
FIXTURE_LIMIT = 64 << 10  # bytes; a synthetic fixture of a kind that weights, data or indexes come in

# Endings of weights, data sets and indexes: allowed as small synthetic fixtures under tests/ and nowhere else.
DATA_ENDINGS = {
    ".safetensors", ".pth", ".pt", ".onnx", ".bin", ".npy", ".npz", ".pkl", ".index", ".parquet", ".sqlite", ".db",
    ".csv", ".tsv", ".jsonl", ".zip", ".gz", ".whl",
}  # fmt: skip
PICTURE_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".gif"}
PICTURE_ROOMS = ("docs/images/", "tests/", "app/ui/assets/")

# The rooms of docs/architecture.md and the files that tools look for at the top; a new one is a decision.
TOP_LEVEL = {
    ".ci", ".clang-format", ".clang-tidy", ".dockerignore", ".editorconfig", ".github", ".gitignore",
    ".pre-commit-config.yaml", "app", "benchmarks", "bindings", "CHANGELOG.md", "CMakeLists.txt", "CMakePresets.json",
    "constraints.txt", "CONTRIBUTING.md", "cpp", "docker", "docs", "LICENSE", "Makefile", "mkdocs.yml", "notebooks",
    "pyproject.toml", "python", "README.md", "scripts", "tests",
}  # fmt: skip

# A path that exists on one machine only. Written with a class so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.~$}-])/(?:wor[k]|far[m]|(?:hom[e]|Use[r]s)/[\w.-]+)/[\w.-]+")
UNFINISHED = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b")


def file_problems(name: str, size: int) -> list[str]:
    """What is wrong with a tracked file of this name and size (bytes)."""
    ending = Path(name).suffix.lower()
    problems = []
    if size > LARGEST_FILE:
        problems.append(f"{name}: {size} bytes; the largest file is {LARGEST_FILE}")
    if ending in DATA_ENDINGS and not (name.startswith("tests/") and size <= FIXTURE_LIMIT):
        problems.append(f"{name}: weights, data sets and indexes are never committed")
    if ending in PICTURE_ENDINGS and not name.startswith(PICTURE_ROOMS):
        problems.append(f"{name}: a picture outside {', '.join(PICTURE_ROOMS)}")
    return problems


def text_problems(name: str, text: str) -> list[str]:
    """What is wrong with a tracked text file."""
    problems = [f"{name}: machine path {m[0]}" for m in MACHINE_PATH.finditer(text)]
    if not name.startswith("docs/"):
        problems += [f"{name}: unfinished: {m[0]}" for m in UNFINISHED.finditer(text)]
    return problems


def model_problems(models: dict[str, Any]) -> list[str]:
    """What is missing from the entries of models.toml: licence, provenance, and a hash for every file."""
    problems = []
    for name, entry in models.items():
        if not str(entry.get("licence", "")).strip():
            problems.append(f"{name}: no licence")
        if not entry.get("sources"):
            problems.append(f"{name}: no sources")
        hashed = [value for key, value in walk(entry) if key == "sha256"]
        if not hashed:
            problems.append(f"{name}: no sha256")
        problems += [
            f"{name}: bad sha256 {value!r}" for value in hashed if not re.fullmatch("[0-9a-f]{64}", str(value))
        ]
    return problems


def walk(value: Any, key: str = "") -> list[tuple[str, Any]]:
    """Every (key, value) pair at any depth of a parsed TOML document."""
    if isinstance(value, dict):
        return [pair for name, inner in value.items() for pair in walk(inner, name)]
    if isinstance(value, list):
        return [pair for inner in value for pair in walk(inner, key)]
    return [(key, value)]


def homes_of_version(texts: dict[str, str], version: str) -> list[str]:
    """Files that state our version; some tell of versions by nature (past ones, those of other packages) and may."""
    stated = re.compile(rf"(?i)version_*[\"']?\s*[:=(]?\s*[\"']?{re.escape(version)}\b")
    told = ("CHANGELOG.md", "constraints.txt", "python/matinee/models/models.toml")
    shipped = {name: text for name, text in texts.items() if name not in told and not name.startswith("tests/")}
    return [name for name, text in shipped.items() if stated.search(text)]


@pytest.fixture(scope="module")
def tracked(repository: Path) -> dict[str, Path]:
    """Name -> path of every tracked file that is there."""
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout: there is no list of tracked files to look at")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repository, check=True, capture_output=True).stdout.decode()
    return {name: repository / name for name in listed.split("\0") if name and (repository / name).is_file()}


@pytest.fixture(scope="module")
def texts(tracked: dict[str, Path]) -> dict[str, str]:
    """Name -> text of every tracked file that is text."""
    found = {}
    for name, path in tracked.items():
        data = path.read_bytes()
        if b"\0" not in data:
            found[name] = data.decode("utf-8", errors="replace")
    return found


def test_no_tracked_file_is_large_or_data(tracked: dict[str, Path]) -> None:
    assert [line for name, path in tracked.items() for line in file_problems(name, path.stat().st_size)] == []


def test_the_top_level_holds_the_rooms_and_nothing_else(tracked: dict[str, Path]) -> None:
    assert {name.partition("/")[0] for name in tracked} <= TOP_LEVEL


def test_no_tracked_text_names_a_machine_path_or_is_unfinished(texts: dict[str, str]) -> None:
    assert [line for name, text in texts.items() for line in text_problems(name, text)] == []


def test_the_version_has_one_home(texts: dict[str, str]) -> None:
    version = tomllib.loads(texts["pyproject.toml"])["project"]["version"]
    assert homes_of_version(texts, version) == ["pyproject.toml"]
    assert f"## [{version}]" in texts["CHANGELOG.md"] or "## [Unreleased]" in texts["CHANGELOG.md"]


def test_the_licence_is_apache_2(texts: dict[str, str]) -> None:
    assert "Apache License" in texts["LICENSE"]
    assert "Version 2.0, January 2004" in texts["LICENSE"]
    assert tomllib.loads(texts["pyproject.toml"])["project"]["license"] == "Apache-2.0"


def test_every_dependency_has_a_lower_bound_and_a_pin(texts: dict[str, str]) -> None:
    project = tomllib.loads(texts["pyproject.toml"])
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    wanted += [requirement for extra in extras.values() for requirement in extra]
    pinned = {line.partition("==")[0] for line in texts["constraints.txt"].splitlines() if "==" in line}
    for requirement in wanted:
        name = re.split(r"[<>=!~ \[]", requirement, maxsplit=1)[0].lower().replace("_", "-")
        assert ">=" in requirement, f"{requirement}: no lower bound"
        assert name in pinned, f"{requirement}: not in constraints.txt; run scripts/refresh_constraints.sh"


def test_every_model_states_licence_sources_and_hashes(repository: Path, tracked: dict[str, Path]) -> None:
    lists = [path for name, path in tracked.items() if name.endswith("models.toml")]
    assert len(lists) == 1
    document = tomllib.loads(lists[0].read_text(encoding="utf-8"))
    models = document.get("models", document)
    assert {"minilm-l6-v2", "efficientnet-lite0"} <= set(models)
    assert model_problems(models) == []


def test_the_debian_list_covers_the_sets_that_are_asked_for(repository: Path, texts: dict[str, str]) -> None:
    rows = [line.split() for line in texts["scripts/debian-packages.txt"].splitlines() if line and line[0] != "#"]
    assert all(len(row) == 2 for row in rows)
    assert len({row[0] for row in rows}) == len(rows), "a package named twice"
    for name in ("build", "test", "full", "run", "ui"):
        expected = {row[0] for row in rows if name in row[1].split(",")}
        listed = subprocess.run(
            [repository / "scripts/install_system.sh", "--list", name], check=True, capture_output=True, text=True
        ).stdout.split()
        assert set(listed) == expected != set()


def test_an_unknown_set_of_packages_is_refused(repository: Path) -> None:
    result = subprocess.run(
        [repository / "scripts/install_system.sh", "--list", "bild"], check=False, capture_output=True, text=True
    )
    assert result.returncode != 0
    assert "no set named bild" in result.stderr


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("docs/images/big.png", LARGEST_FILE + 1, "largest"),
        ("python/matinee/weights.safetensors", 100, "never committed"),
        ("tests/python/data/all.tsv", FIXTURE_LIMIT + 1, "never committed"),
        ("posters/1.jpg", 100, "picture"),
    ],
)
def test_the_file_check_finds(name: str, size: int, expected: str) -> None:
    assert any(expected in line for line in file_problems(name, size))


def test_the_file_check_lets_pass() -> None:
    assert file_problems("tests/python/data/tiny.csv", 1000) == []
    assert file_problems("docs/images/ui/discover.png", 500_000) == []


def test_the_text_check_finds_machine_paths_and_unfinished_marks() -> None:
    assert text_problems("a.py", "open('/" + "work/shared/x')")
    assert text_problems("a.py", "open('/" + "home/someone/x')")
    assert text_problems("a.py", "# TO" + "DO later")
    assert text_problems("a.py", "cd ../shared; ls /usr/lib; network/work/x; WORKDIR /src") == []


def test_the_version_check_finds_a_second_home() -> None:
    texts = {"pyproject.toml": 'version = "9.8.7"', "a.py": '__version__ = "9.8.7"', "CHANGELOG.md": "version 9.8.7"}
    assert homes_of_version(texts, "9.8.7") == ["pyproject.toml", "a.py"]


def test_the_model_check_finds_what_is_missing() -> None:
    good = {"licence": "MIT", "sources": ["hub"], "files": [{"sha256": "0" * 64}]}
    assert model_problems({"m": good}) == []
    assert model_problems({"m": {**good, "licence": " "}}) == ["m: no licence"]
    assert model_problems({"m": {**good, "files": []}}) == ["m: no sha256"]
    assert model_problems({"m": {**good, "files": [{"sha256": "abc"}]}}) == ["m: bad sha256 'abc'"]
    assert model_problems({"m": {**good, "sources": []}}) == ["m: no sources"]
