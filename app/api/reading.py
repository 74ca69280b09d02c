"""From a request to a validated model: JSON bodies, multipart forms, and the types a route reads.

flask-openapi3 can validate one kind of body a route; ours also accept two, so all of them are read here, in one way,
and described to OpenAPI by `body_of`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar, get_args

from flask import request
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from matinee.answers import Labels
from matinee.search.dialogue import ConversationState
from matinee.where import Where

from .problems import FieldProblem, InvalidRequest, WrongContentType

MAX_K = 1000

JSON = "application/json"
FORM = "multipart/form-data"

RequestModel = TypeVar("RequestModel", bound="Request")

_FILE = {"type": "string", "format": "binary", "description": "A JPEG, PNG or WebP file."}


def _as_file(schema: dict[str, Any]) -> None:
    """OpenAPI's way to say that a form's field is a file; required or not is said elsewhere."""
    schema.clear()
    schema.update(_FILE)


_IMAGE = Field(json_schema_extra=_as_file)
_IMAGE_OR_NONE = Field(default=None, json_schema_extra=_as_file)


class Request(BaseModel):
    """Base of all request models: unknown keys are an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PlotRequest(Request):
    """A plot to predict genres from."""

    plot: str = Field(
        description="The film's plot, in any length; beyond the model's window only its beginning counts."
    )
    labels: Labels = Field(default="multi", description="`multi`: every genre that fits. `single`: one of the ten.")


class PosterForm(Request):
    """A poster to predict genres from."""

    image: bytes = _IMAGE
    labels: Labels = "multi"


class CheckForm(Request):
    """An image to check."""

    image: bytes = _IMAGE


class FitForm(Request):
    """A poster and a plot."""

    image: bytes = _IMAGE
    plot: str


class GenresRequest(Request):
    """A plot alone, as JSON; with a poster, send multipart."""

    plot: str
    labels: Labels = "multi"


class GenresForm(Request):
    """A poster, a plot, or both."""

    image: bytes | None = _IMAGE_OR_NONE
    plot: str | None = None
    labels: Labels = "multi"


class SimilarRequest(Request):
    """What the films should be like: films, a plot, or (multipart) an image, and how much each counts."""

    film_ids: tuple[str, ...] = Field(default=(), description="Ids as the catalogue has them: `movielens:1`.")
    plot: str | None = None
    weights: dict[str, FiniteFloat] | None = Field(default=None, description="How much each part counts: plot, poster.")
    k: int = Field(default=10, ge=1, le=MAX_K, description="At most so many films.")
    where: Where | None = Field(default=None, description="Hard filters; unknown keys are an error.")


class SimilarForm(SimilarRequest):
    """As SimilarRequest, with an image. `weights` and `where` are JSON texts, `film_ids` may be repeated."""

    image: bytes | None = _IMAGE_OR_NONE


class DiscoverRequest(Request):
    """A request in plain language."""

    query: str = Field(description="'a slow heist in the nineties, no horror, under two hours'")
    k: int = Field(default=10, ge=1, le=MAX_K)
    where: Where | None = None
    popularity: bool = Field(
        default=True, description="Among films that fit about alike, those more people rated first."
    )
    facets: bool = Field(default=True, description="Filter by what the query says: 'in French', 'no horror'.")


class ChatRequest(Request):
    """A turn of a conversation: with the `state` of the last answer, changed or not, or with a `session_id`."""

    message: str = Field(
        default="", description="'something like Alien', 'but funnier', 'not that one'; empty: answer for the state."
    )
    state: ConversationState | None = Field(
        default=None, description="Of the last answer. Without: the session's, or a new one."
    )
    session_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.:-]{1,100}$",
        description="Any name that nobody else guesses, such as a UUID: the server then keeps the state for an hour.",
    )
    k: int = Field(default=12, ge=1, le=MAX_K, description="At most so many films.")


class FilmsQuery(Request):
    """A page of the catalogue."""

    query: str = Field(default="", description="Words of titles and names of people; empty: all films.")
    k: int = Field(default=20, ge=1, le=MAX_K)
    offset: int = Field(default=0, ge=0, le=10_000_000)


class FilmPath(BaseModel):
    """Which film."""

    film_id: str = Field(description="An id of the catalogue or an alias, such as `movielens:1` or `imdb:tt0114709`.")


BODY_MODELS: tuple[type[Request], ...] = (
    PlotRequest, PosterForm, CheckForm, GenresRequest, GenresForm, SimilarRequest, SimilarForm, DiscoverRequest,
    ChatRequest,
)  # fmt: skip


def read_json(model: type[RequestModel]) -> RequestModel:
    """The JSON body as `model`. Raises WrongContentType, InvalidRequest."""
    if not request.is_json:
        raise WrongContentType(_expected(JSON))
    try:
        return model.model_validate_json(request.get_data(cache=False) or b"null")
    except ValidationError as error:
        raise InvalidRequest.from_validation(error, known_keys(model)) from error


def read_form(model: type[RequestModel]) -> RequestModel:
    """The multipart form as `model`. Raises WrongContentType, InvalidRequest."""
    if request.mimetype != FORM:
        raise WrongContentType(_expected(FORM))
    values: dict[str, Any] = {}
    for name in request.form:
        field = model.model_fields.get(name)
        if field is None:
            values[name] = request.form[name]
        elif field.annotation == tuple[str, ...]:
            values[name] = _list_of(request.form.getlist(name))
        elif name in ("where", "weights"):
            values[name] = _json_text(name, request.form[name])
        elif name == "image":
            raise InvalidRequest([FieldProblem(field=name, detail="expected a file, got a text field")])
        else:
            values[name] = request.form[name]
    for name in request.files:
        upload = request.files[name]
        content = upload.read()
        # A browser sends a form's empty file field as a part without a file name: nothing was chosen.
        if upload.filename or content:
            values[name] = content
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest.from_validation(error, known_keys(model)) from error


def read_either(json_model: type[Request], form_model: type[RequestModel]) -> RequestModel:
    """JSON or multipart, whichever came; as the form's model, which knows all that the JSON's does."""
    if request.mimetype == FORM:
        return read_form(form_model)
    if request.is_json:
        body = read_json(json_model)
        return form_model.model_construct(**{name: getattr(body, name) for name in type(body).model_fields})
    raise WrongContentType(_expected(JSON, FORM))


def body_of(*models: type[Request], required: bool = True) -> dict[str, Any]:
    """The OpenAPI request body of a route that reads these models: forms as multipart, the others as JSON."""
    content = {
        FORM if model.__name__.endswith("Form") else JSON: {
            "schema": {"$ref": f"#/components/schemas/{model.__name__}"}
        }
        for model in models
    }
    return {"requestBody": {"required": required, "content": content}}


def known_keys(model: type[BaseModel], prefix: str = "") -> dict[str, list[str]]:
    """Place -> the keys allowed there, for this model and the models inside it."""
    known = {prefix: list(model.model_fields)}
    for name, field in model.model_fields.items():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                known |= known_keys(inner, f"{prefix}.{name}" if prefix else name)
    return known


def _expected(*types: str) -> str:
    got = request.mimetype or "no content type"
    return f"{request.path}: content type: expected {' or '.join(types)}, got {got}"


def _list_of(values: Iterable[str]) -> list[Any]:
    texts = [text for text in values if text.strip()]
    if len(texts) == 1 and texts[0].lstrip().startswith("["):
        parsed = _json_text("film_ids", texts[0])
        return parsed if isinstance(parsed, list) else [parsed]
    return texts


def _json_text(name: str, text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidRequest(
            [FieldProblem(field=name, detail=f"expected JSON, got something else ({error})")]
        ) from error


__all__ = [
    "BODY_MODELS",
    "MAX_K",
    "ChatRequest",
    "CheckForm",
    "DiscoverRequest",
    "FilmPath",
    "FilmsQuery",
    "GenresForm",
    "GenresRequest",
    "PlotRequest",
    "PosterForm",
    "Request",
    "SimilarForm",
    "SimilarRequest",
    "body_of",
    "read_either",
    "read_form",
    "read_json",
]
