"""Pictures that stand in for photographs: soft light, noise, no lettering. Made of noise and shading."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter


def landscape(rng: random.Random) -> Image.Image:
    """Ridges in haze, or a shore, with a cloudy sky."""
    width, height = rng.choice(((480, 320), (360, 480), (400, 400), (400, 600), (520, 300)))
    hue = rng.choice(((0.56, 0.6, 0.68), (0.7, 0.55, 0.42), (0.45, 0.55, 0.62), (0.62, 0.52, 0.6)))
    sky = np.asarray(hue, dtype=np.float32)
    y = np.mgrid[0:height, 0:width][0].astype(np.float32)
    clouds = _fractal(rng, height, width)
    light = (1.25 - 0.55 * y / height + 0.35 * (clouds - 0.5))[..., None]
    picture = np.clip(sky * light, 0, 1)
    level = height * rng.uniform(0.45, 0.62)
    ground = np.asarray(rng.choice(((0.2, 0.26, 0.16), (0.32, 0.26, 0.2), (0.14, 0.2, 0.26))), dtype=np.float32)
    for layer in range(rng.choice((2, 3, 4))):
        outline = level + layer * height * 0.1 - (np.asarray(_line(rng, width)) * height * 0.14)
        mask = (y > outline[None, :]).astype(np.float32)[..., None]
        haze = 0.75 - 0.22 * layer
        texture = (0.8 + 0.5 * (_fractal(rng, height, width) - 0.5))[..., None]
        tone = sky * haze + ground * (1 - haze)
        picture = picture * (1 - mask) + np.clip(tone * texture, 0, 1) * mask
    return _developed(picture, rng)


def shore(rng: random.Random) -> Image.Image:
    """Water with a path of light."""
    width, height = rng.choice(((480, 320), (320, 480), (400, 600)))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    level = height * rng.uniform(0.35, 0.5)
    warm = np.asarray((0.95, 0.62, 0.4), dtype=np.float32)
    cool = np.asarray((0.3, 0.42, 0.56), dtype=np.float32)
    rise = np.clip(y / level, 0, 1)[..., None]
    picture = cool * (1 - rise) + warm * rise
    sun = width * rng.uniform(0.3, 0.7)
    picture = picture + 0.7 * np.exp(-(((x - sun) / 60) ** 2 + ((y - level * 0.8) / 45) ** 2))[..., None]
    waves = np.sin(np.clip(y - level, 0, None) ** 1.2 / 3 + 4 * _fractal(rng, height, width)) * 0.08
    path = 0.5 * np.exp(-(((x - sun) / (20 + np.clip(y - level, 0, None) * 0.35)) ** 2))
    water = cool * 0.65 + (waves + path * (0.6 + 3 * waves))[..., None]
    picture = np.where((y > level)[..., None], water, picture)
    return _developed(picture, rng)


def bokeh(rng: random.Random) -> Image.Image:
    """Lights out of focus behind a dark shape."""
    width, height = rng.choice(((400, 400), (480, 320), (400, 600)))
    base = tuple(rng.randrange(10, 60) for _ in range(3))
    image = Image.new("RGB", (width, height), base)
    for _ in range(rng.randrange(30, 80)):
        spot = Image.new("L", (width // 2, height // 2), 0)
        x, y, r = rng.uniform(0, width / 2), rng.uniform(0, height / 2), rng.uniform(4, 22)
        ImageDraw.Draw(spot).ellipse((x - r, y - r, x + r, y + r), fill=rng.randrange(40, 130))
        colour = rng.choice(((255, 190, 110), (255, 120, 90), (120, 180, 255), (250, 240, 210), (170, 255, 200)))
        image.paste(colour, (0, 0), spot.resize((width, height)))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(1.5, 4)))
    return _developed(np.asarray(image, dtype=np.float32) / 255, rng)


def close_up(rng: random.Random) -> Image.Image:
    """Petals, fruit, pebbles: shaded round things close to the lens."""
    width, height = rng.choice(((400, 400), (480, 360), (360, 480), (400, 600)))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    leaf = np.asarray(rng.choice(((0.2, 0.34, 0.14), (0.4, 0.36, 0.3), (0.3, 0.3, 0.36))), dtype=np.float32)
    picture = leaf * (0.5 + 0.9 * _fractal(rng, height, width))[..., None]
    hue = rng.choice(((0.86, 0.22, 0.24), (0.95, 0.7, 0.2), (0.6, 0.4, 0.75), (0.75, 0.72, 0.68), (0.3, 0.55, 0.2)))
    for _ in range(rng.randrange(5, 22)):
        cx, cy, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.07, 0.2) * width
        squash, angle = rng.uniform(0.6, 1.0), rng.uniform(0, math.pi)
        u = (x - cx) * math.cos(angle) + (y - cy) * math.sin(angle)
        v = (-(x - cx) * math.sin(angle) + (y - cy) * math.cos(angle)) / squash
        d = np.sqrt(u * u + v * v) / r
        inside = np.clip((1 - d) * r / 3, 0, 1)[..., None]
        shade = np.clip(1.05 - 0.5 * ((u + v) / r + 0.6), 0.25, 1.25)[..., None]
        tone = np.asarray([c * rng.uniform(0.85, 1.1) for c in hue], dtype=np.float32)
        picture = picture * (1 - inside) + tone * shade * inside
    return _developed(picture, rng)


def portrait(rng: random.Random) -> Image.Image:
    """A head and shoulders in window light, out of focus."""
    width, height = rng.choice(((320, 400), (400, 400), (400, 600)))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wall = np.asarray([rng.uniform(0.25, 0.75) for _ in range(3)], dtype=np.float32)
    picture = wall * (0.6 + 0.6 * x / width + 0.15 * (_fractal(rng, height, width) - 0.5))[..., None]
    skin = np.asarray(rng.choice(((0.86, 0.66, 0.54), (0.6, 0.42, 0.32), (0.38, 0.26, 0.2))), dtype=np.float32)
    cloth = np.asarray([rng.uniform(0.1, 0.7) for _ in range(3)], dtype=np.float32)
    cx, cy, r = width * rng.uniform(0.4, 0.6), height * 0.38, width * rng.uniform(0.16, 0.22)
    shapes = (
        (cx, height * 1.02, r * 2.5, r * 2.2, cloth),
        (cx, cy - r * 0.25, r * 1.2, r * 1.4, cloth * 0.4),
        (cx, cy + r * 1.1, r * 0.5, r * 0.9, skin * 0.85),
        (cx, cy, r * 0.92, r * 1.2, skin),
    )
    for sx, sy, rx, ry, tone in shapes:
        d = np.sqrt(((x - sx) / rx) ** 2 + ((y - sy) / ry) ** 2)
        inside = np.clip((1 - d) * rx / 6, 0, 1)[..., None]
        shade = np.clip(0.65 + 0.5 * (x - sx + rx) / (2 * rx), 0.4, 1.2)[..., None]
        picture = picture * (1 - inside) + tone * shade * inside
    return _developed(picture, rng)


def _developed(picture: NDArray[np.floating[Any]], rng: random.Random) -> Image.Image:
    """Lens blur, sensor noise, a little vignette."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    noise = np.random.RandomState(rng.randrange(2**31)).normal(0, rng.uniform(0.01, 0.035), (height, width, 1))
    shaded = picture * (1.05 - 0.22 * (x * x + y * y))[..., None]
    image = Image.fromarray((np.clip(shaded, 0, 1) * 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6))
    )
    grainy = np.asarray(image, dtype=np.float32) / 255 + noise
    return Image.fromarray((np.clip(grainy, 0, 1) * 255).astype(np.uint8))


def _fractal(rng: random.Random, height: int, width: int) -> NDArray[np.float32]:
    """Cloudy noise in 0 … 1: white noise at five scales, made at half the size."""
    state = np.random.RandomState(rng.randrange(2**31))
    half = (width // 2, height // 2)
    total = np.zeros((half[1], half[0]), dtype=np.float32)
    for octave in range(5):
        cells = (max(2, height >> (6 - octave)), max(2, width >> (6 - octave)))
        layer = Image.fromarray(state.uniform(0, 1, cells).astype(np.float32))
        total += np.asarray(layer.resize(half, Image.Resampling.BILINEAR)) / 2**octave
    return np.asarray(Image.fromarray(total / 1.94).resize((width, height), Image.Resampling.BILINEAR))


def _line(rng: random.Random, width: int) -> list[float]:
    waves = [(rng.uniform(0.5, 3) * (n + 1), rng.uniform(0, 6.3), 1 / (n + 1)) for n in range(5)]
    return [sum(a * math.sin(f * 2 * math.pi * i / width + p) for f, p, a in waves) / 2 for i in range(width)]
