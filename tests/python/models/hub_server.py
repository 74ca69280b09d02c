"""A server in the shape of the Hugging Face hub: one repository, one commit, and switches that make it misbehave.

As on the hub, large files are redirected to another host whose answer knows nothing of commits; their checksum is a
sha256. Small files are answered at once; theirs is git's id of the content.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 1 << 16


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    name: str
    range: str | None
    token: str | None


@dataclass
class Hub:
    """What the server has, how it misbehaves, and what it was asked. Bytes are counted as they leave."""

    repo: str
    revision: str
    files: dict[str, bytes]
    large: set[str]  # kept in LFS
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    cut_after: dict[str, list[int]] = field(default_factory=dict)  # bytes until the connection ends, one a request
    stall_after: dict[str, int] = field(default_factory=dict)  # bytes until nothing more comes, until `go_on`
    deliver: dict[str, bytes] = field(default_factory=dict)  # other bytes than the headers tell of
    statuses: dict[str, list[int]] = field(default_factory=dict)  # answers that come first
    error_code: str = ""  # X-Error-Code of those
    headers: dict[str, str] = field(default_factory=dict)  # further headers of every answer
    ignore_range: bool = False
    pause_s: float = 0.0  # after every 64 KiB
    go_on: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def downloads(self, name: str) -> list[Request]:
        """The requests for a file's bytes."""
        return [request for request in self.requests if request.method == "GET" and request.name == name]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def blob_id(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.hub
        if self.path.startswith("/lfs/"):
            return self._send(self.path.removeprefix("/lfs/"), {})
        prefix = f"/{hub.repo}/resolve/"
        revision, _, name = self.path.removeprefix(prefix).partition("/")
        if not self.path.startswith(prefix):
            return self._refuse(404, "RepoNotFound")
        hub.requests.append(Request(self.command, name, self.headers["Range"], self.headers["Authorization"]))
        if waiting := hub.statuses.get(name):
            return self._refuse(waiting.pop(0), hub.error_code)
        if revision != hub.revision or name not in hub.files:
            return self._refuse(404, "RevisionNotFound" if revision != hub.revision else "EntryNotFound")
        data = hub.files[name]
        facts = {"X-Repo-Commit": hub.revision, **hub.headers}
        if name not in hub.large:
            return self._send(name, {"ETag": f'"{blob_id(data)}"', **facts})
        self.send_response(302)
        # another host than the endpoint's, as far as a client can tell
        facts |= {"Location": f"http://localhost:{hub.port}/lfs/{name}", "X-Linked-Size": str(len(data))}
        return self._end({"X-Linked-Etag": f'"{sha256(data)}"', "Content-Length": "0", **facts})

    def _send(self, name: str, headers: dict[str, str]) -> None:
        hub = self.hub
        data, start = hub.deliver.get(name, hub.files[name]), 0
        if (asked := self.headers["Range"]) and not hub.ignore_range:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            headers = {**headers, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        self._end({"Content-Length": str(len(data) - start), **headers})
        if self.command == "HEAD":
            return
        cuts = hub.cut_after.get(name, [])
        end = start + cuts.pop(0) if cuts else len(data)
        while start < min(end, len(data)):
            stop = min(start + PIECE, end, hub.stall_after.get(name, end) if not hub.go_on.is_set() else end)
            if stop == start:
                hub.go_on.wait()
                continue
            try:
                self.wfile.write(data[start:stop])
                self.wfile.flush()
            except OSError:  # the client is gone
                return
            hub.sent[name] = hub.sent.get(name, 0) + stop - start
            start = stop
            time.sleep(hub.pause_s)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self._end({"Content-Length": "0", "X-Error-Code": code, **self.hub.headers})

    def _end(self, headers: dict[str, str]) -> None:
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Answers on a free port of this machine until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
