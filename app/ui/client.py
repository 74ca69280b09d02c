"""Asks the API. Answers are the JSON objects of its OpenAPI document; refusals are `Problem`s with words for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

Json = dict[str, Any]

NOT_FOUND = 404
_TIMEOUT = httpx.Timeout(30.0, connect=3.0)


class Problem(Exception):
    """The API refused, or did not answer."""

    def __init__(self, title: str, detail: str, *, status: int = 0, request_id: str = "") -> None:
        super().__init__(f"{title}: {detail}")
        self.title = title
        self.detail = detail
        self.status = status
        self.request_id = request_id


@dataclass(frozen=True)
class Call:
    """A request as it can be shown, copied and sent: a JSON body, or a form with an image."""

    method: str
    path: str
    body: Json | None = None
    form: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    image: bytes | None = None


@dataclass(frozen=True)
class Reply:
    """An answer and the call it answers."""

    call: Call
    answer: Json


class ApiClient:
    """A client of one API; safe to share between threads."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        # The API is a neighbour: no proxy of the environment stands between.
        self._http = httpx.Client(base_url=self.base_url, timeout=_TIMEOUT, trust_env=False)

    def send(self, call: Call) -> Reply:
        """Sends a call. Raises Problem."""
        response = self._request(call)
        try:
            answer = response.json()
        except ValueError as error:
            raise _unreadable(response) from error
        if not isinstance(answer, dict):
            raise _unreadable(response)
        return Reply(call, answer)

    def get(self, path: str, **parameters: str | int) -> Json:
        """The JSON answer of a GET. Raises Problem."""
        query = str(httpx.QueryParams({name: str(value) for name, value in parameters.items()}))
        return self.send(Call("GET", f"{path}?{query}" if query else path)).answer

    def info(self) -> Json:
        """What is being served."""
        return self.get("/v1/info")

    def cards(self) -> list[Json]:
        """The model cards."""
        return list(self.get("/v1/models")["models"])

    def evaluation(self) -> Json:
        """The evaluation report of what is being served."""
        return self.get("/v1/evaluation")

    def evaluation_page(self) -> httpx.Response:
        """The report's page, as the API sends it. Raises Problem."""
        return self._request(Call("GET", "/v1/evaluation/page"))

    def film(self, film_id: str) -> Json:
        """One film."""
        return self.get(f"/v1/films/{quote(film_id, safe=':')}")

    def films(self, query: str, *, k: int, offset: int = 0) -> Json:
        """A page of the catalogue."""
        return self.get("/v1/films", query=query, k=k, offset=offset)

    def poster(self, film_id: str, if_none_match: str = "") -> httpx.Response:
        """The poster's response as it came: 200 with bytes, 304, 404 and so on."""
        headers = {"If-None-Match": if_none_match} if if_none_match else {}
        try:
            return self._http.get(f"/v1/films/{quote(film_id, safe=':')}/poster", headers=headers)
        except httpx.HTTPError as error:
            raise self._silent() from error

    def _request(self, call: Call) -> httpx.Response:
        try:
            if call.image is not None or call.form:
                files = {"image": ("poster", call.image)} if call.image is not None else None
                response = self._http.request(call.method, call.path, data=dict(call.form), files=files)
            else:
                response = self._http.request(call.method, call.path, json=call.body)
        except httpx.HTTPError as error:
            raise self._silent() from error
        if response.is_success:
            return response
        try:
            problem = response.json()
            raise Problem(
                str(problem["title"]),
                str(problem["detail"]),
                status=response.status_code,
                request_id=str(problem.get("request_id", "")),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(response) from error

    def _silent(self) -> Problem:
        return Problem(
            "The API does not answer",
            f"Nothing answered at {self.base_url}. Start it with `matinee serve`, or wait a moment if it is starting.",
        )


def genres(*, image: bytes | None = None, plot: str | None = None, labels: str = "multi") -> Call:
    """Genres from a poster, a plot, or both."""
    if image is None:
        return Call("POST", "/v1/genres/plot", body={"plot": plot or "", "labels": labels})
    if plot is None:
        return Call("POST", "/v1/genres/poster", form={"labels": labels}, image=image)
    return Call("POST", "/v1/genres", form={"plot": plot, "labels": labels}, image=image)


def check(image: bytes) -> Call:
    """Whether an image is a film poster."""
    return Call("POST", "/v1/posters/check", image=image)


def fit(image: bytes, plot: str) -> Call:
    """How well a poster fits a plot."""
    return Call("POST", "/v1/posters/fit", form={"plot": plot}, image=image)


def similar(
    *,
    film_ids: Sequence[str] = (),
    plot: str | None = None,
    image: bytes | None = None,
    weights: Mapping[str, float] | None = None,
    k: int = 12,
    where: Json | None = None,
) -> Call:
    """Films like films, a plot, a poster."""
    body: Json = {"k": k}
    if film_ids:
        body["film_ids"] = list(film_ids)
    if plot:
        body["plot"] = plot
    if weights:
        body["weights"] = dict(weights)
    if where:
        body["where"] = where
    if image is None:
        return Call("POST", "/v1/similar", body=body)
    form = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in body.items()}
    form["k"] = str(k)
    return Call("POST", "/v1/similar", form=form, image=image)


def discover(query: str, *, k: int = 12, where: Json | None = None, facets: bool = True) -> Call:
    """Films that fit a request in plain language; facets: what it says of years, genres and so on filters."""
    body: Json = {"query": query, "k": k}
    if not facets:
        body["facets"] = False
    if where:
        body["where"] = where
    return Call("POST", "/v1/discover", body=body)


def chat(message: str, *, state: Json | None = None, k: int = 14) -> Call:
    """A turn of a conversation; `state` is that of the last answer, changed or not."""
    body: Json = {"message": message, "k": k}
    if state is not None:
        body["state"] = state
    return Call("POST", "/v1/chat", body=body)


def _unreadable(response: httpx.Response) -> Problem:
    return Problem(
        "The answer could not be read",
        f"{response.request.url} answered with status {response.status_code} and something that is not JSON. "
        "Is it a Matinee API?",
        status=response.status_code,
        request_id=response.headers.get("X-Request-ID", ""),
    )
