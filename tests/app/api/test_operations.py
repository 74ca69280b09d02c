"""What whoever runs the API relies on: limits, ids, problems, metrics, readiness, documents."""

import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from matinee.app.api import ApiConfig, create_app
from matinee.app.api.problems import STATUS_OF, status_of
from matinee.app.service import Service
from matinee.errors import InternalError, IoError, MatineeError

UNDOCUMENTED = {"/", "/docs", "/docs/start.js", "/docs/static/{name}", "/openapi.json"}


class Failing:
    """A bundle whose every answer fails the same way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def film(self, film_id: str) -> None:
        raise self._error


def client_of(tmp_path: Path, error: Exception, **config: Any) -> FlaskClient:
    (tmp_path / "manifest.json").write_text("{}")
    service = Service(tmp_path, opener=lambda _: Failing(error), watch_seconds=0)
    service.open_now()
    return create_app(service, ApiConfig(**config)).test_client()


def every_error() -> list[type[MatineeError]]:
    found, waiting = [], list(MatineeError.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found.append(kind)
    return found


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_of_ours_has_a_status_and_it_is_the_one_its_words_name(kind: type[MatineeError]) -> None:
    status = next((status for base, status in STATUS_OF if issubclass(kind, base)), None)
    assert status is not None
    told = re.search(r"HTTP (\d+)", kind.__doc__ or "")
    if told:
        assert status == int(told[1])


def test_no_error_is_hidden_behind_its_base_in_the_table() -> None:
    for place, (kind, _) in enumerate(STATUS_OF):
        assert not any(issubclass(kind, earlier) for earlier, _ in STATUS_OF[:place])


@pytest.mark.parametrize(
    "error", [RuntimeError("secret /etc/passwd"), InternalError("secret"), MemoryError("secret")], ids=repr
)
def test_a_500_shows_nothing_but_its_id_and_the_log_has_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    client = client_of(tmp_path, error)
    with caplog.at_level(logging.ERROR, logger="matinee.api"):
        response = client.get("/v1/films/a:1", headers={"X-Request-ID": "abc-1"})
    assert response.status_code == 500
    assert response.content_type == "application/problem+json"
    assert b"secret" not in response.data
    assert b"Traceback" not in response.data
    assert b"abc-1" in response.data
    assert "abc-1" in caplog.text
    assert "secret" in caplog.text


def test_trouble_with_our_own_files_is_503_and_names_none_of_them(tmp_path: Path) -> None:
    response = client_of(tmp_path, IoError("/var/lib/x: disk on fire")).get("/v1/films/a:1")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert b"/var/lib" not in response.data


def test_before_the_bundle_is_open_the_process_lives_but_is_not_ready(tmp_path: Path) -> None:
    service = Service(tmp_path / "nothing", opener=lambda _: Failing(ValueError()))
    client = create_app(service).test_client()
    assert client.get("/health/live").json == {"status": "live"}
    for path in ("/health/ready", "/v1/info", "/v1/films", "/v1/models"):
        response = client.get(path)
        assert (response.status_code, response.content_type) == (503, "application/problem+json")
        assert "Retry-After" in response.headers
    assert b"matinee_ready 0.0" in client.get("/metrics").data
    service.stop()


def test_ready_when_the_bundle_is_open(client: FlaskClient) -> None:
    assert client.get("/health/ready").json == {"status": "ready"}
    assert b"matinee_ready 1.0" in client.get("/metrics").data


def test_a_body_above_the_limit_is_413_before_it_is_read(tmp_path: Path) -> None:
    client = client_of(tmp_path, ValueError(), max_upload_bytes=1000)
    for response in (
        client.post("/v1/genres/plot", json={"plot": "x" * 2000}),
        client.post("/v1/posters/check", data={"image": (io.BytesIO(b"x" * 2000), "a.jpg")}),
        client.post("/v1/discover", data=b"x" * 1001, content_type="text/plain"),
    ):
        assert (response.status_code, response.content_type) == (413, "application/problem+json")
        assert b"1,000 bytes" in response.data


def test_text_fields_of_a_form_have_their_own_limit(tmp_path: Path) -> None:
    client = client_of(tmp_path, ValueError(), max_field_bytes=1000)
    response = client.post("/v1/genres", data={"plot": "x" * 2000}, content_type="multipart/form-data")
    assert response.status_code == 413


def test_unknown_addresses_and_methods_are_problems(client: FlaskClient) -> None:
    nowhere = client.get("/v2/films")
    assert (nowhere.status_code, nowhere.content_type) == (404, "application/problem+json")
    wrong = client.delete("/v1/discover")
    assert (wrong.status_code, wrong.content_type) == (405, "application/problem+json")
    assert "POST" in wrong.headers["Allow"]


def test_a_request_id_is_kept_where_harmless_and_made_where_not(client: FlaskClient) -> None:
    assert client.get("/health/live", headers={"X-Request-ID": "job-7.a_B"}).headers["X-Request-ID"] == "job-7.a_B"
    for given in ("", "a b", "x" * 65, "<script>"):
        made = client.get("/health/live", headers={"X-Request-ID": given}).headers["X-Request-ID"]
        assert re.fullmatch(r"[0-9a-f]{32}", made)
    ids = {client.get("/health/live").headers["X-Request-ID"] for _ in range(5)}
    assert len(ids) == 5


def test_requests_are_counted_by_route_not_by_path(client: FlaskClient) -> None:
    for number in range(3):
        client.get(f"/v1/films/nobody:{number}")
    client.get("/nowhere/at/all")
    text = client.get("/metrics").data.decode()
    counted = re.search(r'matinee_requests_total\{method="GET",route="/v1/films/<film_id>",status="404"\} (\d+)', text)
    assert counted is not None
    assert int(counted[1]) >= 3
    assert "nobody:" not in text
    assert "/nowhere" not in text
    assert 'matinee_request_seconds_bucket{le="0.05",method="GET",route="/v1/films/<film_id>"}' in text


def test_each_request_is_one_line_of_json_in_the_access_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="matinee.access"):
        client.get("/v1/films/nobody:1%0Aforged", headers={"X-Request-ID": "r1"})
    (record,) = [record for record in caplog.records if record.name == "matinee.access"]
    assert "\n" not in record.getMessage()
    line = json.loads(record.getMessage())
    assert line["request_id"] == "r1"
    assert line["path"] == "/v1/films/nobody:1\nforged"
    assert (line["method"], line["status"], line["route"]) == ("GET", 404, "/v1/films/<film_id>")
    assert line["ms"] >= 0


def test_the_openapi_document_is_valid_and_describes_every_route(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document is not None
    validate(document)
    served = {
        (re.sub(r"<(?:[^<:>]+:)?([^<>]+)>", r"{\1}", rule.rule), method.lower())
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert {(path, method) for path, method in served if path not in UNDOCUMENTED} == described


def test_every_operation_has_words_and_its_problems_one_shape(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document is not None
    names = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            names.append(operation["operationId"])
            assert operation["summary"], path
            assert "200" in operation["responses"], path
            assert ("requestBody" in operation) == (method == "post"), path
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], (path, status)
    assert len(set(names)) == len(names)


def test_uploads_are_described_as_files(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document is not None
    for name in ("PosterForm", "CheckForm", "GenresForm", "SimilarForm"):
        image = document["components"]["schemas"][name]["properties"]["image"]
        assert (image["type"], image["format"]) == ("string", "binary")


def test_the_documentation_page_names_no_other_host(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert not re.search(rb"(?:src|href)=\"(?:https?:)?//", page.data)
    for source in re.findall(r'(?:src|href)="(/[^"]+)"', page.data.decode()):
        assert client.get(source).status_code == 200, source


def test_other_sites_may_not_read_the_api(client: FlaskClient) -> None:
    response = client.get("/v1/info", headers={"Origin": "https://example.com"})
    assert not any(name.lower().startswith("access-control") for name, _ in response.headers)


def test_an_error_of_no_known_class_is_500() -> None:
    assert status_of(MatineeError("x")) == 500
