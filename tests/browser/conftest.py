"""The product as people meet it: API and pages as processes, and a real Chromium before them."""

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 120
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Site:
    """Where the product answers."""

    api: str
    pages: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answers(url: str, process: subprocess.Popen[str], log: Path) -> None:
    """Returns when `url` answers 200; fails with the log when the process ends or too long passes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"ended with status {process.returncode} before {url} answered:\n{log.read_text()}")
        try:
            with DIRECT.open(url, timeout=5) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    process.kill()
    pytest.fail(f"{url} did not answer:\n{log.read_text()}")


def matinee_command(*arguments: str) -> list[str]:
    """The `matinee` command of this environment."""
    return [sys.executable, "-m", "matinee.cli", *arguments]


def end(process: subprocess.Popen[str]) -> int:
    """Ends a process as Ctrl-C would; returns its status."""
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=60)


@pytest.fixture(scope="session")
def site(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`matinee serve --ui` over the small bundle."""
    api, pages = free_port(), free_port()
    log = tmp_path_factory.mktemp("site") / "log.txt"
    command = matinee_command(
        "serve", "--bundle", str(small_bundle), "--port", str(api), "--ui", "--ui-port", str(pages)
    )
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, text=True) as process:
        wait_until_answers(f"http://127.0.0.1:{api}/health/ready", process, log)
        wait_until_answers(f"http://127.0.0.1:{pages}/health", process, log)
        yield Site(f"http://127.0.0.1:{api}", f"http://127.0.0.1:{pages}")
        status = end(process)
    assert status == 0, log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield opened
        opened.close()


@dataclass
class Visit:
    """A page, and what went wrong on it."""

    page: Page
    errors: list[str]
    foreign: list[str]


def watch(context: BrowserContext) -> Visit:
    """A new page of the context whose errors and foreign requests are collected."""
    visit = Visit(context.new_page(), [], [])

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            visit.errors.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            visit.foreign.append(request.url)

    visit.page.on("console", heard)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("dialog", lambda dialog: (visit.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    visit.page.on("request", asked)
    visit.page.set_default_timeout(30_000)
    return visit


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page of its own for each test; the test fails where the console has an error or another host was asked."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.pages)
    visit = watch(context)
    yield visit.page
    context.close()
    assert visit.errors == []
    assert visit.foreign == []
