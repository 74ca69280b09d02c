"""The colours of the pages: text can be read on its ground, dark and light."""

import re
from pathlib import Path

import pytest

STYLE = Path(__file__).resolve().parents[3] / "app" / "ui" / "static" / "style.css"
# Text, the grounds it stands on.
PAIRS = [
    ("ink", ("paper", "surface", "input", "line")),
    ("quiet", ("paper", "surface", "input")),
    ("link", ("paper", "surface")),
    ("wrong", ("paper", "surface")),
]
ON_AMBER = "#1d1408"


def colours(block: str) -> dict[str, str]:
    css = STYLE.read_text(encoding="utf-8")
    inner = css[css.index(block) :].split("}", 1)[0]
    return dict(re.findall(r"--mt-([a-z-]+): (#[0-9a-f]{6});", inner))


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_the_formula_knows_black_on_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("mode", [":root {", ".dark {"])
def test_text_reaches_aa_on_every_ground(mode: str) -> None:
    known = colours(mode)
    for text, grounds in PAIRS:
        for ground in grounds:
            assert contrast(known[text], known[ground]) >= 4.5, (text, ground)
    for amber in ("amber", "amber-bright"):
        assert contrast(ON_AMBER, known[amber]) >= 4.5
    assert contrast(known["edge"], known["paper"]) >= 1.5  # edges are decoration beside labels, not text


def test_the_pages_load_nothing_from_another_host() -> None:
    for path in STYLE.parent.iterdir():
        found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", path.read_text(encoding="utf-8"))
        assert set(found) <= {"http://www.w3.org"}, path.name  # the name of SVG, which nobody fetches
