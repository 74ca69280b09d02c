"""``python -m matinee.app.ui``: the web pages, over an API that runs elsewhere."""

from __future__ import annotations

import argparse
import os

from .server import serve


def main() -> None:
    """Serves the pages until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m matinee.app.ui", description=__doc__)
    parser.add_argument(
        "--api",
        default=os.environ.get("MATINEE_API_URL", "http://127.0.0.1:8000"),
        help="address of the API (default: MATINEE_API_URL, else %(default)s)",
    )
    parser.add_argument(
        "--public-api",
        default=os.environ.get("MATINEE_PUBLIC_API_URL"),
        help="address of the API as people reach it, for links and examples (default: that of --api)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    arguments = parser.parse_args()
    serve(api_url=arguments.api, public_api_url=arguments.public_api, host=arguments.host, port=arguments.port)


if __name__ == "__main__":
    main()
