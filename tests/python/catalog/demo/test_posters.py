"""Drawn posters: the same for the same film, of the right size, with a title one can read."""

from __future__ import annotations

import io
import random

import pytest
from demo_films import film
from PIL import Image

from matinee.catalog.demo import pool, posters
from matinee.catalog.demo.artwork import lettering, typeset
from matinee.catalog.demo.artwork.direction import COMPOSITIONS, lead_genre
from matinee.catalog.demo.artwork.motifs import known, paint_motif
from matinee.catalog.demo.artwork.palettes import GOTHIC, HANDS, PALETTES
from matinee.catalog.demo.artwork.silhouettes import SILHOUETTES
from matinee.catalog.film import Film
from matinee.catalog.values import SINGLE_GENRES

TITLES = (
    "Z",
    "Up",
    "8½",
    "(500) Days of Summer",
    "Amélie",
    "Yi Yi",
    "Nausicaä of the Valley of the Wind",
    "4 Months, 3 Weeks and 2 Days",
    "The Chronicles of Narnia: The Lion, the Witch and the Wardrobe",
    "Who Is Harry Kellerman and Why Is He Saying Those Terrible Things About Me?",
    "The Incredibly Strange Creatures Who Stopped Living and Became Mixed-Up Zombies",
    "Supercalifragilisticexpialidocious",
    "Żółć Ñandú Þór Œuvre Đặng İzmir",
    "東京物語",
)


def test_the_same_film_and_seed_give_the_same_bytes() -> None:
    one = film("Late Autumn")
    assert posters.draw_poster(one, 3) == posters.draw_poster(one.model_copy(deep=True), 3)


def test_other_seeds_and_other_films_give_other_posters() -> None:
    drawn = {posters.draw_poster(film("Late Autumn", film_id=f"demo:{n}"), seed) for n in range(3) for seed in range(3)}
    assert len(drawn) == 9


def test_a_poster_is_a_jpeg_of_the_promised_size() -> None:
    data = posters.draw_poster(film("Early Summer"))
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", posters.POSTER_SIZE)
    assert 10_000 < len(data) < 150_000


@pytest.mark.parametrize("title", TITLES)
def test_titles_stay_on_the_sheet_and_stand_out(title: str) -> None:
    for number, genre in enumerate(SINGLE_GENRES):
        poster = posters.compose_poster(film(title, genres=(genre,), film_id=f"demo:{number}"))
        left, top, right, bottom = poster.title_box
        assert 8 <= left < right <= posters.POSTER_SIZE[0] - 8, (poster.composition, poster.title_box)
        assert 8 <= top < bottom <= posters.POSTER_SIZE[1] - 8, (poster.composition, poster.title_box)
        assert poster.title_contrast >= 2.9, (poster.composition, poster.title_contrast)


@pytest.mark.parametrize("name", sorted(COMPOSITIONS))
def test_every_composition_draws_every_palette(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posters, "composition", lambda *_: name)
    for genre in SINGLE_GENRES[::3]:
        poster = posters.compose_poster(film("The Long Way Home", genres=(genre,), film_id=f"demo:{genre}"))
        assert poster.composition == name
        assert poster.title_contrast >= 2.9
        colours = poster.image.getcolors(maxcolors=1 << 20)
        assert colours is not None
        assert len(colours) > 50, "an almost empty sheet"


def test_a_bare_film_gets_a_poster_too() -> None:
    poster = posters.compose_poster(Film(id="demo:9", title="?"))
    assert poster.image.size == posters.POSTER_SIZE


def test_the_single_label_leads_and_rare_genres_come_before_common_ones() -> None:
    assert lead_genre(film("A", genres=("Drama", "Horror"))) == "Horror"
    assert lead_genre(film("A", genres=("Drama", "Crime"))) == "Thriller"
    assert lead_genre(film("A", genres=("Drama", "Horror")).model_copy(update={"single_genre": "Drama"})) == "Drama"
    assert lead_genre(film("A", genres=())) == "Drama"


def test_every_genre_has_colours_and_lettering() -> None:
    assert set(PALETTES) == set(HANDS) == set(SINGLE_GENRES)


def test_letters_keep_to_the_width_that_was_measured() -> None:
    for hand in {hand for hands in HANDS.values() for hand in hands}:
        image = Image.new("L", (1600, 200), 0)
        from PIL import ImageDraw

        lettering.draw_text(ImageDraw.Draw(image), "HAMBURGEFONTS", x=100, y=60, cap=80, hand=hand)
        box = image.getbbox()
        assert box is not None
        slack = 3 + hand.serif * 80
        assert box[0] >= 100 - slack
        assert box[2] <= 100 + lettering.text_width("HAMBURGEFONTS", hand) * 80 + slack
        assert (box[1], box[3]) == (pytest.approx(60, abs=3), pytest.approx(141, abs=3))


def test_spelling_keeps_accents_and_drops_what_cannot_be_drawn() -> None:
    assert lettering.spell("é") == (("E", "\u0301"),)
    assert lettering.spell("ß½") == (("S", ""), ("S", ""), (" ", ""), ("1", ""), ("/", ""), ("2", ""))
    assert lettering.spell("東") == ()
    assert lettering.drawable("Ōkami")
    assert not lettering.drawable("東京物語")


@pytest.mark.parametrize("justify", [False, True])
def test_titles_are_set_inside_their_box(justify: bool) -> None:
    rng = random.Random(5)
    words = ("a", "night", "of", "the", "long", "iron", "harvest", "and", "seven", "other", "songs")
    for _ in range(60):
        text = " ".join(rng.choices(words, k=rng.randrange(1, 18)))
        box = (40.0, 50.0, 40.0 + rng.uniform(150, 700), 50.0 + rng.uniform(50, 500))
        setting = typeset.set_title(text, box, GOTHIC, justify=justify)
        left, top, right, bottom = setting.box
        assert left >= box[0] - 1
        assert right <= box[2] + 1
        assert top >= box[1] - 1
        assert bottom <= box[3] + 1
        assert " ".join(line.text for line in setting.lines) == text


def test_motifs_are_drawn_on_their_square() -> None:
    from PIL import ImageDraw

    for name in SILHOUETTES:
        assert known(name)
        image = Image.new("L", (300, 300), 0)
        paint_motif(ImageDraw.Draw(image), name, foot=(150, 220), height=140, colours=(255, 0, 200))
        box = image.getbbox()
        assert box is not None, name
        assert box[3] <= 240, f"{name} stands below its foot"
        assert box[2] - box[0] > 15, name


def test_workers_draw_what_this_process_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_SMALL", 2)
    films = [film(f"Reel {n}", film_id=f"demo:{n}") for n in range(5)]
    assert list(pool.draw_posters(films, 1, processes=2)) == [posters.draw_poster(one, 1) for one in films]
