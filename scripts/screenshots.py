#!/usr/bin/env python3
"""Screenshots of every tab of the running pages, at 1440 and 390 px, light and dark; one folder, one PNG each.

    matinee demo &                                # or matinee serve --bundle BUNDLE --ui
    scripts/screenshots.py --ui http://127.0.0.1:7860 --out build/screenshots
    scripts/screenshots.py --docs docs/images/ui  # fewer, and small enough to commit; only of the demo catalogue

Real posters belong to their studios: --docs refuses a catalogue that is not the demo's.
"""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
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
SIZES = {"1440": (1440, 1000), "390": (390, 844)}
MAX_DOCS_BYTES = 300_000


def first_example(page: Page, tab: str) -> None:
    """Clicks the tab's first example and waits for its answer."""
    page.locator(f"#{tab}-examples .mt-example").first.click()
    page.locator(f"#{tab}-result .mt-result").wait_for()


def discover(page: Page) -> None:
    first_example(page, "discover")


def say(page: Page, words: str) -> None:
    """One turn of the conversation, answered."""
    page.evaluate("document.querySelector('#chat-result .mt-result')?.classList.add('old')")
    page.locator("#chat-query textarea").fill(words)
    page.locator("#chat-run").click()
    page.locator("#chat-result .mt-result:not(.old)").wait_for()


def chat(page: Page) -> None:
    for words in ("something like Alien", "but funnier", "older, and not that one"):
        say(page, words)


def vague(page: Page) -> None:
    """A chat that asks back."""
    say(page, "something good")


def nothing(page: Page) -> None:
    """A chat about what no film is."""
    say(page, "a horror film from before 1930 in French with Tom Hanks, under 90 minutes")


def film(page: Page) -> None:
    """Discover, with a film open beside the wall."""
    first_example(page, "discover")
    page.locator("#discover-result .mt-card").first.click()
    page.locator("#mt-film .mt-bars").wait_for()
    page.locator("#mt-film .mt-wall").wait_for()


def fit(page: Page) -> None:
    """Whether an example's poster fits its plot."""
    first_example(page, "both")
    page.locator("#both-fit").click()
    page.locator("#both-result").get_by_text("of the catalogue's posters").wait_for()


def similar(page: Page) -> None:
    first_example(page, "similar")


def rejected(page: Page) -> None:
    """The poster tab with something that is no poster."""
    blank = io.BytesIO()
    Image.new("RGB", (300, 300), (90, 90, 90)).save(blank, "PNG")
    page.locator("#poster-image input[type=file]").set_input_files(
        {"name": "blank.png", "mimeType": "image/png", "buffer": blank.getvalue()}
    )
    page.locator("#poster-image img").first.wait_for()
    page.locator("#poster-multi").click()
    page.locator("#poster-result .mt-result").wait_for()


def problem(page: Page) -> None:
    """An error in words."""
    page.locator("#check-image input[type=file]").set_input_files(
        {"name": "poster.jpg", "mimeType": "image/jpeg", "buffer": b"not an image at all"}
    )
    page.wait_for_timeout(500)
    page.locator("#check-run").click()
    page.locator("#check-result .mt-problem").wait_for()


def catalogue(page: Page) -> None:
    page.locator("#catalogue-result .mt-card").first.wait_for()


def about(page: Page) -> None:
    page.locator("#about-result .mt-model-card, #about-result .mt-notice").first.wait_for()


# Name -> the tab it is taken on, and what is done there first.
SCENES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "empty": ("discover", lambda page: None),
    "discover": ("discover", discover),
    "film": ("discover", film),
    "chat": ("chat", chat),
    "chat-vague": ("chat", vague),
    "chat-nothing": ("chat", nothing),
    "poster": ("poster", lambda page: first_example(page, "poster")),
    "rejected": ("poster", rejected),
    "plot": ("plot", lambda page: first_example(page, "plot")),
    "both": ("both", lambda page: first_example(page, "both")),
    "fit": ("both", fit),
    "similar": ("similar", similar),
    "check": ("check", lambda page: first_example(page, "check")),
    "problem": ("check", problem),
    "catalogue": ("catalogue", catalogue),
    "about": ("about", about),
}
# What the documentation shows: every tab once, alternating the modes, and two as phones show them.
_DARK = ("discover", "film", "similar", "about")
_NOT_IN_DOCS = ("empty", "problem", "chat-vague", "chat-nothing")
DOCS = [
    *((name, "1440", "dark" if name in _DARK else "light") for name in SCENES if name not in _NOT_IN_DOCS),
    ("discover", "390", "light"),
    ("plot", "390", "dark"),
    ("chat", "390", "dark"),
]


def shoot(page: Page, url: str, scene: str) -> None:
    """Brings the page to the scene."""
    tab, prepare = SCENES[scene]
    page.goto(f"{url}/#{tab}")
    page.locator("#discover-examples .mt-example").first.wait_for(state="attached", timeout=30_000)
    prepare(page)
    # Posters further down are fetched when scrolled to, which a picture of the whole page never does.
    page.evaluate("document.querySelectorAll('img.mt-img').forEach((image) => { image.loading = 'eager'; })")
    page.wait_for_function(
        "[...document.querySelectorAll('img.mt-img')].filter((i) => i.offsetParent).every((i) => i.complete)"
    )
    page.wait_for_timeout(300)


def small_enough(png: bytes) -> bytes:
    """The picture with fewer colours, until it may be committed."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64):
        out = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= MAX_DOCS_BYTES:
            return out.getvalue()
    width, height = image.size
    return small_enough(_png(image.resize((width * 4 // 5, height * 4 // 5), Image.Resampling.LANCZOS)))


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ui", default="http://127.0.0.1:7860", help="address of the pages (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"), help="folder (default: %(default)s)")
    parser.add_argument("--docs", type=Path, help="write the documentation's pictures to this folder instead")
    parser.add_argument("--scene", action="append", choices=SCENES, help="only these")
    arguments = parser.parse_args()
    shots = DOCS if arguments.docs else [(s, w, m) for s in SCENES for w in SIZES for m in ("light", "dark")]
    folder: Path = arguments.docs or arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for scene, size, mode in shots:
            if arguments.scene and scene not in arguments.scene:
                continue
            width, height = SIZES[size]
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if mode == "dark" else "light",
                reduced_motion="reduce",
            )
            page = context.new_page()
            shoot(page, arguments.ui, scene)
            if arguments.docs and page.locator("#mt-frame .mt-badge").count() == 0:
                print("screenshots: --docs: expected the demo catalogue, got another; its posters may not be published")
                return 1
            # A fixed panel shows only in a picture of the window; the others are taken whole.
            whole = scene != "film" and not arguments.docs
            png = page.screenshot(full_page=whole)
            path = folder / f"{scene}-{size}-{mode}.png"
            path.write_bytes(small_enough(png) if arguments.docs else png)
            print(path, flush=True)
            context.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
