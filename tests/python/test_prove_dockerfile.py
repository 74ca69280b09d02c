"""The Dockerfile stays within what scripts/prove_dockerfile.py can run, and the script refuses what it cannot."""

import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def prove(repository: Path) -> ModuleType:
    sys.path.insert(0, str(repository / "scripts"))
    try:
        import prove_dockerfile
    finally:
        sys.path.pop(0)
    return prove_dockerfile


def test_every_step_of_the_dockerfile_is_understood(prove: ModuleType, repository: Path) -> None:
    stages = prove.parse_dockerfile((repository / "docker/Dockerfile").read_text())
    assert [stage.name for stage in stages] == ["builder", "test", "api", "ui"]
    for stage in stages[2:]:
        names = [step.name for step in stage.steps]
        users = [step.rest for step in stage.steps if step.name == "USER"]
        assert "HEALTHCHECK" in names
        assert users not in ([], ["root"])


def test_continued_lines_flags_and_comments(prove: ModuleType) -> None:
    text = "# comment\nFROM debian:bookworm-slim AS a\nRUN one \\\n && two\nFROM a\nCOPY --from=a /x /y\n"
    first, second = prove.parse_dockerfile(text)
    assert (first.name, first.steps[0].rest, first.steps[0].line) == ("a", "one && two", 3)
    assert (second.base, second.steps[0].flags, second.steps[0].rest) == ("a", {"from": "a"}, "/x /y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM alpine", "line 1: FROM"),
        ("FROM debian:bookworm-slim\nADD a b", "line 2: ADD"),
        ("FROM debian:bookworm-slim\nRUN --mount=type=cache,target=/x true", "line 2: RUN: flags"),
        ("RUN true", "before the first FROM"),
    ],
)
def test_what_is_not_understood_is_refused(prove: ModuleType, text: str, message: str) -> None:
    with pytest.raises(prove.DockerfileError, match=message):
        prove.parse_dockerfile(text)


def test_variables_expand_as_docker_does(prove: ModuleType) -> None:
    assert prove.expand("$A ${B:-x} ${A}1 $C", {"A": "a"}) == "a x a1 "


def test_dockerignore_patterns(prove: ModuleType) -> None:
    patterns = [".git", "build", "**/__pycache__", "**/*.so"]
    assert prove.ignored(".git/config", patterns)
    assert prove.ignored("python/matinee/_core.so", patterns)
    assert prove.ignored("a/__pycache__/b.pyc", patterns)
    assert not prove.ignored("python/matinee/bundle/build.py", patterns)
