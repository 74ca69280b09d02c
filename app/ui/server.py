"""The pages as a web server of their own.

People's browsers talk to this server only: it asks the API for them, posters included, so the API may stay on a private
network. A content security policy has the browser itself refuse whatever would come from another host.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.base import RequestResponseEndpoint

from .client import ApiClient, Problem
from .page import build_pages
from .theme import theme

_STATIC = Path(__file__).parent / "static"
_MAX_UPLOAD = "20mb"

# Gradio writes scripts and styles into its page and compiles templates, hence the unsafe- words; nothing is foreign.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
_POSTER_HEADERS = ("content-type", "etag", "cache-control")


def create_server(api_url: str, public_api_url: str | None = None) -> FastAPI:
    """The web application. `public_api_url` is the API's address as people reach it, where that is another."""
    api = ApiClient(api_url)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def harden(request: Request, answer: RequestResponseEndpoint) -> Response:
        response = await answer(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        return response

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/posters/{film_id:path}")
    def poster(film_id: str, request: Request) -> Response:
        try:
            found = api.poster(film_id, request.headers.get("If-None-Match", ""))
        except Problem:
            return Response(status_code=503)
        headers = {name: found.headers[name] for name in _POSTER_HEADERS if name in found.headers}
        if found.status_code not in (200, 304):
            return Response(status_code=404)
        return Response(found.content, status_code=found.status_code, headers=headers)

    @app.get("/evaluation")
    def evaluation() -> Response:
        try:
            found = api.evaluation_page()
        except Problem as problem:
            return Response(problem.detail, status_code=problem.status or 503, media_type="text/plain")
        # Its own policy: it may stand in a frame of ours, and needs no script.
        policy = {"Content-Security-Policy": found.headers.get("Content-Security-Policy", _POLICY)}
        return Response(found.content, media_type="text/html", headers=policy)

    app.mount("/pages", StaticFiles(directory=_STATIC))
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        build_pages(api, (public_api_url or api_url).rstrip("/")).queue(default_concurrency_limit=16),
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=_MAX_UPLOAD,
        favicon_path=str(_STATIC / "icon.svg"),
        theme=theme(),
        # Linked, not given as `css`: Gradio rewrites the selectors of that.
        head='<link rel="stylesheet" href="pages/style.css"><script src="pages/page.js" defer></script>',
    )
    return mounted


def serve(*, api_url: str, host: str, port: int, public_api_url: str | None = None) -> None:
    """Serves the pages until SIGINT or SIGTERM."""
    uvicorn.run(
        create_server(api_url, public_api_url), host=host, port=port, log_level="warning", timeout_graceful_shutdown=3
    )
