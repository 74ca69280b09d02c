"""Similar films and discovery."""

from __future__ import annotations

from flask import Response

from matinee.answers import FilmList

from .context import reply, service
from .openapi import answers, resource
from .reading import DiscoverRequest, SimilarForm, SimilarRequest, body_of, read_either, read_json

blueprint = resource("search", "/v1", tag="Search")


@blueprint.post(
    "/similar",
    responses=answers(FilmList, 404, 413, 415, 422, 503),
    openapi_extensions=body_of(SimilarRequest, SimilarForm),
)
def similar() -> Response:
    """Films like a film, several films, a plot, a poster, or any mix of them.

    A film whose fact is unknown does not pass a filter on that fact; `left_out` counts them.
    """
    body = read_either(SimilarRequest, SimilarForm)
    answer = service().similar(
        film_ids=body.film_ids, plot=body.plot, poster=body.image, weights=body.weights, k=body.k, where=body.where
    )
    return reply(answer)


@blueprint.post(
    "/discover",
    responses=answers(FilmList, 413, 415, 422, 503),
    openapi_extensions=body_of(DiscoverRequest),
)
def discover() -> Response:
    """Films that fit a request in plain language, from one index of plots and posters.

    What it says of genres, years, minutes, languages, countries, people, and of what must not occur, filters: `request`
    of the answer says what was understood. `where` wins over it.
    """
    body = read_json(DiscoverRequest)
    found = service().discover(body.query, k=body.k, where=body.where, popularity=body.popularity, facets=body.facets)
    return reply(found)
