"""What is being served: the catalogue and its models."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from .context import config, reply, service
from .openapi import answers, resource
from .reading import MAX_K
from .shapes import CatalogueInfo, ModelCards

blueprint = resource("catalogue", "/v1", tag="Catalogue")


@blueprint.get("/info", responses=answers(CatalogueInfo, 503))
def info() -> Response:
    """The catalogue's name and size, the bundle's version and date, the limits of requests."""
    return reply(CatalogueInfo(**asdict(service().facts()), max_upload_bytes=config().max_upload_bytes, max_k=MAX_K))


@blueprint.get("/models", responses=answers(ModelCards, 503))
def models() -> Response:
    """The card of every model in the bundle: data, split, metrics, limits."""
    return reply(ModelCards(models=list(service().cards())))
