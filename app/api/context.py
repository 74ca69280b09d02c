"""What a view needs of the application it runs in."""

from __future__ import annotations

from flask import Response, current_app
from pydantic import BaseModel

from ..service import Service
from .config import ApiConfig


def service() -> Service:
    """The application's service."""
    found: Service = current_app.extensions["matinee"]
    return found


def config() -> ApiConfig:
    """The application's configuration."""
    found: ApiConfig = current_app.extensions["matinee.config"]
    return found


def reply(answer: BaseModel) -> Response:
    """An answer as JSON."""
    return Response(answer.model_dump_json(), content_type="application/json")


__all__ = ["config", "reply", "service"]
