"""The poster check."""

from __future__ import annotations

from flask import Response

from matinee.answers import PosterCheck

from .context import reply, service
from .openapi import answers, resource
from .reading import CheckForm, body_of, read_form

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
