"""A build that is killed, crashes or runs twice: never a half bundle, and the same one in the end."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import bundles
import pytest

from matinee.bundle import build, open_bundle, verify
from matinee.errors import FormatError, IoError, MatineeError

_BUILD = """
import os, signal, sys
from matinee.bundle import build
stop_step, stop_after = sys.argv[3], int(sys.argv[4])
def progress(step, done, total):
    global stop_after
    if step == stop_step:
        stop_after -= 1
        if stop_after == 0:
            os.kill(os.getpid(), signal.SIGKILL)
build(sys.argv[1], sys.argv[2], progress=progress)
"""


@pytest.fixture(scope="module")
def few_films(tmp_path_factory: pytest.TempPathFactory, encoders: None) -> Path:
    return bundles.write_sources(tmp_path_factory.mktemp("few"))


def run_build(source: Path, out: Path, step: str = "", calls: int = 0) -> subprocess.CompletedProcess[str]:
    """A build in a process of its own, which dies by SIGKILL when `step` has told its progress so many times."""
    command = [sys.executable, "-c", _BUILD, str(source), str(out), step, str(calls)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def identity(bundle: Path) -> str:
    return verify(bundle).identity


def test_killed_anywhere_a_restart_gives_the_same_bundle(few_films: Path, small_bundle: Path, tmp_path: Path) -> None:
    expected = identity(small_bundle)  # of the same sources, in one go
    out = tmp_path / "killed"
    work = out.with_name("killed.partial")
    kept = 0
    for step, calls in (("encode posters", 40), ("encode plots", 9), ("train genre heads", 3), ("verify", 1)):
        killed = run_build(few_films, out, step, calls)
        assert killed.returncode == -9, killed.stderr
        assert not out.exists()
        for half in (out, work, work / "bundle"):
            with pytest.raises(MatineeError):
                open_bundle(half)
        before, kept = kept, len(list((work / "cache").glob("*.safetensors")))
        assert kept >= before  # what was encoded stays
    resumed = run_build(few_films, out)
    assert resumed.returncode == 0, resumed.stderr
    assert identity(out) == expected
    assert not work.exists()


def test_a_bundle_stays_until_its_successor_is_complete(few_films: Path, small_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "films.bundle"
    shutil.copytree(small_bundle, out)
    before = identity(out)
    changed = tmp_path / "sources"
    shutil.copytree(few_films.parent, changed)
    text = (changed / "films.csv").read_text(encoding="utf-8")
    (changed / "films.csv").write_text(text.replace("Nothing Known", "Something Known"), encoding="utf-8")
    assert run_build(changed / "films.toml", out, "encode plots", 3).returncode == -9
    assert identity(out) == before
    held = open_bundle(out)
    build(changed / "films.toml", out)
    assert identity(out) != before
    assert open_bundle(out).find("something known")
    # Whoever had opened the old one goes on reading it.
    assert held.find("nothing known") and held.poster("local:1")[0]


def test_a_failing_build_leaves_nothing_that_opens(
    few_films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matinee.bundle import builder

    def damaged(folder: Path, mode: str) -> None:
        raise FormatError("films.sqlite: the disk bit")

    monkeypatch.setattr(builder, "verify", damaged)
    with pytest.raises(FormatError, match="the disk bit"):
        build(few_films, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_two_builds_of_one_bundle_do_not_meet_and_a_link_stays_a_link(few_films: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    link, place = tmp_path / "current", tmp_path / "store" / "one"
    link.symlink_to(place)
    begun, go_on = threading.Event(), threading.Event()

    def wait(step: str, done: int, total: int | None) -> None:
        begun.set()
        go_on.wait(60)

    first = threading.Thread(target=build, args=(few_films, link), kwargs={"progress": wait})
    first.start()
    try:
        assert begun.wait(60)
        with pytest.raises(IoError, match="another build"):
            build(few_films, place)
    finally:
        go_on.set()
        first.join()
    assert link.is_symlink()
    assert identity(place) == identity(link)


def test_samples_of_flipped_bytes_and_cuts_are_refused_by_open(small_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "b"
    shutil.copytree(small_bundle, copy)
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        data = path.read_bytes()
        places = sorted({0, 1, 7, len(data) // 3, len(data) // 2, len(data) - 1} & set(range(len(data))))
        for place in places:
            path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
            with pytest.raises(FormatError, match=path.name.replace(".", r"\.")):
                open_bundle(copy)
            path.write_bytes(data[:place])
            with pytest.raises(FormatError, match=path.name.replace(".", r"\.")):
                open_bundle(copy, verify="fast")
        path.write_bytes(data)
    open_bundle(copy)
