"""Whole conversations on the bundle of drawn films: what is said comes from the wanted film's facts, and is kept to."""

import dataclasses
from pathlib import Path

from matinee.bundle import open_bundle
from matinee.catalog.film import Film
from matinee.catalog.source import Rating
from matinee.evaluation.chat import evaluate_chat, turns_to
from matinee.evaluation.subject import held_back


def test_a_conversation_is_made_of_the_wanted_films_facts() -> None:
    wanted = Film(id="a", title="A", year=1984, genres=("Comedy", "War"), languages=("French",))
    turns = turns_to(wanted)
    assert [turn.message for turn in turns] == ["comedy", "nothing before 1980", "not from the 1990s", "in French"]
    assert all(turn.keeps(wanted) for turn in turns)
    other = Film(id="b", title="B", year=1993, genres=("Drama",), languages=("German",))
    assert [turn.keeps(other) for turn in turns] == [False, True, False, False]
    assert [turn.keeps(Film(id="c", title="C")) for turn in turns] == [False] * 4  # unknown passes nothing
    assert turns_to(Film(id="c", title="C")) == []


def test_every_turn_is_understood_and_kept_to(small_bundle: Path) -> None:
    subject = held_back(open_bundle(small_bundle), lambda *_: None)
    films = [film.id for film in subject.bundle.films()]
    ratings = [
        Rating(person=str(person), film=film, value=5.0, time=None)
        for person in range(24)
        for number, film in enumerate(films)
        if number % 2 == person % 2 or number % 7 == 0
    ]
    findings = evaluate_chat(dataclasses.replace(subject, ratings=ratings))
    rows = {row.metric: row for row in findings.rows}
    assert all(row.n == rows["every turn understood"].n > 3 for row in findings.rows)
    assert rows["every turn understood"].ours == 1
    assert rows["every wish kept, first ten of each turn"].ours == 1
    assert rows["films named are the catalogue's"].ours == 1
    assert set(rows["wanted film in ten, at the end"].baselines) == {"first turn", "chance"}
    (table,) = findings.section.tables
    assert table.rows[0][0] == "a film like it" and table.rows[-1][0] == "not that one"


def test_without_ratings_it_says_what_is_missing(small_bundle: Path) -> None:
    findings = evaluate_chat(held_back(open_bundle(small_bundle), lambda *_: None))
    assert findings.rows == () and "ratings" in findings.section.notes[0]
