"""Our own plots: each belongs to exactly one film, and is long enough to be found by."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from matinee.catalog.demo.artwork.direction import COMPOSITIONS
from matinee.catalog.demo.artwork.motifs import known
from matinee.catalog.demo.facts import read_facts
from matinee.catalog.demo.source import read_plots, same_title, with_plots
from matinee.catalog.report import BuildReport
from matinee.catalog.values import SINGLE_GENRES


def test_there_are_plots_of_every_genre() -> None:
    plots = read_plots()
    assert len(plots) >= 320
    counts = Counter(plot.genre for plot in plots)
    assert set(counts) == set(SINGLE_GENRES)
    assert min(counts.values()) >= 20


def test_plots_spread_over_the_decades() -> None:
    decades = Counter(plot.year // 10 * 10 for plot in read_plots())
    assert set(decades) == {1940, 1950, 1960, 1970, 1980, 1990, 2000, 2010}
    assert min(decades.values()) >= 20


def test_plots_have_a_length_that_reads_and_embeds_well() -> None:
    lengths = {plot.title: len(plot.text.split()) for plot in read_plots()}
    assert {title: words for title, words in lengths.items() if not 45 <= words <= 90} == {}


def test_no_film_and_no_sentence_is_there_twice() -> None:
    plots = read_plots()
    assert [key for key, n in Counter((same_title(p.title), p.year) for p in plots).items() if n > 1] == []
    sentences = Counter(part.strip() for plot in plots for part in plot.text.split(". ") if len(part.split()) > 5)
    assert [sentence for sentence, count in sentences.items() if count > 1] == []


def test_plots_are_plain_sentences_in_our_own_spelling() -> None:
    for plot in read_plots():
        assert plot.text[-1] in ".?", plot.title
        assert plot.text.isprintable(), plot.title
        assert "  " not in plot.text, plot.title


def test_every_plot_matches_exactly_one_film_of_the_table(carrier: Path) -> None:
    films = read_facts(carrier)
    rows = Counter((same_title(film.title), film.year) for film in films)
    assert [plot.title for plot in read_plots() if rows[(same_title(plot.title), plot.year)] != 1] == []
    report = BuildReport()
    joined = with_plots(films, report)
    assert report.rows == []
    assert sum(film.plot is not None for film in joined) == len(read_plots())


def test_a_plot_without_its_film_is_reported() -> None:
    report = BuildReport()
    with_plots([], report)
    assert report.counts() == {"unknown_film": len(read_plots())}


def test_titles_compare_without_case_accents_and_punctuation() -> None:
    assert same_title("Léon: The Professional") == same_title("leon – the professional")
    assert same_title("Lilo & Stitch") == same_title("Lilo and Stitch")
    assert same_title("Heat") != same_title("Heat 2")


def test_every_poster_has_an_art_direction_that_can_be_drawn() -> None:
    for plot in read_plots():
        assert plot.art.layout in COMPOSITIONS, plot.title
        assert 1 <= len(plot.art.show) <= 2, plot.title
        assert all(known(name) for name in plot.art.show), plot.title
