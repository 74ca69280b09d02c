"""Processes that are started, waited for and ended together."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from matinee.app.processes import Child, port_is_free, run_together

SERVER = """
import http.server, pathlib, sys
pathlib.Path(sys.argv[2]).write_text("started")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
WAIT_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that child processes find."""
    (tmp_path / "little_server.py").write_text(SERVER)
    (tmp_path / "ends_at_once.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def server(folder: Path, name: str) -> tuple[Child, int]:
    port = free_port()
    return Child(name, "little_server", [str(port), str(folder / name)], f"http://127.0.0.1:{port}/"), port


def wait_until_free(port: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not port_is_free("127.0.0.1", port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert port_is_free("127.0.0.1", port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_children_and_is_no_failure(modules: Path, number: int) -> None:
    one, first_port = server(modules, "one")
    two, second_port = server(modules, "two")
    ready = threading.Event()

    def on_ready() -> None:
        for child in (one, two):
            assert urllib.request.urlopen(child.ready_url, timeout=5).status == 200
        ready.set()
        # Sent twice at once, as an impatient person does: both are pending when the first is handled.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})

    before = signal.getsignal(number)
    assert run_together([one, two], on_ready=on_ready, say=lambda _: None) == 0
    assert ready.is_set()
    assert port_is_free("127.0.0.1", first_port)
    assert port_is_free("127.0.0.1", second_port)
    assert signal.getsignal(number) == before


def test_a_child_that_ends_takes_the_others_with_it_and_is_named(modules: Path) -> None:
    one, port = server(modules, "one")
    said: list[str] = []
    broken = Child("the broken one", "ends_at_once", [], "http://127.0.0.1:1/")
    assert run_together([one, broken], on_ready=lambda: None, say=said.append) == 1
    assert any("the broken one" in line and "3" in line for line in said)
    assert port_is_free("127.0.0.1", port)


@pytest.mark.parametrize("blocked", [False, True])
def test_children_do_not_outlive_a_parent_that_is_killed(modules: Path, blocked: bool) -> None:
    one, port = server(modules, "one")
    (modules / "parent.py").write_text(
        "import signal\n"
        # As some service managers start what they run.
        f"{blocked} and signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM, signal.SIGINT}})\n"
        "from matinee.app.processes import Child, run_together\n"
        f"child = Child('one', 'little_server', {list(one.arguments)!r}, {one.ready_url!r})\n"
        "run_together([child], on_ready=lambda: print('ready', flush=True), say=print)\n"
    )
    with subprocess.Popen([sys.executable, str(modules / "parent.py")], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
    wait_until_free(port)


def test_a_port_in_use_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not port_is_free("127.0.0.1", taken.getsockname()[1])
