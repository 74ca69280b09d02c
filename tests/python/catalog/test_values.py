"""What sources write in their cells, and what it means."""

from __future__ import annotations

from datetime import date

import pytest

from matinee.catalog import values


@pytest.mark.parametrize(
    ("cell", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("American President, The", "The American President", None),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura (Adventure, The)", 1960),
        ("City of Lost Children, The (Cité des enfants perdus, La) (1995)", None, 1995),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("1984 (1956)", "1984", 1956),
        ("(1995)", "(1995)", 1995),
        ("Film (9999)", "Film (9999)", None),
        ("Film (0000)", "Film (0000)", None),
        ("I, Tonya", "I, Tonya", None),
        ("  Two\t spaces\n (2001) ", "Two spaces", 2001),
        ("Unknown (2011)", "Unknown", 2011),
        ("null", "null", None),
        ("", None, None),
        ("\x00\x07", None, None),
    ],
)
def test_titles_come_without_year_and_with_the_article_first(cell: str, title: str | None, year: int | None) -> None:
    if title is None and year is not None:
        title = "The City of Lost Children (Cité des enfants perdus, La)"
    assert values.title(cell) == title
    assert values.title_year(cell) == year


@pytest.mark.parametrize(
    ("cell", "minutes"),
    [
        ("81 min", 81),
        ("81", 81),
        ("81.0", 81),
        ("1,440 min", 1440),
        ("1 h 21 min", 81),
        ("2h", 120),
        ("0", None),
        ("N/A", None),
    ],
)
def test_runtimes(cell: str, minutes: int | None) -> None:
    assert values.minutes(cell) == minutes


@pytest.mark.parametrize(
    ("cell", "dollars"),
    [("30000000", 30_000_000), ("$30,000,000", 30_000_000), ("1.0", 1), ("0", None), ("0.0", None), ("", None)],
)
def test_money_where_zero_means_unknown(cell: str, dollars: int | None) -> None:
    assert values.money(cell) == dollars


@pytest.mark.parametrize("cell", ["1995-11-22", "22 Nov 1995", "22 November 1995", "11/22/1995", "1995-11-22T00:00:00"])
def test_dates_in_the_usual_forms(cell: str) -> None:
    assert values.day(cell) == date(1995, 11, 22)


@pytest.mark.parametrize(
    ("cell", "split", "names"),
    [
        ("Action|Sci-Fi||Action", "|", ("Action", "Sci-Fi")),
        ("English, Italian , German", ",", ("English", "Italian", "German")),
        ('[{"id": 1, "name": "toy"}, {"name": null}, {"name": "boy"}]', None, ("toy", "boy")),
        ('["a", "b"]', ",", ("a", "b")),
        ("[]", None, ()),
        ("John Lasseter", None, ("John Lasseter",)),
        ("N/A", ",", ()),
        ("", "|", ()),
    ],
)
def test_lists_in_one_cell(cell: str, split: str | None, names: tuple[str, ...]) -> None:
    assert values.names(cell, split) == names


def test_lists_of_objects_by_another_key() -> None:
    assert values.names('[{"iso_639_1": "en", "name": "English"}]', None, "iso_639_1") == ("en",)


@pytest.mark.parametrize(
    ("parse", "cell"),
    [
        (values.year, "199"),
        (values.year, "nineteen"),
        (values.year, "1700"),
        (values.year, "20225"),
        (values.minutes, "long"),
        (values.minutes, "-5"),
        (values.money, "-1"),
        (values.money, "thirty"),
        (values.day, "1995-13-45"),
        (values.day, "yesterday"),
        (lambda cell: values.names(cell, None), '[{"name":'),
        (lambda cell: values.names(cell, None), "[" * 100_000),
    ],
)
def test_wrong_values_are_errors_that_quote_them(parse, cell: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="expected") as caught:
        parse(cell)
    assert cell[:20] in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("name", "genre"),
    [
        ("Sci-Fi", "Science Fiction"),
        ("science fiction", "Science Fiction"),
        ("horror", "Horror"),
        ("Film-Noir", "Film-Noir"),
        ("Children's", "Children"),
        ("Family", "Children"),
        ("(no genres listed)", None),
        ("IMAX", None),
        (" ", None),
    ],
)
def test_genres_have_one_name_each(name: str, genre: str | None) -> None:
    assert values.genre(name) == genre


def test_the_canonical_names_are_their_own_canonical_names() -> None:
    for name in (*values.SINGLE_GENRES, "Film-Noir", "Children", "Musical", "War", "Western"):
        assert values.genre(name) == name


def test_languages_and_countries_have_english_names() -> None:
    assert [values.language(code) for code in ("en", "EN", "fr", "cn", "English", "Klingon")] == [
        "English",
        "English",
        "French",
        "Cantonese",
        "English",
        "Klingon",
    ]
    assert {values.country(c) for c in ("USA", "US", "United States of America")} == {"United States"}


def test_text_loses_control_characters_and_half_characters_only() -> None:
    assert values.text("a\x00b\u200bc\ud800d  é 日本 \N{CLAPPER BOARD}\n") == "a b c d é 日本 \N{CLAPPER BOARD}"
    assert values.known("n/a") is None
    assert values.known("not rated") is None
    assert values.known("none of the above") == "none of the above"
