"""A conversation about films."""

from __future__ import annotations

from flask import Response

from matinee.search.dialogue import ChatAnswer

from .context import reply, service
from .openapi import answers, resource
from .reading import ChatRequest, body_of, read_json

blueprint = resource("chat", "/v1", tag="Search")


@blueprint.post(
    "/chat",
    responses=answers(ChatAnswer, 404, 413, 415, 422, 503),
    openapi_extensions=body_of(ChatRequest),
)
def chat() -> Response:
    """A turn of a conversation that refines one request; films, the request as chips, one question where it is vague.

    Send the `state` of the last answer with the next message, or a `session_id` of your own with every message: then
    the server remembers the state for an hour. To change a chip, change the state and send no message.
    """
    body = read_json(ChatRequest)
    return reply(service().chat(body.message, body.state, session_id=body.session_id, k=body.k))
