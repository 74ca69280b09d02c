"""Example inputs from the catalogue itself, asked for through the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .client import ApiClient, Json, discover, genres

# Three films of different kinds: what a search for each of these brings up.
_SEEDS = ("a dangerous voyage into the unknown", "two people fall in love", "a murder and a detective")
_MOST = 3


@dataclass(frozen=True)
class Examples:
    """What the pages offer to click on, and the names of all genres."""

    films: Sequence[Json] = ()
    requests: Sequence[str] = ()
    genres: Sequence[str] = ()


def find_examples(api: ApiClient) -> Examples:
    """Films with a poster and a plot, requests made from them, and the genres the models know. Raises Problem."""
    films: list[Json] = []
    for film in _candidates(api):
        if film["has_poster"] and film["plot"] and all(film["id"] != other["id"] for other in films):
            films.append(film)
        if len(films) == _MOST:
            break
    every_genre = api.send(genres(plot="A film.")).answer["genres"]
    return Examples(films, _requests(films), sorted(genre["name"] for genre in every_genre))


def _candidates(api: ApiClient) -> Iterator[Json]:
    """The best film with a poster for each seed, then more of them, then whatever the catalogue lists first."""
    lists = [api.send(discover(seed, k=10)).answer["films"] for seed in _SEEDS]
    for rank in range(10):
        for hits in lists:
            shown = [hit for hit in hits if hit.get("has_poster")]
            if rank < len(shown):
                yield api.film(shown[rank]["id"])
    yield from api.films("", k=50)["films"]


def _requests(films: Sequence[Json]) -> list[str]:
    """A request by plot, one by genre and time, one by a person: each has an answer in this catalogue."""
    requests = []
    for number, film in enumerate(films):
        kind = " ".join(film["genres"][:2]).lower()
        people = [person["name"] for person in film["people"] if person["role"] in ("director", "cast")]
        if number == 1 and kind and film["year"]:
            requests.append(f"a {kind} film from the {film['year'] // 10 * 10}s")
        elif number == 2 and people:
            requests.append(f"something with {people[0]}")
        else:
            requests.append(_opening(film["plot"]))
    return requests


def _opening(plot: str, most: int = 80) -> str:
    """The first sentence, or as many of its words as a person would type."""
    sentence = plot.split(". ", maxsplit=1)[0].rstrip(".")
    return sentence if len(sentence) <= most else sentence[:most].rsplit(" ", 1)[0].rstrip(" ,;:")
