"""Plots in sentences: pieces that can be quoted, and nothing lost between them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.search.sentences import best_sentence, sentences


def split(text: str) -> list[str]:
    return [text[begin:end] for begin, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("One man walks alone.", ["One man walks alone."]),
        ("A thief plans a heist. It goes wrong very soon.", ["A thief plans a heist.", "It goes wrong very soon."]),
        ("Who is the killer now? Nobody in town knows!", ["Who is the killer now?", "Nobody in town knows!"]),
        (
            'He says "I will be back." Then he leaves the town.',
            ['He says "I will be back."', "Then he leaves the town."],
        ),
        (
            "Dr. Grant and Mrs. Hill meet at St. Anne in N.Y. today.",
            ["Dr. Grant and Mrs. Hill meet at St. Anne in N.Y. today."],
        ),
        ("President Richard M. Nixon is on a plane.", ["President Richard M. Nixon is on a plane."]),
        (
            "She hides in the attic. Or does she? Nobody can ever say.",
            ["She hides in the attic. Or does she?", "Nobody can ever say."],
        ),
        ("Wait. A stranger comes to the old village.", ["Wait. A stranger comes to the old village."]),
        ("It cost 3.5 million and took e.g. a year.", ["It cost 3.5 million and took e.g. a year."]),
        (
            "Zwei Freunde gehen nach Köln. Äpfel gibt es dort auch.",
            ["Zwei Freunde gehen nach Köln.", "Äpfel gibt es dort auch."],
        ),
        ("First part without stop\n\nSecond part has no stop", ["First part without stop", "Second part has no stop"]),
    ],
)
def test_plain_cases(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_full_width_stops_need_no_space() -> None:
    # Too short by our count of words (there are no spaces), they are one piece with nothing lost.
    assert "".join(split("侦探追捕凶手。凶手逃走了。")) == "侦探追捕凶手。凶手逃走了。"


def test_endless_sentences_are_cut_at_commas() -> None:
    text = ", ".join(f"part {i} of the tale goes on and on" for i in range(40)) + "."
    pieces = split(text)
    assert len(pieces) > 3
    assert all(len(piece.split()) <= 60 for piece in pieces)
    assert all(piece.endswith((",", ".")) for piece in pieces)


@given(st.text(alphabet=st.sampled_from("ab .!?,\n\"'A。é1"), max_size=300))
def test_pieces_are_in_order_apart_and_hold_every_letter(text: str) -> None:
    spans = sentences(text)
    assert all(begin < end for begin, end in spans)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    assert "".join("".join(text[b:e].split()) for b, e in spans) == "".join(text.split())


def test_a_quote_is_cut_at_a_word() -> None:
    text = "word " * 100
    quote = best_sentence(text, [(0, len(text))], max_chars=50)
    assert quote.endswith("word …") and len(quote) <= 52
    assert best_sentence("A  b\nc", [(0, 6)]) == "A b c"
    assert best_sentence("", []) == ""


def test_a_long_plot_takes_time_in_proportion() -> None:
    text = "the man walks on " * 25_000
    assert len(sentences(text)) > 1000
