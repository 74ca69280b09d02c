"""Genres from posters and plots."""

from __future__ import annotations

from flask import Response

from matinee.answers import GenreAnswer

from .context import reply, service
from .openapi import answers, resource
from .reading import GenresForm, GenresRequest, PlotRequest, PosterForm, body_of, read_either, read_form, read_json

blueprint = resource("genres", "/v1/genres", tag="Genres")


@blueprint.post(
    "/poster",
    responses=answers(GenreAnswer, 413, 415, 422, 503),
    openapi_extensions=body_of(PosterForm),
)
def genres_from_poster() -> Response:
    """Genres from a poster.

    The image is checked first; `poster` holds the verdict and `note` says what to do where it was rejected.
    """
    form = read_form(PosterForm)
    return reply(service().genres(poster=form.image, labels=form.labels))


@blueprint.post(
    "/plot",
    responses=answers(GenreAnswer, 413, 415, 422, 503),
    openapi_extensions=body_of(PlotRequest),
)
def genres_from_plot() -> Response:
    """Genres from a plot."""
    body = read_json(PlotRequest)
    return reply(service().genres(plot=body.plot, labels=body.labels))


@blueprint.post(
    "",
    responses=answers(GenreAnswer, 413, 415, 422, 503),
    openapi_extensions=body_of(GenresForm, GenresRequest),
)
def genres() -> Response:
    """Genres from a poster, a plot, or both.

    The poster is checked first. Missing or rejected, the answer rests on the plot and `note` says so.
    """
    body = read_either(GenresRequest, GenresForm)
    return reply(service().genres(poster=body.image, plot=body.plot, labels=body.labels))
