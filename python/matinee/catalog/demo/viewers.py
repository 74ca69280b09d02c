"""Made-up viewers with declared tastes, and the ratings they would give.

Each viewer likes and dislikes things that the catalogue records: genres, decades, countries, people, length, words of
the plots. A rating is what the declared taste says plus a little mood of the day, so a recommender that works must find
the taste again, and anyone can check whether it did. The people do not exist.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from matinee.catalog.film import Film
from matinee.catalog.source import Rating

_START = 1_325_376_000  # 1 January 2012, the first evening of the first viewer
_DAY = 86_400
_NEUTRAL = 3.0  # stars for a film that says nothing to a taste


@dataclass(frozen=True)
class Viewer:
    """One made-up person. Weights are stars added to a neutral 3; negative ones are dislikes."""

    person: str
    name: str
    taste: str
    genres: dict[str, float] = field(default_factory=dict)
    decades: dict[int, float] = field(default_factory=dict)
    countries: dict[str, float] = field(default_factory=dict)
    people: dict[str, float] = field(default_factory=dict)
    words: dict[str, float] = field(default_factory=dict)
    longer: float = 0.0  # stars for every hour over two
    evenings: int = 90  # films watched


def _viewer(name: str, taste: str, **weights: object) -> Viewer:
    return Viewer(f"demo:{name.partition(' ')[0].lower()}", name, taste, **weights)  # type: ignore[arg-type]


VIEWERS: tuple[Viewer, ...] = (
    _viewer(
        "Marta Lindqvist",
        "slow thrillers of the seventies",
        genres={"Thriller": 1.0, "Crime": 0.5, "Action": -0.6},
        decades={1970: 1.2, 1960: 0.4, 2000: -0.5},
        words={"slow": 0.6, "paranoia": 0.6, "surveillance": 0.5},
    ),
    _viewer(
        "Idris Okafor",
        "science fiction that thinks",
        genres={"Science Fiction": 1.5, "Mystery": 0.5, "Comedy": -0.7},
        words={"memory": 0.4, "time": 0.3, "planet": 0.3},
        longer=0.3,
    ),
    _viewer(
        "June Park",
        "animation for grown-ups and children",
        genres={"Animation": 1.6, "Fantasy": 0.5, "Horror": -1.2},
        countries={"Japan": 0.6},
    ),
    _viewer(
        "Tomás Herrera",
        "westerns and open country",
        genres={"Western": 1.7, "Adventure": 0.4, "Science Fiction": -0.6},
        decades={1960: 0.5, 1950: 0.5},
        words={"desert": 0.5, "ride": 0.3},
    ),
    _viewer(
        "Priya Raman",
        "romance with an ending that holds",
        genres={"Romance": 1.4, "Musical": 0.5, "Horror": -1.3, "War": -0.5},
    ),
    _viewer(
        "Walter Braun",
        "film noir and cigarettes",
        genres={"Crime": 1.0, "Mystery": 0.6},
        decades={1940: 1.4, 1950: 0.9, 2000: -0.8, 2010: -0.8},
    ),
    _viewer(
        "Zoë Carver",
        "horror, the older and colder the better",
        genres={"Horror": 1.7, "Romance": -0.8},
        decades={1970: 0.6, 1960: 0.4},
        words={"house": 0.3, "fog": 0.3},
    ),
    _viewer("Kenji Watanabe", "Japanese cinema", genres={"Drama": 0.3}, countries={"Japan": 1.8}, decades={1950: 0.5}),
    _viewer(
        "Amara Diallo",
        "documentaries about people at work",
        genres={"Documentary": 1.8, "Action": -0.7, "Fantasy": -0.5},
    ),
    _viewer("Luca Moretti", "Italian and French films", countries={"Italy": 1.3, "France": 1.1, "United States": -0.4}),
    _viewer(
        "Ruth Abrams",
        "screwball and wit, nothing gory",
        genres={"Comedy": 1.1, "Romance": 0.4, "Horror": -1.5, "War": -0.6},
        decades={1940: 1.0, 1950: 0.6, 1960: 0.3},
    ),
    _viewer(
        "Sam Whitfield",
        "action and nothing slow",
        genres={"Action": 1.4, "Adventure": 0.6, "Drama": -0.6, "Documentary": -1.0},
        decades={1980: 0.5, 1990: 0.5},
        longer=-0.4,
    ),
    _viewer(
        "Noor Haddad", "history on a large canvas", genres={"History": 1.2, "Biography": 0.8, "War": 0.4}, longer=0.6
    ),
    _viewer(
        "Pavel Dvořák",
        "long quiet films",
        genres={"Drama": 0.8, "Action": -1.1, "Comedy": -0.3},
        longer=1.0,
        words={"silence": 0.5, "slow": 0.6},
    ),
    _viewer(
        "Grace Mbeki",
        "music and dancing",
        genres={"Musical": 1.7, "Documentary": 0.3},
        words={"band": 0.4, "song": 0.4, "dance": 0.4},
    ),
    _viewer(
        "Dylan Frost",
        "cult comedies",
        genres={"Comedy": 1.2, "Drama": -0.5, "Romance": -0.5},
        decades={1980: 0.5, 1990: 0.7, 2000: 0.4},
    ),
    _viewer(
        "Hye-jin Cho",
        "Asian thrillers and family dramas",
        genres={"Thriller": 0.5},
        countries={"South Korea": 1.7, "Hong Kong": 1.0, "China": 0.6, "Taiwan": 0.8},
    ),
    _viewer("Elena Petrova", "fantasy and fairy tales", genres={"Fantasy": 1.5, "Children": 0.4, "Crime": -0.6}),
    _viewer(
        "Oscar Nilsson",
        "heists, cons and clever plans",
        genres={"Crime": 0.8, "Thriller": 0.5},
        words={"heist": 1.0, "robbery": 0.8, "con": 0.8, "plan": 0.4, "money": 0.3},
    ),
    _viewer(
        "Beatriz Souza",
        "Hitchcock and everything after him",
        genres={"Thriller": 0.7, "Mystery": 0.7},
        people={"Alfred Hitchcock": 1.4, "Brian De Palma": 0.6, "Roman Polanski": 0.4},
    ),
    _viewer(
        "Hugo Martin",
        "Kubrick, Scorsese, Coppola",
        people={"Stanley Kubrick": 1.5, "Martin Scorsese": 1.4, "Francis Ford Coppola": 1.2, "Robert De Niro": 0.6},
        genres={"Children": -0.6},
    ),
    _viewer(
        "Mei Tan",
        "anything short and warm",
        genres={"Comedy": 0.7, "Romance": 0.6, "Children": 0.6, "War": -0.7, "Horror": -1.0},
        longer=-0.9,
    ),
    _viewer(
        "Jonas Weber", "war and its aftermath", genres={"War": 1.6, "History": 0.5, "Comedy": -0.5, "Musical": -0.8}
    ),
    _viewer("Fatima Zahra", "sees everything, likes most of it", evenings=150),
)


def liking(viewer: Viewer, film: Film) -> float:
    """What the declared taste says of a film, in stars before rounding (may lie outside 0.5 … 5)."""
    stars = _NEUTRAL + sum(weight for genre, weight in viewer.genres.items() if genre in film.genres)
    if film.year is not None:
        stars += viewer.decades.get(film.year // 10 * 10, 0.0)
    stars += max((viewer.countries.get(country, 0.0) for country in film.countries), default=0.0)
    if viewer.people:
        names = {person.name for person in film.people}
        stars += sum(weight for name, weight in viewer.people.items() if name in names)
    if film.runtime is not None:
        stars += viewer.longer * max(-1.0, min(1.5, (film.runtime - 120) / 60))
    if film.plot is not None and viewer.words:
        words = set(re.findall(r"[a-z]+", film.plot.lower()))
        stars += sum(weight for word, weight in viewer.words.items() if word in words)
    return stars


def rate(viewer: Viewer, films: Sequence[Film], seed: int = 0) -> Iterator[Rating]:
    """The viewer's ratings of some of `films`, oldest first: films they would pick, most of which they like."""
    rng = random.Random(f"{seed}:{viewer.person}")
    # People mostly watch what is known: films with plots, then well documented ones; and what they expect to like.
    scored = []
    for film in films:
        known = 2.2 if film.plot is not None else min(len(film.people), 40) / 40
        wish = liking(viewer, film)
        luck = -math.log(-math.log(rng.uniform(1e-9, 1 - 1e-9)))  # Gumbel noise: picks follow a softmax
        scored.append((known + 1.1 * wish + luck, film, wish))
    scored.sort(key=lambda entry: (-entry[0], entry[1].id))
    watched = scored[: viewer.evenings]
    rng.shuffle(watched)
    time = _START + rng.randrange(120) * _DAY
    mood = rng.uniform(-0.25, 0.25)  # some people are kinder than others
    for _, film, wish in watched:
        time += int(rng.expovariate(1 / (6 * _DAY))) + rng.choice((1, 1, 2, 3)) * 7200
        stars = min(5.0, max(0.5, wish + mood + rng.gauss(0, 0.45)))
        yield Rating(viewer.person, film.id, round(stars * 2) / 2, time)
