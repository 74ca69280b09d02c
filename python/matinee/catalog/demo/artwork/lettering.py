"""A drawn alphabet of capitals: one set of skeletons, many hands.

Pillow's own font has one weight and no accents, and a font from the system may be there or not. So the letters of the
demo are drawn: each capital is a skeleton of straight lines and rounded corners in the unit square, and a `Hand` says
how wide it is, how thick its stems and bars are, how round its corners, with or without serifs. One skeleton gives a
condensed gothic, a geometric sans, a slab for a western or a fine-lined serif.

Coordinates: x to the right, y down, 0 the cap line and 1 the base line. Lengths of a `Hand` are in cap heights.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from PIL import ImageDraw

from matinee.catalog.demo.artwork.alphabet import KERNING, MARKS, SKELETONS, SPELLED, STRUCK

Point = tuple[float, float]
Fill = int | tuple[int, ...]
_Node = tuple[float, float, bool]  # x, y, rounded

_KAPPA = 0.5523  # control length of a quarter ellipse drawn as a cubic Bézier curve


@dataclass(frozen=True)
class Hand:
    """A way of drawing the alphabet. Lengths are in cap heights."""

    width: float = 0.6  # of a standard letter, stems included
    stem: float = 0.16  # thickness of vertical strokes
    bar: float = 0.14  # thickness of horizontal strokes
    roundness: float = 1.0  # 0 square corners … 1 half ellipses
    spacing: float = 0.07  # between letters
    serif: float = 0.0  # overhang at the ends of stems; 0 is a sans
    serif_bar: float = 0.08  # thickness of the serifs
    slant: float = 0.0  # run per rise; 0.2 is about 11 degrees
    chamfer: bool = False  # corners cut straight instead of rounded
    stadium: bool = False  # corners no taller than wide, so that narrow letters keep straight sides
    word_space: float = 0.34


@dataclass(frozen=True)
class _Stroke:
    points: tuple[_Node, ...]
    closed: bool


@lru_cache(maxsize=512)
def _parse(text: str) -> tuple[_Stroke, ...]:
    strokes = []
    for part in text.split(";"):
        words = part.split()
        closed = words[-1] == "z"
        points = []
        for word in words[:-1] if closed else words:
            x, y = word.rstrip("r").split(",")
            points.append((float(x), float(y), word.endswith("r")))
        strokes.append(_Stroke(tuple(points), closed))
    return tuple(strokes)


@lru_cache(maxsize=4096)
def spell(text: str) -> tuple[tuple[str, str], ...]:
    """Capitals with their marks: ``"Amélie"`` -> (("A", ""), ("M", ""), ("E", "\u0301"), …).

    Characters that the alphabet does not draw are left out; a space is (" ", "").
    """
    letters: list[tuple[str, str]] = []
    for char in unicodedata.normalize("NFD", text.translate(SPELLED).upper()):
        if char in MARKS:
            if letters and letters[-1][0] != " ":
                letters[-1] = (letters[-1][0], letters[-1][1] + char)
        elif char in STRUCK:
            letters.append((STRUCK[char], "/"))
        elif char in SKELETONS:
            letters.append((char, ""))
        elif char.isspace() and letters and letters[-1][0] != " ":
            letters.append((" ", ""))
    return tuple(letters)


def drawable(text: str) -> bool:
    """True where at least half of the characters can be drawn."""
    visible = sum(not char.isspace() for char in text)
    return visible > 0 and sum(letter != " " for letter, _ in spell(text)) * 2 >= visible


def has_marks(text: str) -> bool:
    """True where something is drawn above the cap line."""
    return any(mark not in ("", "/") for _, mark in spell(text))


def letter_width(letter: str, hand: Hand) -> float:
    """Width of one letter in cap heights, without the space after it."""
    if letter == " ":
        return max(hand.word_space, hand.word_space * hand.width / 0.6) - hand.spacing
    return SKELETONS[letter][0] * max(hand.width - hand.stem, 0.1) + hand.stem


def _kern(first: str, second: str, hand: Hand) -> float:
    return 0.0 if hand.serif else KERNING.get(first + second, 0.0) * min(hand.width / 0.6, 1.4)


@lru_cache(maxsize=8192)
def text_width(text: str, hand: Hand) -> float:
    """Width of a line in cap heights."""
    letters = spell(text)
    if not letters:
        return 0.0
    inner = sum(letter_width(letter, hand) for letter, _ in letters) + hand.spacing * (len(letters) - 1)
    inner -= sum(_kern(a, b, hand) for (a, _), (b, _) in pairwise(letters))
    return inner + 2 * hand.serif + abs(hand.slant)


Place = Callable[[float, float], Point]


def draw_text(
    draw: ImageDraw.ImageDraw,
    text: str,
    *,
    x: float,
    y: float,
    cap: float,
    hand: Hand,
    fill: Fill = 255,
    warp: Callable[[int, float, float], Point] | None = None,
) -> None:
    """Draws one line with its cap line at `y` and its left edge at `x`, `cap` pixels high.

    Args:
        warp: moves a pixel of the i-th letter somewhere else, given (i, x, y): jitter, arches, waves.
    """
    pen_x = hand.serif * cap
    lean = hand.slant
    letters = spell(text)
    for index, (letter, marks) in enumerate(letters):
        width = letter_width(letter, hand) * cap
        if letter != " ":
            left = x + pen_x

            def place(u: float, v: float, left: float = left, index: int = index) -> Point:
                px, py = left + u + lean * (cap - v), y + v
                return warp(index, px, py) if warp else (px, py)

            _draw_letter(draw, letter, marks, width=width, cap=cap, hand=hand, place=place, fill=fill)
        pen_x += width + hand.spacing * cap
        if index + 1 < len(letters):
            pen_x -= _kern(letter, letters[index + 1][0], hand) * cap


def _draw_letter(
    draw: ImageDraw.ImageDraw,
    letter: str,
    marks: str,
    *,
    width: float,
    cap: float,
    hand: Hand,
    place: Place,
    fill: Fill,
) -> None:
    pen = _Pen(draw, hand, place, fill, cap, hand.stem * cap, hand.bar * cap)
    span_x, span_y = max(width - pen.stem, 0.0), cap - pen.bar
    for stroke in _parse(SKELETONS[letter][1]):
        points = [(pen.stem / 2 + px * span_x, pen.bar / 2 + py * span_y, rounded) for px, py, rounded in stroke.points]
        pen.stroke(points, closed=stroke.closed)
        if hand.serif and letter.isalnum():
            pen.serifs(stroke, points)
    thin = min(pen.stem, pen.bar, 0.13 * cap)
    pen = replace(pen, stem=thin, bar=thin)
    reach = min(cap, width * 1.5)
    for mark in marks:
        if mark == "/":
            ends = (0.02, 0.86, 0.98, 0.14) if letter == "O" else (-0.1, 0.62, 0.55, 0.38)
            points = [(width * ends[0], cap * ends[1], False), (width * ends[2], cap * ends[3], False)]
            pen.stroke(points, closed=False)
            continue
        for stroke in _parse(MARKS[mark]):
            points = [(width / 2 + px * reach, py * cap, rounded) for px, py, rounded in stroke.points]
            pen.stroke(points, closed=stroke.closed)


@dataclass(frozen=True)
class _Pen:
    """A pen `stem` pixels wide and `bar` pixels high, for one letter of height `cap`."""

    draw: ImageDraw.ImageDraw
    hand: Hand
    place: Place
    fill: Fill
    cap: float
    stem: float
    bar: float

    def stroke(self, points: Sequence[_Node], *, closed: bool) -> None:
        """Sweeps the pen along straight lines and rounded corners."""
        count = len(points)
        height = max(py for _, py, _ in points) - min(py for _, py, _ in points)
        start: list[Point] = []  # where each corner's curve begins and ends on its two lines
        end: list[Point] = []
        for index, (px, py, rounded) in enumerate(points):
            if not rounded or self.hand.roundness == 0:
                start.append((px, py))
                end.append((px, py))
                continue
            before, after = points[(index - 1) % count], points[(index + 1) % count]
            reach_before, reach_after = _reach((px, py), before, height), _reach((px, py), after, height)
            if self.hand.stadium:
                reach_before = min(reach_before, 1.2 * reach_after)
                reach_after = min(reach_after, 1.2 * reach_before)
            start.append(_towards((px, py), before, reach_before * self.hand.roundness))
            end.append(_towards((px, py), after, reach_after * self.hand.roundness))
        for index in range(count if closed else count - 1):
            self._line(end[index], start[(index + 1) % count])
        for index, (px, py, rounded) in enumerate(points):
            if rounded and self.hand.roundness > 0:
                self._corner(start[index], (px, py), end[index])
            elif closed or 0 < index < count - 1:
                neighbours = points[(index - 1) % count], points[(index + 1) % count]
                if all(abs(n[0] - px) < 1e-6 or abs(n[1] - py) < 1e-6 for n in neighbours):
                    self._box(px, px, py, py)

    def serifs(self, stroke: _Stroke, points: Sequence[_Node]) -> None:
        """A bar across every end of a stem, and a tick at the ends of long bars, as in a slab or a Didone."""
        cap, reach, thick, stem = self.cap, self.hand.serif * self.cap, self.hand.serif_bar * self.cap, self.stem
        last = len(points) - 1
        for index, (px, py, rounded) in enumerate(points):
            unit_y = stroke.points[index][1]
            if rounded or unit_y not in (0.0, 1.0):
                continue
            neighbours = [points[i] for i in (index - 1, index + 1) if 0 <= i <= last]
            steep = [n for n in neighbours if abs(n[1] - py) > 0.2 * cap]
            if not steep:
                if index in (0, last) and not stroke.closed and neighbours:  # the end of a bar: a tick inwards
                    down, edge = (1, 0.0) if unit_y == 0.0 else (-1, cap)
                    sign = 1 if neighbours[0][0] < px else -1
                    tip = px + sign * stem * 0.5
                    back = tip - sign * thick
                    self._fill(
                        [(tip, edge), (back, edge), (back, edge + down * cap * 0.24), (tip, edge + down * cap * 0.28)]
                    )
                continue
            top = 0.0 if unit_y == 0.0 else cap - thick
            left, right = px - stem / 2 - reach, px + stem / 2 + reach
            if len(neighbours) > len(steep):  # a corner: the bar goes on to one side, the serif shows on the other
                bar_end = next(n for n in neighbours if n not in steep)
                left, right = (left, px) if bar_end[0] > px else (px, right)
            self._fill([(left, top), (right, top), (right, top + thick), (left, top + thick)])

    def _line(self, a: Point, b: Point) -> None:
        (ax, ay), (bx, by) = a, b
        dx, dy = bx - ax, by - ay
        if abs(dx) < 1e-6 or abs(dy) < 1e-6:
            self._box(min(ax, bx), max(ax, bx), min(ay, by), max(ay, by))
            return
        length = math.hypot(dx, dy)
        thick = math.hypot(self.stem * dy / length, self.bar * dx / length)  # as thick as an elliptical pen's line
        if abs(dy) * 1.6 < abs(dx):
            half = thick * length / abs(dx) / 2
            self._fill([(ax, ay - half), (bx, by - half), (bx, by + half), (ax, ay + half)])
            return
        # Steep: cut level, and drawn out to the cap line or base line where it ends there, so that feet stand on it.
        half = thick * length / abs(dy) / 2
        down = math.copysign(self.bar / 2, dy)
        a_out = down if self._at_edge(ay) else 0.0
        b_out = down if self._at_edge(by) else 0.0
        ax, ay = ax - a_out * dx / dy, ay - a_out
        bx, by = bx + b_out * dx / dy, by + b_out
        self._fill([(ax - half, ay), (ax + half, ay), (bx + half, by), (bx - half, by)])

    def _at_edge(self, y: float) -> bool:
        return y < self.bar * 0.6 or y > self.cap - self.bar * 0.6

    def _corner(self, a: Point, corner: Point, b: Point) -> None:
        """A rounded corner as one polygon: its curve moved outwards and inwards by half the pen."""
        c1 = a[0] + (corner[0] - a[0]) * _KAPPA, a[1] + (corner[1] - a[1]) * _KAPPA
        c2 = b[0] + (corner[0] - b[0]) * _KAPPA, b[1] + (corner[1] - b[1]) * _KAPPA
        size = max(abs(b[0] - a[0]), abs(b[1] - a[1]))
        steps = 1 if self.hand.chamfer else max(4, min(12, int(size / 5)))
        outer: list[Point] = []
        inner: list[Point] = []
        for step in range(steps + 1):
            t = step / steps
            s = 1 - t
            x = s * s * s * a[0] + 3 * s * s * t * c1[0] + 3 * s * t * t * c2[0] + t * t * t * b[0]
            y = s * s * s * a[1] + 3 * s * s * t * c1[1] + 3 * s * t * t * c2[1] + t * t * t * b[1]
            if step == 0:
                dx, dy = corner[0] - a[0], corner[1] - a[1]
            elif step == steps:
                dx, dy = b[0] - corner[0], b[1] - corner[1]
            else:
                dx = s * s * (c1[0] - a[0]) + 2 * s * t * (c2[0] - c1[0]) + t * t * (b[0] - c2[0])
                dy = s * s * (c1[1] - a[1]) + 2 * s * t * (c2[1] - c1[1]) + t * t * (b[1] - c2[1])
            reach = math.hypot(self.stem * dy, self.bar * dx) or 1.0
            ox, oy = self.stem * self.stem * dy / reach / 2, -self.bar * self.bar * dx / reach / 2
            outer.append((x + ox, y + oy))
            inner.append((x - ox, y - oy))
        self._fill([*outer, *reversed(inner)])

    def _box(self, x0: float, x1: float, y0: float, y1: float) -> None:
        """The pen swept from corner to corner of an upright or level line."""
        hx, hy = self.stem / 2, self.bar / 2
        self._fill([(x0 - hx, y0 - hy), (x1 + hx, y0 - hy), (x1 + hx, y1 + hy), (x0 - hx, y1 + hy)])

    def _fill(self, points: Sequence[Point]) -> None:
        self.draw.polygon([self.place(x, y) for x, y in points], fill=self.fill)


def _reach(corner: Point, neighbour: _Node, height: float) -> float:
    """How far a rounded corner may eat into the line to its neighbour."""
    dx, dy = abs(neighbour[0] - corner[0]), abs(neighbour[1] - corner[1])
    if neighbour[2]:
        return math.hypot(dx, dy) / 2
    # A long straight stem (U, J) keeps its upper half straight; a bar (D, P) may curve for most of its length.
    return min(dy, 0.5 * height) if dx < 1e-6 else 0.85 * math.hypot(dx, dy)


def _towards(corner: Point, neighbour: _Node, reach: float) -> Point:
    length = math.hypot(neighbour[0] - corner[0], neighbour[1] - corner[1]) or 1.0
    share = reach / length
    return corner[0] + (neighbour[0] - corner[0]) * share, corner[1] + (neighbour[1] - corner[1]) * share
