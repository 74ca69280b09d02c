"""The reader of the carrier's table: what it keeps, what it mends, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from matinee.catalog.demo.facts import FACTS_SOURCE, read_facts
from matinee.errors import FormatError, IoError


def test_facts_keep_their_origin(table: Path) -> None:
    first = read_facts(table)[0]
    assert (first.id, first.label, first.runtime, first.revenue) == (
        "imdb:tt0047478", "Seven Samurai (1954)", 207, 2_300_000,
    )  # fmt: skip
    assert set(first.provenance.values()) == {FACTS_SOURCE}
    assert {"title", "year", "runtime", "genres", "people", "revenue"} <= set(first.provenance)


def test_people_come_in_the_order_of_how_often_they_are_credited(table: Path) -> None:
    cast = [person.name for person in read_facts(table)[0].people if person.role == "cast"]
    assert cast == ["Toshiro Mifune", "George Tillman Jr.", "Minor Player"]


def test_a_date_known_only_by_its_year_is_unknown(table: Path) -> None:
    exact, vague, *_ = read_facts(table)
    assert exact.release_date is not None
    assert exact.release_date.isoformat() == "1954-04-26"
    assert vague.release_date is None
    assert "release_date" not in vague.provenance


def test_impossible_values_are_left_out(table: Path) -> None:
    _, yojimbo, short = read_facts(table)
    assert yojimbo.revenue is None
    assert short.runtime is None


def test_the_second_row_of_a_film_is_dropped_and_names_are_brought_to_one_form(table: Path) -> None:
    films = read_facts(table)
    assert [film.id for film in films] == ["imdb:tt0047478", "imdb:tt0055630", "demo:14"]
    short = films[-1]
    assert short.title == "Nobody's Short"
    assert short.genres == ("Science Fiction", "Children")
    assert (short.languages, short.countries) == (("Mandarin",), ("China",))


def test_a_wheel_reads_like_the_table_in_it(table: Path, wheel: Path) -> None:
    assert read_facts(wheel) == read_facts(table)


def test_other_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "films.db"
    foreign.write_bytes(b"not a database at all" * 100)
    with pytest.raises(FormatError, match=r"read_facts: carrier: expected an SQLite table.*matinee models pull"):
        read_facts(foreign)
    with pytest.raises(IoError, match="read_facts: carrier: cannot read"):
        read_facts(tmp_path / "absent.whl")


def test_the_real_table_has_the_films_it_promises(carrier: Path) -> None:
    films = read_facts(carrier)
    assert len(films) == 17_470
    assert len({film.id for film in films}) == len(films)
    assert all(film.year is not None and 1940 <= film.year <= 2014 for film in films)
    by_id = {film.id: film for film in films}
    jaws = by_id["imdb:tt0073195"]
    assert (jaws.label, jaws.people[0].name) == ("Jaws (1975)", "Steven Spielberg")
    assert "Roy Scheider" in [person.name for person in jaws.people if person.role == "cast"][:4]
