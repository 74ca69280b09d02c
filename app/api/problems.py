"""Every error of the API as RFC 9457 problem details, with the request's id.

One table says which of our errors is which status. A message of ours is written for the caller and shown; anything
unforeseen is logged with its traceback and shown as a bare 500 with the id to quote.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from flask import Flask, Response, g, request
from pydantic import BaseModel, Field, ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from matinee.errors import (
    Cancelled,
    FormatError,
    InternalError,
    InvalidArgument,
    IoError,
    MatineeError,
    NotFound,
    Overloaded,
    TooLarge,
    TorchConflict,
    UnsupportedFormat,
)

from ..service import NotReady

_log = logging.getLogger("matinee.api")

CONTENT_TYPE = "application/problem+json"

# The first class that fits decides, so a subclass stands before its base.
STATUS_OF: tuple[tuple[type[MatineeError], HTTPStatus], ...] = (
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnsupportedFormat, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (FormatError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidArgument, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Overloaded, HTTPStatus.SERVICE_UNAVAILABLE),
    (NotReady, HTTPStatus.SERVICE_UNAVAILABLE),
    (IoError, HTTPStatus.SERVICE_UNAVAILABLE),
    (Cancelled, HTTPStatus.SERVICE_UNAVAILABLE),
    (TorchConflict, HTTPStatus.INTERNAL_SERVER_ERROR),
    (InternalError, HTTPStatus.INTERNAL_SERVER_ERROR),
)

_TITLES: dict[int, str] = {
    400: "The request could not be read",
    404: "Not found",
    405: "This address does not answer to that method",
    413: "Too large",
    415: "This kind of content is not read here",
    422: "The request cannot be answered as it stands",
    429: "Too many requests",
    500: "Something broke on our side",
    503: "Not ready",
}

_RETRY_SECONDS = 2


class FieldProblem(BaseModel):
    """One part of a request that is wrong."""

    field: str = Field(description="Where it is: 'where.year.min', 'k'.")
    detail: str


class Problem(BaseModel):
    """RFC 9457 problem details, served as application/problem+json."""

    type: str = Field(description="Stable name of the kind of problem, a URI.")
    title: str = Field(description="The kind of problem in words.")
    status: int
    detail: str = Field(description="What happened and what to do.")
    instance: str = Field(description="The path that was asked for.")
    request_id: str = Field(description="Quote it when reporting; the server's log has it.")
    errors: list[FieldProblem] | None = Field(default=None, description="The parts of the request that are wrong.")


class InvalidRequest(InvalidArgument):
    """A request that does not fit its model; `fields` says where."""

    def __init__(self, fields: list[FieldProblem]) -> None:
        super().__init__("; ".join(f"{field.field}: {field.detail}" for field in fields))
        self.fields = fields

    @classmethod
    def from_validation(cls, error: ValidationError, known: dict[str, list[str]] | None = None) -> InvalidRequest:
        """Words for pydantic's findings. `known` names the keys allowed at a place, for unknown ones."""
        fields = []
        for finding in error.errors(include_url=False, include_input=False, include_context=False):
            place = [str(part) for part in finding["loc"]]
            detail = finding["msg"].removeprefix("Value error, ")
            if finding["type"] == "extra_forbidden":
                keys = (known or {}).get(".".join(place[:-1]))
                detail = "unknown key" + (f"; known: {', '.join(keys)}" if keys else "")
            elif finding["type"] == "missing":
                detail = "required, but missing"
            elif finding["type"] == "json_invalid":
                detail = f"expected JSON, got something else ({detail.removeprefix('Invalid JSON: ')})"
            fields.append(FieldProblem(field=".".join(place) or "body", detail=detail))
        return cls(fields)


class WrongContentType(UnsupportedFormat):
    """A body of a type this route does not read."""


def problem_response(
    status: int,
    detail: str,
    *,
    fields: list[FieldProblem] | None = None,
    kind: str | None = None,
    title: str | None = None,
) -> Response:
    """A problem as a response."""
    phrase = HTTPStatus(status).phrase
    problem = Problem(
        type=f"urn:matinee:problem:{kind or phrase.lower().replace(' ', '-')}",
        title=title or _TITLES.get(status, phrase),
        status=status,
        detail=detail,
        instance=request.path,
        request_id=g.get("request_id", ""),
        errors=fields,
    )
    response = Response(problem.model_dump_json(exclude_none=True), status=status, content_type=CONTENT_TYPE)
    if status in (429, 503):
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response


def status_of(error: MatineeError) -> HTTPStatus:
    """The status of one of our errors."""
    return next((status for kind, status in STATUS_OF if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def _matinee_error(error: MatineeError) -> Response:
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unforeseen(error)
    if isinstance(error, Overloaded):
        detail = "More requests wait already than the server can answer soon. Please try again in a moment."
        return problem_response(status, detail, kind="overloaded", title="Too busy")
    if status == HTTPStatus.SERVICE_UNAVAILABLE and not isinstance(error, NotReady):
        # Such a message names our files and disks: for the log, not for the caller.
        _log.error("request %s: %s", g.get("request_id", ""), error)
        return problem_response(status, "The server could not read its own data just now. Please try again.")
    return problem_response(status, str(error), fields=getattr(error, "fields", None))


def _http_error(error: HTTPException) -> Response:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    detail = error.description or HTTPStatus(status).phrase
    if isinstance(error, RequestEntityTooLarge):
        detail = _too_large()
    elif status == HTTPStatus.NOT_FOUND:
        detail = f"Nothing is served at {request.path}; /docs lists what is."
    elif isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"{request.path} does not answer to {request.method}; it answers to {allowed}."
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = "The request could not be completed."
    response = problem_response(status, detail)
    for name, value in error.get_headers():  # such as Allow for 405
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _too_large() -> str:
    limit = request.max_content_length or 0
    size = f"{limit / 2**20:.4g} MiB" if limit >= 2**20 else f"{limit:,} bytes"
    return f"The body of a request may have up to {size}; send a smaller image or a shorter text."


def _unforeseen(error: Exception) -> Response:
    request_id = g.get("request_id", "")
    _log.error("request %s: %s failed", request_id, request.path, exc_info=error)
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"The request could not be completed. Please report it with the id {request_id}.",
    )


def install(app: Flask) -> None:
    """Makes every error of the application a problem."""
    app.register_error_handler(MatineeError, _matinee_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unforeseen)


__all__ = [
    "CONTENT_TYPE",
    "STATUS_OF",
    "FieldProblem",
    "InvalidRequest",
    "Problem",
    "WrongContentType",
    "install",
    "problem_response",
    "status_of",
]
