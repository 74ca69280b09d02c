"""The catalogue's films and their posters."""

from __future__ import annotations

import hashlib

from flask import Response, request

from matinee.catalog.film import Film

from .context import config, reply, service
from .openapi import answers, resource
from .reading import FilmPath, FilmsQuery
from .shapes import FilmPage

blueprint = resource("films", "/v1/films", tag="Films")


@blueprint.get("", responses=answers(FilmPage, 422, 503))
def films(query: FilmsQuery) -> Response:
    """Films by title or people; all of them for an empty query."""
    found, next_offset = service().films(query.query, k=query.k, offset=query.offset)
    return reply(FilmPage(films=found, query=query.query, offset=query.offset, next_offset=next_offset))


@blueprint.get("/<film_id>", responses=answers(Film, 404, 503))
def film(path: FilmPath) -> Response:
    """One film: facts, plot, provenance."""
    return reply(service().film(path.film_id))


@blueprint.get("/<film_id>/poster", responses=answers(None, 404, 503, binary=("image/jpeg", "image/png", "image/webp")))
def poster(path: FilmPath) -> Response:
    """The film's poster as it was catalogued; answers 304 to a matching `If-None-Match`."""
    content, media_type = service().poster(path.film_id)
    response = Response(content, content_type=media_type)
    response.set_etag(hashlib.sha256(content).hexdigest()[:32])
    response.cache_control.public = True
    response.cache_control.max_age = config().poster_cache_seconds
    return response.make_conditional(request)  # type: ignore[return-value]  # the same response, typed as its base
