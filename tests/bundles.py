"""A small catalogue made by code, and the bundle built from it with the real encoders.

Films have genres that their words and drawn posters give away, so that heads learn something; some lack a plot, a
poster, or both, and a few rows are faulty on purpose.
"""

import csv
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image, ImageDraw

from matinee import models
from matinee.errors import MatineeError

REPOSITORY = Path(__file__).resolve().parents[1]
NUM_FILMS = 110

# Genre -> background, shape, subjects, deeds, places.
GENRES: dict[str, tuple[tuple[int, int, int], str, list[str], list[str], list[str]]] = {
    "Horror": (
        (20, 10, 12),
        "triangles",
        ["a haunted family", "a lonely nurse", "five students", "an old priest"],
        ["are hunted by a ghost", "wake a demon", "find bloodstained bones", "flee from a masked killer"],
        ["in a house by the graveyard", "in an abandoned asylum", "in a fogbound cellar", "during one endless night"],
    ),
    "Science Fiction": (
        (8, 24, 70),
        "stars",
        ["a starship pilot", "the last android", "a crew of astronauts", "a robot engineer"],
        ["discover an alien signal", "fight a rogue computer", "travel through a wormhole", "repair a failing reactor"],
        ["on a colony on Mars", "aboard a drifting space station", "at the edge of the galaxy", "in the year 2190"],
    ),
    "Comedy": (
        (250, 210, 60),
        "circles",
        ["a clumsy waiter", "two rival bakers", "a hapless groom", "an unemployed clown"],
        ["swap suitcases by mistake", "ruin a wedding cake", "pretend to be a duke", "lose the boss's parrot"],
        ["at a seaside hotel", "during a chaotic holiday", "in a tiny village", "on the silliest day of the year"],
    ),
    "Romance": (
        (240, 150, 180),
        "hearts",
        ["a shy florist", "a widowed pianist", "two pen friends", "a young dancer"],
        ["fall in love", "share a first kiss", "write tender letters", "meet again after ten years"],
        ["one summer in Venice", "in the rain in Paris", "at a country ball", "on a train to the coast"],
    ),
}
PEOPLE = ["Ada Quill", "Bruno Ferrand", "Célia Dumont", "Derek Okafor", "Elif Aydın", "Frances O'Hare", "Goro Tanaka"]
OTHER_PLOT = ("local:6", "A lighthouse keeper raises a seal. Smugglers steal the lamp of his tower during a storm.")
"""A film and what another author says of it, in words that no plot has."""
BARE_FILM = "local:bare"
"""Neither plot nor poster: to be found by its title and people alone."""


def write_sources(folder: Path) -> Path:
    """Writes films.csv, posters, negatives and films.toml into `folder`; returns the latter. The same each time."""
    rng = np.random.default_rng(7)
    (folder / "posters").mkdir(parents=True, exist_ok=True)
    names = list(GENRES)
    rows = []
    for number in range(NUM_FILMS):
        first = names[number % len(names)]
        genres = [first] + ([names[int(rng.integers(len(names)))]] if number % 5 == 0 else [])
        poster = f"posters/{number}.{'png' if number % 7 == 0 else 'jpg'}" if number % 9 != 8 else ""
        if poster:
            draw_poster(GENRES[first], rng).save(folder / poster)
        rows.append(
            {
                "id": str(number),
                "title": f"The {first} of {PEOPLE[number % 7].split()[1]} {number}",
                "year": 1950 + number % 70,
                "runtime": 80 + number % 60 if number % 4 else "",
                "genres": "|".join(dict.fromkeys(genres)),
                "plot": "" if number % 11 == 10 else make_plot(genres, rng),
                "poster": poster,
                "directors": PEOPLE[number % 7],
                "cast": PEOPLE[(number * 3 + 1) % 7],
                "language": "French" if number % 6 == 0 else "English",
                "keywords": f"{first.lower()} night|number {number % 10}",
                "votes": str(number * 10) if number % 3 else "",
                "other plot": OTHER_PLOT[1] if f"local:{number}" == OTHER_PLOT[0] else "",
            }
        )
    empty = dict.fromkeys(rows[0], "")
    rows.append({**empty, "id": "bare", "title": "Nothing Known", "directors": "Zora Unseen", "genres": "Comedy"})
    rows.append({**rows[3], "title": "A Second Film of the Same Id"})
    rows.append({**empty, "id": "lost", "title": "Lost Poster", "poster": "posters/none.jpg", "genres": "Horror"})
    rows.append({**empty, "id": "torn", "title": "Torn Poster", "poster": "posters/torn.jpg", "year": "someday"})
    (folder / "posters" / "torn.jpg").write_bytes((folder / "posters" / "1.jpg").read_bytes()[:400])
    with (folder / "films.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for kind in ("photos", "screens"):
        (folder / kind).mkdir(exist_ok=True)
        for number in range(40):
            draw_negative(kind, rng).save(folder / kind / f"{number}.png")
    path = folder / "films.toml"
    path.write_text(_FILMS_TOML, encoding="utf-8")
    return path


def make_plot(genres: list[str], rng: np.random.Generator) -> str:
    """Two or three sentences in the words of the genres."""
    sentences = []
    for number in range(int(rng.integers(2, 4))):
        _, _, subjects, deeds, places = GENRES[genres[number % len(genres)]]
        subject, deed, place = (str(rng.choice(words)) for words in (subjects, deeds, places))
        sentences.append(f"{subject[0].upper()}{subject[1:]} must {deed.replace('are ', 'be ')} {place}.")
    return " ".join(sentences)


def draw_poster(
    look: tuple[tuple[int, int, int], str, list[str], list[str], list[str]], rng: np.random.Generator
) -> Image.Image:
    """A drawn poster, 120 x 180: a coloured ground, shapes of the genre, lines of lettering."""
    ground, shape, *_ = look
    colour = tuple(int(c) for c in np.clip(np.array(ground) + rng.integers(-12, 13, 3), 0, 255))
    image = Image.new("RGB", (120, 180), colour)
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, size = int(rng.integers(0, 110)), int(rng.integers(0, 130)), int(rng.integers(6, 34))
        ink = tuple(int(c) for c in (np.array(ground) + rng.integers(60, 190, 3)) % 256)
        box = (x, y, x + size, y + size)
        if shape == "triangles":
            draw.polygon([(x, y + size), (x + size // 2, y), (x + size, y + size)], fill=ink)
        elif shape == "stars":
            draw.line((x, y + size // 2, x + size, y + size // 2), fill=(255, 255, 255))
            draw.line((x + size // 2, y, x + size // 2, y + size), fill=(255, 255, 255))
        elif shape == "circles":
            draw.ellipse(box, fill=ink)
        else:
            draw.pieslice(box, 200, 340, fill=(220, 20, 60))
    for line in range(3):
        draw.rectangle((15, 142 + line * 12, 105 - int(rng.integers(0, 40)), 148 + line * 12), fill=(235, 235, 225))
    return image


def draw_negative(kind: str, rng: np.random.Generator) -> Image.Image:
    """Something that is no poster: a soft gradient landscape, or a window with rows of text."""
    if kind == "photos":
        sky, ground = rng.integers(90, 256, 3), rng.integers(20, 140, 3)
        ramp = np.linspace(0, 1, 120)[:, None, None]
        pixels = (1 - ramp) * sky + ramp * ground + rng.normal(0, 9, (120, 160, 3))
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image = Image.new("RGB", (160, 120), (245, 245, 248))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 160, 12), fill=tuple(int(c) for c in rng.integers(40, 160, 3)))
    for line in range(8):
        draw.rectangle((8, 20 + line * 12, 8 + int(rng.integers(40, 140)), 25 + line * 12), fill=(90, 90, 100))
    return image


_FILMS_TOML = """
name = "Drawn films"

[[source]]
kind = "table"
name = "drawn"
path = "films.csv"
licence = "made by the tests"
id = { column = "id", prefix = "local:" }

[source.columns]
title = "title"
year = "year"
runtime = "runtime"
genres = { column = "genres", split = "|" }
plot = "plot"
poster = "poster"
directors = "directors"
cast = "cast"
languages = "language"
keywords = { column = "keywords", split = "|" }
votes = "votes"
other_plots = "other plot"

[[negatives]]
name = "landscapes"
path = "photos"
negative = "photograph"
licence = "made by the tests"

[[negatives]]
name = "windows"
path = "screens"
negative = "screenshot"
licence = "made by the tests"
"""


def models_missing() -> str | None:
    """Why there are no real encoders on this machine; None where there are. Never touches the network."""
    before = os.environ.get("MATINEE_OFFLINE")
    os.environ["MATINEE_OFFLINE"] = "1"
    try:
        for name in ("minilm-l6-v2", "efficientnet-lite0"):
            models.resolve(name)
    except MatineeError as error:
        return f"no encoders: {error}"
    finally:
        if before is None:
            del os.environ["MATINEE_OFFLINE"]
        else:
            os.environ["MATINEE_OFFLINE"] = before
    return None


def build_small_bundle(cache: Path) -> Path:
    """The bundle of these films, built once for all test processes and kept until something it is made of changes."""
    return _built_once(cache, write_sources)


def build_demo_bundle(cache: Path) -> Path:
    """A bundle of the demo's films with plots and some without, no posters; kept as the small one is."""

    def sources(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "films.toml"
        path.write_text(_DEMO_TOML, encoding="utf-8")
        return path

    return _built_once(cache, sources)


def demo_facts_missing() -> str | None:
    """Why the demo's films are not on this machine; None where they are."""
    from matinee.catalog.demo.facts import CARRIER_MODEL

    there = (models.folder_of(CARRIER_MODEL) / "movies.db").is_file()
    return None if there else f"no facts of the demo; `matinee models pull {CARRIER_MODEL}` brings them"


_DEMO_TOML = """
name = "Demo, small"
demo = true

[[source]]
kind = "demo"
films = 900
posters = 0
ratings = false
"""


def _built_once(cache: Path, sources: Callable[[Path], Path]) -> Path:
    from matinee.bundle import build

    key = _content_key()
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / key / "films.bundle"
    with FileLock(cache / "lock"):
        if not (place / "manifest.json").is_file():
            for old in cache.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            build(sources(cache / key / "sources"), place)
    return place


def _content_key() -> str:
    """Hash of this file, of the package's Python and of the compiled core."""
    import matinee
    from matinee import _core

    package = Path(matinee.__path__[0]) if len(matinee.__path__) == 1 else REPOSITORY / "python" / "matinee"
    files = [
        Path(__file__),
        *sorted((REPOSITORY / "python" / "matinee").rglob("*.py")),
        Path(_core.__file__ or package),
    ]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
