"""The sheet a poster is painted on: flat shapes, gradients, glows, paper grain.

Everything is painted at twice the final size and halved at the end, which smooths the edges that Pillow draws hard.
Coordinates are those of the large sheet: 800 wide, 1200 high for a poster.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom

SCALE = 2
WIDTH, HEIGHT = 800, 1200


@lru_cache(maxsize=1024)
def rgb(code: str) -> Colour:
    """``"#e4572e"`` -> (228, 87, 46)."""
    return ImageColor.getrgb(code)[:3]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of b in a, 0 … 1."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def luminance(colour: Colour) -> float:
    """Relative luminance of WCAG, 0 black … 1 white."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: Colour, b: Colour) -> float:
    """Contrast ratio of WCAG, 1 (none) … 21."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


class Canvas:
    """A sheet being painted. Colours are RGB; positions are in pixels of the large sheet."""

    def __init__(self, ground: Colour, *, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.width = width
        self.height = height
        self.image = Image.new("RGB", (width, height), ground)
        self.draw = ImageDraw.Draw(self.image)

    def sibling(self, ground: Colour) -> Canvas:
        """Another sheet of the same size, to paint something that is pasted through a mask."""
        return Canvas(ground, width=self.width, height=self.height)

    # Flat shapes

    def rect(self, box: Box, colour: Colour) -> None:
        left, top, right, bottom = box
        if right > left and bottom > top:
            self.draw.rectangle((round(left), round(top), round(right) - 1, round(bottom) - 1), fill=colour)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        self.draw.polygon(points, fill=colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        x, y = centre
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def ring(self, centre: Point, radius: float, thickness: float, colour: Colour) -> None:
        x, y = centre
        self.draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius), outline=colour, width=max(1, round(thickness))
        )

    def line(self, points: Sequence[Point], thickness: float, colour: Colour) -> None:
        self.draw.line(points, fill=colour, width=max(1, round(thickness)), joint="curve")

    def rays(self, centre: Point, count: int, colour: Colour, *, radius: float = 1600, turn: float = 0.0) -> None:
        """Every second sector of a fan around `centre`."""
        step = 2 * math.pi / count
        for index in range(0, count, 2):
            a, b = turn + index * step, turn + (index + 1) * step
            self.polygon(
                [
                    centre,
                    (centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)),
                    (centre[0] + radius * math.cos(b), centre[1] + radius * math.sin(b)),
                ],
                colour,
            )

    # Soft things, made small and stretched

    def gradient(self, stops: Sequence[Colour], box: Box | None = None, *, sideways: bool = False) -> None:
        """Fills a box from top to bottom (or left to right) through evenly spaced colours."""
        left, top, right, bottom = (round(v) for v in (box or (0, 0, self.width, self.height)))
        if right <= left or bottom <= top:
            return
        length = right - left if sideways else bottom - top
        at = np.linspace(0, len(stops) - 1, length)
        table = np.asarray(stops, dtype=np.float32)  # (S, 3)
        channels = [np.interp(at, np.arange(len(stops)), table[:, c]) for c in range(3)]
        strip = np.stack(channels, axis=-1).round().astype(np.uint8)  # (L, 3)
        image = Image.fromarray(strip[None] if sideways else strip[:, None])
        self.image.paste(image.resize((right - left, bottom - top), Image.Resampling.NEAREST), (left, top))

    def glow(self, centre: Point, radius: float, colour: Colour, strength: float = 1.0, *, squash: float = 1.0) -> None:
        """Light fading from `centre` outwards; `squash` below 1 flattens it."""
        side = max(2, round(radius * 2))
        tall = max(2, round(radius * 2 * squash))
        mask = _falloff().resize((side, tall), Image.Resampling.BILINEAR)
        if strength < 1:
            mask = mask.point([round(v * strength) for v in range(256)])
        self.image.paste(colour, (round(centre[0] - side / 2), round(centre[1] - tall / 2)), mask)

    def vignette(self, colour: Colour, strength: float = 0.6) -> None:
        """Darkens (or tints) the edges of the whole sheet."""
        mask = _edges().resize((self.width, self.height), Image.Resampling.BILINEAR)
        self.image.paste(colour, (0, 0), mask.point([round(v * strength) for v in range(256)]))

    def fade(self, colour: Colour, box: Box, start: float, end: float) -> None:
        """A veil over a box, its opacity going from `start` at the top to `end` at the bottom."""
        left, top, right, bottom = (round(v) for v in box)
        if right <= left or bottom <= top:
            return
        ramp = np.linspace(start * 255, end * 255, bottom - top).round().astype(np.uint8)
        mask = Image.fromarray(ramp[:, None]).resize((right - left, bottom - top), Image.Resampling.NEAREST)
        self.image.paste(colour, (left, top), mask)

    def paint(self, mask: Image.Image, colour: Colour, at: tuple[int, int] = (0, 0)) -> None:
        """Colour where `mask` (L) is white."""
        self.image.paste(colour, at, mask)

    def haze(self, mask: Image.Image, radius: float, colour: Colour, strength: float = 1.0) -> None:
        """A soft shine around `mask`, blurred at an eighth of the size."""
        small = mask.reduce(8).filter(ImageFilter.GaussianBlur(radius / 8))
        small = small.point([min(255, round(v * 1.6 * strength)) for v in range(256)])
        self.image.paste(colour, (0, 0), small.resize((self.width, self.height), Image.Resampling.BILINEAR))

    # Small lights

    def stars(self, rng: random.Random, count: int, colour: Colour, box: Box | None = None) -> None:
        left, top, right, bottom = box or (0, 0, self.width, self.height)
        ground = self.image.getpixel((self.width // 2, max(0, min(self.height - 1, round(top) + 4))))
        dim = mix(ground, colour, 0.55)  # type: ignore[arg-type]
        for _ in range(count):
            x, y = rng.uniform(left, right), rng.uniform(top, bottom)
            radius = rng.choice((1.0, 1.0, 1.5, 1.5, 2.5))
            self.disc((x, y), radius, colour if radius > 1 else dim)

    def finish(self, rng: random.Random | None = None, grain: float = 0.0) -> Image.Image:
        """The sheet at its final size, with the grain of paper when `grain` is above 0 (1 is coarse)."""
        image = self.image.reduce(SCALE)
        if rng is None or grain <= 0:
            return image
        tile = _noise()
        left, top = rng.randrange(tile.width - image.width), rng.randrange(tile.height - image.height)
        part = tile.crop((left, top, left + image.width, top + image.height))
        flat = round(128 * (1 - grain))
        part = part.point([min(255, round(flat + v * grain)) for v in range(256)])
        return ImageChops.overlay(image, Image.merge("RGB", (part, part, part)))


def encode_jpeg(image: Image.Image, quality: int = 88) -> bytes:
    """JPEG bytes; the same image gives the same bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, subsampling=0 if quality > 90 else 2)
    return out.getvalue()


@lru_cache(maxsize=1)
def _falloff() -> Image.Image:
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    fade: NDArray[np.float64] = np.clip(1 - np.hypot(x, y), 0, 1)
    return Image.fromarray((255 * fade**1.6).astype(np.uint8))


@lru_cache(maxsize=1)
def _edges() -> Image.Image:
    y, x = np.mgrid[-1:1:96j, -1:1:64j]
    return Image.fromarray((255 * np.clip((np.hypot(x * 0.95, y * 0.95) - 0.45) / 0.85, 0, 1) ** 1.5).astype(np.uint8))


@lru_cache(maxsize=1)
def _noise() -> Image.Image:
    """A tile of paper: fine grain and slow mottling, mid-grey on average. RandomState's stream is frozen for ever."""
    state = np.random.RandomState(1895)
    fine = state.normal(0, 1, (750, 550))
    mottle = np.asarray(
        Image.fromarray(state.normal(0, 1, (38, 28)).astype(np.float32)).resize((550, 750), Image.Resampling.BICUBIC)
    )
    return Image.fromarray(np.clip(128 + 15 * fine + 11 * mottle, 0, 255).astype(np.uint8))
