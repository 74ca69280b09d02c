"""Compositions with a horizon: land, sea, road, sky, space."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from matinee.catalog.demo.artwork.canvas import HEIGHT, WIDTH, contrast, mix
from matinee.catalog.demo.artwork.palettes import DIDONE, SQUARED, WIDE
from matinee.catalog.demo.artwork.scene import MARGIN, Layout, Scene, Terrain

_RIGHT = WIDTH - MARGIN


def horizon(scene: Scene) -> Layout:
    """A figure on the nearest ridge, before a great sun or moon."""
    rng, canvas = scene.rng, scene.canvas
    dark = scene.chance(0.5)
    low = mix(scene.main, scene.accent, 0.35)
    sky = [mix(scene.night, scene.main, 0.25), scene.main, scene.accent] if dark else [scene.paper, scene.accent, low]
    canvas.gradient(sky, (0, 0, WIDTH, 860))
    foot = (rng.uniform(330, 470), 996)
    sun = (rng.choice((foot[0], foot[0], 250, 550)), rng.uniform(590, 660))  # mostly behind the figure
    disc = mix(scene.accent, scene.paper, 0.75) if dark else scene.main
    canvas.disc(sun, rng.uniform(170, 235), disc)
    if scene.chance(0.35):  # a sun cut by bands, wider towards the horizon
        for index in range(6):
            y = sun[1] + 20 + index * 34
            share = min(1.0, max(0.0, y / 860))
            behind = mix(sky[1], sky[2], max(0.0, share * 2 - 1))
            canvas.rect((sun[0] - 250, y, sun[0] + 250, y + 4 + 3.2 * index), behind)
    kind = _terrain(scene)
    canvas_low = mix(scene.main, scene.night, 0.45)
    scene.lands(kind, 790, mix(canvas_low, scene.night, 0.5), mix(scene.main, scene.night, 0.3), count=3, step=72)
    scene.ridge("hills" if kind != "dunes" else "dunes", 985, scene.night, rise=44)
    scene.figure(foot, rng.uniform(300, 370), cut=canvas_low)
    colour = scene.paper if contrast(scene.paper, sky[0]) > contrast(scene.night, sky[0]) else scene.night
    return Layout((MARGIN, 70, _RIGHT, 400), colour, billing_colour=scene.paper, valign="top")


def _terrain(scene: Scene) -> Terrain:
    wanted: tuple[tuple[str, Terrain], ...] = (
        ("desert", "dunes"),
        ("sea", "sea"),
        ("city", "city"),
        ("forest", "forest"),
        ("mountain", "peaks"),
    )
    for tag, terrain in wanted:
        if tag in scene.tags and not (terrain == "city" and scene.motif in _BEFORE_TOWERS):
            return terrain
    return scene.rng.choice(("hills", "peaks", "hills", "forest"))


def road(scene: Scene) -> Layout:
    """A straight road to the vanishing point, a low sun at its end."""
    rng, canvas = scene.rng, scene.canvas
    level = rng.uniform(600, 680)
    vanish = (rng.uniform(340, 460), level)
    sky = [mix(scene.night, scene.main, 0.5), scene.main, scene.accent]
    canvas.gradient(sky if scene.chance(0.6) else [scene.paper, mix(scene.paper, scene.accent, 0.8)], (0, 0, 800, 700))
    ground_top, ground_low = mix(scene.main, scene.night, 0.55), mix(scene.main, scene.night, 0.85)
    canvas.disc((vanish[0], level - 20), rng.uniform(110, 170), mix(scene.accent, scene.paper, 0.6))
    canvas.gradient([ground_top, ground_low], (0, level, WIDTH, HEIGHT))
    canvas.polygon([(vanish[0] - 5, level), (vanish[0] + 5, level), (690, HEIGHT), (110, HEIGHT)], scene.night)
    for index in range(9):  # dashes, growing towards us
        near, far = 1.55**-index, 1.55 ** -(index + 0.5)
        y0, y1 = level + (HEIGHT - level) * near, level + (HEIGHT - level) * far
        x0, x1 = vanish[0] + (400 - vanish[0]) * near, vanish[0] + (400 - vanish[0]) * far
        canvas.polygon(
            [(x0 - 13 * near, y0), (x0 + 13 * near, y0), (x1 + 13 * far, y1), (x1 - 13 * far, y1)], scene.accent
        )
    side = rng.choice((-1, 1))
    for index in range(1, 6):  # poles along one side
        near = 1.7**-index
        x, y = vanish[0] + side * 640 * near, level + (HEIGHT - level) * near
        tall = 760 * near
        canvas.line([(x, y), (x, y - tall)], 15 * near, scene.night)
        canvas.line([(x - 75 * near, y - tall * 0.92), (x + 75 * near, y - tall * 0.92)], 10 * near, scene.night)
    place = (vanish[0] - side * 175, 1010)
    canvas.fade(scene.night, (0, 960, WIDTH, 1090), 0.0, 1.0)
    canvas.rect((0, 1090, WIDTH, HEIGHT), scene.night)
    name = scene.motif if scene.motif in _ON_A_ROAD else rng.choice(("car", "walker", "baretree", "cactus"))
    scene.figure(place, 270, scene.paper if scene.chance(0.25) else scene.night, cut=ground_top, name=name)
    return Layout(
        (MARGIN, 74, _RIGHT, 400),
        scene.paper,
        valign="top",
        align=rng.choice(("left", "centre")),
        effect="plain",
        billing_colour=scene.paper,
    )


# What no city with towers stands behind.
_BEFORE_TOWERS = frozenset(("samurai", "castle", "crown", "sword", "lion", "cowboy", "horse", "wolf", "ape", "manor"))

_ON_A_ROAD = frozenset(
    (
        *("car", "walker", "man", "woman", "couple", "cowboy", "child", "runner", "bicycle", "cactus", "baretree"),
        *("tree", "dog", "horse", "samurai", "soldier", "house", "dinosaur", "ape", "robot", "astronaut", "streetlamp"),
    )
)


def waterline(scene: Scene) -> Layout:
    """What is above the water, and what is below."""
    rng, canvas = scene.rng, scene.canvas
    level = rng.uniform(430, 500)
    canvas.gradient([mix(scene.paper, scene.accent, 0.15), scene.paper], (0, 0, WIDTH, level + 40))
    canvas.disc((rng.uniform(480, 640), level - 130), 74, scene.accent)
    tones = [mix(scene.main, scene.paper, 0.35), scene.main, mix(scene.main, scene.night, 0.6), scene.night]
    above, below = scene.motif, scene.second
    if above in _DEEP or below in _AFLOAT:
        above, below = below, above
    scene.figure((400, level + 12), 200, scene.night, name=above)
    scene.ridge("sea", level + 14, tones[0], rise=60)
    canvas.gradient(tones, (0, level + 26, WIDTH, HEIGHT))
    scene.ridge("sea", level + 26, tones[0], rise=54, box=(0, 0, WIDTH, level + 40))
    for _ in range(26):
        x, y = rng.uniform(60, 740), rng.uniform(level + 80, 1050)
        canvas.ring((x, y), rng.uniform(3, 12), 3, mix(scene.main, scene.paper, 0.35))
    scene.figure((rng.uniform(330, 470), 900), 290, mix(scene.night, scene.main, 0.12), cut=scene.main, name=below)
    return Layout((MARGIN, 920, _RIGHT, 1062), scene.paper, max_cap=120, billing_colour=scene.paper)


_DEEP = frozenset(("fish", "whale", "dragon", "hand", "diamond", "anchor", "planet", "skull"))
_AFLOAT = frozenset(("ship", "sailboat", "fin", "lighthouse", "tent", "house"))


def seigaiha(scene: Scene) -> Layout:
    """A pattern of waves under a plain sun, as on printed cloth."""
    rng, canvas = scene.rng, scene.canvas
    canvas.rect((0, 0, WIDTH, HEIGHT), scene.paper)
    canvas.disc((rng.choice((400, 270, 530)), 330), 205, scene.main)
    scene.figure((400, 790), 400, scene.night)
    radius, row = 80, 0
    y = 740.0
    while y < HEIGHT + radius:
        for column in range(-1, 7):
            x = column * radius * 2 + (radius if row % 2 else 0)
            for ring, colour in enumerate((scene.night, scene.paper, scene.second_tone, scene.paper, scene.night)):
                canvas.disc((x, y + radius), radius * (1 - ring * 0.2), colour)
        y += radius * 0.5
        row += 1
    canvas.rect((0, 966, WIDTH, HEIGHT), scene.night)
    return Layout((MARGIN, 990, _RIGHT, 1082), scene.paper, max_cap=84)


def skyline(scene: Scene) -> Layout:
    """A city at night, its windows lit, somebody on a roof."""
    rng, canvas = scene.rng, scene.canvas
    canvas.gradient(
        [scene.night, mix(scene.night, scene.main, 0.75), mix(scene.main, scene.accent, 0.4)], (0, 0, 800, 940)
    )
    roof = rng.choice((90, 430))
    canvas.glow((roof + 140, 780), 420, scene.accent, 0.55)
    canvas.disc(
        (rng.uniform(140, 660), rng.uniform(430, 520)), rng.uniform(54, 90), mix(scene.paper, scene.accent, 0.2)
    )
    far, near = mix(scene.main, scene.night, 0.35), mix(scene.main, scene.night, 0.62)
    scene.ridge("city", 830, far, rise=150)
    scene.ridge("city", 940, near, rise=150)
    for _ in range(150):
        x, y = rng.randrange(0, 800, 14), rng.randrange(850, 1080, 18)
        canvas.rect((x, y, x + 6, y + 9), mix(near, scene.accent, rng.uniform(0.4, 1)))
    canvas.rect((0, 1056, WIDTH, HEIGHT), scene.night)
    canvas.rect((roof, 950, roof + 280, HEIGHT), scene.night)
    scene.figure((roof + 140, 953), 300, scene.night, cut=near)
    return Layout((MARGIN, 70, _RIGHT, 400), scene.paper, valign="top", billing_colour=scene.paper)


def planetscape(scene: Scene) -> Layout:
    """A planet, its ring, a small traveller."""
    rng, canvas = scene.rng, scene.canvas
    canvas.gradient([scene.night, mix(scene.night, scene.second_tone, 0.7)])
    canvas.stars(rng, 210, scene.paper)
    centre = (rng.uniform(250, 560), rng.uniform(470, 560))
    radius = rng.uniform(190, 270)
    canvas.glow(centre, radius * 1.7, scene.main, 0.55)
    body = Image.new("L", (WIDTH, HEIGHT), 0)
    ImageDraw.Draw(body).ellipse(
        (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius), fill=255
    )
    surface = scene.canvas.sibling(scene.main)
    bands = [mix(scene.main, scene.paper, rng.uniform(0, 0.45)) for _ in range(6)]
    surface.gradient(bands, (0, centre[1] - radius, WIDTH, centre[1] + radius))
    shade = (centre[0] + radius * 0.55, centre[1] + radius * 0.45)
    surface.glow(shade, radius * 2.1, scene.night, 0.95)
    canvas.image.paste(surface.image, (0, 0), body)
    if scene.chance(0.6):
        tilt = rng.uniform(-0.35, 0.35)
        for share in (1.5, 1.62, 1.78):
            points = []
            for step in range(-8, 189, 4):  # the half of the ring before the planet
                a = math.radians(step)
                x, y = radius * share * math.cos(a), radius * share * 0.26 * math.sin(a)
                points.append((centre[0] + x - y * tilt, centre[1] + y + x * tilt))
            canvas.line(points, 9 if share < 1.7 else 5, mix(scene.accent, scene.paper, 0.3))
    scene.ridge("peaks" if scene.chance(0.5) else "hills", 1000, mix(scene.night, scene.second_tone, 0.35), rise=90)
    scene.ridge("hills", 1052, scene.night, rise=50)
    scene.figure((rng.choice((190, 400, 610)), 1062), 215, scene.night, cut=scene.accent)
    hand = rng.choice((WIDE, SQUARED, None))
    return Layout(
        (MARGIN, 76, _RIGHT, 260), scene.paper, valign="top", max_cap=110, hand=hand, billing_colour=scene.paper
    )


def neon_grid(scene: Scene) -> Layout:
    """A striped sun over a floor of lines."""
    rng, canvas = scene.rng, scene.canvas
    level = 770.0
    glow = mix(scene.main, scene.accent, 0.3)
    canvas.gradient([scene.night, mix(scene.night, scene.main, 0.55)], (0, 0, WIDTH, level))
    canvas.stars(rng, 90, scene.paper, (0, 0, WIDTH, 480))
    sun = scene.canvas.sibling(scene.accent)
    sun.gradient([scene.accent, scene.main], (0, level - 420, WIDTH, level))
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    pen = ImageDraw.Draw(mask)
    pen.ellipse((400 - 230, level - 400, 400 + 230, level + 60), fill=255)
    for index in range(7):
        y = level - 190 + index * 30
        pen.rectangle((0, y, WIDTH, y + 3 + index * 2), fill=0)
    pen.rectangle((0, level, WIDTH, HEIGHT), fill=0)
    canvas.image.paste(sun.image, (0, 0), mask)
    if scene.chance(0.5):
        scene.ridge("city", level, mix(scene.night, scene.main, 0.12), rise=80, box=(0, 0, WIDTH, level + 1))
    else:
        scene.ridge("peaks", level - 8, mix(scene.night, scene.main, 0.18), rise=80, box=(0, 0, WIDTH, level + 1))
    canvas.gradient([mix(scene.night, scene.main, 0.4), scene.night], (0, level, WIDTH, HEIGHT))
    for index in range(-14, 15):
        canvas.line([(400 + index * 26, level), (400 + index * 170, HEIGHT)], 3, glow)
    for index in range(11):
        y = level + (HEIGHT - level) * (index / 10) ** 2.2
        canvas.line([(0, y), (WIDTH, y)], 3, glow)
    scene.figure((400, 1010), 330, scene.night, cut=glow)
    canvas.fade(scene.night, (0, 1010, WIDTH, HEIGHT), 0.0, 0.95)
    return Layout(
        (MARGIN, 76, _RIGHT, 330),
        scene.paper,
        valign="top",
        max_cap=120,
        effect="glow",
        effect_colour=scene.main,
        hand=rng.choice((WIDE, SQUARED, None)),
        billing_colour=scene.paper,
    )


def forest(scene: Scene) -> Layout:
    """Trunks and fog, and something small among them."""
    rng, canvas = scene.rng, scene.canvas
    fog = mix(scene.paper, scene.main, 0.55)
    canvas.gradient([mix(scene.night, scene.main, 0.5), fog, mix(scene.night, scene.main, 0.4)])
    if scene.chance(0.6):
        canvas.disc((rng.uniform(260, 540), 440), rng.uniform(90, 130), mix(scene.accent, scene.paper, 0.15))
    for layer, tone in enumerate((0.35, 0.62, 1.0)):
        colour = mix(fog, scene.night, tone)
        gap = (46, 92, 190)[layer]
        x = rng.uniform(-30, 20)
        while x < WIDTH:
            wide = (9, 20, 46)[layer] * rng.uniform(0.7, 1.3)
            middle = abs(x + wide / 2 - 400) < (0, 90, 230)[layer]
            if not middle:
                lean = rng.uniform(-18, 18)
                canvas.polygon([(x + lean, 0), (x + wide * 0.8 + lean, 0), (x + wide, HEIGHT), (x - 4, HEIGHT)], colour)
                for _ in range(layer * 2):
                    y, side = rng.uniform(80, 760), rng.choice((-1, 1))
                    tip = (x + wide / 2 + side * rng.uniform(50, 130), y - rng.uniform(20, 80))
                    canvas.line([(x + wide / 2, y), tip], 3 + layer * 2, colour)
            x += gap * rng.uniform(0.7, 1.4)
        if layer == 1:
            canvas.fade(fog, (0, 620, WIDTH, 1000), 0.0, 0.75)
            scene.figure((400, 930), 220, mix(fog, scene.night, 0.85), cut=scene.accent, accent=scene.accent)
            scene.ridge("hills", 940, mix(fog, scene.night, 0.75), rise=30)
    canvas.fade(scene.night, (0, 0, WIDTH, 420), 0.75, 0.0)
    canvas.fade(scene.night, (0, 940, WIDTH, HEIGHT), 0.0, 0.97)
    return Layout((MARGIN, 70, _RIGHT, 350), scene.paper, valign="top", billing_colour=scene.paper)


def storybook(scene: Scene) -> Layout:
    """Rounded hills, flat clouds, a friendly big figure."""
    rng, canvas = scene.rng, scene.canvas
    dusk = scene.chance(0.35)
    sky = [scene.night, mix(scene.night, scene.second_tone, 0.8)] if dusk else [scene.second_tone, scene.paper]
    canvas.gradient(sky, (0, 0, WIDTH, 900))
    if dusk:
        canvas.stars(rng, 70, scene.paper, (0, 0, WIDTH, 650))
    canvas.disc((rng.uniform(130, 670), rng.uniform(420, 520)), rng.uniform(60, 105), scene.accent)
    cloud = mix(sky[0], scene.paper, 0.35 if dusk else 0.8)
    for _ in range(3):
        x, y, size = rng.uniform(20, 780), rng.uniform(380, 640), rng.uniform(34, 60)
        for dx, dy, share in ((-1.3, 0.15, 0.7), (0, -0.2, 1.0), (1.2, 0.1, 0.75), (2.1, 0.3, 0.5)):
            canvas.disc((x + dx * size, y + dy * size), size * share, cloud)
        canvas.rect((x - 1.9 * size, y + 0.3 * size, x + 2.6 * size, y + 0.86 * size), cloud)
    hills = (mix(scene.main, scene.paper, 0.3), scene.main, mix(scene.main, scene.night, 0.35))
    for index, colour in enumerate(hills):
        x, y = rng.uniform(0, 800), 930 + index * 90
        canvas.draw.ellipse((x - 620, y - 190 + 30 * index, x + 620, y + 900), fill=colour)
        other = x - 560 if x > 400 else x + 560
        canvas.draw.ellipse(
            (other - 560, y - 130 + 30 * index, other + 560, y + 900), fill=mix(colour, scene.night, 0.08)
        )
        for _ in range(5):
            tx, ty = rng.uniform(20, 780), y + rng.uniform(10, 60)
            scene.figure(
                (tx, ty), rng.uniform(50, 96), mix(colour, scene.night, 0.3), name=rng.choice(("tree", "pine"))
            )
    scene.figure(
        (rng.uniform(350, 450), 1030),
        400,
        scene.night if not dusk else scene.paper,
        cut=scene.paper if not dusk else scene.night,
    )
    canvas.fade(scene.night, (0, 1020, WIDTH, HEIGHT), 0.0, 0.85)
    title = scene.accent if dusk else scene.paper
    return Layout(
        (MARGIN, 66, _RIGHT, 370),
        title,
        valign="top",
        effect="shadow",
        effect_colour=scene.night,
        billing_colour=scene.paper,
    )


def portal(scene: Scene) -> Layout:
    """An arch with a night landscape inside, framed like a tale."""
    rng, canvas = scene.rng, scene.canvas
    frame = mix(scene.night, scene.main, 0.2)
    canvas.rect((0, 0, WIDTH, HEIGHT), frame)
    inner = scene.canvas.sibling(scene.night)
    view = Scene(inner, rng, scene.palette, scene.motif, scene.second, scene.genre, scene.decade, scene.tags)
    inner.gradient([scene.night, scene.second_tone, mix(scene.main, scene.paper, 0.45)], (0, 60, WIDTH, 820))
    inner.stars(rng, 120, scene.paper, (80, 90, 720, 500))
    moon = (rng.uniform(260, 540), rng.uniform(300, 380))
    inner.glow(moon, 260, scene.accent, 0.6)
    inner.disc(moon, rng.uniform(70, 105), mix(scene.accent, scene.paper, 0.35))
    view.ridge("peaks", 640, mix(scene.second_tone, scene.night, 0.35), rise=110)
    view.ridge("forest", 740, mix(scene.second_tone, scene.night, 0.6), rise=70)
    view.ridge("hills", 770, mix(scene.night, scene.main, 0.16), rise=40)
    view.figure((400, 800), 360, scene.night, cut=scene.accent)
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    pen = ImageDraw.Draw(mask)
    pen.rectangle((96, 360, 704, 830), fill=255)
    pen.ellipse((96, 86, 704, 694), fill=255)
    canvas.image.paste(inner.image, (0, 0), mask)
    for inset, thick in ((0, 7), (-22, 3)):
        canvas.draw.arc((96 + inset, 86 + inset, 704 - inset, 694 - inset), 180, 360, fill=scene.accent, width=thick)
        for x in (96 + inset, 704 - inset):
            canvas.rect((x - thick / 2, 388, x + thick / 2, 830 - inset), scene.accent)
        canvas.rect((96 + inset, 830 - inset - thick, 704 - inset, 830 - inset), scene.accent)
    for x, y in ((60, 60), (740, 60)):
        scene.figure((x, y + 26), 52, scene.accent, cut=frame, name="star")
    return Layout(
        (MARGIN, 876, _RIGHT, 1080),
        scene.accent,
        max_cap=120,
        hand=DIDONE if scene.chance(0.5) else None,
        billing_colour=mix(scene.paper, scene.accent, 0.3),
    )


LAND = {
    "horizon": horizon,
    "road": road,
    "waterline": waterline,
    "seigaiha": seigaiha,
    "skyline": skyline,
    "planetscape": planetscape,
    "neon_grid": neon_grid,
    "forest": forest,
    "storybook": storybook,
    "portal": portal,
}
