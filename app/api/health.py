"""Checks for whoever keeps the process running, and numbers for whoever watches it."""

from __future__ import annotations

from flask import Response, current_app

from .context import reply, service
from .openapi import answers, resource
from .shapes import Health
from .telemetry import Telemetry

blueprint = resource("health", "", tag="Operations")


@blueprint.get("/health/live", responses=answers(Health))
def live() -> Response:
    """Whether the process answers at all."""
    return reply(Health(status="live"))


@blueprint.get("/health/ready", responses=answers(Health, 503))
def ready() -> Response:
    """Whether a bundle is open; 503 until then."""
    service().bundle()
    return reply(Health(status="ready"))


@blueprint.get("/metrics", responses=answers(None, binary=("text/plain",)))
def metrics() -> Response:
    """Request counts and latencies by route, in Prometheus' text format."""
    telemetry: Telemetry = current_app.extensions["matinee.telemetry"]
    return telemetry.exposition()
