"""The OpenAPI document at /openapi.json and its page at /docs, all of it served from here."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import flask_openapi3_swagger
from flask import Response, redirect, send_from_directory
from flask_openapi3 import APIBlueprint, Info, OpenAPI, Tag
from pydantic import BaseModel
from werkzeug.wrappers import Response as BaseResponse

import matinee

from .problems import CONTENT_TYPE, Problem
from .reading import BODY_MODELS

_SWAGGER = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"
_STATIC = Path(__file__).parent / "static"

# Swagger UI sets styles on elements and draws its icons from data: URLs.
Responses = dict[str | int | HTTPStatus, type[BaseModel] | dict[Any, Any] | None]

_PAGE_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Matinee API</title>
<link rel="icon" href="/docs/static/images/swagger.svg">
<link rel="stylesheet" href="/docs/static/css/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/static/js/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_PROBLEM_TEXTS = {
    404: "No such film, poster or address.",
    413: "The body, the image or its number of pixels is above the limit.",
    415: "Neither the body's type nor the image's format is one that is read here.",
    422: "A value outside its documented range, an unknown key, or a broken image.",
    429: "Too many requests; `Retry-After` says when to come back.",
    500: "Something broke on our side; quote the request id.",
    503: "No bundle is open yet, or too much waits already; `Retry-After` says when to come back.",
}


def info() -> Info:
    """Head of the document."""
    return Info(
        title="Matinee",
        version=matinee.__version__,
        description=(
            "The AI toolbox of a film catalogue: genres from posters and plots, poster checks, similar films, "
            "discovery. Errors are RFC 9457 problem details; every answer carries `X-Request-ID`."
        ),
    )


def answers(model: type[BaseModel] | None, *problems: int, binary: tuple[str, ...] = ()) -> Responses:
    """The `responses` of a route: its answer (or the media types it sends) and the problems it may give."""
    given: Responses = {}
    if model is not None:
        given[200] = model
    elif binary:
        content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in binary}
        given[200] = {"description": "The bytes.", "content": content}
    for status in (*problems, 500):
        given[status] = {
            "description": _PROBLEM_TEXTS[status],
            "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return given


def _operation_id(name: str, path: str, method: str) -> str:
    """The view's name, which becomes the name of the method in generated clients."""
    return name


def resource(name: str, prefix: str, *, tag: str) -> APIBlueprint:
    """A blueprint for one resource; `tag` is its heading on the page."""
    return APIBlueprint(
        name, __name__, url_prefix=prefix or None, abp_tags=[Tag(name=tag)], operation_id_callback=_operation_id
    )


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    """The component schemas of a model and of those inside it."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    inner = schema.pop("$defs", {})
    return {**inner, model.__name__: schema}


def document(app: OpenAPI) -> dict[str, Any]:
    """The whole OpenAPI document.

    flask-openapi3 gives every route a 422 of its own shape, keeps each model's definitions twice, joins the lines of
    docstrings with HTML and writes null where nothing is said; the document has none of it.
    """
    spec: dict[str, Any] = json.loads(json.dumps(app.api_doc))
    schemas: dict[str, Any] = spec["components"].setdefault("schemas", {})
    models: tuple[type[BaseModel], ...] = (*BODY_MODELS, Problem)
    for model in models:
        schemas.update(_schemas(model))
    schemas.pop("ValidationErrorModel", None)
    if spec["components"].get("securitySchemes") is None:
        spec["components"].pop("securitySchemes", None)
    for schema in schemas.values():
        schema.pop("$defs", None)
    for path in spec["paths"].values():
        for operation in path.values():
            operation["description"] = operation.get("description", "").replace("<br/>", "\n").strip()
            refused = operation["responses"].get("422", {})
            if "application/json" in refused.get("content", {}):
                del operation["responses"]["422"]
    return spec


def install(app: OpenAPI) -> None:
    """Serves the document and its page. Call it when all routes are registered."""
    text = json.dumps(document(app), ensure_ascii=False)

    def openapi_json() -> Response:
        return Response(text, content_type="application/json")

    def docs() -> Response:
        return Response(
            _PAGE, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _PAGE_POLICY}
        )

    def docs_start() -> Response:
        return send_from_directory(_STATIC, "docs.js")

    def docs_static(name: str) -> Response:
        return send_from_directory(_SWAGGER, name, max_age=86400)

    def home() -> BaseResponse:
        return redirect("/docs")

    app.add_url_rule("/openapi.json", view_func=openapi_json)
    app.add_url_rule("/docs", view_func=docs)
    app.add_url_rule("/docs/start.js", view_func=docs_start)
    app.add_url_rule("/docs/static/<path:name>", view_func=docs_static)
    app.add_url_rule("/", view_func=home)


__all__ = ["answers", "document", "info", "install", "resource"]
