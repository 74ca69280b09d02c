"""Setting titles and billing: wrapping, fitting, justifying, always inside the box given."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Literal

from PIL import Image, ImageDraw

from matinee.catalog.demo.artwork.canvas import Box, Canvas, Colour, Point
from matinee.catalog.demo.artwork.lettering import Hand, draw_text, has_marks, text_width

Align = Literal["left", "centre", "right"]

_MARK_ROOM = 0.36  # cap heights that accents need above a line


@dataclass(frozen=True)
class Line:
    """One line of lettering: its cap line at y, its letters `cap` pixels high."""

    text: str
    x: float
    y: float
    cap: float
    width: float


@dataclass(frozen=True)
class Setting:
    """Lines that fit a box."""

    lines: tuple[Line, ...]
    hand: Hand

    @property
    def box(self) -> Box:
        """What the lines cover, accents included."""
        return (
            min(line.x for line in self.lines),
            min(line.y - (_MARK_ROOM * line.cap if has_marks(line.text) else 0) for line in self.lines),
            max(line.x + line.width for line in self.lines),
            max(line.y + line.cap for line in self.lines),
        )

    def draw(
        self,
        draw: ImageDraw.ImageDraw,
        fill: Colour | int,
        *,
        warp: Callable[[int, float, float], Point] | None = None,
        offset: Point = (0, 0),
        hand: Hand | None = None,
    ) -> None:
        """Draws the lines; `hand` may be another weight of the same widths."""
        for line in self.lines:
            draw_text(
                draw,
                line.text,
                x=line.x + offset[0],
                y=line.y + offset[1],
                cap=line.cap,
                hand=hand or self.hand,
                fill=fill,
                warp=warp,
            )

    def mask(self, canvas: Canvas) -> Image.Image:
        """The lettering in white on black, as large as the canvas."""
        mask = Image.new("L", (canvas.width, canvas.height), 0)
        self.draw(ImageDraw.Draw(mask), 255)
        return mask

    def jitter(self, rng: random.Random, degrees: float = 5.0, shift: float = 0.05) -> Callable[..., Point]:
        """A warp that turns and moves each letter a little, as letters cut from paper sit."""
        cap = self.lines[0].cap
        turns = [(math.radians(rng.uniform(-degrees, degrees)), rng.uniform(-shift, shift) * cap) for _ in range(64)]

        def warp(index: int, x: float, y: float) -> Point:
            angle, rise = turns[index % 64]
            line = min(self.lines, key=lambda line: abs(line.y + line.cap / 2 - y))
            middle = line.y + line.cap / 2
            return x - angle * (y - middle), y + rise

        return warp


def set_title(
    text: str,
    box: Box,
    hand: Hand,
    *,
    align: Align = "centre",
    valign: Literal["top", "middle", "bottom"] = "middle",
    justify: bool = False,
    max_cap: float = 260,
    max_lines: int = 5,
    leading: float = 0.3,
) -> Setting:
    """Breaks a title into lines as large as the box allows.

    Args:
        justify: every line fills the width, each with letters of its own height.
        max_cap: no letter is higher than this, in pixels of the large sheet.
        leading: space between lines, in cap heights.

    Returns:
        Lines that lie inside the box. A word too long for the width at a readable height is narrowed, not clipped.
    """
    left, top, right, bottom = box
    best: tuple[float, list[tuple[str, float]], Hand] | None = None
    for narrow in (1.0, 0.86, 0.74, 0.62, 0.5):
        fitted = replace(hand, width=hand.width * narrow, stem=hand.stem * narrow**0.5, spacing=hand.spacing * narrow)
        for lines in _breaks(text, max_lines):
            sized = _sizes(
                lines,
                fitted,
                width=right - left,
                height=bottom - top,
                justify=justify,
                max_cap=max_cap,
                leading=leading,
            )
            smallest = min(cap for _, cap in sized)
            # Larger letters are better; fewer lines and natural widths are better at the same size.
            score = smallest * (0.94 ** (len(lines) - 1)) * (0.8 if narrow < 1 else 1.0) * narrow**0.15
            if best is None or score > best[0]:
                best = (score, sized, fitted)
        if best is not None and min(cap for _, cap in best[1]) >= 0.28 * max_cap:
            break
    assert best is not None  # _breaks gives at least one way
    _, sized, fitted = best
    height = _height(sized, leading)
    y = {"top": top, "middle": (top + bottom - height) / 2, "bottom": bottom - height}[valign]
    placed = []
    for index, (line, cap) in enumerate(sized):
        if index:
            y += leading * cap
        if has_marks(line):
            y += _MARK_ROOM * cap
        width = text_width(line, fitted) * cap
        x = {"left": left, "centre": (left + right - width) / 2, "right": right - width}[align]
        placed.append(Line(line, x, y, cap, width))
        y += cap
    return Setting(tuple(placed), fitted)


def _sizes(
    lines: Sequence[str],
    hand: Hand,
    *,
    width: float,
    height: float,
    justify: bool,
    max_cap: float,
    leading: float,
) -> list[tuple[str, float]]:
    widths = [max(text_width(line, hand), 0.2) for line in lines]
    common = min(width / max(widths), max_cap)
    caps = [min(width / w, max_cap) if justify else common for w in widths]
    sized = list(zip(lines, caps, strict=True))
    total = _height(sized, leading)
    if total > height:
        sized = [(line, cap * height / total) for line, cap in sized]
    return sized


def _height(sized: Sequence[tuple[str, float]], leading: float) -> float:
    total = sum(cap * (1 + (_MARK_ROOM if has_marks(line) else 0)) for line, cap in sized)
    return total + sum(leading * cap for _, cap in sized[1:])


@lru_cache(maxsize=512)
def _breaks(text: str, max_lines: int) -> tuple[tuple[str, ...], ...]:
    """Ways to break a text at spaces, the most even one for each number of lines."""
    words = text.split()
    ways: list[tuple[str, ...]] = []
    for count in range(1, min(max_lines, len(words)) + 1):
        candidates: Iterable[tuple[int, ...]] = combinations(range(1, len(words)), count - 1)
        if len(words) > 14:  # long titles: break evenly by length instead of trying every way
            candidates = [_even_cuts(words, count)]
        best: tuple[float, tuple[str, ...]] | None = None
        for cuts in candidates:
            edges = (0, *cuts, len(words))
            lines = tuple(" ".join(words[a:b]) for a, b in pairwise(edges))
            longest = max(len(line) for line in lines)
            # Even lines, and no line that ends in a small word that belongs to the next.
            score = longest + sum(1.5 for line in lines[:-1] if line.split()[-1].lower() in _SMALL)
            if best is None or score < best[0]:
                best = (score, lines)
        if best is not None:
            ways.append(best[1])
    return tuple(ways) or ((text,),)


_SMALL = frozenset(
    (
        "a",
        "an",
        "the",
        "of",
        "and",
        "in",
        "on",
        "to",
        "or",
        "for",
        "at",
        "by",
        "la",
        "le",
        "les",
        "de",
        "el",
        "der",
        "die",
    )
)


def _even_cuts(words: Sequence[str], count: int) -> tuple[int, ...]:
    total = sum(len(word) + 1 for word in words)
    cuts: list[int] = []
    seen = 0
    for index, word in enumerate(words[:-1], start=1):
        seen += len(word) + 1
        if len(cuts) < count - 1 and seen >= total * (len(cuts) + 1) / count:
            cuts.append(index)
    while len(cuts) < count - 1:
        cuts.append(cuts[-1] + 1 if cuts else 1)
    return tuple(cuts)
