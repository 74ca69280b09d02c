"""A bundle of drawn films, built with the real encoders, answers every question of the Python interface."""

from pathlib import Path

import pytest
from bundles import BARE_FILM, NUM_FILMS, OTHER_PLOT, PEOPLE

from matinee.bundle import Bundle, open_bundle
from matinee.errors import NotFound


@pytest.fixture(scope="module")
def bundle(small_bundle: Path) -> Bundle:
    return open_bundle(small_bundle)


def test_it_holds_what_the_sources_gave(bundle: Bundle) -> None:
    assert len(bundle) == NUM_FILMS + 3
    assert bundle.manifest.counts["films"] == NUM_FILMS + 3
    assert not bundle.demo
    assert {card.name for card in bundle.cards} >= {"genre-poster-multi", "genre-plot-multi", "poster-check"}


def test_faulty_rows_are_in_the_report_and_cost_nothing_else(small_bundle: Path, bundle: Bundle) -> None:
    report = (small_bundle / "build_report.json").read_text()
    for film in ("local:lost", "local:torn", "local:3"):
        assert film in report
    assert bundle.film("local:3").title != "A Second Film of the Same Id"
    assert not bundle.film("local:torn").has_poster and bundle.film("local:torn").year is None
    with pytest.raises(NotFound, match="no poster"):
        bundle.poster("local:torn")


def test_posters_come_back_as_they_were(bundle: Bundle, drawn_films: Path) -> None:
    for film, name, media_type in (("local:1", "1.jpg", "image/jpeg"), ("local:7", "7.png", "image/png")):
        assert bundle.poster(film) == ((drawn_films.parent / "posters" / name).read_bytes(), media_type)


def test_genres_from_poster_plot_and_both(bundle: Bundle) -> None:
    plot = "An old priest must flee from a masked killer in an abandoned asylum."
    horror, _ = bundle.poster("local:4")
    for labels in ("multi", "single"):
        for used, answer in (
            (["plot"], bundle.predict_genres(plot=plot, labels=labels)),
            (["poster"], bundle.predict_genres(poster=horror, labels=labels)),
            (["poster", "plot"], bundle.predict_genres(poster=horror, plot=plot, labels=labels)),
        ):
            assert answer.top == "Horror"
            assert answer.used == used
            assert (answer.poster is not None) == ("poster" in used)
            assert [g.probability for g in answer.genres] == sorted(
                (g.probability for g in answer.genres), reverse=True
            )
        assert sum(g.predicted for g in bundle.predict_genres(plot=plot, labels="single").genres) == 1


def test_a_rejected_poster_gives_way_to_the_plot_and_the_note_says_so(bundle: Bundle, drawn_films: Path) -> None:
    landscape = drawn_films.parent / "photos" / "3.png"
    plot = "A shy florist must fall in love one summer in Venice."
    both = bundle.predict_genres(poster=landscape, plot=plot)
    assert both.poster is not None and both.poster.valid is False
    assert both.used == ["plot"] and both.note is not None and "plot alone" in both.note
    assert both.genres == bundle.predict_genres(plot=plot).genres
    alone = bundle.predict_genres(poster=landscape)
    assert alone.used == ["poster"] and alone.note is not None and "not accepted" in alone.note


def test_the_check_tells_posters_from_other_images(bundle: Bundle, drawn_films: Path) -> None:
    poster = bundle.check_poster(bundle.poster("local:1")[0])
    assert poster.valid is True and poster.score > 0.5
    landscape = bundle.check_poster(drawn_films.parent / "photos" / "5.png")
    assert landscape.valid is False
    assert {"photograph", "wrong_shape"} <= {reason.code for reason in landscape.reasons}


def test_similar_films_share_the_genre_and_exclude_the_seeds(bundle: Bundle) -> None:
    seeds = ["local:1", "local:5"]
    answer = bundle.similar(seeds, k=8)
    genres = [bundle.film(hit.id).genres for hit in answer.films]
    assert len(genres) == 8 and not {hit.id for hit in answer.films} & set(seeds)
    assert sum("Science Fiction" in g for g in genres) >= 6
    assert [hit.score for hit in answer.films] == sorted((hit.score for hit in answer.films), reverse=True)
    assert all(hit.why and hit.channels for hit in answer.films)


def test_similar_by_plot_poster_and_weights(bundle: Bundle) -> None:
    poster = bundle.poster("local:2")[0]  # a comedy's look
    plot = "The last android must discover an alien signal on a colony on Mars."
    by_plot = bundle.similar(plot=plot, poster=poster, weights={"plot": 1, "poster": 0}, k=5)
    by_poster = bundle.similar(plot=plot, poster=poster, weights={"plot": 0, "poster": 1}, k=5)
    assert all("Science Fiction" in bundle.film(hit.id).genres for hit in by_plot.films)
    assert by_poster.films[0].id == "local:2" and all(hit.channels == ["poster"] for hit in by_poster.films)


def test_filters_hold_and_unknown_facts_are_counted(bundle: Bundle) -> None:
    where = {"genres": {"any": ["Romance"]}, "runtime": {"max": 110}, "language": {"none": ["french"]}}
    for answer in (
        bundle.discover("tender letters in Venice", where=where, k=50),
        bundle.similar("local:3", where=where, k=50),
    ):
        assert answer.films and answer.left_out.get("runtime") and not answer.nothing_fits
        for hit in answer.films:
            film = bundle.film(hit.id)
            assert "Romance" in film.genres and film.runtime is not None and film.runtime <= 110
            assert film.languages == ("English",)


def test_discovery_names_its_channels_and_quotes_the_plot(bundle: Bundle) -> None:
    answer = bundle.discover("astronauts travel through a wormhole aboard a space station", k=5)
    assert not answer.nothing_fits
    assert all("Science Fiction" in bundle.film(hit.id).genres for hit in answer.films)
    top = answer.films[0]
    assert "plot" in top.channels
    quote = top.why.split("“")[1].split("”")[0]
    assert quote in (bundle.film(top.id).plot or "")


def test_a_long_description_with_talk_around_it_finds_the_plot_of_another_author(bundle: Bundle) -> None:
    film, plot = OTHER_PLOT
    text = (
        "Hi, what was the name of this movie? I saw it on TV years ago with my sister and cannot remember the title. "
        "There was a man in a lighthouse who had a seal, and some smugglers took his lamp away in the storm. Thanks!"
    )
    answer = bundle.discover(text, k=5)
    assert answer.films[0].id == film and "plot" in answer.films[0].channels and not answer.nothing_fits
    assert answer.films[0].why.split("“")[1].split("”")[0] in plot
    assert bundle.film(film).other_plots == (plot,)


def test_the_popularity_prior_can_be_switched_off(bundle: Bundle) -> None:
    asked = "a haunted family wakes a demon in an abandoned asylum"
    with_prior, without = bundle.discover(asked, k=60), bundle.discover(asked, k=60, popularity=False)
    scores = {hit.id: hit.score for hit in without.films}
    popularity = bundle.search_store.films.popularity
    for hit in with_prior.films:
        if hit.id in scores:
            gained = hit.score - scores[hit.id]
            known = popularity[bundle.search_store.films.row_of(hit.id)]
            assert abs(gained) < 1.5 if known else abs(gained) < 1.0
    assert [hit.id for hit in with_prior.films] != [hit.id for hit in without.films]
    assert without.request["popularity"] is False


def test_a_poster_fits_the_plots_of_its_genre_better(bundle: Bundle) -> None:
    horror, _ = bundle.poster("local:4")
    fits = bundle.poster_fits_plot(horror, "An old priest must wake a demon in a fogbound cellar.")
    differs = bundle.poster_fits_plot(horror, "Two pen friends must fall in love one summer in Venice.")
    assert fits.better_than > differs.better_than
    assert fits.probability is None or (differs.probability or 0) < fits.probability <= 1
    own = bundle.joint_vector(poster=horror) @ bundle.joint_vector(plot=bundle.film("local:4").plot)
    assert -1 <= own <= 1


def test_a_name_finds_the_persons_films_first(bundle: Bundle) -> None:
    answer = bundle.discover("celia dumont", k=5)
    assert not answer.nothing_fits
    for hit in answer.films:
        assert PEOPLE[2] in {person.name for person in bundle.film(hit.id).people}
        assert "people" in hit.channels


def test_a_film_without_plot_and_poster_is_found_by_title_and_people(bundle: Bundle) -> None:
    assert [film.id for film in bundle.find("nothing kn")] == [BARE_FILM]
    assert bundle.discover("Zora Unseen").films[0].id == BARE_FILM
    assert bundle.discover("Nothing Known").films[0].id == BARE_FILM
    alike = bundle.similar(BARE_FILM, k=5)
    assert alike.films and all("keywords" in hit.channels for hit in alike.films)


def test_what_no_film_answers_is_said(bundle: Bundle) -> None:
    for text in ("xqz vbrt plok", "How do I reset my router to factory settings?"):
        assert bundle.discover(text).nothing_fits


def test_more_films_than_there_are_is_fine(bundle: Bundle) -> None:
    answer = bundle.discover("a haunted family", k=1000)
    assert len({hit.id for hit in answer.films}) == len(answer.films) <= len(bundle)
    assert len(bundle.similar("local:1", k=1000).films) <= len(bundle) - 1
