"""The demo as a source of a catalogue."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from demo_films import film

from matinee.catalog.database import Catalog
from matinee.catalog.demo import SOURCE_FILE, pool
from matinee.catalog.demo.options import DemoOptions
from matinee.catalog.demo.posters import POSTER_SOURCE
from matinee.catalog.demo.source import LABEL_SOURCE, PLOT_SOURCE, RULE_SOURCE, DemoSource, choose_pictured
from matinee.catalog.demo.viewers import VIEWERS, liking, rate
from matinee.catalog.report import BuildReport
from matinee.catalog.source import Source
from matinee.catalog.source_file import load_source_file


@pytest.fixture
def source(table: Path) -> DemoSource:
    return DemoSource(DemoOptions(facts=table, posters=2))


def test_it_is_a_source_and_says_what_it_is(source: DemoSource) -> None:
    assert isinstance(source, Source)
    assert source.info.train_allowed
    assert "CC0" in source.info.licence
    assert "Demo data" in source.info.notes
    assert "drawings, not posters" in source.info.notes


def test_films_come_with_plots_posters_and_their_origins(source: DemoSource) -> None:
    items = {item.film.title: item for item in source.films(BuildReport())}
    assert set(items) == {"Seven Samurai", "Yojimbo", "Nobody's Short"}
    samurai = items["Seven Samurai"]
    assert samurai.film.plot is not None
    assert "swordsmen" in samurai.film.plot
    assert samurai.film.single_genre == "Action"
    assert isinstance(samurai.poster, bytes)
    origins = samurai.film.provenance
    assert (origins["plot"], origins["single_genre"], origins["poster"]) == (PLOT_SOURCE, LABEL_SOURCE, POSTER_SOURCE)
    assert items["Nobody's Short"].poster is None


def test_a_drawn_poster_gives_its_film_the_genre_it_shows(table: Path) -> None:
    items = {
        item.film.title: item.film for item in DemoSource(DemoOptions(facts=table, posters=3)).films(BuildReport())
    }
    assert items["Nobody's Short"].single_genre == "Science Fiction"
    assert items["Nobody's Short"].provenance["single_genre"] == RULE_SOURCE


def test_it_goes_into_a_catalogue(source: DemoSource) -> None:
    with Catalog() as catalog:
        report = BuildReport()
        catalog.ingest(source, report)
        assert len(catalog) == 3
        assert catalog.film("imdb:tt0047478").has_poster
        assert len({rating.person for rating in catalog.ratings()}) == len(VIEWERS)


def test_the_demo_file_is_a_source_file() -> None:
    loaded = load_source_file(SOURCE_FILE)
    assert loaded.demo
    assert [source.info.name for source in loaded.sources] == ["demo"]


def test_negatives_have_kinds(source: DemoSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matinee.catalog.demo.source.COUNTS", {"photograph": 1, "other": 2})
    monkeypatch.setattr(pool, "_SMALL", 10)
    negatives = list(source.negatives(BuildReport()))
    assert [negative.kind for negative in negatives] == ["photograph", "other", "other"]
    assert all(isinstance(negative.image, bytes) for negative in negatives)


def test_posters_go_to_films_with_plots_first_and_then_to_every_genre_in_turn() -> None:
    films = [
        film(f"{genre} {n}", genres=(genre,), film_id=f"demo:{genre}{n}")
        for n in range(5)
        for genre in ("Horror", "Comedy", "Drama")
    ]
    films[7] = films[7].model_copy(update={"plot": "Words."})
    chosen = choose_pictured(films, 7)
    assert chosen[0] == films[7]
    assert sorted(Counter(film.genres[0] for film in chosen[1:]).values()) == [2, 2, 2]
    assert choose_pictured(films, 7) == chosen
    assert len(choose_pictured(films, 100)) == len(films)


def test_viewers_rate_what_they_declare_to_like() -> None:
    rng = random.Random(1)
    genres = ("Horror", "Romance", "Animation", "Documentary", "Western", "War", "Comedy")
    films = [
        film(f"{n}", genres=(rng.choice(genres),), year=rng.randrange(1940, 2015), film_id=f"demo:{n}")
        for n in range(400)
    ]
    by_id = {one.id: one for one in films}
    for viewer in VIEWERS:
        ratings = list(rate(viewer, films))
        assert ratings == list(rate(viewer, films)), "the same every time"
        assert 20 <= len(ratings) <= viewer.evenings
        assert all(0.5 <= rating.value <= 5 and rating.value * 2 == int(rating.value * 2) for rating in ratings)
        times = [rating.time for rating in ratings]
        assert times == sorted(times)
        assert len({rating.film for rating in ratings}) == len(ratings)
        wishes = [liking(viewer, by_id[rating.film]) for rating in ratings]
        if max(wishes) - min(wishes) > 1:
            high = [r.value for r, wish in zip(ratings, wishes, strict=True) if wish >= 4]
            low = [r.value for r, wish in zip(ratings, wishes, strict=True) if wish <= 3]
            if high and low:
                assert sum(high) / len(high) > sum(low) / len(low)


def test_viewers_are_distinct_people_with_a_taste_in_words() -> None:
    assert len(VIEWERS) == 24
    assert len({viewer.person for viewer in VIEWERS}) == len({viewer.name for viewer in VIEWERS}) == 24
    assert all(viewer.taste and viewer.person.startswith("demo:") for viewer in VIEWERS)
