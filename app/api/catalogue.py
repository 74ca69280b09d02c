"""What is being served: the catalogue and its models."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from matinee.evaluation.report import Report

from .context import config, reply, service
from .openapi import answers, resource
from .reading import MAX_K
from .shapes import CatalogueInfo, ModelCards

_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"

blueprint = resource("catalogue", "/v1", tag="Catalogue")


@blueprint.get("/info", responses=answers(CatalogueInfo, 503))
def info() -> Response:
    """The catalogue's name and size, the bundle's version and date, the limits of requests."""
    return reply(CatalogueInfo(**asdict(service().facts()), max_upload_bytes=config().max_upload_bytes, max_k=MAX_K))


@blueprint.get("/models", responses=answers(ModelCards, 503))
def models() -> Response:
    """The card of every model in the bundle: data, split, metrics, limits."""
    return reply(ModelCards(models=list(service().cards())))


@blueprint.get("/evaluation", responses=answers(Report, 404, 503))
def evaluation() -> Response:
    """How well the bundle's models do beside plain ones, on films that they have not learned from."""
    return reply(service().evaluation())


@blueprint.get("/evaluation/page", responses=answers(None, 404, 503, binary=("text/html",)))
def evaluation_page() -> Response:
    """The same as a page to look at, with plots and the worst mistakes; it loads nothing."""
    headers = {"Content-Security-Policy": _PAGE_POLICY}
    return Response(service().evaluation_page(), content_type="text/html; charset=utf-8", headers=headers)
