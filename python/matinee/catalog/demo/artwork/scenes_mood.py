"""Compositions of light and print: spotlights, blinds, rain, double exposures, halftones."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from matinee.catalog.demo.artwork.canvas import HEIGHT, WIDTH, mix
from matinee.catalog.demo.artwork.motifs import paint_motif
from matinee.catalog.demo.artwork.palettes import ELEGANT, GEOMETRIC, GOTHIC, LIGHT, SCRATCH, THIN
from matinee.catalog.demo.artwork.scene import MARGIN, Layout, Scene, Terrain

_RIGHT = WIDTH - MARGIN


def spotlight(scene: Scene) -> Layout:
    """One lamp, one figure, a long shadow."""
    rng, canvas = scene.rng, scene.canvas
    wall = mix(scene.night, scene.main, 0.22)
    canvas.rect((0, 0, WIDTH, HEIGHT), wall)
    source = (rng.choice((180, 400, 620)), -60)
    pool = (rng.uniform(340, 460), 930)
    beam = scene.canvas.sibling(mix(scene.accent, scene.main, 0.25))
    cone = Image.new("L", (WIDTH, HEIGHT), 0)
    pen = ImageDraw.Draw(cone)
    pen.polygon([source, (pool[0] - 300, pool[1]), (pool[0] + 300, pool[1])], fill=150)
    pen.ellipse((pool[0] - 300, pool[1] - 82, pool[0] + 300, pool[1] + 82), fill=235)
    canvas.rect((0, 880, WIDTH, HEIGHT), mix(wall, scene.night, 0.55))
    canvas.image.paste(beam.image, (0, 0), cone)
    canvas.draw.ellipse(
        (pool[0] - 150, pool[1] - 14, pool[0] + 150, pool[1] + 34), fill=mix(scene.accent, scene.night, 0.45)
    )
    scene.figure((pool[0], pool[1] + 6), 380, scene.night, cut=scene.accent)
    canvas.fade(scene.night, (0, 1000, WIDTH, HEIGHT), 0.0, 0.95)
    align = {180: "right", 400: "centre", 620: "left"}[source[0]]
    return Layout((MARGIN, 78, _RIGHT, 400), scene.paper, valign="top", align=align, billing_colour=scene.paper)  # type: ignore[arg-type]


def blinds(scene: Scene) -> Layout:
    """Light through a blind falls across a wall and whoever stands there."""
    rng, canvas = scene.rng, scene.canvas
    wall = mix(scene.night, scene.main, 0.3)
    canvas.gradient([mix(wall, scene.night, 0.5), wall, scene.night])
    light = mix(scene.main, scene.paper, 0.55)
    slope = rng.choice((-1, 1)) * rng.uniform(0.16, 0.3)
    lit = Image.new("L", (WIDTH, HEIGHT), 0)
    pen = ImageDraw.Draw(lit)
    top = rng.uniform(415, 440)
    for index in range(12):
        y = top + index * 47
        pen.polygon(
            [(90, y - slope * -310), (710, y - slope * 310), (710, y - slope * 310 + 27), (90, y + slope * 310 + 27)],
            fill=225,
        )
    canvas.paint(lit, light)
    figure = Image.new("L", (WIDTH, HEIGHT), 0)
    name = scene.motif if scene.motif in _AGAINST_A_WALL else rng.choice(("man", "profile", "woman"))
    foot = (rng.uniform(330, 470), 1090) if name in _PEOPLE else (rng.uniform(360, 440), 930)
    tall = 690 if name in _PEOPLE else 460
    paint_motif(ImageDraw.Draw(figure), name, foot=foot, height=tall, colours=(255, 0, 0), mirror=scene.chance(0.5))
    canvas.paint(figure, scene.night)
    stripes = Image.composite(lit, Image.new("L", lit.size, 0), figure).point([round(v * 0.16) for v in range(256)])
    canvas.paint(stripes, light)
    canvas.fade(scene.night, (0, 0, WIDTH, 330), 0.9, 0.0)
    canvas.fade(scene.night, (0, 960, WIDTH, HEIGHT), 0.0, 0.98)
    return Layout(
        (MARGIN, 72, _RIGHT, 330),
        scene.accent if scene.chance(0.5) else scene.paper,
        valign="top",
        billing_colour=scene.paper,
    )


_PEOPLE = frozenset(("man", "woman", "profile", "couple"))
_AGAINST_A_WALL = _PEOPLE | {
    *("gun", "hat", "bird", "briefcase", "cat", "clock", "crow", "cup", "glass", "telephone", "badge", "bottle"),
}


def rain(scene: Scene) -> Layout:
    """Lights out of focus, rain, and two people or an umbrella."""
    rng, canvas = scene.rng, scene.canvas
    canvas.gradient([scene.night, mix(scene.night, scene.main, 0.5), mix(scene.night, scene.main, 0.25)])
    for _ in range(26):
        at = (rng.uniform(-20, 820), rng.uniform(300, 900))
        canvas.glow(
            at, rng.uniform(30, 120), rng.choice((scene.accent, scene.main, scene.paper)), rng.uniform(0.25, 0.7)
        )
    canvas.gradient([mix(scene.night, scene.main, 0.35), scene.night], (0, 985, WIDTH, HEIGHT))
    for _ in range(14):
        x, y = rng.uniform(0, 800), rng.uniform(995, 1150)
        canvas.glow((x, y), rng.uniform(40, 90), rng.choice((scene.accent, scene.main)), 0.4, squash=0.22)
    for _ in range(150):
        x, y, long = rng.uniform(0, 820), rng.uniform(0, HEIGHT), rng.uniform(16, 48)
        canvas.line([(x, y), (x - long * 0.18, y + long)], 1.6, mix(scene.night, scene.paper, rng.uniform(0.2, 0.5)))
    foot = (rng.uniform(340, 460), 1020)
    scene.figure(foot, 420, scene.night, cut=mix(scene.night, scene.main, 0.4))
    if scene.motif in {"couple", "woman", "man"}:
        scene.figure((foot[0], foot[1] - 290), 250, mix(scene.night, scene.main, 0.2), name="umbrella", cut=scene.night)
    return Layout(
        (MARGIN, 84, _RIGHT, 370),
        scene.paper,
        valign="top",
        max_cap=130,
        hand=rng.choice((THIN, ELEGANT, None)),
        billing_colour=scene.paper,
    )


def exposure(scene: Scene) -> Layout:
    """A head in profile, and inside it a landscape."""
    rng, canvas = scene.rng, scene.canvas
    ground = mix(scene.paper, scene.accent, rng.choice((0, 0.12, 0.3)))
    canvas.rect((0, 0, WIDTH, HEIGHT), ground)
    inner = scene.canvas.sibling(scene.night)
    view = Scene(inner, rng, scene.palette, scene.motif, scene.second, scene.genre, scene.decade, scene.tags)
    inner.gradient([mix(scene.accent, scene.paper, 0.3), scene.accent, scene.main], (0, 0, WIDTH, 800))
    inner.disc((rng.uniform(300, 480), rng.uniform(330, 420)), 92, mix(scene.paper, scene.accent, 0.15))
    kind: Terrain = rng.choice(("peaks", "forest", "city", "hills"))
    view.lands(kind, 560, scene.night, mix(scene.main, scene.night, 0.3), count=4, step=80)
    view.figure((430, 690), 170, mix(scene.accent, scene.paper, 0.45), cut=scene.main)
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    mirror = scene.chance(0.5)
    paint_motif(ImageDraw.Draw(mask), "profile", foot=(400, 880), height=770, colours=(255, 0, 0), mirror=mirror)
    canvas.image.paste(inner.image, (0, 0), mask)
    canvas.fade(ground, (0, 740, WIDTH, 890), 0.0, 1.0)
    canvas.rect((0, 889, WIDTH, HEIGHT), ground)
    for _ in range(9):
        scene.figure((rng.uniform(80, 720), rng.uniform(90, 330)), rng.uniform(18, 40), scene.night, name="bird")
    return Layout((MARGIN, 870, _RIGHT, 1078), scene.night, max_cap=140, valign="middle")


def halftone(scene: Scene) -> Layout:
    """A picture in printer's dots beside plain type."""
    rng, canvas = scene.rng, scene.canvas
    ground = scene.paper if scene.chance(0.7) else mix(scene.accent, scene.paper, 0.25)
    canvas.rect((0, 0, WIDTH, HEIGHT), ground)
    picture = Image.new("L", (100, 100), 235)
    pen = ImageDraw.Draw(picture)
    for row in range(100):
        pen.line((0, row, 100, row), fill=int(235 - 120 * (row / 100) ** 1.5))
    pen.ellipse((58, 12, 84, 38), fill=255)
    paint_motif(
        pen, scene.motif, foot=(rng.uniform(42, 58), 97), height=84, colours=(26, 235, 130), mirror=scene.chance(0.5)
    )
    tone = np.asarray(picture, dtype=np.float32) / 255
    box = (MARGIN, 96.0, _RIGHT, 784.0) if scene.chance(0.6) else (0.0, 0.0, float(WIDTH), 784.0)
    canvas.rect(box, mix(scene.main, scene.paper, 0.1) if scene.chance(0.5) else mix(ground, scene.second_tone, 0.4))
    step = 14.5
    angle = math.radians(rng.choice((15.0, 30.0, 45.0)))
    cos, sin = math.cos(angle), math.sin(angle)
    reach = 62
    for i in range(-reach, reach):
        for j in range(-reach, reach):
            u, v = i * step, j * step
            x, y = 400 + u * cos - v * sin, 440 + u * sin + v * cos
            if not (box[0] + 6 < x < box[2] - 6 and box[1] + 6 < y < box[3] - 6):
                continue
            px, py = int((x - box[0]) / (box[2] - box[0]) * 99), int((y - box[1]) / (box[3] - box[1]) * 99)
            radius = step * 0.72 * math.sqrt(1 - float(tone[py, px]))
            if radius > 1.2:
                canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=scene.night)
    canvas.rect((MARGIN, 826, MARGIN + 120, 836), scene.accent)
    return Layout(
        (MARGIN, 862, _RIGHT, 1076),
        scene.night,
        align="left",
        valign="top",
        max_cap=110,
        billing_align="left",
        hand=rng.choice((GOTHIC, GEOMETRIC, LIGHT)),
    )


def frames(scene: Scene) -> Layout:
    """A strip of frames in which little by little something happens."""
    rng, canvas = scene.rng, scene.canvas
    canvas.rect((0, 0, WIDTH, HEIGHT), scene.night)
    columns, rows = rng.choice(((3, 4), (2, 3), (3, 4)))
    left, top, gap = 60.0, 70.0, 16.0
    wide = (WIDTH - 2 * left - gap * (columns - 1)) / columns
    tall = (790 - top - gap * (rows - 1)) / rows
    colours = [scene.main, scene.second_tone, scene.accent, mix(scene.paper, scene.main, 0.15)]
    count = columns * rows
    for index in range(count):
        x, y = left + (index % columns) * (wide + gap), top + (index // columns) * (tall + gap)
        ground = colours[(index * 3 + index // columns) % 4]
        sheet = Image.new("RGB", (round(wide), round(tall)), ground)
        pen = ImageDraw.Draw(sheet)
        sun = wide * (0.15 + 0.7 * index / count)
        pen.ellipse((sun - 24, tall * 0.18, sun + 24, tall * 0.18 + 48), fill=mix(ground, scene.paper, 0.7))
        grow = 0.45 + 0.5 * index / count
        last = index == count - 1
        paint_motif(
            pen,
            scene.second if last and scene.chance(0.4) else scene.motif,
            foot=(wide / 2, tall * 0.94),
            height=min(wide, tall) * (grow if not last else 0.9),
            colours=(scene.night, ground, scene.paper),
            mirror=index % 2 == 1,
        )
        canvas.image.paste(sheet, (round(x), round(y)))
    for y in range(60, 810, 44):  # perforation
        for x in (14, 766):
            canvas.draw.rounded_rectangle((x, y, x + 20, y + 26), 5, fill=mix(scene.night, scene.paper, 0.22))
    return Layout(
        (60, 830, 740, 1076),
        scene.paper,
        align="left",
        max_cap=120,
        billing=(60, 1098, 740, 1168),
        billing_align="left",
    )


def circles(scene: Scene) -> Layout:
    """Two circles that overlap."""
    rng, canvas = scene.rng, scene.canvas
    canvas.gradient([scene.paper, mix(scene.paper, scene.accent, 0.45)])
    y, radius, shift = rng.uniform(430, 500), rng.uniform(215, 250), rng.uniform(120, 150)
    upright = scene.chance(0.35)
    a = (400 - shift, y) if not upright else (400.0, y - shift + 20)
    b = (400 + shift, y) if not upright else (400.0, y + shift + 20)
    canvas.disc(a, radius, scene.main)
    canvas.disc(b, radius, scene.second_tone)
    both = Image.new("L", (WIDTH, HEIGHT), 0)
    other = Image.new("L", (WIDTH, HEIGHT), 0)
    ImageDraw.Draw(both).ellipse((a[0] - radius, a[1] - radius, a[0] + radius, a[1] + radius), fill=255)
    ImageDraw.Draw(other).ellipse((b[0] - radius, b[1] - radius, b[0] + radius, b[1] + radius), fill=255)
    canvas.paint(Image.composite(both, Image.new("L", both.size, 0), other), mix(scene.main, scene.night, 0.5))
    scene.figure(
        ((a[0] + b[0]) / 2, y + radius * 0.86 + (20 if upright else 0)), radius * 1.35, scene.paper, cut=scene.night
    )
    return Layout((MARGIN, 800, _RIGHT, 1070), scene.night, max_cap=120, hand=rng.choice((ELEGANT, THIN, LIGHT, None)))


def petals(scene: Scene) -> Layout:
    """Falling leaves, petals or snow around a figure."""
    rng, canvas = scene.rng, scene.canvas
    light = scene.chance(0.6)
    sky = (
        [mix(scene.accent, scene.paper, 0.7), mix(scene.main, scene.paper, 0.25)]
        if light
        else [scene.night, mix(scene.main, scene.night, 0.35)]
    )
    canvas.gradient(sky)
    canvas.glow((400, 560), 400, scene.paper, 0.75)
    scene.ridge("hills", 930, mix(sky[1], scene.night, 0.35), rise=50)
    scene.ridge("hills", 990, mix(sky[1], scene.night, 0.7), rise=36)
    scene.figure((400, 1000), 430, scene.night, cut=scene.paper)
    for index in range(90):
        x, y = rng.uniform(0, 800), rng.uniform(0, 1150)
        if 120 < x < 680 and 70 < y < 380 and index % 5:
            continue
        size, angle = rng.uniform(9, 26), rng.uniform(0, math.pi)
        dx, dy = size * math.cos(angle), size * math.sin(angle)
        colour = rng.choice((scene.main, scene.second_tone, scene.accent))
        canvas.polygon(
            [(x - dx, y - dy), (x - dy * 0.45, y + dx * 0.45), (x + dx, y + dy), (x + dy * 0.4, y - dx * 0.4)], colour
        )
    canvas.fade(scene.night, (0, 1040, WIDTH, HEIGHT), 0.0, 0.9)
    return Layout(
        (90, 90, 710, 370),
        scene.night if light else scene.paper,
        max_cap=125,
        valign="top",
        hand=rng.choice((ELEGANT, THIN, None)),
        billing_colour=scene.paper,
    )


def facade(scene: Scene) -> Layout:
    """A wall of windows at night; something goes on in one of them."""
    rng, canvas = scene.rng, scene.canvas
    wall = mix(scene.night, scene.main, 0.2)
    canvas.rect((0, 0, WIDTH, HEIGHT), wall)
    columns, rows = rng.choice(((5, 6), (4, 5)))
    left, top, right, bottom = 60, 390, 740, 1060
    wide, tall = (right - left) / columns, (bottom - top) / rows
    scenes = rng.sample([(c, r) for c in range(columns) for r in range(rows)], 3)
    for row in range(rows):
        canvas.rect(
            (left - 20, top + row * tall + tall - 9, right + 20, top + row * tall + tall - 4),
            mix(wall, scene.night, 0.5),
        )
        for column in range(columns):
            x, y = left + column * wide, top + row * tall
            box = (x + wide * 0.16, y + tall * 0.12, x + wide * 0.84, y + tall * 0.82)
            pane = mix(wall, scene.night, 0.75) if rng.random() < 0.8 else mix(wall, scene.accent, 0.35)
            inside = (column, row) in scenes
            if inside:
                canvas.glow(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), wide * 0.95, scene.accent, 0.55)
                pane = mix(scene.accent, scene.paper, 0.25)
            canvas.rect(box, pane)
            if inside:
                name = scene.motif if (column, row) == scenes[0] else rng.choice(("man", "woman", scene.second, "cat"))
                scene.figure(
                    ((box[0] + box[2]) / 2, box[3]),
                    (box[3] - box[1]) * 0.86,
                    scene.night,
                    name=name,
                    cut=pane,
                    accent=pane,
                )
            else:
                canvas.rect((box[0], (box[1] + box[3]) / 2 - 2, box[2], (box[1] + box[3]) / 2 + 2), wall)
                canvas.rect(((box[0] + box[2]) / 2 - 2, box[1], (box[0] + box[2]) / 2 + 2, box[3]), wall)
    canvas.fade(scene.night, (0, 0, WIDTH, 420), 0.95, 0.0)
    canvas.fade(scene.night, (0, 1040, WIDTH, HEIGHT), 0.2, 0.98)
    return Layout((MARGIN, 74, _RIGHT, 350), scene.paper, valign="top", billing_colour=scene.paper)


def drip(scene: Scene) -> Layout:
    """Paint runs down the sheet."""
    rng, canvas = scene.rng, scene.canvas
    ground = scene.paper if scene.chance(0.6) else scene.second_tone
    canvas.rect((0, 0, WIDTH, HEIGHT), ground)
    canvas.glow((400, 700), 470, mix(ground, scene.paper, 0.6), 0.9)
    scene.figure((400, 1020), 560, scene.night, cut=ground, accent=scene.accent)
    blood = scene.main if scene.main != scene.second_tone else scene.accent
    canvas.rect((0, 0, WIDTH, 330), blood)
    x = 0.0
    while x < WIDTH:
        wide = rng.uniform(16, 58)
        long = 330 + rng.choice((rng.uniform(10, 70), rng.uniform(10, 70), rng.uniform(110, 280)))
        canvas.rect((x, 300, x + wide, long), blood)
        canvas.disc((x + wide / 2, long), wide / 2, blood)
        gap = rng.uniform(10, 44)
        canvas.rect((x + wide, 300, x + wide + gap, 344), blood)
        canvas.disc((x + wide + gap / 2, 346), gap / 2, ground) if gap > 14 else None
        x += wide + gap
    canvas.rect((0, 1020, WIDTH, HEIGHT), scene.night)
    return Layout(
        (MARGIN, 66, _RIGHT, 292), scene.paper, hand=rng.choice((SCRATCH, GOTHIC, None)), billing_colour=scene.paper
    )


def gaze(scene: Scene) -> Layout:
    """An eye as large as the sheet allows; what it sees is in the pupil."""
    rng, canvas = scene.rng, scene.canvas
    ground = rng.choice((scene.night, scene.main, mix(scene.main, scene.night, 0.5)))
    canvas.rect((0, 0, WIDTH, HEIGHT), ground)
    y = 470.0
    white = mix(scene.paper, scene.accent, 0.12)
    lid = [(0.0, y)]
    lid += [(x, y - 230 * math.sin(math.pi * x / WIDTH) ** 0.8) for x in range(20, WIDTH, 20)]
    lid.append((float(WIDTH), y))
    lid += [(x, y + 190 * math.sin(math.pi * x / WIDTH) ** 0.9) for x in range(WIDTH - 20, 0, -20)]
    for index in range(4):
        scale = 1.42 - index * 0.12
        canvas.polygon(
            [(400 + (px - 400) * scale, y + (py - y) * scale) for px, py in lid],
            mix(ground, scene.accent, 0.1 + 0.1 * index),
        )
    canvas.polygon(lid, white)
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    ImageDraw.Draw(mask).polygon(lid, fill=255)
    sheet = scene.canvas.sibling(white)
    iris = scene.accent if ground == scene.main else scene.main
    sheet.disc((400, y - 10), 205, mix(iris, scene.night, 0.55))
    sheet.disc((400, y - 10), 190, iris)
    for index in range(64):
        a = index * math.pi / 32 + rng.uniform(-0.03, 0.03)
        inner, outer = 100, rng.uniform(140, 186)
        sheet.line(
            [
                (400 + inner * math.cos(a), y - 10 + inner * math.sin(a)),
                (400 + outer * math.cos(a), y - 10 + outer * math.sin(a)),
            ],
            4,
            mix(iris, scene.paper if index % 2 else scene.night, 0.4),
        )
    sheet.disc((400, y - 10), 112, scene.night)
    part = Scene(sheet, rng, scene.palette, scene.motif, scene.second, scene.genre, scene.decade, scene.tags)
    part.figure((400, y + 66), 150, white, cut=scene.night, accent=iris)
    sheet.disc((474, y - 88), 26, scene.paper)
    canvas.image.paste(sheet.image, (0, 0), mask)
    canvas.fade(scene.night, (0, 760, WIDTH, HEIGHT), 0.0, 0.8)
    return Layout((MARGIN, 820, _RIGHT, 1076), scene.paper, max_cap=150, billing_colour=scene.paper)


def chessfloor(scene: Scene) -> Layout:
    """A chequered floor that runs to the wall, a figure and its shadow."""
    rng, canvas = scene.rng, scene.canvas
    level = rng.uniform(560, 620)
    wall = mix(scene.main, scene.night, rng.uniform(0.1, 0.5))
    canvas.gradient([mix(wall, scene.night, 0.4), wall], (0, 0, WIDTH, level))
    canvas.rect((0, level, WIDTH, HEIGHT), scene.paper)
    for row in range(9):
        y0, y1 = (level + (HEIGHT - level) * ((r / 9) ** 1.8) for r in (row, row + 1))
        s0, s1 = ((0.34 + 0.9 * (y - level) / (HEIGHT - level)) * 200 for y in (y0, y1))
        for column in range(-8, 8):
            if (row + column) % 2:
                canvas.polygon(
                    [
                        (400 + column * s0, y0),
                        (400 + (column + 1) * s0, y0),
                        (400 + (column + 1) * s1, y1),
                        (400 + column * s1, y1),
                    ],
                    scene.night,
                )
    canvas.fade(scene.night, (0, 940, WIDTH, 1090), 0.0, 1.0)
    canvas.rect((0, 1090, WIDTH, HEIGHT), scene.night)
    side = rng.choice((-1, 1))
    canvas.rect((0, level - 14, WIDTH, level), mix(wall, scene.night, 0.6))
    door = 400 - side * 220
    canvas.polygon(
        [(door - 66, level), (door - 66, level - 250), (door + 66, level - 250), (door + 66, level)],
        mix(wall, scene.night, 0.7),
    )
    scene.figure((400 + side * 70, 960), 440, scene.accent, cut=scene.night, accent=scene.night)
    return Layout((MARGIN, 64, _RIGHT, 300), scene.paper, valign="top", max_cap=140, billing_colour=scene.paper)


MOOD = {
    "spotlight": spotlight,
    "blinds": blinds,
    "rain": rain,
    "exposure": exposure,
    "halftone": halftone,
    "frames": frames,
    "circles": circles,
    "petals": petals,
    "facade": facade,
    "drip": drip,
    "gaze": gaze,
    "chessfloor": chessfloor,
}
