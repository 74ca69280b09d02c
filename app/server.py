"""The API as a process: gunicorn with one worker of many threads.

One worker, because the core releases the GIL and spreads its work over the processors itself; a second one would hold
a second copy of the models. The bundle is opened in the worker, after the fork: threads and database connections do
not survive one. More machines, not more workers, are the way to scale out.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

import matinee

from .api import ApiConfig, create_app
from .service import FilmBundle, Service


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Where the API listens and what it serves."""

    bundle: Path
    host: str = "127.0.0.1"
    port: int = 8000
    threads: int = 16  # requests answered at the same time
    max_upload_mib: int = 20
    max_queue: int = 1024  # texts or posters that wait to be encoded, each; 503 beyond

    def arguments(self) -> list[str]:
        """These options as arguments of ``python -m matinee.app.server``."""
        given = {
            "--bundle": self.bundle,
            "--host": self.host,
            "--port": self.port,
            "--threads": self.threads,
            "--max-upload-mib": self.max_upload_mib,
            "--max-queue": self.max_queue,
        }
        return [text for name, value in given.items() for text in (name, str(value))]


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn is untyped
    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        settings: dict[str, Any] = {
            "bind": f"{host}:{self._options.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._options.threads,
            "preload_app": False,
            "graceful_timeout": 10,
            "keepalive": 30,
            "accesslog": None,  # the application writes its own, with request ids
            "loglevel": "warning",
            "proc_name": "matinee-api",
        }
        if "control_socket_disable" in self.cfg.settings:  # newer gunicorns would listen in the home directory, too
            settings["control_socket_disable"] = True
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called in the worker."""
        log_to_stderr()
        service = Service(self._options.bundle, opener=self._open_warm)
        service.start()
        return create_app(service, ApiConfig(max_upload_bytes=self._options.max_upload_mib * 2**20))

    def _open_warm(self, path: Path) -> FilmBundle:
        """Opened, and with the models loaded: ready means that the next request is as quick as any."""
        bundle = matinee.open_bundle(path, batching=matinee.BatchOptions(max_queue=self._options.max_queue))
        bundle.warm_up()
        return bundle


def log_to_stderr() -> None:
    """Log lines on standard error: one a line, access lines as JSON."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    access = logging.StreamHandler(sys.stderr)
    access.setFormatter(logging.Formatter("%(message)s"))
    for name, handler in (("matinee", lines), ("matinee.access", access)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False


def serve(options: ServerOptions) -> None:
    """Serves until SIGINT or SIGTERM; ends the process."""
    _Server(options).run()


def main() -> None:
    """``python -m matinee.app.server``: the API alone, as `matinee serve --ui` starts it."""
    parser = argparse.ArgumentParser(prog="python -m matinee.app.server", description=main.__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--host", required=True)
    for name in ("--port", "--threads", "--max-upload-mib", "--max-queue"):
        parser.add_argument(name, type=int, required=True)
    options = ServerOptions(**vars(parser.parse_args()))
    serve(options)


if __name__ == "__main__":
    main()


__all__ = ["ServerOptions", "log_to_stderr", "serve"]
