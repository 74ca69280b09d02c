"""What the README and the guides show is real: source files parse, commands and targets exist, links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from matinee.catalog.source_file import load_source_file

PAGES = ("README.md", "CONTRIBUTING.md", "docker/README.md", "docs")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|src=\"([^\"]+)\"")


def pages(repository: Path) -> list[Path]:
    found = [repository / name for name in PAGES]
    return [page for path in found for page in ([path] if path.is_file() else sorted(path.rglob("*.md")))]


def blocks(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks marked with this language ('' for unmarked ones)."""
    return [body for mark, body in BLOCK.findall(text) if mark == language]


def commands(text: str, program: str) -> list[list[str]]:
    """Command lines of `program` in unmarked blocks and in inline code, split into words, comments left out."""
    lines = [line for body in blocks(text, "") for line in body.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`([^`\n]+)`", text)
    words = [line.split("#")[0].split() for line in lines]
    return [line for line in words if line[:1] == [program] and len(line) > 1]


def test_every_source_file_shown_parses(repository: Path, tmp_path: Path) -> None:
    shown = [body for page in pages(repository) for body in blocks(page.read_text(encoding="utf-8"), "toml")]
    assert len(shown) >= 4
    for number, body in enumerate(shown):
        path = tmp_path / f"{number}.toml"
        # A block may show a part of a file: one without a name gets one.
        named = re.search(r"^name = ", body.partition("[[")[0], re.MULTILINE)
        path.write_text(body if named else f'name = "part"\n{body}', encoding="utf-8")
        assert load_source_file(path, environment={}).sources


def test_every_make_target_shown_exists(repository: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    shown = [line for page in pages(repository) for line in commands(page.read_text(encoding="utf-8"), "make")]
    assert shown
    for line in shown:
        named = [word for word in line[1:] if "=" not in word and word != "…"]
        assert set(named) <= targets, " ".join(line)


def test_every_matinee_command_shown_exists(repository: Path) -> None:
    shown = {
        tuple(line) for page in pages(repository) for line in commands(page.read_text(encoding="utf-8"), "matinee")
    }
    assert shown
    for command, options in sorted(split_command(line) for line in shown):
        result = subprocess.run(
            [sys.executable, "-m", "matinee.cli", *command, "--help"], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"matinee {' '.join(command)}: {result.stderr}"
        for option in options:
            assert option in result.stdout, f"matinee {' '.join(command)} has no {option}"


def split_command(line: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(subcommands, options) of a command line: `matinee bundle info my.bundle` -> (("bundle", "info"), ())."""
    depth = 2 if line[1] in {"bundle", "models"} and len(line) > 2 and not line[2].startswith("-") else 1
    return line[1 : 1 + depth], tuple(word for word in line[1 + depth :] if word.startswith("--"))


def test_every_relative_link_leads_somewhere(repository: Path) -> None:
    broken = []
    for page in pages(repository):
        for match in LINK.finditer(BLOCK.sub("", page.read_text(encoding="utf-8"))):
            target = match[1] or match[2]
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(repository)}: {target}")
    assert broken == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (("matinee", "bundle", "info", "my.bundle"), (("bundle", "info"), ())),
        (("matinee", "serve", "--bundle", "b", "--ui"), (("serve",), ("--bundle", "--ui"))),
    ],
)
def test_command_lines_are_split(line: tuple[str, ...], expected: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    assert split_command(line) == expected


def test_commands_are_found_in_blocks_and_in_text() -> None:
    text = "Run `make demo DATA=x` or\n```\nmatinee build \\\n  --out x  # comment\n```\n"
    assert commands(text, "make") == [["make", "demo", "DATA=x"]]
    assert commands(text, "matinee") == [["matinee", "build", "--out", "x"]]
