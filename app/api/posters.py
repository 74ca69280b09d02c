"""The poster check."""

from __future__ import annotations

from flask import Response

from matinee.answers import PlotPosterFit, PosterCheck

from .context import reply, service
from .openapi import answers, resource
from .reading import CheckForm, FitForm, body_of, read_form

blueprint = resource("posters", "/v1/posters", tag="Posters")


@blueprint.post(
    "/check",
    responses=answers(PosterCheck, 413, 415, 422, 503),
    openapi_extensions=body_of(CheckForm),
)
def check_poster() -> Response:
    """Whether an image is a film poster, with reasons."""
    form = read_form(CheckForm)
    return reply(service().check_poster(form.image))


@blueprint.post(
    "/fit",
    responses=answers(PlotPosterFit, 404, 413, 415, 422, 503),
    openapi_extensions=body_of(FitForm),
)
def poster_fits_plot() -> Response:
    """How well a poster fits a plot, learned from the catalogue's own pairs.

    404 where the catalogue had too few films with both to learn from.
    """
    form = read_form(FitForm)
    return reply(service().poster_fits_plot(form.image, form.plot))
