"""What every composition works with: the sheet, the colours, the motif, and where it leaves room for the title."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from matinee.catalog.demo.artwork.canvas import HEIGHT, WIDTH, Box, Canvas, Colour, Point, mix
from matinee.catalog.demo.artwork.lettering import Hand
from matinee.catalog.demo.artwork.motifs import draw_motif
from matinee.catalog.demo.artwork.palettes import Palette

MARGIN = 56.0
Effect = Literal["plain", "shadow", "outline", "jitter", "glow", "inline", "split"]
Terrain = Literal["hills", "dunes", "peaks", "city", "forest", "sea"]


@dataclass(frozen=True)
class Layout:
    """Room a composition leaves for words."""

    title: Box
    colour: Colour
    align: Literal["left", "centre", "right"] = "centre"
    valign: Literal["top", "middle", "bottom"] = "middle"
    justify: bool = False
    max_cap: float = 170
    effect: Effect = "plain"
    effect_colour: Colour | None = None
    hand: Hand | None = None  # the composition's own choice of lettering
    billing: Box = (MARGIN, 1098, WIDTH - MARGIN, 1168)
    billing_colour: Colour | None = None  # None: as the title
    billing_align: Literal["left", "centre", "right"] = "centre"


@dataclass
class Scene:
    """One poster in the making."""

    canvas: Canvas
    rng: random.Random
    palette: Palette
    motif: str
    second: str
    genre: str
    decade: int
    tags: frozenset[str] = field(default_factory=frozenset)

    @property
    def night(self) -> Colour:
        return self.palette.night

    @property
    def paper(self) -> Colour:
        return self.palette.paper

    @property
    def main(self) -> Colour:
        return self.palette.main

    @property
    def second_tone(self) -> Colour:
        return self.palette.second

    @property
    def accent(self) -> Colour:
        return self.palette.accent

    def figure(
        self,
        foot: Point,
        height: float,
        colour: Colour | None = None,
        *,
        cut: Colour | None = None,
        accent: Colour | None = None,
        name: str | None = None,
        mirror: bool | None = None,
        turn: float = 0.0,
    ) -> None:
        """The motif, in the darkest colour unless told otherwise, looking either way."""
        draw_motif(
            self.canvas,
            name or self.motif,
            foot=foot,
            height=height,
            colour=colour or self.night,
            cut=cut or self.paper,
            accent=accent or self.accent,
            mirror=self.rng.random() < 0.5 if mirror is None else mirror,
            turn=turn,
        )

    def ridge(self, kind: Terrain, y: float, colour: Colour, *, rise: float = 90, box: Box | None = None) -> None:
        """A line of land across the sheet at about `y`, filled down to the bottom of the box."""
        left, _, right, bottom = box or (0, 0, WIDTH, HEIGHT)
        outline = _TERRAINS[kind](self.rng, left, right, y, rise)
        self.canvas.polygon([(left, bottom), *outline, (right, bottom)], colour)

    def lands(self, kind: Terrain, top: float, near: Colour, far: Colour, *, count: int = 3, step: float = 90) -> None:
        """Ridges one before the other, from far to near."""
        for index in range(count):
            share = (index + 1) / count
            self.ridge(kind, top + step * index, mix(far, near, share), rise=70 + 26 * index)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share


def _smooth_line(rng: random.Random, left: float, right: float, y: float, rise: float) -> list[Point]:
    waves = [(rng.uniform(0.6, 1.4) * n, rng.uniform(0, 6.3), rng.uniform(0.4, 1) / n) for n in (1, 2, 3)]
    count = 60
    points = []
    for i in range(count + 1):
        t = i / count
        lift = sum(a * math.sin(f * 2 * math.pi * t + phase) for f, phase, a in waves)
        points.append((left + (right - left) * t, y + rise * 0.45 * lift))
    return points


def _dunes(rng: random.Random, left: float, right: float, y: float, rise: float) -> list[Point]:
    points = [(left, y + rng.uniform(-0.3, 0.3) * rise)]
    x = left
    while x < right:
        crest, foot = x + rng.uniform(120, 300), rng.uniform(60, 160)
        for i in range(1, 13):
            t = i / 12
            points.append((x + (crest - x) * t, y - rise * 0.9 * math.sin(t * math.pi / 2) ** 2 + rise * 0.4))
        points.append((crest + foot, y + rise * 0.4))
        x = crest + foot
    return points


def _peaks(rng: random.Random, left: float, right: float, y: float, rise: float) -> list[Point]:
    points = [(left, y)]
    x = left
    while x < right:
        x += rng.uniform(50, 130)
        points.append((x, y - rise * rng.uniform(0.5, 1.5)))
        x += rng.uniform(40, 110)
        points.append((x, y - rise * rng.uniform(-0.2, 0.4)))
    return points


def _city(rng: random.Random, left: float, right: float, y: float, rise: float) -> list[Point]:
    points: list[Point] = []
    x = left
    while x < right:
        width, top = rng.uniform(34, 92), y - rise * rng.uniform(0.1, 1.9)
        roof = rng.random()
        if roof < 0.2:
            points += [(x, top), (x + width / 2, top - 40), (x + width, top)]
        elif roof < 0.4:
            mast = x + width * 0.5
            points += [(x, top), (mast - 2, top), (mast - 2, top - 54), (mast + 2, top - 54), (mast + 2, top)]
            points += [(x + width, top)]
        else:
            points += [(x, top), (x + width, top)]
        x += width
    return points


def _forest(rng: random.Random, left: float, right: float, y: float, rise: float) -> list[Point]:
    points: list[Point] = [(left, y)]
    x = left - 20
    while x < right:
        width, height = rng.uniform(44, 84), rise * rng.uniform(0.9, 2.0)
        tiers = 4
        up, down = [], []
        for tier in range(tiers):
            h, w = height * tier / tiers, width / 2 * (1 - tier / tiers)
            up += [(x + width / 2 - w, y - h), (x + width / 2 - w * 0.55, y - h - height / tiers * 0.7)]
            down += [(x + width / 2 + w, y - h), (x + width / 2 + w * 0.55, y - h - height / tiers * 0.7)]
        points += [*up, (x + width / 2, y - height), *reversed(down)]
        x += width * rng.uniform(0.6, 0.95)
    return [*points, (right, y)]


def _sea(rng: random.Random, left: float, right: float, y: float, rise: float) -> list[Point]:
    length, phase = rng.uniform(90, 150), rng.uniform(0, 90)
    points = []
    x = left
    while x <= right + 8:
        t = ((x + phase) % length) / length
        points.append((x, y - rise * 0.3 * (1 - abs(2 * t - 1)) ** 1.7))
        x += 8
    return points


_TERRAINS: dict[Terrain, Callable[[random.Random, float, float, float, float], list[Point]]] = {
    "hills": _smooth_line,
    "dunes": _dunes,
    "peaks": _peaks,
    "city": _city,
    "forest": _forest,
    "sea": _sea,
}
