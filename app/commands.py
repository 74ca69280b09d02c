"""The commands that serve: `matinee serve`, `matinee ui`, `matinee demo`. cli.py finds them by their entry points."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from matinee.errors import FormatError, InvalidArgument, NotFound

from .processes import Child, port_is_free, run_together

if TYPE_CHECKING:
    # Importing it imports Flask and gunicorn, which `matinee build` and the others must not need.
    from .server import ServerOptions

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

UI_PORT = 7860


def serve(subparsers: Subparsers) -> None:
    """Registers `matinee serve`."""
    parser = subparsers.add_parser("serve", help="serve a bundle: the REST API, and with --ui the web pages")
    parser.add_argument("--bundle", type=Path, required=True, help="a bundle, or a link to one that may be swapped")
    parser.add_argument("--ui", action="store_true", help="serve the web pages too")
    _add_serving_arguments(parser)
    parser.set_defaults(run=_serve)


def ui(subparsers: Subparsers) -> None:
    """Registers `matinee ui`."""
    parser = subparsers.add_parser("ui", help="serve the web pages alone, over an API that runs elsewhere")
    parser.add_argument("--api", default="http://127.0.0.1:8000", help="address of the API (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=UI_PORT, help="port of the pages (default: %(default)s)")
    parser.set_defaults(run=_ui)


def demo(subparsers: Subparsers) -> None:
    """Registers `matinee demo`."""
    parser = subparsers.add_parser("demo", help="build the demo catalogue when it is missing, and serve API and pages")
    parser.add_argument("--data", type=Path, metavar="DIR_OR_TOML", help="build from this data instead of the demo's")
    parser.add_argument("--rebuild", action="store_true", help="build again even where a bundle is there")
    _add_serving_arguments(parser)
    parser.set_defaults(run=_demo)


def _add_serving_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port of the API (default: %(default)s)")
    parser.add_argument("--ui-port", type=int, default=UI_PORT, help="port of the web pages (default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=16, help="requests answered at the same time (default: %(default)s)"
    )
    parser.add_argument(
        "--max-upload-mib", type=int, default=20, help="largest request body in MiB (default: %(default)s)"
    )
    parser.add_argument(
        "--max-queue",
        type=int,
        default=1024,
        help="texts, or posters, that may wait to be encoded; requests beyond get a 503 (default: %(default)s)",
    )


def _serve(arguments: argparse.Namespace) -> int:
    options = _options(arguments, arguments.bundle)
    _check_ports(arguments, with_ui=arguments.ui)
    if arguments.ui:
        return _serve_both(options, arguments.ui_port)
    from .server import serve as serve_api  # noqa: PLC0415

    _say(f"API  http://{_shown(options.host)}:{options.port}  (docs at /docs); Ctrl-C stops it")
    serve_api(options)
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from matinee.bundle import Manifest  # noqa: PLC0415
    from matinee.catalog.source_file import load_source_file  # noqa: PLC0415
    from matinee.models import home  # noqa: PLC0415

    _check_ports(arguments, with_ui=True)
    path = Path(arguments.data).resolve() if arguments.data else Path(str(files("matinee.catalog.demo") / "films.toml"))
    bundle = home() / "bundles" / _bundle_name(load_source_file(path).name, own_data=bool(arguments.data), path=path)
    try:
        built = bundle.exists() and not arguments.rebuild and bool(Manifest.load(bundle))
    except (FormatError, NotFound) as error:
        _say(f"The bundle at {bundle} is of no use here ({error}); building it again.")
        built = False
    if not built:
        _say(f"Building {bundle} from {path}.")
        # In a process of its own: what training needs is gone before serving begins.
        build = [sys.executable, "-m", "matinee.cli", "build", "--source", str(path), "--out", str(bundle)]
        try:
            status = subprocess.run(build, check=False).returncode
        except KeyboardInterrupt:
            return 130
        if status:
            return status
    return _serve_both(_options(arguments, bundle), arguments.ui_port)


def _bundle_name(catalogue: str, *, own_data: bool, path: Path) -> str:
    """A folder name a person recognises; two source files never share one, whatever they call their catalogue."""
    if not own_data:
        return "demo"
    words = re.sub(r"[^a-z0-9]+", "-", catalogue.lower()).strip("-")[:40] or "catalogue"
    return f"{words}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _ui(arguments: argparse.Namespace) -> int:
    # The pages know the API by its address and nothing else here knows them: this process becomes theirs.
    pages = _page_arguments(arguments.api, arguments.host, arguments.port)
    os.execv(sys.executable, [sys.executable, "-m", "matinee.app.ui", *pages])


def _page_arguments(api: str, host: str, port: int) -> list[str]:
    return ["--api", api, "--host", host, "--port", str(port)]


def _options(arguments: argparse.Namespace, bundle: Path) -> ServerOptions:
    from .server import ServerOptions  # noqa: PLC0415

    if min(arguments.threads, arguments.max_upload_mib, arguments.max_queue) < 1:
        raise InvalidArgument("serve: --threads, --max-upload-mib and --max-queue: expected 1 or more")
    if not (bundle / "manifest.json").is_file():
        raise NotFound(f"serve: --bundle: expected a bundle, got {bundle}; build one with `matinee build`")
    return ServerOptions(
        bundle=bundle,
        host=arguments.host,
        port=arguments.port,
        threads=arguments.threads,
        max_upload_mib=arguments.max_upload_mib,
        max_queue=arguments.max_queue,
    )


def _check_ports(arguments: argparse.Namespace, *, with_ui: bool) -> None:
    wanted = [("--port", arguments.port)] + ([("--ui-port", arguments.ui_port)] if with_ui else [])
    for option, port in wanted:
        if not port_is_free(arguments.host, port):
            raise InvalidArgument(
                f"serve: {option}: expected a free port on {arguments.host}, got {port}, which another program uses; "
                f"stop that program or give another port"
            )


def _serve_both(options: ServerOptions, ui_port: int) -> int:
    # A server that listens everywhere is asked on the loopback.
    local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, _shown(options.host))
    api, pages = f"http://{local}:{options.port}", f"http://{local}:{ui_port}"
    started = time.monotonic()

    def ready() -> None:
        _say(f"ready after {time.monotonic() - started:.1f} s\n")
        _say(f"  pages  {pages}\n  API    {api}  (docs at {api}/docs)\n\nCtrl-C stops both.")

    children = [
        Child("the API", "matinee.app.server", options.arguments(), f"{api}/health/ready"),
        Child("the pages", "matinee.app.ui", _page_arguments(api, options.host, ui_port), f"{pages}/health"),
    ]
    return run_together(children, on_ready=ready, say=_say)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _say(text: str) -> None:
    print(text, flush=True)
