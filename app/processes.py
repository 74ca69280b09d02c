"""Several processes as one: started together, waited for together, ended together.

``python -m matinee.app.processes MODULE ARGUMENT…`` runs a module that ends when the process that started it dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

_GRACE_SECONDS = 12.0  # a little more than gunicorn gives the requests that are under way
_PR_SET_PDEATHSIG = 1
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # our own children: no proxy knows them


def _unblock_endings() -> None:
    """Lets SIGINT and SIGTERM through: whoever started us may have blocked them, and a mask is inherited."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def _end_with_parent() -> None:
    """Asks the kernel to end this process when its parent dies, so that a killed parent leaves no orphans (Linux)."""
    _unblock_endings()
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), signal.SIGTERM)


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class Child:
    """A module to run as a process, and the address that answers 200 when it is ready."""

    name: str
    module: str
    arguments: Sequence[str]
    ready_url: str


class Stopped(Exception):
    """A signal asked to stop."""


def run_together(children: Sequence[Child], *, on_ready: Callable[[], None], say: Callable[[str], None]) -> int:
    """Runs the children until SIGINT or SIGTERM, or until one of them ends.

    Returns 0 after a signal, else 1: a child that ends by itself is a failure. Every child is ended before it returns.
    """
    # Ctrl-C reaches every process of the terminal's group; the children get their own sessions, so that they are ended
    # once, in order, from here.
    running: list[tuple[Child, subprocess.Popen[bytes]]] = []

    ending = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        # The first one counts: a second Ctrl-C must not interrupt the ending and leave a child behind.
        nonlocal ending
        if not ending:
            ending = True
            raise Stopped

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _unblock_endings()
        for child in children:
            command = [sys.executable, "-m", __spec__.name, child.module, *child.arguments]
            process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
            running.append((child, process))
        waiting = list(children)
        while True:
            for child, process in running:
                if process.poll() is not None:
                    say(f"{child.name} ended unexpectedly with status {process.returncode}")
                    return 1
            if waiting:
                waiting = [child for child in waiting if not _answers(child.ready_url)]
                if not waiting:
                    on_ready()
            time.sleep(0.1 if waiting else 0.5)
    except Stopped:
        return 0
    finally:
        ending = True
        _end([process for _, process in running])
        for number, handler in previous.items():
            signal.signal(number, handler)


def _answers(url: str) -> bool:
    try:
        with _DIRECT.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


if __name__ == "__main__":
    _end_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


__all__ = ["Child", "Stopped", "port_is_free", "run_together"]
