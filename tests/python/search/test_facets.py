"""Filters and negations that one request for discovery holds, over the demo catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import matinee
from matinee.bundle.opened import Bundle
from matinee.search.dialogue import Vocabulary, read_sentence
from matinee.where import Where


@pytest.fixture(scope="module")
def demo(demo_bundle: Path) -> Bundle:
    return matinee.open_bundle(demo_bundle)


@pytest.fixture(scope="module")
def vocabulary(demo: Bundle) -> Vocabulary:
    return Vocabulary(demo.search_store.films)


# A request -> what it says besides, its filters, what must not occur.
WISHES: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
    (
        "a comedy from the 80s without zombies",
        "",
        {"genres": {"all": ["Comedy"]}, "year": {"min": 1980, "max": 1989}},
        ("zombies",),
    ),
    ("something in French, under two hours", "", {"runtime": {"max": 120}, "language": {"any": ["French"]}}, ()),
    ("no horror", "", {"genres": {"none": ["Horror"]}}, ()),
    (
        "a slow heist in the rain, nineties, no horror",
        "slow heist in the rain",
        {"genres": {"none": ["Horror"]}, "year": {"min": 1990, "max": 1999}},
        (),
    ),
    (
        "a thriller about memory, after 2000, not in English",
        "memory",
        {"genres": {"all": ["Thriller"]}, "year": {"min": 2001}, "language": {"none": ["English"]}},
        (),
    ),
    ("a heist in Las Vegas from the 80s", "heist in Las Vegas", {"year": {"min": 1980, "max": 1989}}, ()),
    (
        "horror or thriller, at least 100 minutes",
        "",
        {"genres": {"any": ["Horror", "Thriller"]}, "runtime": {"min": 100}},
        (),
    ),
    ("a comedy with Tom Hanks", "", {"genres": {"all": ["Comedy"]}, "people": {"all": ["Tom Hanks"]}}, ()),
    ("a French comedy", "", {"genres": {"all": ["Comedy"]}, "country": {"any": ["France"]}}, ()),
    (
        "a comedy, not from the 50s",
        "",
        {"genres": {"all": ["Comedy"]}, "year": {"none": [{"min": 1950, "max": 1959}]}},
        (),
    ),
    ("a thriller not older than 1990", "", {"genres": {"all": ["Thriller"]}, "year": {"min": 1990}}, ()),
    ("a heist, nothing before 1960, not over two hours", "heist", {"year": {"min": 1960}, "runtime": {"max": 120}}, ()),
    ("a western movie, no trains and no dust", "", {"genres": {"all": ["Western"]}}, ("trains", "dust")),
]

# What tells a story stays one.
STORIES = [
    "a murder in the rain",
    "Tom Hanks",
    "In 1944, a German soldier falls in love with a girl from Japan.",
    "a western outlaw avenges his brother",
    "a documentary filmmaker loses her camera",
    "a man without a past is not alone",
    "an older man and a modern family, longer than they think",
    "films set in the 80s about music",
    "a girl from Japan",
    "Latin lovers of the nineties' dance halls",
    "he has no longer any money",
    "my latest drama was a war",
    "a man who is not from this village and nothing new frightens him",
]


@pytest.mark.parametrize(("text", "about", "where", "without"), WISHES, ids=[wish[0] for wish in WISHES])
def test_wishes_beside_the_story_are_filters(
    vocabulary: Vocabulary, text: str, about: str, where: dict[str, Any], without: tuple[str, ...]
) -> None:
    facets = read_sentence(text, vocabulary)
    assert facets.text == about
    assert facets.where == Where.parse(where)
    assert tuple(facets.without) == without


@pytest.mark.parametrize("text", STORIES)
def test_stories_filter_nothing(vocabulary: Vocabulary, text: str) -> None:
    facets = read_sentence(text, vocabulary)
    assert (facets.text, facets.where.empty, tuple(facets.without)) == (text, True, ())


def test_long_descriptions_filter_nothing(vocabulary: Vocabulary) -> None:
    text = "I saw it on TV, a comedy from the 80s, in French, no horror. " + "There was a man who lost his keys. " * 4
    assert len(text.split()) > 40
    facets = read_sentence(text, vocabulary)
    assert facets.text == text and facets.where.empty and not facets.without


def test_discovery_keeps_to_what_the_sentence_says(demo: Bundle) -> None:
    answer = demo.discover("a space thriller, before 1990, no horror, without alien", k=50)
    assert answer.films
    for hit in answer.films:
        film = demo.film(hit.id)
        assert film.year is not None and film.year < 1990
        assert "Thriller" in film.genres and "Horror" not in film.genres
        assert not {"alien", "aliens"} & set(f"{film.title} {film.plot} {' '.join(film.keywords)}".lower().split())
    assert answer.request["where"] == {"genres": {"all": ["Thriller"], "none": ["Horror"]}, "year": {"max": 1989}}
    assert answer.request["without"] == ["alien"]


def test_filters_alone_list_the_best_known_of_those_that_pass(demo: Bundle) -> None:
    answer = demo.discover("a comedy from the 80s", k=5)
    assert answer.films and not answer.nothing_fits and answer.request["about"] == ""
    for hit in answer.films:
        film = demo.film(hit.id)
        assert "Comedy" in film.genres and film.year is not None and 1980 <= film.year <= 1989


def test_filters_given_apart_win_kind_by_kind(demo: Bundle) -> None:
    answer = demo.discover("a comedy from the 80s", where={"year": {"min": 1990}})
    assert answer.request["where"] == {"genres": {"all": ["Comedy"]}, "year": {"min": 1990}}


def test_reading_filters_can_be_switched_off(demo: Bundle) -> None:
    answer = demo.discover("a comedy from the 80s", facets=False)
    assert answer.request["where"] == {} and "about" not in answer.request


def test_a_sentence_that_no_film_passes_fits_nothing(demo: Bundle) -> None:
    answer = demo.discover("a comedy from before 1850")
    assert answer.nothing_fits and not answer.films
