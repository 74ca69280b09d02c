"""Draws a poster for a film: the same film and seed always give the same picture.

The design follows the film's facts: its genre picks colours, lettering and composition, the words of its title and
plot pick what is shown, its year and country lean on the style. Nothing is copied from any real poster.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image

from matinee.catalog.demo.artwork.canvas import HEIGHT, SCALE, WIDTH, Box, Canvas, Colour, contrast, encode_jpeg, mix
from matinee.catalog.demo.artwork.direction import COMPOSITIONS, Art, composition, lead_genre, motifs, tags
from matinee.catalog.demo.artwork.lettering import Hand, drawable
from matinee.catalog.demo.artwork.palettes import choose_hand, choose_palette
from matinee.catalog.demo.artwork.scene import Layout, Scene
from matinee.catalog.demo.artwork.typeset import Setting, set_title
from matinee.catalog.film import Film

POSTER_SIZE = (WIDTH // SCALE, HEIGHT // SCALE)  # pixels
POSTER_MIME = "image/jpeg"
POSTER_SOURCE = "drawn by Matinee's code"

_LEAST_CONTRAST = 3.0  # WCAG's limit for large type
_CREDITS = Hand(width=0.4, stem=0.1, bar=0.09, spacing=0.1, stadium=True, word_space=0.3)
_NAMES = Hand(width=0.5, stem=0.12, bar=0.11, spacing=0.12, stadium=True, word_space=0.38)


@dataclass(frozen=True)
class Poster:
    """A drawn poster and where its words stand, in pixels of the picture."""

    image: Image.Image  # RGB, POSTER_SIZE
    composition: str
    title_box: Box  # left, top, right, bottom
    title_contrast: float  # WCAG ratio of the lettering against what lies behind it


def draw_poster(film: Film, seed: int = 0, art: Art | None = None) -> bytes:
    """A JPEG of 400 by 600 pixels. A pure function of the film's facts, the seed and the art direction, if any."""
    return encode_jpeg(compose_poster(film, seed, art).image)


def compose_poster(film: Film, seed: int = 0, art: Art | None = None) -> Poster:
    """As draw_poster, before encoding, with what the tests look at."""
    rng = random.Random(f"{seed}:{film.id}:{film.title}")
    genre = lead_genre(film)
    palette = choose_palette(genre, rng)
    motif, second = motifs(film, genre, rng, art)
    places = tags(film)
    name = art.layout if art and art.layout else composition(film, genre, motif, places, rng)
    scene = Scene(Canvas(palette.night), rng, palette, motif, second, genre, (film.year or 1990) // 10 * 10, places)
    layout = COMPOSITIONS[name](scene)
    hand = layout.hand or choose_hand(genre, rng)
    title = film.title if drawable(film.title) else "Untitled"
    canvas = scene.canvas
    setting = _set(title, layout, hand)
    colour, ratio = _legible(canvas, setting, layout, scene)
    _letter(canvas, setting, layout, colour, scene)
    _bill(canvas, film, layout, scene)
    box = setting.box
    grain = 0.55 if film.year is not None and film.year < 1975 else 0.3
    return Poster(canvas.finish(rng, grain), name, (box[0] / 2, box[1] / 2, box[2] / 2, box[3] / 2), ratio)


def _set(title: str, layout: Layout, hand: Hand) -> Setting:
    left, top, right, bottom = layout.title
    main, _, rest = title.partition(": ")
    if rest and len(title) > 24 and bottom - top > 150:  # a subtitle, smaller under the title
        cut = top + (bottom - top) * 0.68
        upper = set_title(
            main, (left, top, right, cut - 14), hand, align=layout.align, justify=layout.justify,
            valign="bottom" if layout.valign != "top" else "top", max_cap=layout.max_cap,
        )  # fmt: skip
        end = upper.box[3]
        lower = set_title(
            rest, (left, end + 22, right, max(bottom, end + 60)), upper.hand, align=layout.align, valign="top",
            max_cap=min(upper.lines[-1].cap * 0.55, 60),
        )  # fmt: skip
        return Setting((*upper.lines, *lower.lines), upper.hand)
    return set_title(
        title, layout.title, hand, align=layout.align, valign=layout.valign, justify=layout.justify,
        max_cap=layout.max_cap,
    )  # fmt: skip


def _legible(canvas: Canvas, setting: Setting, layout: Layout, scene: Scene) -> tuple[Colour, float]:
    """The layout's colour where it stands out from what is behind the letters, else the best of the palette."""
    behind = _behind(canvas, setting.box)
    candidates = (layout.colour, scene.paper, scene.night)
    ratios = [min(contrast(colour, tone) for tone in behind) for colour in candidates]
    if ratios[0] >= _LEAST_CONTRAST:
        return layout.colour, ratios[0]
    best = max((1, 2), key=lambda index: ratios[index])
    if ratios[best] < _LEAST_CONTRAST:  # a busy ground: calm it with a veil before lettering
        _, top, _, bottom = setting.box
        veil = scene.night if candidates[best] == scene.paper else scene.paper
        middle = (top + bottom) / 2
        canvas.fade(veil, (0, max(0, top - 90), WIDTH, middle), 0.0, 0.75)
        canvas.fade(veil, (0, middle, WIDTH, min(HEIGHT, bottom + 90)), 0.75, 0.0)
        ratios[best] = min(contrast(candidates[best], tone) for tone in _behind(canvas, setting.box))
    return candidates[best], ratios[best]


def _behind(canvas: Canvas, box: Box) -> list[Colour]:
    """Colours of the sheet under a box, on a grid of 6 by 4."""
    left, top, right, bottom = (round(v) for v in box)
    part = canvas.image.crop((max(0, left), max(0, top), min(WIDTH, right), min(HEIGHT, bottom)))
    small = part.resize((6, 4), Image.Resampling.BOX)
    return [small.getpixel((x, y)) for x in range(6) for y in range(4)]  # type: ignore[misc]


def _letter(canvas: Canvas, setting: Setting, layout: Layout, colour: Colour, scene: Scene) -> None:
    effect, second = layout.effect, layout.effect_colour or scene.night
    if contrast(second, colour) < 2:  # a shadow of the letters' own colour would only make them fat
        effect = "plain"
    draw = canvas.draw
    if effect == "jitter":
        setting.draw(draw, colour, warp=setting.jitter(scene.rng, 3.0, 0.035))
        return
    if effect == "shadow":
        reach = max(3, round(setting.lines[0].cap * 0.055))
        for step in range(reach, 0, -2):
            setting.draw(draw, second, offset=(step, step))
    elif effect == "glow":
        canvas.haze(setting.mask(canvas), 26, second, 1.0)
        draw = canvas.draw
    setting.draw(draw, colour)


def _bill(canvas: Canvas, film: Film, layout: Layout, scene: Scene) -> None:
    """Names above, credits and year below, in the manner of a billing block."""
    directors = [person.name for person in film.people if person.role == "director"][:2]
    cast = [person.name for person in film.people if person.role == "cast"][:3]
    writers = [person.name for person in film.people if person.role == "writer"][:2]
    left, top, right, bottom = layout.billing
    behind = _behind(canvas, layout.billing)
    colour = layout.billing_colour or layout.colour
    if min(contrast(colour, tone) for tone in behind) < _LEAST_CONTRAST:
        colour = max((scene.paper, scene.night), key=lambda ink: min(contrast(ink, tone) for tone in behind))
    soft = mix(behind[0], colour, 0.82)
    year = str(film.year) if film.year is not None else ""
    names = " · ".join(cast)
    credit = " · ".join(
        part
        for part in (
            f"directed by {' and '.join(directors)}" if directors else "",
            f"written by {' and '.join(writers)}" if writers and writers != directors else "",
            year,
        )
        if part
    )
    rows = [(names, 25.0, _NAMES, colour), (credit, 20.0, _CREDITS, soft)]
    rows = [row for row in rows if row[0]]
    y = (top + bottom) / 2 - (sum(row[1] for row in rows) + 20 * (len(rows) - 1)) / 2
    for text, cap, hand, ink in rows:
        setting = set_title(
            text,
            (left, y, right, y + cap + 8),
            hand,
            align=layout.billing_align,
            valign="top",
            max_cap=cap,
            max_lines=1,
        )
        setting.draw(canvas.draw, ink)
        y += cap + 20
