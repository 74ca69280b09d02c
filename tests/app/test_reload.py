"""A bundle is swapped under a running service. The bundles here are names: what is tested is the pointer to them."""

import json
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from matinee.app.service import NotReady, Service
from matinee.errors import FormatError


@dataclass(frozen=True)
class Opened:
    name: str


def make_bundle(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    (path / "manifest.json").write_text(json.dumps({"name": name}))
    return path


def point(link: Path, target: Path) -> None:
    """Swaps as a deployment does: a new link renamed over the old."""
    fresh = link.with_suffix(".new")
    fresh.symlink_to(target)
    fresh.rename(link)


def open_by_name(path: Path) -> Opened:
    if "broken" in path.name:
        raise FormatError(f"{path.name}: expected a bundle, got something else")
    return Opened(path.name)


def wait_for(condition: threading.Event) -> None:
    assert condition.wait(timeout=30)


class Watched:
    """An opener that says when it was called."""

    def __init__(self) -> None:
        self.called = {name: threading.Event() for name in ("one", "two", "broken")}

    def __call__(self, path: Path) -> Opened:
        self.called[path.name].set()
        return open_by_name(path)


def test_nothing_is_opened_before_the_service_starts(tmp_path: Path) -> None:
    opener = Watched()
    service = Service(make_bundle(tmp_path, "one"), opener=opener)
    assert not service.ready
    assert not opener.called["one"].is_set()


def test_the_first_call_starts_the_opening_and_is_told_to_come_back(tmp_path: Path) -> None:
    gate = threading.Event()

    def slow(path: Path) -> Opened:
        wait_for(gate)
        return open_by_name(path)

    service = Service(make_bundle(tmp_path, "one"), opener=slow, watch_seconds=0.01)
    with pytest.raises(NotReady, match="still being opened"):
        service.bundle()
    gate.set()
    opened = threading.Event()
    while not service.ready:
        opened.wait(0.005)
    assert service.bundle() == Opened("one")
    service.stop()


def test_a_swapped_link_is_followed_and_calls_under_way_keep_theirs(tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(make_bundle(tmp_path, "one"))
    service = Service(link, opener=Watched(), watch_seconds=0.01)
    service.open_now()
    held = service.bundle()
    service.start()
    point(link, make_bundle(tmp_path, "two"))
    pause = threading.Event()
    for _ in range(3000):
        if service.bundle() == Opened("two"):
            break
        pause.wait(0.01)
    assert service.bundle() == Opened("two")
    assert held == Opened("one")
    service.stop()


def test_a_broken_successor_leaves_the_old_bundle_serving_and_is_read_once(tmp_path: Path) -> None:
    opened: list[str] = []
    refused = threading.Event()

    def opener(path: Path) -> Opened:
        opened.append(path.name)
        if path.name == "broken" and opened.count("broken") == 1:
            refused.set()
        return open_by_name(path)

    link = tmp_path / "current"
    link.symlink_to(make_bundle(tmp_path, "one"))
    service = Service(link, opener=opener, watch_seconds=0.01)
    service.open_now()
    service.start()
    point(link, make_bundle(tmp_path, "broken"))
    wait_for(refused)
    threading.Event().wait(0.1)  # several more looks
    assert service.bundle() == Opened("one")
    assert service.problem is not None
    assert "broken" in service.problem
    assert opened == ["one", "broken"]
    service.stop()


def test_a_bundle_that_arrives_later_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matinee.app.service._FIRST_RETRY_SECONDS", 0.01)
    service = Service(tmp_path / "one", opener=open_by_name, watch_seconds=0.01)
    service.start()
    pause = threading.Event()
    while service.problem is None:
        pause.wait(0.005)
    with pytest.raises(NotReady, match="could not be opened"):
        service.bundle()
    make_bundle(tmp_path, "one")
    while not service.ready:
        pause.wait(0.005)
    assert service.problem is None
    service.stop()
