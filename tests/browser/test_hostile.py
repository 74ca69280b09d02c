"""Names and plots that try to be markup, shown by the real pages over a small stand-in for the API."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import end, free_port, wait_until_answers, watch

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{value}} {{{value}}} `\"'</button><script>alert(3)</script>"
FILM = {
    "id": "local:1", "title": HOSTILE, "year": 1999, "plot": HOSTILE, "tagline": HOSTILE, "genres": [HOSTILE],
    "people": [{"name": HOSTILE, "role": "director"}], "keywords": [HOSTILE], "languages": [HOSTILE], "countries": [],
    "certificate": None, "runtime": 90, "has_poster": False, "provenance": {HOSTILE: HOSTILE},
}  # fmt: skip
HIT = {
    "id": "local:1",
    "title": HOSTILE,
    "year": 1999,
    "score": 1,
    "channels": ["plot"],
    "why": HOSTILE,
    "has_poster": False,
}
GENRES = {
    "genres": [{"name": HOSTILE, "probability": 0.9, "predicted": True, "threshold": 0.5}], "top": HOSTILE,
    "used": ["plot"], "poster": None, "note": HOSTILE, "model": HOSTILE, "demo": True,
}  # fmt: skip
ANSWERS = {
    "/v1/info": {
        "name": HOSTILE, "demo": True, "films": 1, "posters": 0, "plots": 1, "bundle_version": HOSTILE,
        "bundle_created": HOSTILE,
    },
    "/v1/films": {"films": [FILM], "query": "", "offset": 0, "next_offset": None},
    "/v1/films/local:1": FILM,
    "/v1/models": {"models": [{"name": HOSTILE, "title": HOSTILE, "task": HOSTILE, "demo": True, "limits": [HOSTILE]}]},
    "/v1/genres/plot": GENRES,
    "/v1/similar": {"films": [HIT], "request": {}, "nothing_fits": False, "left_out": {}},
    "/v1/discover": {
        "films": [HIT], "request": {"where": {"genres": {"any": [HOSTILE]}}}, "nothing_fits": False,
        "left_out": {HOSTILE: 1},
    },
    "/v1/chat": {
        "films": [HIT], "reply": HOSTILE, "nothing_fits": False, "left_out": {}, "state": {"understood": {}},
        "chips": [{"id": HOSTILE, "kind": "about", "label": HOSTILE, "path": "about", "value": HOSTILE}],
        "question": {"text": HOSTILE, "suggestions": [{"label": HOSTILE, "message": HOSTILE, "films": 1}]},
    },
}  # fmt: skip


class Hostile(BaseHTTPRequestHandler):
    """Answers the paths above."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        known = ANSWERS.get(self.path.split("?")[0])
        body = json.dumps(known or {"title": HOSTILE, "detail": HOSTILE, "status": 404, "request_id": HOSTILE}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[str]:
    """The pages over the stand-in."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port, log = free_port(), tmp_path / "log.txt"
        api = f"http://127.0.0.1:{server.server_port}"
        command = [sys.executable, "-m", "matinee.app.ui", "--api", api, "--port", str(port)]
        with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, text=True) as process:
            wait_until_answers(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}"
            end(process)
        server.shutdown()


def test_hostile_text_is_shown_and_never_run(browser: Browser, pages: str) -> None:
    context = browser.new_context()
    visit = watch(context)
    page = visit.page
    page.goto(f"{pages}/#discover")
    page.locator("#discover-query textarea").fill(HOSTILE)
    page.locator("#discover-run").click()
    card = page.locator("#discover-result .mt-card").first
    expect(card).to_contain_text(HOSTILE)
    expect(page.locator("#discover-result .mt-heading")).to_contain_text(HOSTILE)
    page.locator("#tab-chat-button").click()
    page.locator("#chat-query textarea").fill(HOSTILE)
    page.locator("#chat-run").click()
    for part in (".mt-part-words", ".mt-reply", ".mt-question", ".mt-said", ".mt-card"):
        expect(page.locator(f"#chat-result {part}").first).to_contain_text(HOSTILE)
    page.locator("#tab-discover-button").click()
    card.click()
    expect(page.locator("#mt-film .mt-plot")).to_have_text(HOSTILE)
    page.locator("#mt-film h3", has_text="Films like it").wait_for()
    page.get_by_role("button", name="Predict its genres").click()
    expect(page.locator("#both-result .mt-note").first).to_contain_text(HOSTILE)
    for tab, where in (("catalogue", "#catalogue-result .mt-card"), ("about", "#about-result .mt-model-card")):
        page.locator(f"#tab-{tab}-button").click()
        expect(page.locator(where).first).to_contain_text(HOSTILE)
    assert page.locator(".mt-answer script, #mt-film script, img[src=x]").count() == 0
    assert [error for error in visit.errors if "dialog" in error] == []
    assert visit.foreign == []
    context.close()
