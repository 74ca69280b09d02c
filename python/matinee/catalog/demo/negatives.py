"""Pictures that are not film posters, drawn by code, for training the demo's poster check.

They stand in for photographs, album covers, screenshots and the rest. A check trained on them and on drawn posters
knows drawings only, and says so; the figures that matter come from real pictures.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from matinee.catalog.demo.artwork import photographs
from matinee.catalog.demo.artwork.canvas import Canvas, Colour, encode_jpeg, mix
from matinee.catalog.demo.artwork.motifs import draw_motif
from matinee.catalog.demo.artwork.palettes import PALETTES, POSTER, SQUARED, THIN, WIDE, Palette, choose_hand
from matinee.catalog.demo.artwork.silhouettes import SILHOUETTES
from matinee.catalog.demo.artwork.typeset import Align, set_title

COUNTS = {"photograph": 120, "album_cover": 90, "screenshot": 60, "other": 60}
"""How many of each kind `draw_negatives` gives."""

_WORDS = (
    "north", "glass", "river", "echo", "static", "velvet", "harbor", "signal", "paper", "silver", "low", "tide",
    "orchid", "motor", "winter", "neon", "garden", "hollow", "copper", "satellite", "quiet", "parade", "ember", "atlas",
)  # fmt: skip
_HEROES = ("soldier", "car", "dragon", "samurai", "ball", "astronaut", "robot", "ape")
_SENTENCES = (
    "Save changes before closing", "Open recent file", "Search settings", "Last edited on Monday", "New message",
    "Total due", "Quarterly report", "Reply to all", "No items found", "Update available", "Terms of use", "Sign in",
    "Drag files here to upload", "View as list", "Meeting at ten", "Level complete", "Press any key",
)  # fmt: skip


def draw_negatives(seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """(kind, JPEG) of every negative; the same seed gives the same pictures."""
    for kind, count in COUNTS.items():
        for index in range(count):
            yield kind, draw_negative(kind, index, seed)


def draw_negative(kind: str, index: int, seed: int = 0) -> bytes:
    """One picture of a kind of COUNTS, as JPEG."""
    rng = random.Random(f"{seed}:{kind}:{index}")
    painters = _PAINTERS[kind]
    image = painters[index % len(painters)](rng)
    return encode_jpeg(image, quality=rng.choice((82, 88, 92)))


# Album covers: square, a picture or a pattern, a band and a title


def _album(rng: random.Random) -> Image.Image:
    palette = _palette(rng)
    side = 800
    canvas = Canvas(rng.choice((palette.paper, palette.main, palette.night, palette.accent)), width=side, height=side)
    ground = canvas.image.getpixel((0, 0))
    assert isinstance(ground, tuple)
    rng.choice((_album_shapes, _album_motif, _album_lines, _album_photo))(canvas, palette, rng)
    band, album = (
        " ".join(rng.sample(_WORDS, rng.choice((1, 1, 2)))),
        " ".join(rng.sample(_WORDS, rng.choice((1, 2, 3)))),
    )
    hand = rng.choice((THIN, WIDE, POSTER, SQUARED, choose_hand("Romance", rng), choose_hand("Comedy", rng)))
    at = rng.choice(("top", "bottom", "corner", "none"))
    if at != "none":
        box = {"top": (50, 44, 750, 150), "bottom": (50, 640, 750, 740), "corner": (40, 40, 330, 120)}[at]
        align: Align = rng.choice(("left", "right", "centre")) if at != "corner" else "left"
        tone = canvas.image.crop(tuple(round(v) for v in box)).resize((1, 1)).getpixel((0, 0))  # type: ignore[arg-type]
        assert isinstance(tone, tuple)
        ink = palette.night if sum(tone) > 330 else palette.paper
        setting = set_title(band, box, hand, align=align, valign="top", max_cap=90, max_lines=1)
        setting.draw(canvas.draw, ink)
        low = setting.box[3] + 18
        small = set_title(
            album, (box[0], low, box[2], low + 40), hand, align=align, valign="top", max_cap=26, max_lines=1
        )
        small.draw(canvas.draw, ink)
    image = canvas.finish(rng, rng.uniform(0.1, 0.6))
    shape = rng.random()
    if shape < 0.2:  # cropped to a poster's shape, so that shape alone tells nothing
        return image.crop((67, 0, 333, 400))
    if shape < 0.4:
        padded = Image.new("RGB", (400, 600), rng.choice(((0, 0, 0), (255, 255, 255), palette.night)))
        padded.paste(image, (0, 100))
        return padded
    return image


def _album_shapes(canvas: Canvas, palette: Palette, rng: random.Random) -> None:
    for _ in range(rng.randrange(3, 14)):
        colour = rng.choice((palette.main, palette.accent, palette.second, palette.night, palette.paper))
        x, y, r = rng.uniform(0, 800), rng.uniform(0, 800), rng.uniform(40, 280)
        pick = rng.randrange(3)
        if pick == 0:
            canvas.disc((x, y), r, colour)
        elif pick == 1:
            canvas.rect((x - r, y - r * 0.4, x + r, y + r * 0.4), colour)
        else:
            canvas.polygon([(x + r * math.cos(a), y + r * math.sin(a)) for a in (0.3, 2.4, 4.4)], colour)


def _album_motif(canvas: Canvas, palette: Palette, rng: random.Random) -> None:
    if rng.random() < 0.5:
        canvas.disc((400, 420), rng.uniform(180, 320), palette.accent)
    draw_motif(
        canvas, rng.choice(sorted(SILHOUETTES)), foot=(rng.uniform(300, 500), 640), height=rng.uniform(240, 460),
        colour=palette.second, cut=palette.paper, accent=palette.main, turn=rng.choice((0, 0, 20, -15, 180)),
    )  # fmt: skip


def _album_lines(canvas: Canvas, palette: Palette, rng: random.Random) -> None:
    wave = rng.uniform(10, 60)
    for index in range(rng.choice((16, 30, 44))):
        y = 120 + index * 560 / 44 * rng.choice((1.0, 1.0, 1.1))
        points = [(x, y - wave * math.exp(-(((x - 400) / 160) ** 2)) * rng.random() * 3) for x in range(150, 651, 8)]
        canvas.line(points, 3, rng.choice((palette.paper, palette.accent)))


def _album_photo(canvas: Canvas, palette: Palette, rng: random.Random) -> None:
    picture = rng.choice(
        (photographs.landscape, photographs.shore, photographs.bokeh, photographs.close_up, photographs.portrait)
    )(rng)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side)).resize((800, 800), Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        grey = picture.convert("L")
        tint = [mix(palette.night, palette.accent, v / 255) for v in range(256)]
        channels = [grey.point([tone[c] for tone in tint]) for c in range(3)]
        picture = Image.merge("RGB", channels)
    inset = rng.choice((0, 0, 90))
    canvas.image.paste(picture.resize((800 - 2 * inset, 800 - 2 * inset)), (inset, inset))


# Screenshots


def _window(rng: random.Random) -> Image.Image:
    """A desktop program: title bar, side list, lines of text, buttons."""
    width, height = rng.choice(((640, 400), (520, 390), (300, 600), (400, 600)))
    dark = rng.random() < 0.4
    back, panel, ink = (
        ((30, 32, 38), (42, 45, 53), (214, 216, 220)) if dark else ((255, 255, 255), (240, 241, 244), (40, 42, 48))
    )
    accent = rng.choice(((52, 120, 246), (40, 160, 110), (220, 80, 60), (130, 90, 220)))
    image = Image.new("RGB", (width, height), back)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, 30), fill=panel)
    for index, colour in enumerate(((236, 100, 90), (240, 190, 80), (100, 200, 110))):
        draw.ellipse((10 + 16 * index, 10, 20 + 16 * index, 20), fill=colour)
    draw.text((70, 8), rng.choice(_SENTENCES), fill=ink, font=_font(12))
    side = 0 if width < 420 else rng.choice((0, 120, 160))
    if side:
        draw.rectangle((0, 31, side, height), fill=panel)
        for index in range(9):
            if index == 2:
                draw.rounded_rectangle((6, 40 + index * 26, side - 6, 62 + index * 26), 5, fill=accent)
            draw.text((14, 44 + index * 26), rng.choice(_WORDS).title(), fill=ink, font=_font(12))
    y = 48
    while y < height - 40:
        pick = rng.random()
        if pick < 0.12:
            draw.rounded_rectangle((side + 20, y, side + 130, y + 26), 6, fill=accent)
            draw.text((side + 32, y + 6), rng.choice(_SENTENCES)[:14], fill=(255, 255, 255), font=_font(12))
            y += 40
        elif pick < 0.25:
            tall = rng.randrange(40, 90)
            for column in range((width - side - 40) // 90):
                tone = mix(accent, back, rng.uniform(0.2, 0.8))
                draw.rounded_rectangle((side + 20 + column * 90, y, side + 100 + column * 90, y + tall), 6, fill=tone)
            y += tall + 16
        else:
            text = ". ".join(rng.sample(_SENTENCES, 3))
            draw.text(
                (side + 20, y),
                text[: (width - side - 40) // 7],
                fill=mix(ink, back, rng.choice((0, 0.35))),
                font=_font(13),
            )
            y += 20
    return image


def _game(rng: random.Random) -> Image.Image:
    """A game in progress: blocks or a road, with counters along the edges."""
    palette = _palette(rng)
    size = rng.choice(((480, 300), (400, 300), (512, 288)))
    image = Image.new("RGB", size, mix(palette.second, palette.paper, 0.4))
    draw = ImageDraw.Draw(image)
    width, height = size
    block = rng.choice((16, 20, 24))
    if rng.random() < 0.6:
        ground = [rng.randrange(2, 5)]
        for column in range(width // block + 1):
            ground.append(max(1, min(7, ground[-1] + rng.choice((-1, 0, 0, 0, 1)))))
            for level in range(ground[-1]):
                tone = palette.main if level == ground[-1] - 1 else mix(palette.main, palette.night, 0.5)
                x, y = column * block, height - (level + 1) * block
                draw.rectangle((x, y, x + block - 2, y + block - 2), fill=tone)
            if rng.random() < 0.2:
                x, y = column * block, height - (ground[-1] + rng.randrange(2, 6)) * block
                draw.rectangle((x, y, x + block - 2, y + block - 2), fill=palette.accent)
        draw.rectangle((width * 0.4, height * 0.5, width * 0.4 + block, height * 0.5 + block * 1.6), fill=palette.night)
    else:
        draw.rectangle((0, height // 2, width, height), fill=mix(palette.main, palette.night, 0.4))
        draw.polygon(
            [(width // 2 - 10, height // 2), (width // 2 + 10, height // 2), (width, height), (0, height)],
            fill=(70, 70, 76),
        )
        for _ in range(12):
            x, y = rng.randrange(width), rng.randrange(height // 2, height)
            draw.rectangle((x, y, x + 12, y + 9), fill=rng.choice((palette.accent, palette.paper)))
    draw.rectangle((10, 10, 130, 22), outline=(255, 255, 255))
    draw.rectangle((12, 12, rng.randrange(30, 128), 20), fill=(210, 50, 50))
    draw.text((width - 120, 8), f"SCORE {rng.randrange(99999):05d}", fill=(255, 255, 255), font=_font(14))
    draw.text(
        (10, height - 22), f"x{rng.randrange(9)}   LV {rng.randrange(1, 30)}", fill=(255, 255, 255), font=_font(14)
    )
    return image


# The rest: game boxes, pages, charts, blanks


def _game_box(rng: random.Random) -> Image.Image:
    """Cover art under the stripe of a console."""
    palette = PALETTES["Action"][rng.randrange(5)]
    canvas = Canvas(palette.night, width=700, height=rng.choice((880, 980)))
    low = canvas.height
    canvas.gradient([palette.second, palette.main, palette.night])
    canvas.rays((350, low * 0.55), 24, mix(palette.main, palette.night, 0.25))
    draw_motif(canvas, rng.choice(_HEROES), foot=(350, low - 90),
               height=low * 0.5, colour=palette.night, cut=palette.accent, accent=palette.accent)  # fmt: skip
    title = " ".join(rng.sample(_WORDS, rng.choice((1, 2)))) + rng.choice(("", " 2", " 3", " racing", " tactics"))
    set_title(title, (40, 130, 660, 330), choose_hand("Action", rng), max_cap=120).draw(canvas.draw, palette.paper)
    stripe = rng.choice(((20, 110, 40), (10, 60, 150), (190, 30, 40), (240, 240, 240)))
    canvas.rect((0, 0, 700, 92), stripe)
    ink = (20, 20, 20) if sum(stripe) > 500 else (255, 255, 255)
    set_title(
        rng.choice(("play box", "game one", "super system", "arcade x")),
        (30, 26, 400, 66),
        WIDE,
        align="left",
        max_cap=40,
    ).draw(canvas.draw, ink)
    canvas.rect((30, low - 120, 100, low - 30), (245, 245, 245))
    set_title(rng.choice(("E", "T", "M", "12", "16")), (36, low - 112, 94, low - 40), POSTER, max_cap=60).draw(
        canvas.draw, (10, 10, 10)
    )
    return canvas.finish()


def _page(rng: random.Random) -> Image.Image:
    """A printed or typed page."""
    image = Image.new(
        "RGB", rng.choice(((420, 594), (400, 600), (594, 420))), rng.choice(((255, 255, 255), (248, 244, 232)))
    )
    draw = ImageDraw.Draw(image)
    draw.text((40, 36), rng.choice(_SENTENCES), fill=(20, 20, 20), font=_font(rng.choice((18, 22, 26))))
    y = 84
    while y < image.height - 50:
        words = " ".join(rng.choice(_WORDS) for _ in range(16))
        draw.text((40, y), words[: (image.width - 80) // 6], fill=(50, 50, 50), font=_font(11))
        y += 16 if rng.random() < 0.86 else 32
    return image


def _chart(rng: random.Random) -> Image.Image:
    """Bars or a line on axes."""
    image = Image.new("RGB", rng.choice(((480, 320), (400, 400))), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    width, height = image.size
    colour: Colour = rng.choice(((31, 119, 180), (214, 39, 40), (44, 160, 44)))
    draw.line((40, 20, 40, height - 40, width - 20, height - 40), fill=(40, 40, 40), width=2)
    values = [rng.uniform(0.1, 1) for _ in range(rng.randrange(5, 14))]
    step = (width - 80) / len(values)
    if rng.random() < 0.6:
        for index, value in enumerate(values):
            x = 50 + index * step
            draw.rectangle((x, height - 41 - value * (height - 90), x + step * 0.7, height - 41), fill=colour)
    else:
        points = [(50 + i * step, height - 41 - v * (height - 90)) for i, v in enumerate(values)]
        draw.line(points, fill=colour, width=3)
    draw.text((60, 12), rng.choice(_SENTENCES), fill=(20, 20, 20), font=_font(14))
    return image


def _blank(rng: random.Random) -> Image.Image:
    """Nothing: one colour, a gradient, or noise."""
    size = rng.choice(((400, 600), (300, 450), (400, 400)))
    pick = rng.randrange(4)
    if pick == 0:
        return Image.new("RGB", size, rng.choice(((255, 255, 255), (0, 0, 0), (128, 128, 128), (20, 60, 160))))
    if pick == 1:
        state = np.random.RandomState(rng.randrange(2**31))
        return Image.fromarray(state.randint(0, 256, (size[1], size[0], 3)).astype(np.uint8))
    if pick == 2:
        state = np.random.RandomState(rng.randrange(2**31))
        cells = state.randint(0, 2, (33, 33)).astype(np.uint8) * 255
        return Image.fromarray(cells).resize((400, 400), Image.Resampling.NEAREST).convert("RGB")
    canvas = Canvas((0, 0, 0), width=size[0] * 2, height=size[1] * 2)
    palette = _palette(rng)
    canvas.gradient([palette.main, palette.accent, palette.night], sideways=rng.random() < 0.5)
    return canvas.finish()


def _palette(rng: random.Random) -> Palette:
    return rng.choice(PALETTES[rng.choice(sorted(PALETTES))])


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


_PAINTERS: dict[str, tuple[Callable[[random.Random], Image.Image], ...]] = {
    "photograph": (
        photographs.landscape,
        photographs.shore,
        photographs.bokeh,
        photographs.close_up,
        photographs.portrait,
    ),
    "album_cover": (_album,),
    "screenshot": (_window, _game),
    "other": (_game_box, _page, _game_box, _chart, _blank),
}
