"""The calls that people copy do what the page did."""

import itertools
import json
import shlex

import httpx
import pytest

from matinee.app.ui.client import Call, check, discover, genres, similar
from matinee.app.ui.snippets import as_curl, as_python

BASE = "http://127.0.0.1:8000"
TRICKY = 'It\'s "quoted" $HOME `x` \\ ünï\n@file <tag>'

CALLS = [
    discover(TRICKY, k=3, where={"year": {"min": 1990}}),
    genres(plot=TRICKY, labels="single"),
    genres(image=b"poster", labels="multi"),
    genres(image=b"poster", plot="@" + TRICKY),
    check(b"poster"),
    similar(film_ids=["movielens:1", "movielens:2"], plot=TRICKY, weights={"plot": 1.0}, k=5),
    similar(film_ids=["movielens:1", "movielens:2"], image=b"poster", where={"genres": ["Crime"]}, k=5),
    Call("GET", "/v1/films?query=alien&k=2"),
]


def sent_by(call: Call, base_url: str) -> httpx.Request:
    """The request the page itself would send."""
    files = {"image": ("poster", call.image)} if call.image is not None else None
    if call.image is not None or call.form:
        return httpx.Request(call.method, base_url + call.path, data=dict(call.form), files=files)
    return httpx.Request(call.method, base_url + call.path, json=call.body)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.path)
def test_the_curl_line_carries_every_value_unharmed(call: Call) -> None:
    words = shlex.split(as_curl(call, BASE).replace("\\\n", " "))
    assert words[:2] == ["curl", BASE + call.path]
    fields = dict(word.split("=", 1) for option, word in itertools.pairwise(words) if option == "--form-string")
    if call.image is not None:
        assert "image=@poster.jpg" in words
        assert set(fields) == set(call.form)
        assert fields.get("plot", TRICKY).endswith(TRICKY)
    elif call.method == "POST":
        assert json.loads(words[words.index("-d") + 1]) == call.body


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.path)
def test_the_python_snippet_sends_the_same_request(
    call: Call, tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        request.read()
        return httpx.Response(200, json={})

    def through(method: str):
        def send(url: str, **arguments: object) -> httpx.Response:
            with httpx.Client(transport=httpx.MockTransport(answer)) as client:
                return client.request(method, url, **arguments)  # type: ignore[arg-type]

        return send

    monkeypatch.setattr(httpx, "post", through("POST"))
    monkeypatch.setattr(httpx, "get", through("GET"))
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]
    (tmp_path / "poster.jpg").write_bytes(call.image or b"")  # type: ignore[operator]
    exec(compile(as_python(call, BASE), "snippet", "exec"), {})
    (request,) = sent
    assert (request.method, str(request.url)) == (call.method, BASE + call.path)
    if call.image is None and call.method == "POST":
        assert json.loads(request.content) == call.body
    for value in call.form.values():
        for text in [value] if isinstance(value, str) else value:
            assert text.replace("\n", "\r\n").encode() in request.content or text.encode() in request.content
