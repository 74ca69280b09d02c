"""The table of bad inputs over REST: the status that belongs to the error Python raises, as a problem."""

import io
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from matinee.app.api.problems import status_of
from matinee.app.service import Service
from matinee.errors import MatineeError
from tests.bad_inputs import BAD_CALLS, UNKNOWN_FILMS, BadCall, BadImage, BadText, bad_images, bad_texts

IMAGE_ROUTES = ("/v1/genres/poster", "/v1/genres", "/v1/posters/check", "/v1/similar")
PLOT_ROUTES = ("/v1/genres/plot", "/v1/genres")


def post_image(client: FlaskClient, path: str, content: bytes) -> TestResponse:
    form = {"image": (io.BytesIO(content), "poster.jpg")}
    return client.post(path, data=form, content_type="multipart/form-data")


def assert_problem(response: TestResponse, status: int, *words: str) -> dict[str, Any]:
    assert response.status_code == status, response.data
    assert response.content_type == "application/problem+json"
    problem = response.json
    assert problem is not None
    assert problem["status"] == status
    assert problem["instance"] == response.request.path
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert problem["title"]
    for word in words:
        assert word in problem["detail"]
    return problem


def assert_as_in_python(response: TestResponse, error: type[MatineeError] | None) -> None:
    if error is None:
        assert response.status_code == 200, response.data
    else:
        assert_problem(response, status_of(error("")))


@pytest.mark.parametrize("path", IMAGE_ROUTES)
@pytest.mark.parametrize("image", bad_images(), ids=lambda image: image.name)
def test_bad_images(client: FlaskClient, path: str, image: BadImage) -> None:
    assert_as_in_python(post_image(client, path, image.data), image.error)


@pytest.mark.parametrize("text", bad_texts(), ids=lambda text: text.name)
def test_bad_texts(client: FlaskClient, service: Service, text: BadText) -> None:
    for path in PLOT_ROUTES:
        assert_as_in_python(client.post(path, json={"plot": text.text}), text.plot)
    form = client.post("/v1/genres", data={"plot": text.text}, content_type="multipart/form-data")
    assert_as_in_python(form, text.plot)
    assert_as_in_python(client.post("/v1/discover", json={"query": text.text}), text.request)
    try:
        service.similar(plot=text.text)
        error = None
    except MatineeError as raised:
        error = type(raised)
    assert_as_in_python(client.post("/v1/similar", json={"plot": text.text}), error)


# The body of a turn -> the status, and words of the detail.
BAD_TURNS: list[tuple[dict[str, Any], int, str]] = [
    ({"message": "x" * 20_001}, 422, "20,000"),
    ({"message": None}, 422, "message"),
    ({"message": 3}, 422, "message"),
    ({"message": "a comedy", "k": 0}, 422, "k"),
    ({"message": "a comedy", "person": "x"}, 422, "message, state, session_id, k"),
    ({"message": "a comedy", "session_id": ""}, 422, "session_id"),
    ({"message": "a comedy", "session_id": "../../etc"}, 422, "session_id"),
    ({"message": "a comedy", "session_id": "x" * 101}, 422, "session_id"),
    ({"message": "a comedy", "state": []}, 422, "state"),
    ({"message": "a comedy", "state": {"understood": {"tones": ["louder"]}}}, 422, "state.understood.tones"),
    ({"message": "a comedy", "state": {"understood": {"where": {"colour": "red"}}}}, 422, "unknown key"),
    ({"message": "a comedy", "state": {"understood": {"like": ["x"] * 21}}}, 422, "state.understood.like"),
    ({"message": "a comedy", "state": {"shown": [7]}}, 422, "state.shown"),
    ({"message": "a comedy", "state": {"understood": {"like": ["nowhere:1"]}}}, 404, "nowhere:1"),
]


@pytest.mark.parametrize(("body", "status", "words"), BAD_TURNS, ids=lambda value: repr(value)[:60])
def test_bad_turns_of_a_conversation(client: FlaskClient, body: dict[str, Any], status: int, words: str) -> None:
    assert_problem(client.post("/v1/chat", json=body), status, words)


@pytest.mark.parametrize("message", ["", " ", "😀", "ужасы", "恐怖映画", "a" * 10_000, "\x00\x07", "<b>{{x}}</b> ${y}"])
def test_any_words_are_answered(client: FlaskClient, message: str) -> None:
    response = client.post("/v1/chat", json={"message": message})
    assert response.status_code == 200
    assert client.post("/v1/chat", json={"message": message, "state": response.json["state"]}).status_code == 200  # type: ignore[index]


@pytest.mark.parametrize("film", UNKNOWN_FILMS, ids=lambda film: repr(film[:30]))
def test_unknown_films_are_404(client: FlaskClient, film: str) -> None:
    assert_problem(client.post("/v1/similar", json={"film_ids": [film]}), 404)
    if film:  # an empty one is the address of the list
        assert_problem(client.get(f"/v1/films/{quote(film, safe='')}"), 404)
        assert_problem(client.get(f"/v1/films/{quote(film, safe='')}/poster"), 404)


@pytest.mark.parametrize("call", BAD_CALLS, ids=lambda call: call.name)
def test_bad_arguments(client: FlaskClient, film_id: str, call: BadCall) -> None:
    for path, body in (("/v1/discover", {"query": "a film"}), ("/v1/similar", {"film_ids": [film_id]})):
        response = client.post(path, json={**body, **call.arguments})
        assert_as_in_python(response, call.error)
        if call.error is not None:
            name = next(iter(call.arguments))
            assert response.json is not None
            assert response.json["errors"][0]["field"].split(".")[0] == name
            assert name in response.json["detail"]


def test_k_above_the_number_of_films_gives_them_all(client: FlaskClient, film_id: str) -> None:
    info = client.get("/v1/info").json
    assert info is not None
    response = client.post("/v1/similar", json={"film_ids": [film_id], "k": 1000})
    assert response.status_code == 200
    assert response.json is not None
    assert len(response.json["films"]) < info["films"] < 1000


def test_an_unknown_key_is_told_which_are_known(client: FlaskClient) -> None:
    response = client.post("/v1/discover", json={"query": "x", "where": {"colour": "red"}})
    assert_problem(response, 422, "where.colour", "unknown key", "certificate")
    assert_problem(client.post("/v1/discover", json={"query": "x", "limit": 3}), 422, "limit", "query, k, where")
    assert_problem(client.get("/v1/films?limit=3"), 422, "limit")


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("/v1/genres/plot", {"data": "plot=x", "content_type": "application/x-www-form-urlencoded"}),
        ("/v1/genres/plot", {"data": b"{}"}),
        ("/v1/genres/poster", {"json": {"image": "x"}}),
        ("/v1/genres", {"data": b"\xff\xd8", "content_type": "image/jpeg"}),
        ("/v1/posters/check", {"data": b"\xff\xd8", "content_type": "image/jpeg"}),
        ("/v1/similar", {"data": "x", "content_type": "text/plain"}),
        ("/v1/discover", {"data": {"query": "x"}, "content_type": "multipart/form-data"}),
        ("/v1/chat", {"data": "a comedy", "content_type": "text/plain"}),
    ],
)
def test_a_wrong_content_type_is_415(client: FlaskClient, path: str, arguments: dict[str, Any]) -> None:
    assert_problem(client.post(path, **arguments), 415, "content type: expected")


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'{"plot": "x"', b'{"plot": "\\ud800"}', b"\xff"])
def test_a_body_that_is_not_what_it_should_be_is_422(client: FlaskClient, body: bytes) -> None:
    assert_problem(client.post("/v1/genres/plot", data=body, content_type="application/json"), 422)


@pytest.mark.parametrize("path", ["/v1/genres/poster", "/v1/posters/check"])
def test_a_form_without_its_image_is_422(client: FlaskClient, path: str) -> None:
    empty = client.post(path, data=b"--x--\r\n", content_type="multipart/form-data; boundary=x")
    assert_problem(empty, 422, "image")
    words = client.post(path, data={"image": "a text"}, content_type="multipart/form-data")
    assert_problem(words, 422, "image", "file")


def test_forms_with_broken_json_in_a_field_are_422(client: FlaskClient, film_id: str) -> None:
    form = {"film_ids": film_id, "where": "{year"}
    assert_problem(client.post("/v1/similar", data=form, content_type="multipart/form-data"), 422, "where", "JSON")


def test_neither_poster_nor_plot_is_422(client: FlaskClient) -> None:
    empty = client.post("/v1/genres", data=b"--x--\r\n", content_type="multipart/form-data; boundary=x")
    assert_problem(empty, 422, "poster", "plot")
    assert_problem(client.post("/v1/similar", json={}), 422, "film_ids")


@pytest.mark.parametrize("weights", [{"plot": "much"}, {"sound": 1.0}, {"plot": -1.0}, {"plot": 0.0, "poster": 0.0}])
def test_bad_weights_are_422(client: FlaskClient, film_id: str, weights: dict[str, Any]) -> None:
    assert_problem(client.post("/v1/similar", json={"film_ids": [film_id], "weights": weights}), 422, "weights")


def test_labels_are_multi_or_single(client: FlaskClient) -> None:
    assert_problem(client.post("/v1/genres/plot", json={"plot": "x", "labels": "both"}), 422, "labels")
