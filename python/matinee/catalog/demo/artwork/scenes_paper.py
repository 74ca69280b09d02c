"""Flat compositions: cut paper, discs, tiles, patterns, type."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from matinee.catalog.demo.artwork.canvas import HEIGHT, WIDTH, Colour, Point, contrast, mix
from matinee.catalog.demo.artwork.palettes import CHUNKY, GEOMETRIC, GOTHIC, POSTER, RACING, WOODTYPE
from matinee.catalog.demo.artwork.scene import MARGIN, Layout, Scene

_RIGHT = WIDTH - MARGIN


def _ragged(scene: Scene, box: tuple[float, float, float, float], wobble: float) -> list[Point]:
    """A rectangle as scissors cut it."""
    rng = scene.rng
    left, top, right, bottom = box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    points: list[Point] = []
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        for share in (0.0, rng.uniform(0.3, 0.7)):
            x, y = ax + (bx - ax) * share, ay + (by - ay) * share
            points.append((x + rng.uniform(-wobble, wobble), y + rng.uniform(-wobble, wobble)))
    return points


def cut_paper(scene: Scene) -> Layout:
    """Uneven blocks of coloured paper, the figure cut from black, letters set by hand."""
    rng, canvas = scene.rng, scene.canvas
    ground, block = rng.choice(((scene.main, scene.night), (scene.accent, scene.main), (scene.paper, scene.main)))
    canvas.rect((0, 0, WIDTH, HEIGHT), ground)
    side = rng.choice((-1, 1))
    middle = 400 + side * 40
    canvas.polygon(_ragged(scene, (middle - 270, 70, middle + 270, 720), 34), block)
    canvas.polygon(
        _ragged(scene, (middle - side * 330 - 120, 420, middle - side * 330 + 150, 800), 30), scene.second_tone
    )
    dark = block != scene.night
    figure = scene.night if dark else scene.paper
    scene.figure((middle, 760), 610, figure, cut=block, accent=scene.accent if ground != scene.accent else scene.paper)
    canvas.polygon(_ragged(scene, (30, 800, 770, 1080), 18), scene.night if ground != scene.night else scene.main)
    return Layout(
        (84, 836, 716, 1046),
        scene.paper if ground != scene.paper else scene.accent,
        effect="jitter",
        max_cap=150,
        hand=rng.choice((GOTHIC, POSTER, CHUNKY)),
        billing=(MARGIN, 1106, _RIGHT, 1172),
        billing_colour=scene.night,
    )


def emblem(scene: Scene) -> Layout:
    """One disc, one figure, much air."""
    rng, canvas = scene.rng, scene.canvas
    dark = scene.chance(0.4)
    ground = scene.night if dark else mix(scene.paper, scene.accent, rng.choice((0, 0, 0.25, 0.6)))
    canvas.rect((0, 0, WIDTH, HEIGHT), ground)
    low = scene.chance(0.5)
    centre = (400.0, 730.0 if low else 440.0)
    radius = rng.uniform(255, 300)
    canvas.disc(centre, radius, scene.main)
    style = rng.randrange(4)
    if style == 0:
        canvas.draw.pieslice(
            (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius),
            0,
            180,
            fill=mix(scene.main, scene.night, 0.35),
        )
    elif style == 1:
        for ring in range(1, 4):
            canvas.disc(centre, radius * (1 - ring * 0.2), mix(scene.main, scene.accent, ring * 0.3))
    elif style == 2:
        canvas.ring(centre, radius + 26, 7, scene.main)
    figure = scene.night if not dark else (scene.night if scene.chance(0.6) else scene.paper)
    scene.figure((centre[0], centre[1] + radius * 0.92), radius * 1.66, figure, cut=scene.main, accent=scene.accent)
    colour = scene.paper if dark else scene.night
    box = (MARGIN, 90.0, _RIGHT, 390.0) if low else (MARGIN, 790.0, _RIGHT, 1070.0)
    return Layout(box, colour, valign="top" if low else "middle", justify=scene.chance(0.3), max_cap=150)


def tiles(scene: Scene) -> Layout:
    """Quarter circles, halves and triangles on a square grid, one tile for the figure."""
    rng, canvas = scene.rng, scene.canvas
    columns = rng.choice((4, 4, 5))
    size = WIDTH / columns
    rows = columns
    colours = [scene.main, scene.second_tone, scene.accent, scene.paper, scene.night]
    big = (rng.randrange(columns - 1), rng.randrange(rows - 2))
    for row in range(rows):
        for column in range(columns):
            x, y = column * size, row * size
            ground, shape = rng.sample(colours, 2)
            canvas.rect((x, y, x + size, y + size), ground)
            _tile(scene, x, y, size, shape)
    x, y = big[0] * size, big[1] * size
    canvas.rect((x, y, x + 2 * size, y + 2 * size), scene.accent)
    canvas.disc((x + size, y + size), size * 0.9, scene.paper)
    scene.figure((x + size, y + size * 1.8), size * 1.5, scene.night, cut=scene.paper, accent=scene.main)
    canvas.rect((0, rows * size, WIDTH, HEIGHT), scene.night)
    return Layout(
        (MARGIN, rows * size + 40, _RIGHT, 1076),
        scene.paper,
        max_cap=130,
        align="left",
        billing_align="left",
        hand=rng.choice((GEOMETRIC, GOTHIC, POSTER)),
    )


def _tile(scene: Scene, x: float, y: float, size: float, colour: Colour) -> None:
    canvas, pick = scene.canvas, scene.rng.randrange(6)
    if pick == 0:
        corner = scene.rng.randrange(4)
        cx, cy = x - size * (corner % 2), y - size * (corner // 2)
        canvas.draw.pieslice(
            (cx, cy, cx + 2 * size, cy + 2 * size), (0, 90, 270, 180)[corner], (90, 180, 360, 270)[corner], fill=colour
        )
    elif pick == 1:
        canvas.draw.pieslice((x, y + size / 2, x + size, y + size * 1.5), 180, 360, fill=colour)
    elif pick == 2:
        canvas.polygon([(x, y), (x + size, y + size), (x, y + size)], colour)
    elif pick == 3:
        canvas.disc((x + size / 2, y + size / 2), size * 0.3, colour)
    elif pick == 4:
        for stripe in range(3):
            canvas.rect((x, y + size * stripe / 3, x + size, y + size * (stripe + 0.5) / 3), colour)


def pattern(scene: Scene) -> Layout:
    """The same thing many times, and once not."""
    rng, canvas = scene.rng, scene.canvas
    ground = rng.choice((scene.main, scene.accent, scene.second_tone, scene.paper))
    canvas.rect((0, 0, WIDTH, HEIGHT), ground)
    columns = rng.choice((4, 5))
    size = 700 / columns
    rows = 5 if columns == 4 else 6
    odd = (rng.randrange(columns), rng.randrange(1, rows - 1))
    ink = mix(ground, scene.night, 0.82)
    soft = mix(ground, scene.night, 0.16)
    for row in range(rows):
        for column in range(columns):
            foot = (50 + (column + 0.5) * size, 60 + (row + 0.88) * size)
            if (column, row) == odd:
                canvas.disc(
                    (foot[0], foot[1] - size * 0.38), size * 0.47, scene.paper if ground != scene.paper else scene.main
                )
                scene.figure(foot, size * 0.76, scene.night, name=scene.second, cut=scene.paper)
            else:
                if (row + column) % 2:
                    canvas.disc((foot[0], foot[1] - size * 0.38), size * 0.47, soft)
                scene.figure(foot, size * 0.72, ink, cut=ground, accent=ground, mirror=bool((row + column) % 2))
    top = 60 + rows * size + 30
    canvas.rect((0, top, WIDTH, HEIGHT), scene.night)
    return Layout((MARGIN, top + 26, _RIGHT, 1084), scene.paper, max_cap=130)


def rings(scene: Scene) -> Layout:
    """Circles in circles, or a spiral, drawing the eye to one figure."""
    rng, canvas = scene.rng, scene.canvas
    centre = (400.0, 480.0)
    a, b = rng.choice(((scene.main, scene.night), (scene.accent, scene.main), (scene.paper, scene.main)))
    canvas.rect((0, 0, WIDTH, HEIGHT), a)
    if scene.chance(0.5):
        step = rng.uniform(46, 64)
        for index in range(16, 0, -1):
            shift = (16 - index) * rng.uniform(-1.5, 1.5)
            canvas.disc((centre[0] + shift, centre[1]), index * step, b if index % 2 else a)
    else:
        arms, turn = rng.choice((6, 8, 10)), rng.choice((-1, 1)) * rng.uniform(1.6, 2.6)
        for arm in range(arms):
            left, right = [], []
            for step_index in range(40):
                r = 12 + step_index * 24
                angle = arm * 2 * math.pi / arms + turn * math.log1p(r / 60)
                width = math.pi / arms * 0.98
                left.append((centre[0] + r * math.cos(angle), centre[1] + r * math.sin(angle)))
                right.append((centre[0] + r * math.cos(angle + width), centre[1] + r * math.sin(angle + width)))
            canvas.polygon([*left, *reversed(right)], b)
    canvas.disc(centre, 176, scene.paper)
    scene.figure((centre[0], centre[1] + 140), 280, scene.night, cut=scene.paper)
    canvas.rect((0, 880, WIDTH, HEIGHT), scene.night)
    return Layout((MARGIN, 912, _RIGHT, 1078), scene.paper, max_cap=130, justify=scene.chance(0.3))


def rays(scene: Scene) -> Layout:
    """Everything points at the figure."""
    rng, canvas = scene.rng, scene.canvas
    a, b = rng.choice(
        ((scene.accent, scene.main), (scene.paper, scene.accent), (scene.main, mix(scene.main, scene.night, 0.3)))
    )
    canvas.rect((0, 0, WIDTH, HEIGHT), a)
    centre = (rng.uniform(330, 470), rng.uniform(560, 660))
    canvas.rays(centre, rng.choice((28, 32, 36, 44)), b, turn=rng.uniform(0, 0.3))
    canvas.disc(centre, 210, scene.paper if a != scene.paper else scene.main)
    canvas.ring(centre, 232, 8, scene.night)
    scene.figure((400, 900), 540, scene.night, cut=a)
    canvas.polygon([(0, 860), (WIDTH, 800), (WIDTH, HEIGHT), (0, HEIGHT)], scene.night)
    western = "western" in scene.tags
    hand = WOODTYPE if western else (RACING if scene.genre == "Action" else None)
    return Layout(
        (MARGIN, 890, _RIGHT, 1080),
        scene.paper if a == scene.accent else scene.accent,
        max_cap=150,
        hand=hand,
        billing_colour=scene.paper,
    )


def diagonal(scene: Scene) -> Layout:
    """Slanting bands and a figure in full flight."""
    rng, canvas = scene.rng, scene.canvas
    canvas.rect((0, 0, WIDTH, HEIGHT), scene.main)
    slope = rng.choice((-1, 1)) * rng.uniform(0.35, 0.6)
    y = -420.0
    colours = [scene.night, scene.accent, scene.main, scene.second_tone, scene.paper, scene.main]
    index = rng.randrange(6)
    while y < 1500:
        thick = rng.choice((26, 60, 120, 190))
        canvas.polygon(
            [
                (0, y - slope * -400),
                (WIDTH, y - slope * 400),
                (WIDTH, y - slope * 400 + thick),
                (0, y + slope * 400 + thick),
            ],
            colours[index % 6],
        )
        index += 1
        y += thick
    canvas.disc((400, 500), 285, scene.paper)
    scene.figure((400, 730), 480, scene.night, cut=scene.paper, turn=-6 if slope > 0 else 6)
    canvas.rect((0, 830, WIDTH, 1084), scene.night)
    canvas.rect((0, 1084, WIDTH, HEIGHT), scene.night)
    canvas.rect((0, 822, WIDTH, 830), scene.accent)
    return Layout(
        (MARGIN, 856, _RIGHT, 1072),
        scene.accent,
        max_cap=150,
        hand=RACING if scene.chance(0.6) else None,
        billing_colour=scene.paper,
    )


def big_type(scene: Scene) -> Layout:
    """The title is the picture; the figure stands in front of it."""
    rng, canvas = scene.rng, scene.canvas
    dark = scene.chance(0.5)
    ground = scene.night if dark else rng.choice((scene.paper, scene.accent, scene.main))
    canvas.rect((0, 0, WIDTH, HEIGHT), ground)
    ink = scene.main if dark else scene.night
    if ground == scene.main:
        ink = scene.paper
    bar = scene.accent if ground != scene.accent else scene.main
    canvas.rect((MARGIN, 56, _RIGHT, 68), bar)
    scene.figure(
        (rng.choice((260, 400, 540)), 1066), 450, ink if ink != scene.main else scene.paper, cut=ground, accent=bar
    )
    canvas.rect((MARGIN, 1068, _RIGHT, 1074), ink if ink != scene.main else scene.paper)
    return Layout(
        (MARGIN, 100, _RIGHT, 650),
        ink if not dark else scene.paper if scene.chance(0.4) else scene.accent,
        valign="top",
        justify=True,
        max_cap=300,
        hand=rng.choice((GOTHIC, POSTER, GOTHIC)),
        billing_colour=scene.paper if dark or ground == scene.main else scene.night,
    )


def split(scene: Scene) -> Layout:
    """Two halves, two figures, the colours exchanged."""
    rng, canvas = scene.rng, scene.canvas
    pairs = ((scene.main, scene.paper), (scene.night, scene.accent), (scene.second_tone, scene.paper))
    a, b = rng.choice([pair for pair in pairs if contrast(*pair) > 2.2])
    canvas.rect((0, 0, WIDTH, HEIGHT), a)
    lean = rng.choice((0, 0, 120, -120))
    canvas.polygon([(400 + lean, 0), (WIDTH, 0), (WIDTH, HEIGHT), (400 - lean, HEIGHT)], b)
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    ImageDraw.Draw(mask).polygon([(400 + lean, 0), (WIDTH, 0), (WIDTH, HEIGHT), (400 - lean, HEIGHT)], fill=255)
    other = scene.motif if scene.motif == "profile" else scene.second  # faces look at each other
    left, right = scene.canvas.sibling(a), scene.canvas.sibling(b)
    for sheet, ink, ground in ((left, b, a), (right, a, b)):
        part = Scene(sheet, rng, scene.palette, scene.motif, scene.second, scene.genre, scene.decade, scene.tags)
        if lean == 0 and scene.motif != "profile":
            part.figure((400, 830), 640, ink, cut=ground, accent=scene.accent, mirror=False)
        else:
            part.figure((235, 800), 400, ink, cut=ground, accent=scene.accent, mirror=False)
            part.figure((570, 800), 400, ink, cut=ground, accent=scene.accent, mirror=True, name=other)
    canvas.image.paste(left.image, (0, 0))
    canvas.image.paste(right.image, (0, 0), mask)
    canvas.rect((0, 870, WIDTH, HEIGHT), scene.night if a != scene.night else scene.main)
    return Layout((MARGIN, 900, _RIGHT, 1078), scene.paper, max_cap=140, justify=scene.chance(0.3))


def marquee(scene: Scene) -> Layout:
    """Bulbs around the title, the figure on a stage."""
    rng, canvas = scene.rng, scene.canvas
    canvas.rect((0, 0, WIDTH, HEIGHT), scene.night)
    curtain = scene.main
    for index in range(20):
        x = index * 40
        canvas.gradient(
            [mix(curtain, scene.night, 0.45), curtain, mix(curtain, scene.night, 0.45)],
            (x, 0, x + 40, 1010),
            sideways=True,
        )
    canvas.glow((400, 760), 380, scene.accent, 0.75)
    canvas.polygon([(0, 1010), (WIDTH, 1010), (WIDTH, HEIGHT), (0, HEIGHT)], mix(scene.night, scene.accent, 0.12))
    canvas.draw.ellipse((150, 960, 650, 1056), fill=mix(scene.accent, scene.paper, 0.4))
    scene.figure((400, 1012), 470, scene.night, cut=scene.accent)
    canvas.rect((70, 80, 730, 440), scene.night)
    canvas.rect((92, 102, 708, 418), scene.paper)
    for index in range(23):
        x = 81 + index * 29
        for y in (91, 429):
            canvas.disc((x, y), 8, mix(scene.accent, scene.paper, 0.5) if (index + (y > 200)) % 2 else scene.accent)
    for index in range(1, 12):
        for x in (81, 719):
            canvas.disc((x, 91 + index * 28.2), 8, scene.accent if index % 2 else mix(scene.accent, scene.paper, 0.5))
    return Layout(
        (120, 130, 680, 392),
        rng.choice((scene.night, mix(scene.main, scene.night, 0.35))),
        max_cap=130,
        billing_colour=scene.paper,
    )


PAPER = {
    "cut_paper": cut_paper,
    "emblem": emblem,
    "tiles": tiles,
    "pattern": pattern,
    "rings": rings,
    "rays": rays,
    "diagonal": diagonal,
    "big_type": big_type,
    "split": split,
    "marquee": marquee,
}
