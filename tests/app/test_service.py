"""The use cases, on the real small bundle."""

import pytest

from matinee.app.service import Service
from matinee.errors import InvalidArgument, NotFound
from matinee.where import Where
from tests.bad_inputs import drawn_poster, encoded

PLOT = "Two detectives hunt a killer through a rainy city, one murder ahead of them each time."


def test_genres_from_a_plot_rest_on_it(service: Service) -> None:
    answer = service.genres(plot=PLOT)
    assert answer.used == ["plot"]
    assert answer.poster is None
    assert answer.top == answer.genres[0].name
    assert [g.probability for g in answer.genres] == sorted((g.probability for g in answer.genres), reverse=True)


def test_one_label_is_exactly_one(service: Service) -> None:
    answer = service.genres(plot=PLOT, labels="single")
    assert sum(genre.predicted for genre in answer.genres) == 1
    assert answer.genres[0].predicted


def test_genres_from_a_poster_carry_its_check(service: Service, film_id: str) -> None:
    content, _ = service.poster(film_id)
    answer = service.genres(poster=content)
    assert answer.used == ["poster"]
    assert answer.poster == service.check_poster(content)


def test_a_rejected_poster_is_left_out_where_there_is_a_plot(service: Service) -> None:
    blank = encoded(drawn_poster().convert("L").point(lambda _: 90).convert("RGB"), "PNG")
    assert service.check_poster(blank).valid is False
    answer = service.genres(poster=blank, plot=PLOT)
    assert answer.used == ["plot"]
    assert answer.poster is not None
    assert answer.poster.valid is False
    assert answer.note is not None
    assert "plot" in answer.note
    assert answer.genres == service.genres(plot=PLOT).genres


def test_a_rejected_poster_without_a_plot_says_what_to_do(service: Service) -> None:
    blank = encoded(drawn_poster().convert("L").point(lambda _: 90).convert("RGB"), "PNG")
    answer = service.genres(poster=blank)
    assert answer.poster is not None
    assert answer.poster.valid is False
    assert answer.note is not None
    assert "plot" in answer.note


def test_genres_from_both_use_both(service: Service, film_id: str) -> None:
    content, _ = service.poster(film_id)
    answer = service.genres(poster=content, plot=PLOT)
    expected = ["plot"] if answer.poster and answer.poster.valid is False else ["plot", "poster"]
    assert sorted(answer.used) == expected


def test_nothing_to_predict_from_is_an_error(service: Service) -> None:
    with pytest.raises(InvalidArgument, match="expected a poster, a plot, or both"):
        service.genres()
    with pytest.raises(InvalidArgument, match="expected film_ids, plot or image"):
        service.similar()


def test_films_like_a_film_do_not_hold_it(service: Service, film_id: str) -> None:
    answer = service.similar(film_ids=[film_id], k=5)
    assert 0 < len(answer.films) <= 5
    assert film_id not in [hit.id for hit in answer.films]
    assert [hit.score for hit in answer.films] == sorted((hit.score for hit in answer.films), reverse=True)


def test_films_like_a_poster_begin_with_its_film(service: Service, film_id: str) -> None:
    content, _ = service.poster(film_id)
    answer = service.similar(poster=content, k=3)
    assert answer.films[0].id == film_id


def test_a_plot_finds_its_film(service: Service, film_id: str) -> None:
    plot = service.film(film_id).plot
    assert plot
    assert film_id in [hit.id for hit in service.similar(plot=plot, k=3).films]
    assert film_id in [hit.id for hit in service.discover(plot.split(". ")[0], k=10).films]


def test_a_filter_lets_nothing_else_through(service: Service, film_id: str) -> None:
    film = service.film(film_id)
    answer = service.discover("a film", k=20, where=Where.parse({"year": {"max": 1900}}))
    assert answer.films == []
    assert film.year is not None
    answer = service.discover("a film", k=20, where=Where.parse({"year": {"min": film.year, "max": film.year}}))
    assert {hit.year for hit in answer.films} <= {film.year}


def test_the_catalogue_comes_in_pages_without_gap_or_overlap(service: Service) -> None:
    every, rest = service.films(k=1000)
    assert rest is None
    paged, offset = [], 0
    while offset is not None:
        page, offset = service.films(k=7, offset=offset)
        paged += page
    assert paged == every
    assert len(every) == service.facts().films


def test_a_film_is_found_by_its_title(service: Service, film_id: str) -> None:
    film = service.film(film_id)
    found, _ = service.films(film.title, k=10)
    assert film_id in [other.id for other in found]


def test_unknown_films_are_not_found(service: Service) -> None:
    for ask in (service.film, service.poster, lambda film_id: service.similar(film_ids=[film_id])):
        with pytest.raises(NotFound):
            ask("movielens:999999999")


def test_cards_name_every_model_that_answers(service: Service, film_id: str) -> None:
    content, _ = service.poster(film_id)
    cards = {card.name for card in service.cards()}
    answers = [service.genres(plot=PLOT), service.genres(plot=PLOT, labels="single"), service.check_poster(content)]
    assert {answer.model for answer in answers} <= cards
