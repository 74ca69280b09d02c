"""The REST API: a Flask application over a `Service`."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3 import OpenAPI
from pydantic import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from ..service import Service
from . import catalogue, chat, films, genres, health, openapi, posters, problems, search
from .config import ApiConfig
from .telemetry import Telemetry


def create_app(service: Service, config: ApiConfig | None = None) -> OpenAPI:
    """The application that answers for `service`. It opens nothing: the service does when the first request comes."""
    config = config or ApiConfig()
    app = OpenAPI(
        "matinee",
        info=openapi.info(),
        doc_ui=False,
        static_folder=None,
        validation_error_callback=_refuse,
    )
    app.config["MAX_CONTENT_LENGTH"] = config.max_upload_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = config.max_field_bytes
    app.extensions["matinee"] = service
    app.extensions["matinee.config"] = config
    telemetry = Telemetry(app)
    telemetry.watch_ready(lambda: service.ready)
    telemetry.watch_encoding(service.encoding_statistics)
    app.extensions["matinee.telemetry"] = telemetry
    problems.install(app)
    app.before_request(_refuse_large_bodies)
    app.after_request(_harden)
    for resource in (genres, posters, search, chat, films, catalogue, health):
        app.register_api(resource.blueprint)
    openapi.install(app)
    return app


def _refuse(error: ValidationError) -> Response:
    raise problems.InvalidRequest.from_validation(error) from error


def _refuse_large_bodies() -> None:
    """Before a byte of it is read, and for routes that read none."""
    limit = request.max_content_length
    if limit is not None and (request.content_length or 0) > limit:
        raise RequestEntityTooLarge


def _harden(response: Response) -> Response:
    # Posters and plots come from outside: a browser must not take one for a page or a script.
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    return response


__all__ = ["ApiConfig", "create_app"]
