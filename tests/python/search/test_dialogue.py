"""Conversations over the demo catalogue: what each turn makes of the request, and that the answer keeps to it."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matinee
from matinee.bundle.opened import Bundle
from matinee.errors import InvalidArgument, NotFound
from matinee.search.dialogue import ChatAnswer, ConversationState, Understood
from matinee.search.dialogue.state import TONES, chips, without_chip
from matinee.search.dialogue.words import TONE_WORDS


@pytest.fixture(scope="module")
def demo(demo_bundle: Path) -> Bundle:
    """The demo's films with plots, and some without."""
    return matinee.open_bundle(demo_bundle)


def talk(bundle: Bundle, *messages: str, k: int = 8) -> list[ChatAnswer]:
    """The answers to messages said one after the other."""
    answers: list[ChatAnswer] = []
    for message in messages:
        answers.append(bundle.chat(message, answers[-1].state if answers else None, k=k))
    return answers


def labels(answer: ChatAnswer) -> list[str]:
    return [chip.label for chip in answer.chips]


# What is said turn by turn -> the chips at the end.
CONVERSATIONS: list[tuple[Sequence[str], Sequence[str]]] = [
    # likeness
    (["something like Alien"], ["like Alien (1979)"]),
    (["Something similar to the matrix or Inception"], ["like The Matrix (1999)", "like Inception (2010)"]),
    (["films in the style of “Blade Runner”, please"], ["like Blade Runner (1982)"]),
    (["I loved Alien and Blade Runner"], ["like Alien (1979)", "like Blade Runner (1982)"]),
    (["anything like Her?"], ["like Her (2013)"]),
    (["something like Terminater"], ["like The Terminator (1984)"]),
    (["something like Alien", "not like Aliens"], ["like Alien (1979)", "not like Aliens (1986)"]),
    (["something like Alien", "I'd rather have something like Psycho"], ["like Psycho (1960)"]),
    (["a film like Alien", "I meant Aliens"], ["like Aliens (1986)"]),
    # likeness to what is no film
    (["something like a comedy"], ["comedy"]),
    (["I would like a western"], ["western"]),
    # tones
    (["something like Alien", "but funnier"], ["like Alien (1979)", "funnier"]),
    (["something like Alien", "funnier", "more serious"], ["like Alien (1979)", "more serious"]),
    (["a bit scarier", "less violent", "not too sad"], ["scarier", "less violent", "happier"]),
    (["something funny for the kids"], ["for children", "funnier"]),
    # genres
    (["a comedy", "no horror"], ["comedy", "not horror"]),
    (["no horror", "horror after all"], ["horror"]),
    (["a comedy", "without comedy"], ["not comedy"]),
    (["a rom-com"], ["comedy", "romance"]),
    (["horror or thriller"], ["horror or thriller"]),
    (["a comedy", "actually a thriller"], ["thriller"]),
    (["a war film"], ["war"]),
    (["a nurse during the war"], ["nurse during the war"]),
    (["I hate musicals and westerns"], ["not musical", "not western"]),
    # years
    (["from the 80s"], ["1980s"]),
    (["a thriller from the early nineties"], ["thriller", "1990–1993"]),
    (["before 1960"], ["before 1960"]),
    (["since 1990", "before 2000"], ["1990s"]),
    (["from the 80s", "from the 90s"], ["1990s"]),
    (["between 1950 and 1965"], ["1950–1965"]),
    (["from the 90s", "older"], ["before 1990"]),
    (["something like Alien", "older"], ["like Alien (1979)", "before 1979"]),
    (["something like Alien", "newer"], ["like Alien (1979)", "from 1980 on"]),
    (["from the 80s", "any year"], []),
    (["from the 80s or the 90s"], ["1980–1999"]),
    (["from the 60s or the 80s"], ["1960–1989", "not the 1970s"]),
    # years that it must not be
    (["not from the 50s"], ["not the 1950s"]),
    (["a comedy, but not from the fifties"], ["comedy", "not the 1950s"]),
    (["nothing from the 80s or 90s"], ["not the 1980s", "not the 1990s"]),
    (["no 80s films, and no horror"], ["not horror", "not the 1980s"]),
    (["a western that isn't from the 60s"], ["western", "not the 1960s"]),
    (["I don't want anything from the early 90s"], ["not 1990–1993"]),
    (["neither the 70s nor the 80s"], ["not the 1970s", "not the 1980s"]),
    (["not the 50s but the 60s"], ["1960s", "not the 1950s"]),
    (["not from 1994"], ["not 1994"]),
    (["anything except 1994 and 1995"], ["not 1994", "not 1995"]),
    (["not between 1950 and 1965"], ["not 1950–1965"]),
    (["nothing before 1990"], ["from 1990 on"]),
    (["nothing before the 90s"], ["from 1990 on"]),
    (["no films from before 1990"], ["from 1990 on"]),
    (["not older than 1990"], ["from 1990 on"]),
    (["nothing newer than 1990"], ["before 1991"]),
    (["nothing after 1990"], ["before 1991"]),
    (["nothing before 1950 or after 1970"], ["1950–1970"]),
    (["nothing from 1990 on"], ["before 1990"]),
    (["nothing since the 90s"], ["before 1990"]),
    (["nothing from the last ten years"], ["before 2005"]),
    (["nothing recent"], ["before 2010"]),
    (["no old films"], ["from 1970 on"]),
    (["no classics"], ["from 1970 on"]),
    (["something like Alien", "nothing older"], ["like Alien (1979)", "from 1979 on"]),
    (["something like Alien", "nothing newer than 1990, not older"], ["like Alien (1979)", "1979–1990"]),
    (["from the 80s", "not from the 80s"], ["not the 1980s"]),
    (["not from the 80s", "from the 80s after all"], ["1980s"]),
    (["before 1990", "not from the 50s"], ["before 1990", "not the 1950s"]),
    (["not from the 50s", "before 1990"], ["before 1990", "not the 1950s"]),
    (["not from the 50s", "any year"], []),
    (["not from the 50s", "forget not the 1950s"], []),
    # minutes
    (["under two hours"], ["at most 120 min"]),
    (["an hour and a half at most", "at least 60 minutes"], ["60–90 min"]),
    (["less than 1h40"], ["at most 100 min"]),
    (["a western, not too long"], ["western", "at most 100 min"]),
    (["no longer than two hours"], ["at most 120 min"]),
    (["nothing longer than two hours"], ["at most 120 min"]),
    (["nothing over 2h"], ["at most 120 min"]),
    (["not shorter than 90 minutes"], ["at least 90 min"]),
    (["nothing under an hour and a half"], ["at least 90 min"]),
    (["not under 90 minutes or over two hours"], ["90–120 min"]),
    (["not 100-120 minutes"], ["not 100–120 min"]),
    (["not about two hours"], ["not 110–130 min"]),
    (["nothing long"], ["at most 100 min"]),
    (["no short films"], ["at least 100 min"]),
    # languages and countries
    (["in French"], ["in French"]),
    (["in French", "in Italian"], ["in Italian"]),
    (["in French or Italian"], ["in French or Italian"]),
    (["not in English"], ["not in English"]),
    (["from Japan"], ["from Japan"]),
    (["a French comedy"], ["comedy", "from France"]),
    (["from Japan", "not from Japan"], ["not from Japan"]),
    # people
    (["with Tom Hanks"], ["with Tom Hanks"]),
    (["with Tom Hanks and Meg Ryan"], ["with Tom Hanks", "with Meg Ryan"]),
    (["by Hitchcock"], ["with Alfred Hitchcock"]),
    (["with Tom Hanks", "without Tom Hanks"], ["without Tom Hanks"]),
    (["Tom Hanks comedies"], ["comedy", "with Tom Hanks"]),
    # what it is about
    (["a heist in Las Vegas, no zombies"], ["heist in Las Vegas", "no zombies"]),
    (["can you recommend a good thriller about a journalist?"], ["journalist", "thriller"]),
    # films turned down by name
    (["something like Alien", "I've seen Aliens"], ["like Alien (1979)", "not Aliens (1986)"]),
    # several wishes at once
    (
        ["something like Alien but funnier, older, in English, under two hours and without Harrison Ford"],
        ["like Alien (1979)", "funnier", "before 1979", "at most 120 min", "in English", "without Harrison Ford"],
    ),
    # beginning again
    (["something like Alien", "start over"], []),
    (["a comedy", "start over with a western"], ["western"]),
    (["a comedy from the 80s", "forget comedy"], ["1980s"]),
    # nothing said
    (["something good"], []),
    (["a comedy", "thanks, hmm"], ["comedy"]),
]


@pytest.mark.parametrize(("messages", "expected"), CONVERSATIONS, ids=lambda value: " / ".join(value) or "nothing")
def test_a_conversation_ends_with_these_chips(demo: Bundle, messages: Sequence[str], expected: Sequence[str]) -> None:
    assert labels(talk(demo, *messages)[-1]) == list(expected)


@pytest.mark.parametrize(
    "messages",
    [messages for messages, expected in CONVERSATIONS if expected],
    ids=" / ".join,
)
def test_a_chip_taken_away_and_said_again_is_the_same_chip(demo: Bundle, messages: Sequence[str]) -> None:
    answer = talk(demo, *messages)[-1]
    for chip in answer.chips:
        if chip.kind == "about":
            continue  # free text may hold anything
        rest = answer.state.model_copy(update={"understood": without_chip(answer.state.understood, chip)})
        without = demo.chat("", rest)
        assert chip.id not in [other.id for other in without.chips]
        assert {other.id for other in demo.chat(chip.label, rest).chips} >= {chip.id}, chip.label


def test_years_left_out_are_left_out(demo: Bundle) -> None:
    for message in ("a drama, not from the 50s", "nothing from the 80s or 90s", "no comedies, nothing before 1990"):
        answer = demo.chat(message, k=60)
        state = ConversationState.model_validate_json(answer.state.model_dump_json())
        assert state == answer.state and answer.films
        for hit in answer.films:
            assert hit.year is not None
            if "before" in message:
                assert hit.year >= 1990
            else:
                assert hit.year // 10 * 10 not in ([1950] if "50s" in message else [1980, 1990])


def test_taking_away_the_years_keeps_those_left_out_and_the_other_way_round(demo: Bundle) -> None:
    answer = demo.chat("before 1990, not from the 50s")
    for chip, kept in zip(answer.chips, ("not the 1950s", "before 1990"), strict=True):
        rest = without_chip(answer.state.understood, chip)
        assert [other.label for other in chips(rest, str)] == [kept]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("no horror films from the 50s", "cannot leave out only some"),
        ("not the French ones from before 1960", "cannot leave out only some"),
        ("no French comedies", "cannot leave out only some"),
        ("no horror under 90 minutes", "cannot leave out only some"),
        ("no xylophone quartets", "“xylophone quartets”"),
    ],
)
def test_what_cannot_be_left_out_is_said(demo: Bundle, message: str, words: str) -> None:
    answer = demo.chat(message)
    assert words in answer.reply
    assert not [chip for chip in answer.chips if chip.kind in ("genre", "year", "country")]


def test_every_answer_keeps_to_its_request(demo: Bundle) -> None:
    for messages, _ in CONVERSATIONS:
        for answer in talk(demo, *messages):
            asked = answer.state.understood
            where = asked.where
            shown = [film.id for film in answer.films]
            assert list(answer.state.shown) == shown
            assert len(set(shown)) == len(shown)
            assert not {*asked.like, *asked.unlike, *where.ids.none} & set(shown)
            for film in map(demo.film, shown):
                names = {person.name for person in film.people}
                assert set(where.genres.all) <= set(film.genres)
                assert not where.genres.any or set(where.genres.any) & set(film.genres)
                assert not set(where.genres.none) & set(film.genres)
                assert set(where.people.all) <= names
                assert not set(where.people.none) & names
                assert where.year.max is None or (film.year or 9999) <= where.year.max
                assert where.year.min is None or (film.year or 0) >= where.year.min
                assert where.runtime.max is None or (film.runtime or 9999) <= where.runtime.max
                assert not where.language.any or set(where.language.any) & set(film.languages)
                for word in asked.not_about:
                    assert word not in (film.plot or "").lower()


def test_only_films_of_the_catalogue_are_named(demo: Bundle) -> None:
    everything = {film.label for film in demo.films()}
    answers = talk(demo, "something like Alien", "older, and not that one", "something like Psycho", "a comedy")
    answers += talk(demo, "something good") + talk(demo, "something like Zyxwvut Qrst")
    for answer in answers:
        assert all(demo.film(film.id).title == film.title for film in answer.films)
        for chip in answer.chips:
            if chip.kind in ("like", "unlike", "excluded"):
                assert chip.label.removeprefix("not ").removeprefix("like ") in everything
        for suggestion in answer.question.suggestions if answer.question else ():
            if suggestion.message.startswith("something like "):
                assert suggestion.message.removeprefix("something like ") in everything
    assert "Zyxwvut" not in answers[-1].reply.split("“")[0]
    assert "No film of that title" in answers[-1].reply


# Said after a first answer -> places (from 1) of the films that must not come back, or come to be what is looked for.
REFERENCES = [
    ("not that one", [1], "rejected"),
    ("not the second one", [2], "rejected"),
    ("not number 3", [3], "rejected"),
    ("I've seen the first two", [1, 2], "rejected"),
    ("not the last one", [8], "rejected"),
    ("none of these", [1, 2, 3, 4, 5, 6, 7, 8], "rejected"),
    ("I have already seen that one", [1], "rejected"),
    ("I don't like the 4th one", [4], "unlike"),
    ("more like the third one", [3], "like"),
    ("the second one looks good", [2], "like"),
    ("more like number 5", [5], "like"),
]


@pytest.mark.parametrize(("message", "places", "becomes"), REFERENCES, ids=[message for message, _, _ in REFERENCES])
def test_films_last_shown_can_be_pointed_at(demo: Bundle, message: str, places: list[int], becomes: str) -> None:
    first, second = talk(demo, "a comedy", message)
    pointed = tuple(first.films[place - 1].id for place in places)
    asked = second.state.understood
    assert {"rejected": asked.where.ids.none, "like": asked.like, "unlike": asked.unlike}[becomes] == pointed
    # They stay away, whatever comes next, until the conversation begins again.
    third, fourth = (demo.chat(more, second.state, k=8) for more in ("from the 90s", "more"))
    for answer in (second, third, fourth):
        assert not set(pointed) & {film.id for film in answer.films}


def test_pointing_where_nothing_is_changes_nothing_and_says_so(demo: Bundle) -> None:
    first, second = talk(demo, "a comedy", "more like the ninth one")
    assert second.state.understood == first.state.understood
    assert "number on the wall" in second.reply
    assert "number on the wall" in talk(demo, "not that one")[-1].reply


def test_more_shows_others_and_a_changed_request_begins_again(demo: Bundle) -> None:
    first, second, third = talk(demo, "a comedy", "show me more", "more")
    ids = [film.id for answer in (first, second, third) for film in answer.films]
    assert len(set(ids)) == len(ids) == 24
    assert third.reply.startswith("More comedy films")
    rejected = demo.chat("not that one", third.state, k=8)
    assert not {film.id for film in rejected.films} & {film.id for film in first.films}
    again = demo.chat("from any year, in English", third.state, k=8)
    assert {film.id for film in again.films} & {film.id for film in first.films}


def test_older_goes_on_from_what_is_shown(demo: Bundle) -> None:
    first, second, third = talk(demo, "a comedy", "older", "even older")
    years = sorted(film.year or 0 for film in first.films)
    assert second.state.understood.where.year.max == years[(len(years) - 1) // 2] - 1
    assert (third.state.understood.where.year.max or 0) < second.state.understood.where.year.max
    assert talk(demo, "something like Alien", "older", "older")[-1].state.understood.where.year.max < 1978  # type: ignore[operator]
    assert talk(demo, "older than 1950")[-1].state.understood.where.year.max == 1949
    named = talk(demo, "a comedy", "older than the second one")[-1]
    assert named.state.understood.where.year.max == (first.films[1].year or 0) - 1


def test_a_tone_leads_beyond_the_film_that_others_should_be_like(demo: Bundle) -> None:
    plain, funny = talk(demo, "something like Alien", "funnier")

    def comedies(answer: ChatAnswer) -> int:
        return sum("Comedy" in demo.film(film.id).genres for film in answer.films)

    assert comedies(funny) > comedies(plain)
    scary = talk(demo, "a scary film")[-1]
    assert sum({"Horror", "Thriller"} & set(demo.film(film.id).genres) != set() for film in scary.films) >= 4


def test_films_for_children_are_films_for_children(demo: Bundle) -> None:
    for answer in talk(demo, "something for the kids", "scarier"):
        assert answer.films
        assert all({"Children", "Animation"} & set(demo.film(film.id).genres) for film in answer.films)


def test_every_tone_has_its_opposite(demo: Bundle) -> None:
    for tone in TONES:
        opposite = TONE_WORDS[tone].opposite
        assert TONE_WORDS[opposite].opposite == tone
        assert labels(talk(demo, tone, opposite)[-1]) == [opposite]
        scores, reverse = (demo._dialogue._leaning.scores(t) for t in (tone, opposite))
        assert np.corrcoef(scores, reverse)[0, 1] == pytest.approx(-1, abs=1e-3)


def test_a_vague_request_gets_one_question_with_answers_and_well_known_films(demo: Bundle) -> None:
    for message in ("something good", "what should I watch tonight?", "surprise me", "😀", ""):
        answer = demo.chat(message)
        assert answer.question is not None
        assert len(answer.question.suggestions) == 4
        assert len(answer.films) == 12
        for suggestion in answer.question.suggestions:
            settled = demo.chat(suggestion.message, answer.state)
            assert settled.chips
            assert settled.question is None
            assert settled.films


def test_the_best_known_film_of_a_title_is_taken_and_the_others_are_offered(demo: Bundle) -> None:
    titles = [film.title for film in demo.films()]
    twice = next(title for title in titles if titles.count(title) > 1)
    answer = demo.chat(f"something like {twice}")
    taken = demo.film(answer.state.understood.like[0])
    assert f"I take you to mean {taken.label}." in answer.reply
    assert answer.question is not None
    other = answer.question.suggestions[0]
    corrected = demo.chat(other.message, answer.state)
    assert labels(corrected) == [f"like {other.label}"]
    assert labels(demo.chat(f"something like {other.label}")) == [f"like {other.label}"]


def test_a_request_that_nothing_passes_says_so_and_counts_what_would(demo: Bundle) -> None:
    answer = talk(demo, "a western in French with Tom Hanks, under 90 minutes, before 1950")[-1]
    assert answer.films == []
    assert answer.nothing_fits
    assert answer.reply.startswith("The catalogue has no western films")
    assert answer.question is not None
    assert answer.question.suggestions
    for suggestion in answer.question.suggestions:
        if suggestion.films is not None:
            freed = demo.chat(suggestion.message, answer.state, k=1000)
            assert len(freed.films) == suggestion.films > 0


def test_a_request_that_nothing_fits_is_answered_honestly(demo: Bundle) -> None:
    answer = demo.chat("please restart my router, the invoice is unpaid")
    assert answer.nothing_fits
    assert "Nothing in the catalogue fits" in answer.reply
    assert answer.question is not None
    assert answer.question.suggestions


def test_films_left_out_for_an_unknown_fact_are_counted(demo: Bundle) -> None:
    answer = demo.chat("under two hours", k=1000)
    unknown = sum(film.runtime is None for film in demo.films())
    assert answer.left_out == ({"runtime": unknown} if unknown else {})
    assert (f"{unknown:,} whose runtime is unknown" in answer.reply) == bool(unknown)


def test_a_long_description_is_searched_as_it_stands(demo: Bundle) -> None:
    plot = next(film.plot for film in demo.films() if film.plot and len(film.plot.split()) > 45)
    answer = demo.chat(plot)
    assert [chip.kind for chip in answer.chips] == ["about"]
    assert demo.film(answer.films[0].id).plot == plot


def test_a_state_goes_through_json_unchanged(demo: Bundle) -> None:
    answer = talk(demo, "something like Alien, funnier, before 1979", "not that one", "more")[-1]
    again = ConversationState.model_validate_json(answer.state.model_dump_json())
    assert again == answer.state
    assert demo.chat("", answer.state.model_dump(mode="json")) == demo.chat("", again)
    assert chips(Understood(), str) == []


HOSTILE = [
    "' OR 1=1 --",
    '"AND" NEAR(title) *',
    "like " * 40,
    "like like like",
    "not not not",
    "something like",
    "something like ???",
    "number 0",
    "not number 999",
    "forget",
    "between 2020 and 1950",
    "(((((((((((((((",
    "with",
    "in",
    "¦ \0 ¦",
    "ужасы",
    "恐怖映画",
    "\u202eneila ekil gnihtemos",
    "<script>alert(1)</script>",
    "\ud800 lone surrogate",
    string.printable,
    "a" * 10_000,
    "word " * 2_000,
    "not " * 39,
    ", ".join(["no horror"] * 19),
]


@pytest.mark.parametrize("message", HOSTILE, ids=lambda message: repr(message[:24]))
def test_no_message_breaks_a_conversation(demo: Bundle, message: str) -> None:
    first = demo.chat(message)
    again = demo.chat(message, first.state)
    assert demo.chat("start over", again.state).chips == []


BAD_STATES: list[tuple[Any, type[Exception], str]] = [
    ("text", InvalidArgument, "state"),
    ({"understood": {"like": "demo:1"}}, InvalidArgument, "state.understood.like"),
    ({"understood": {"tones": ["louder"]}}, InvalidArgument, "state.understood.tones"),
    ({"understood": {"where": {"colour": "red"}}}, InvalidArgument, "state.understood.where.colour"),
    ({"understood": {"where": {"year": {"min": 2000, "max": 1990}}}}, InvalidArgument, "min <= max"),
    ({"understood": {"about": ["x" * 20_001]}}, InvalidArgument, "state.understood.about"),
    ({"understood": {"like": ["demo:1"] * 21}}, InvalidArgument, "state.understood.like"),
    ({"shown": [1]}, InvalidArgument, "state.shown"),
    ({"turns": 3}, InvalidArgument, "state.turns"),
    ({"understood": {"like": ["nowhere:1"]}}, NotFound, "nowhere:1"),
    ({"understood": {"unlike": ["nowhere:1"]}}, NotFound, "nowhere:1"),
]


@pytest.mark.parametrize(("state", "error", "words"), BAD_STATES, ids=lambda value: repr(value)[:40])
def test_a_state_that_is_none_is_refused_in_words(demo: Bundle, state: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words.replace(".", r"\.")):
        demo.chat("a comedy", state)


def test_arguments_outside_their_range_are_refused(demo: Bundle) -> None:
    for message, k, words in ((3, 12, "message"), ("x" * 20_001, 12, "20,000"), ("x", 0, "k"), ("x", 1001, "k")):
        with pytest.raises(InvalidArgument, match=words):
            demo.chat(message, k=k)  # type: ignore[arg-type]


def test_films_that_another_bundle_had_are_forgotten_where_they_were_only_shown(demo: Bundle) -> None:
    state = {
        "shown": ["nowhere:1"],
        "skipped": ["nowhere:2"],
        "understood": {"where": {"ids": {"none": ["nowhere:3"]}}},
    }
    answer = demo.chat("a comedy", state)
    assert labels(answer) == ["comedy"]
    assert answer.state.skipped == ()
