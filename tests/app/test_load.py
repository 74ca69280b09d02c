"""A real server under many requests at once: right answers, a 503 where too much waits, nothing left behind."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matinee.app.service import Service

PLACES = ("Rome", "a lighthouse", "the desert", "space", "a submarine", "the last hotel before the pass")
QUERIES = [f"two {who} hide from a storm in {where}" for who in ("sisters", "spies", "clowns") for where in PLACES]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Server:
    """``python -m matinee.app.server`` in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content of a request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            content = None if body is None else json.dumps(body)
            headers = {"Content-Type": "application/json"}
            connection.request("GET" if body is None else "POST", path, body=content, headers=headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """The sum of a metric's values over its labels."""
        _, _, content = self.ask("/metrics")
        found = re.findall(rf"(?m)^{name}(?:\{{.*\}})? (\S+)$", content.decode())
        assert found, name
        return sum(map(float, found))

    def threads_and_files(self) -> tuple[int, int]:
        """Of the process that answers, the first child of the one that was started."""
        pid = self.process.pid
        child = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        status = Path(f"/proc/{child}/status").read_text()
        return int(re.findall(r"Threads:\s+(\d+)", status)[0]), len(list(Path(f"/proc/{child}/fd").iterdir()))


@contextmanager
def serving(bundle: Path, *, threads: int, max_queue: int) -> Iterator[Server]:
    port = free_port()
    arguments = {"--bundle": bundle, "--host": "127.0.0.1", "--port": port, "--threads": threads,
                 "--max-upload-mib": 20, "--max-queue": max_queue}  # fmt: skip
    words = [str(word) for pair in arguments.items() for word in pair]
    process = subprocess.Popen([sys.executable, "-m", "matinee.app.server", *words], stderr=subprocess.DEVNULL)
    server = Server(process, port)
    try:
        wait_until(lambda: is_ready(server))
        yield server
    finally:
        process.terminate()
        process.wait(30)


def is_ready(server: Server) -> bool:
    assert server.process.poll() is None
    try:
        return server.ask("/health/ready")[0] == 200
    except OSError:
        return False


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_requests_that_come_together_are_answered_as_alone(small_bundle: Path, service: Service) -> None:
    alone = [[film.id for film in service.discover(query).films] for query in QUERIES]
    with serving(small_bundle, threads=32, max_queue=1024) as server:

        def discover(query: str) -> list[str]:
            status, _, content = server.ask("/v1/discover", {"query": query})
            assert status == 200
            return [film["id"] for film in json.loads(content)["films"]]

        with ThreadPoolExecutor(len(QUERIES)) as pool:
            assert list(pool.map(discover, QUERIES)) == alone
            assert server.metric("matinee_text_cache_total") == len(QUERIES)
            assert server.metric('matinee_text_cache_total\\{result="hit"\\}') == 0
            items = server.metric("matinee_encoder_items_total")
            assert list(pool.map(discover, QUERIES)) == alone  # remembered
            assert server.metric('matinee_text_cache_total\\{result="hit"\\}') == len(QUERIES)
        assert server.metric("matinee_encoder_items_total") == items


def test_a_full_queue_is_a_503_that_says_when_to_come_back_and_clears(small_bundle: Path) -> None:
    # More sentences than may wait, so whoever finds the encoder busy is refused.
    plots = [" ".join(f"In chapter {i} of book {n}, a stranger arrives." for i in range(60)) for n in range(48)]
    with serving(small_bundle, threads=16, max_queue=1) as server, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda plot: server.ask("/v1/similar", {"plot": plot}), plots))
        refused = [answer for answer in answers if answer[0] != 200]
        assert {answer[0] for answer in answers} == {200, 503}
        for _, headers, content in refused:
            assert headers["Content-Type"] == "application/problem+json"
            assert int(headers["Retry-After"]) >= 1
            problem = json.loads(content)
            assert problem["type"] == "urn:matinee:problem:overloaded"
            assert problem["title"] == "Too busy"
            assert "try again" in problem["detail"]
        assert server.metric("matinee_encoder_refused_total") == len(refused)
        assert server.metric("matinee_encoder_waiting") == 0
        assert server.ask("/v1/similar", {"plot": plots[0]})[0] == 200  # and it goes on


def test_clients_that_go_away_leave_nothing_behind(small_bundle: Path) -> None:
    with serving(small_bundle, threads=8, max_queue=1024) as server:

        def leave(number: int) -> None:
            body = json.dumps({"query": f"a film about the number {number}"}).encode()
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                head = ["POST /v1/discover HTTP/1.1", "Host: here", "Content-Type: application/json"]
                head.append(f"Content-Length: {len(body)}")
                connection.sendall("\r\n".join([*head, "", ""]).encode() + body)

        def settled() -> bool:
            # The request for the metrics is in progress itself.
            return server.metric("matinee_requests_in_progress") == 1 and server.metric("matinee_encoder_waiting") == 0

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(leave, range(40)))
            wait_until(settled)
            threads, files = server.threads_and_files()
            list(pool.map(leave, range(40, 240)))
            wait_until(settled)
        wait_until(lambda: server.threads_and_files()[1] <= files + 2)
        assert server.threads_and_files()[0] <= threads
        assert server.ask("/v1/discover", {"query": "a film about numbers"})[0] == 200
