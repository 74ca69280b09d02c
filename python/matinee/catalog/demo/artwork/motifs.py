"""Silhouettes of the things films are about, drawn with a few points each.

A motif is written in a square of 100 by 100, y down, standing things on y = 100. Its parts:

    s x,y …      a closed smooth curve through the points (Catmull-Rom)
    p x,y …      a polygon
    c x,y,r      a disc
    e x,y,rx,ry  an ellipse
    l w x,y …    a line w wide with round ends
    o w x,y,r    a ring w thick

A part after ``-`` is cut out (drawn in the colour behind), after ``+`` in the accent colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from PIL import ImageDraw

from matinee.catalog.demo.artwork.canvas import Canvas, Colour, Point
from matinee.catalog.demo.artwork.silhouettes import SILHOUETTES


@dataclass(frozen=True)
class _Part:
    tone: int  # 0 figure, 1 cut out, 2 accent
    kind: str
    width: float
    numbers: tuple[float, ...]


def known(name: str) -> bool:
    """True where a motif of that name is drawn."""
    return name in SILHOUETTES


def draw_motif(
    canvas: Canvas,
    name: str,
    *,
    foot: Point,
    height: float,
    colour: Colour,
    cut: Colour,
    accent: Colour | None = None,
    mirror: bool = False,
    turn: float = 0.0,
) -> None:
    """Draws a motif `height` pixels high, the middle of its lower edge at `foot`, turned by `turn` degrees there."""
    paint_motif(
        canvas.draw, name, foot=foot, height=height, colours=(colour, cut, accent or cut), mirror=mirror, turn=turn
    )


def paint_motif(
    draw: ImageDraw.ImageDraw,
    name: str,
    *,
    foot: Point,
    height: float,
    colours: tuple[Colour | int, Colour | int, Colour | int],
    mirror: bool = False,
    turn: float = 0.0,
) -> None:
    """As draw_motif, on any Pillow drawing; `colours` are of the figure, what is cut out, and the accents."""
    scale = height / 100
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))

    def place(x: float, y: float) -> Point:
        u, v = (50 - x if mirror else x - 50) * scale, (y - 100) * scale
        return foot[0] + u * cos - v * sin, foot[1] + u * sin + v * cos

    for part in _parts(name):
        fill, numbers = colours[part.tone], part.numbers
        if part.kind in "ceo":
            x, y = place(numbers[0], numbers[1])
            rx, ry = numbers[2] * scale, numbers[-1] * scale
            if part.kind == "o":
                draw.ellipse((x - rx, y - ry, x + rx, y + ry), outline=fill, width=max(1, round(part.width * scale)))
            elif part.kind == "c" or turn == 0:
                draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)
            else:
                around = [math.radians(a) for a in range(0, 360, 12)]
                draw.polygon(
                    [
                        place(numbers[0] + numbers[2] * math.cos(a), numbers[1] + numbers[3] * math.sin(a))
                        for a in around
                    ],
                    fill=fill,
                )
            continue
        points = [place(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2)]
        if part.kind == "l":
            thick = max(1.0, part.width * scale)
            draw.line(points, fill=fill, width=round(thick), joint="curve")
            for x, y in (points[0], points[-1]) if len(points) > 1 else points:
                draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=fill)
        else:
            draw.polygon(smooth(points) if part.kind == "s" else points, fill=fill)


def smooth(points: list[Point], steps: int = 7) -> list[Point]:
    """A closed Catmull-Rom curve through the points."""
    count = len(points)
    curve: list[Point] = []
    for i in range(count):
        p0, p1, p2, p3 = (points[(i + k) % count] for k in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            t2, t3 = t * t, t * t * t
            a, b = -0.5 * t3 + t2 - 0.5 * t, 1.5 * t3 - 2.5 * t2 + 1
            c, d = -1.5 * t3 + 2 * t2 + 0.5 * t, 0.5 * t3 - 0.5 * t2
            curve.append((a * p0[0] + b * p1[0] + c * p2[0] + d * p3[0], a * p0[1] + b * p1[1] + c * p2[1] + d * p3[1]))
    return curve


@lru_cache(maxsize=256)
def _parts(name: str) -> tuple[_Part, ...]:
    parts: list[list[str]] = []
    for word in SILHOUETTES[name].split():
        if word[-1].isalpha():
            parts.append([word])
        else:
            parts[-1].append(word)
    return tuple(_part(words) for words in parts)


def _part(words: list[str]) -> _Part:
    tone = {"-": 1, "+": 2}.get(words[0][0], 0)
    kind = words[0].lstrip("+-")
    width = float(words[1]) if kind in "lo" else 0.0
    numbers = words[2:] if kind in "lo" else words[1:]
    return _Part(tone, kind, width, tuple(float(n) for word in numbers for n in word.split(",")))
