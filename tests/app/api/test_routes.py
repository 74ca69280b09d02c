"""Every route of the API, on the real small bundle."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient

from matinee.answers import FilmList, GenreAnswer, PlotPosterFit, PosterCheck
from matinee.app.service import Service
from matinee.app.ui.tabs.chat import without
from matinee.catalog.film import Film
from matinee.search.dialogue import ChatAnswer
from tests.bad_inputs import drawn_poster, encoded

PLOT = "Two detectives hunt a killer through a rainy city, one murder ahead of them each time."
POSTER = encoded(drawn_poster(), "JPEG")


def upload(content: bytes = POSTER, **fields: Any) -> dict[str, Any]:
    """A multipart form with an image."""
    return {"data": {"image": (io.BytesIO(content), "poster.jpg"), **fields}, "content_type": "multipart/form-data"}


def test_genres_from_a_poster(client: FlaskClient) -> None:
    response = client.post("/v1/genres/poster", **upload(labels="single"))
    assert response.status_code == 200
    answer = GenreAnswer.model_validate_json(response.data)
    assert answer.used == ["poster"]
    assert answer.poster is not None
    assert sum(genre.predicted for genre in answer.genres) == 1


def test_genres_from_a_plot(client: FlaskClient, service: Service) -> None:
    response = client.post("/v1/genres/plot", json={"plot": PLOT})
    assert response.status_code == 200
    assert GenreAnswer.model_validate_json(response.data) == service.genres(plot=PLOT)


def test_genres_from_both_or_either(client: FlaskClient, service: Service, film_id: str) -> None:
    content, _ = service.poster(film_id)
    both = client.post("/v1/genres", **upload(content, plot=PLOT))
    assert GenreAnswer.model_validate_json(both.data) == service.genres(poster=content, plot=PLOT)
    as_json = client.post("/v1/genres", json={"plot": PLOT})
    as_form = client.post("/v1/genres", data={"plot": PLOT}, content_type="multipart/form-data")
    assert as_json.json == as_form.json
    assert as_json.json is not None
    assert as_json.json["used"] == ["plot"]


def test_an_unchosen_file_of_a_browser_form_counts_as_none(client: FlaskClient) -> None:
    boundary = "edge"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename=""\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n\r\n--{boundary}\r\n"
        f'Content-Disposition: form-data; name="plot"\r\n\r\n{PLOT}\r\n--{boundary}--\r\n'
    )
    response = client.post("/v1/genres", data=body, content_type=f"multipart/form-data; boundary={boundary}")
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["used"] == ["plot"]


def test_whether_a_poster_fits_a_plot(client: FlaskClient, service: Service) -> None:
    response = client.post("/v1/posters/fit", **upload(plot=PLOT))
    assert PlotPosterFit.model_validate_json(response.data) == service.poster_fits_plot(POSTER, PLOT)
    assert client.post("/v1/posters/fit", **upload()).status_code == 422


def test_a_poster_check(client: FlaskClient, service: Service) -> None:
    response = client.post("/v1/posters/check", **upload())
    assert response.status_code == 200
    assert PosterCheck.model_validate_json(response.data) == service.check_poster(POSTER)


def test_similar_by_json_and_by_form_agree(client: FlaskClient, film_id: str) -> None:
    where, weights = {"year": {"min": 1900}}, {"plot": 1.0, "poster": 0.2}
    by_json = client.post("/v1/similar", json={"film_ids": [film_id], "k": 4, "where": where, "weights": weights})
    assert by_json.status_code == 200
    assert len(FilmList.model_validate_json(by_json.data).films) == 4
    for film_ids in ([film_id], json.dumps([film_id])):
        form = {"film_ids": film_ids, "k": "4", "where": json.dumps(where), "weights": json.dumps(weights)}
        by_form = client.post("/v1/similar", data=form, content_type="multipart/form-data")
        assert by_form.json == by_json.json


def test_similar_to_an_upload(client: FlaskClient, service: Service, film_id: str) -> None:
    content, _ = service.poster(film_id)
    response = client.post("/v1/similar", **upload(content, k="3"))
    assert FilmList.model_validate_json(response.data).films[0].id == film_id


def test_discover(client: FlaskClient, service: Service) -> None:
    response = client.post("/v1/discover", json={"query": "a murder in the rain", "k": 5})
    assert response.status_code == 200
    assert FilmList.model_validate_json(response.data) == service.discover("a murder in the rain", k=5)


def test_a_conversation(client: FlaskClient, service: Service) -> None:
    first = client.post("/v1/chat", json={"message": "horror or comedy, no romance", "k": 5})
    assert first.status_code == 200
    assert ChatAnswer.model_validate_json(first.data) == service.chat("horror or comedy, no romance", k=5)
    answer = first.json
    assert answer is not None
    assert [chip["label"] for chip in answer["chips"]] == ["horror or comedy", "not romance"]
    second = client.post("/v1/chat", json={"message": "not the second one", "state": answer["state"], "k": 5}).json
    assert second is not None
    gone = answer["films"][1]["id"]
    assert second["state"]["understood"]["where"]["ids"]["none"] == [gone]
    assert gone not in [film["id"] for film in second["films"]]


def test_a_chip_is_removed_by_sending_the_state_without_it(client: FlaskClient) -> None:
    answer = client.post("/v1/chat", json={"message": "a comedy from before 1990, in English"}).json
    assert answer is not None
    for chip in answer["chips"]:
        fewer = client.post("/v1/chat", json={"state": without(answer["state"], chip)}).json
        assert fewer is not None
        assert fewer["chips"] == [other for other in answer["chips"] if other != chip]


def test_a_conversation_without_a_word_begins_with_a_question(client: FlaskClient) -> None:
    answer = client.post("/v1/chat", json={}).json
    assert answer is not None
    assert answer["question"]["suggestions"]
    assert len(answer["films"]) == 12


def test_the_catalogue_in_pages(client: FlaskClient) -> None:
    first = client.get("/v1/films", query_string={"k": 3}).json
    assert first is not None
    assert first["next_offset"] == 3
    second = client.get("/v1/films", query_string={"k": 3, "offset": 3}).json
    assert second is not None
    assert {film["id"] for film in first["films"]}.isdisjoint(film["id"] for film in second["films"])


@pytest.mark.parametrize("colon", [":", "%3A"])
def test_a_film_by_its_id(client: FlaskClient, service: Service, film_id: str, colon: str) -> None:
    response = client.get(f"/v1/films/{film_id.replace(':', colon)}")
    assert response.status_code == 200
    assert Film.model_validate_json(response.data) == service.film(film_id)


def test_a_poster_is_sent_once_and_then_confirmed(client: FlaskClient, service: Service, film_id: str) -> None:
    content, media_type = service.poster(film_id)
    first = client.get(f"/v1/films/{film_id}/poster")
    assert (first.data, first.content_type) == (content, media_type)
    assert first.headers["Cache-Control"] == "public, max-age=3600"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    again = client.get(f"/v1/films/{film_id}/poster", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get(f"/v1/films/{film_id}/poster", headers={"If-None-Match": '"another"'})
    assert other.status_code == 200


def test_what_is_served_and_its_models(client: FlaskClient, service: Service) -> None:
    info = client.get("/v1/info").json
    assert info is not None
    assert info["films"] == service.facts().films
    assert info["max_upload_bytes"] == 20 * 2**20
    cards = client.get("/v1/models").json
    assert cards is not None
    assert [card["name"] for card in cards["models"]] == [card.name for card in service.cards()]


def test_answers_from_sixteen_threads_are_those_of_one(client: FlaskClient, film_id: str) -> None:
    app = client.application
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/genres/plot", {"json": {"plot": PLOT}}),
        ("POST", "/v1/discover", {"json": {"query": "a murder in the rain", "k": 5}}),
        ("POST", "/v1/similar", {"json": {"film_ids": [film_id], "k": 5}}),
        ("POST", "/v1/chat", {"json": {"message": "a scary comedy about a ghost", "k": 5}}),
        ("GET", f"/v1/films/{film_id}", {}),
        ("GET", "/v1/films?query=the&k=5", {}),
        ("GET", f"/v1/films/{film_id}/poster", {}),
    ]

    def ask(number: int) -> bytes:
        method, path, arguments = asked[number % len(asked)]
        response = app.test_client().open(path, method=method, **arguments)
        assert response.status_code == 200
        return response.data

    def check() -> bytes:
        return app.test_client().open("/v1/posters/check", method="POST", **upload()).data

    alone = [ask(number) for number in range(len(asked))]
    verdict = check()
    start = threading.Barrier(16)

    def together(number: int) -> tuple[int, bytes, bytes]:
        if number < 16:
            start.wait(timeout=60)
        return number, ask(number), check()

    with ThreadPoolExecutor(16) as threads:
        for number, answer, checked in threads.map(together, range(64)):
            assert answer == alone[number % len(asked)]
            assert checked == verdict
