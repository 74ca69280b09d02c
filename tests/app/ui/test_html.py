"""What the pages show: escaped, in order, in words."""

from html.parser import HTMLParser
from typing import Any

import pytest

from matinee.app.ui import html
from matinee.app.ui.client import Call, Problem, Reply

HOSTILE = "<img src=x onerror=alert(1)> ${alert(1)} {{value}} \"'`</script><script>alert(2)</script>"
BASE = "http://127.0.0.1:8000"


class Parsed(HTMLParser):
    """Tags, attributes and text as a browser would see them."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, name: str) -> list[str]:
        return [value for attribute, value in self.attributes if attribute == name]


def make_film(**facts: Any) -> dict[str, Any]:
    known = {
        "id": "demo:1",
        "title": "A Film",
        "year": 1990,
        "has_poster": False,
        "plot": None,
        "genres": [],
        "people": [],
    }
    return {**known, **facts}


def make_check(valid: bool | None) -> dict[str, Any]:
    return {
        "valid": valid,
        "score": 0.2,
        "reasons": [{"code": "c", "detail": "It is square.", "film": None}],
        "model": "m",
        "demo": False,
    }


def make_genres(*probabilities: tuple[str, float, bool], threshold: float | None = 0.5, **facts: Any) -> Reply:
    genres = [{"name": n, "probability": p, "predicted": on, "threshold": threshold} for n, p, on in probabilities]
    answer = {
        "genres": genres, "top": genres[0]["name"], "used": ["plot"], "poster": None, "note": None,
        "model": "m", "demo": False,
    }  # fmt: skip
    return Reply(Call("POST", "/v1/genres/plot", body={"plot": "x"}), {**answer, **facts})


def make_list(*films: dict[str, Any], **facts: Any) -> Reply:
    answer = {"films": list(films), "request": {}, "nothing_fits": False, "left_out": {}}
    return Reply(Call("POST", "/v1/discover", body={"query": "x"}), {**answer, **facts})


def make_turn(*films: dict[str, Any], chips: tuple[dict[str, Any], ...] = (), **facts: Any) -> Reply:
    answer = {"films": list(films), "chips": list(chips), "reply": "Films.", "question": None, "nothing_fits": False}
    return Reply(Call("POST", "/v1/chat", body={"message": "x"}), {**answer, **facts})


def make_chip(label: str, kind: str = "genre") -> dict[str, Any]:
    return {"id": f"{kind}:{label}", "kind": kind, "label": label, "path": "where.genres.all", "value": label}


HOSTILE_FILM = make_film(
    id=HOSTILE, title=HOSTILE, why=HOSTILE, plot=HOSTILE, tagline=HOSTILE, genres=[HOSTILE], keywords=[HOSTILE],
    people=[{"name": HOSTILE, "role": "director"}], channels=[HOSTILE], has_poster=True, provenance={HOSTILE: HOSTILE},
    languages=[HOSTILE], countries=[HOSTILE], certificate=HOSTILE,
)  # fmt: skip
HOSTILE_CARD = {
    "name": HOSTILE, "title": HOSTILE, "task": HOSTILE, "demo": True, "limits": [HOSTILE], "data": {HOSTILE: HOSTILE},
    "labels": [HOSTILE], "split": HOSTILE,
    "metrics": [{"name": HOSTILE, "part": HOSTILE, "value": 0.5, "count": 3, "baselines": {HOSTILE: 0.1}}],
}  # fmt: skip
HOSTILE_INFO = {
    "name": HOSTILE, "demo": True, "films": 1, "posters": 1, "bundle_version": HOSTILE, "bundle_created": HOSTILE,
}  # fmt: skip


HOSTILE_LIST = make_list(HOSTILE_FILM, left_out={HOSTILE: 2}, request={"where": {"genres": {"any": [HOSTILE]}}})
HOSTILE_TURN = make_turn(
    HOSTILE_FILM, chips=(make_chip(HOSTILE), *[make_chip(f"{HOSTILE} {n}", "excluded") for n in range(5)]),
    reply=HOSTILE,
    question={"text": HOSTILE, "suggestions": [{"label": HOSTILE, "message": HOSTILE, "films": 3}]},
)  # fmt: skip
HOSTILE_CHECK = Reply(
    Call("POST", "/x", image=b""),
    {**make_check(False), "reasons": [{"code": "c", "detail": HOSTILE, "film": HOSTILE}]},
)

HOSTILE_REPORT = {
    "data": {"films": HOSTILE},
    "sections": [{"name": "genre", "title": HOSTILE, "about": HOSTILE}],
    "rows": [
        {"protocol": "genre", "work": HOSTILE, "metric": HOSTILE, "n": 3, "ours": 0.5, "interval": None,
         "baselines": {HOSTILE: 0.1}, "better": "lower"}
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    "markup",
    [
        html.card(HOSTILE_FILM),
        html.film_panel("opening", HOSTILE_FILM, make_genres((HOSTILE, 0.9, True)).answer, [HOSTILE_FILM]),
        html.film_list(HOSTILE_LIST, BASE, heading=HOSTILE),
        html.chat_answer(HOSTILE_TURN, BASE, [HOSTILE]),
        html.film_examples([HOSTILE_FILM], with_poster=False),
        html.film_examples([HOSTILE_FILM]),
        html.text_examples([HOSTILE]),
        html.genre_answer(make_genres((HOSTILE, 0.9, True), note=HOSTILE, model=HOSTILE), BASE, compare=HOSTILE),
        html.check_answer(HOSTILE_CHECK, BASE),
        html.cards([HOSTILE_CARD]),
        html.evaluation(HOSTILE_REPORT),
        html.header(HOSTILE_INFO),
        html.problem_card(Problem(HOSTILE, HOSTILE, request_id=HOSTILE)),
        html.hint(HOSTILE),
        html.working(HOSTILE),
        html.call(Reply(Call("POST", HOSTILE, body={HOSTILE: HOSTILE}), {"x": HOSTILE}), BASE),
    ],
)  # fmt: skip
def test_hostile_text_stays_text(markup: str) -> None:
    parsed = Parsed(markup)
    assert "script" not in parsed.tags
    assert "onerror" not in [name for name, _ in parsed.attributes]
    assert all(source.startswith("posters/") for source in parsed.of("src"))
    # Gradio's templates look for these; none may come from data.
    assert "${" not in markup
    assert "{{" not in markup
    assert "alert(1)" in parsed.text + "".join(value for _, value in parsed.attributes)


def test_a_film_without_a_poster_gets_a_typeset_card_and_no_image() -> None:
    parsed = Parsed(html.card(make_film(title="Stalker", year=1979)))
    assert "img" not in parsed.tags
    assert "Stalker" in parsed.text


def test_a_poster_has_words_for_those_who_do_not_see_it() -> None:
    parsed = Parsed(html.card(make_film(id="movielens:7", title="Stalker", year=1979, has_poster=True)))
    assert parsed.of("alt") == ["Poster of Stalker (1979)"]
    assert parsed.of("src") == ["posters/movielens:7"]


def test_bars_mark_the_threshold_and_say_it() -> None:
    parsed = Parsed(html.genre_answer(make_genres(("Drama", 0.7, True), ("War", 0.1, False), threshold=0.35), BASE))
    assert "left:35.0%" in parsed.of("style")
    assert "Drama: 70 %, needs 35 %" in parsed.of("aria-label")


def test_no_genre_above_its_threshold_is_called_unsure_with_what_would_settle_it() -> None:
    shown = Parsed(html.genre_answer(make_genres(("Drama", 0.3, False), ("War", 0.1, False)), BASE)).text
    assert "Not sure" in shown
    assert "Add the poster" in shown


def test_a_weak_single_label_is_called_unsure_and_a_strong_one_is_not() -> None:
    weak = make_genres(("Drama", 0.2, True), ("War", 0.1, False), threshold=None)
    strong = make_genres(("Drama", 0.8, True), ("War", 0.1, False), threshold=None)
    assert "Not sure" in html.genre_answer(weak, BASE)
    assert "Not sure" not in html.genre_answer(strong, BASE)


def test_a_rejected_poster_leads_to_the_plot_and_folds_its_genres_away() -> None:
    reply = make_genres(("Drama", 0.7, True), used=["poster"], poster=make_check(False), note="n")
    parsed = Parsed(html.genre_answer(reply, BASE))
    assert "Not a film poster" in parsed.text
    assert "It is square." in parsed.text
    assert "plot" in parsed.of("data-act")
    assert parsed.tags.index("details") < parsed.tags.index("ol")


def test_a_rejected_poster_with_a_plot_says_what_the_answer_rests_on() -> None:
    note = "so this answer rests on the plot alone."
    reply = make_genres(("Drama", 0.7, True), used=["plot"], poster=make_check(False), note=note)
    parsed = Parsed(html.genre_answer(reply, BASE))
    assert note in parsed.text
    assert "plot" not in parsed.of("data-act")


@pytest.mark.parametrize(
    ("valid", "words"), [(True, "A film poster"), (False, "Not a film poster"), (None, "Not sure")]
)
def test_each_verdict_has_its_words(valid: bool | None, words: str) -> None:
    shown = Parsed(html.check_answer(Reply(Call("POST", "/x", image=b""), make_check(valid)), BASE)).text
    assert shown.startswith(words)


@pytest.mark.parametrize(
    ("fits", "probability", "words"),
    [
        (True, 0.91, ("The poster fits the plot", "91 % likely", "better than 83 %")),
        (False, 0.08, ("does not fit", "8 % likely")),
        (None, 0.5, ("Cannot tell", "50 % likely", "may settle it")),
        (None, None, ("Cannot tell", "too few films", "better than 83 %")),
    ],
)
def test_whether_poster_and_plot_fit_is_said_in_words(
    fits: bool | None, probability: float | None, words: tuple[str, ...]
) -> None:
    answer = {"fits": fits, "probability": probability, "better_than": 0.83}
    shown = Parsed(html.fit_answer(Reply(Call("POST", "/v1/posters/fit", image=b"", form={"plot": "x"}), answer), BASE))
    for part in words:
        assert part in shown.text
    assert ("meter" in shown.of("role")) is (probability is not None)


def test_the_film_whose_poster_it_is_opens_from_the_verdict() -> None:
    reasons = [{"code": "near_duplicate", "detail": "It is the poster of Alien (1979).", "film": "movielens:1214"}]
    shown = Parsed(
        html.check_answer(Reply(Call("POST", "/x", image=b""), {**make_check(True), "reasons": reasons}), BASE)
    )
    assert shown.of("data-film") == ["movielens:1214"] and "Show the film" in shown.text
    without = html.check_answer(Reply(Call("POST", "/x", image=b""), make_check(True)), BASE)
    assert "data-film" not in without


def test_filters_and_films_left_out_are_told_in_words() -> None:
    where = {
        "year": {"min": 1990, "max": 1999}, "runtime": {"max": 120}, "genres": {"all": ["Crime"], "none": ["Horror"]},
        "language": {"any": ["French"]},
    }  # fmt: skip
    shown = Parsed(
        html.film_list(make_list(request={"where": where}, left_out={"runtime": 1234}), BASE, heading="h")
    ).text
    for words in (
        "1990–1999",
        "120 minutes or less",
        "Crime",
        "not Horror",
        "in French",
        "1,234 whose runtime is unknown",
    ):
        assert words in shown
    assert "No film is left" in shown


def test_an_answer_that_does_not_fit_says_so() -> None:
    shown = Parsed(html.film_list(make_list(make_film(channels=[]), nothing_fits=True), BASE, heading="h")).text
    assert "Nothing in the catalogue fits this well." in shown
    assert "A Film" in shown


def test_the_films_of_a_conversation_are_numbered_and_can_be_turned_down() -> None:
    markup = html.chat_answer(make_turn(make_film(), make_film(id="demo:2", title="Another")), BASE, ["a comedy"])
    parsed = Parsed(markup)
    assert {"more like number 1", "not number 1", "more like number 2", "not number 2"} <= {*parsed.of("data-example")}
    assert "Not Another (1990)" in parsed.of("aria-label")
    assert "a comedy" in parsed.text


def test_chips_can_be_changed_and_removed_and_many_films_left_out_are_folded() -> None:
    few = Parsed(html.chat_answer(make_turn(chips=(make_chip("comedy"), make_chip("not A", "excluded"))), BASE, []))
    assert few.of("data-off") == few.of("data-part") == ["genre:comedy", "excluded:not A"]
    assert "Remove comedy" in few.of("aria-label")
    assert "films left out" not in few.text
    many = tuple(make_chip(f"not {letter}", "excluded") for letter in "ABCD")
    folded = Parsed(html.chat_answer(make_turn(chips=(make_chip("comedy"), *many)), BASE, []))
    assert len(folded.of("data-off")) == 5
    assert "4 films left out" in folded.text


def test_a_question_shows_its_answers_with_the_films_there_would_be() -> None:
    suggestions = [
        {"label": "comedy", "message": "a comedy", "films": 1200},
        {"label": "drama", "message": "a drama", "films": 1},
        {"label": "something else", "message": "else", "films": None},
    ]
    parsed = Parsed(html.chat_answer(make_turn(question={"text": "Which?", "suggestions": suggestions}), BASE, []))
    assert parsed.of("data-example") == ["a comedy", "a drama", "else"]
    assert "comedy 1,200 films" in parsed.text
    assert "drama 1 filmsomething else" in parsed.text


def test_problems_are_told_to_people_with_the_id_to_quote() -> None:
    problem = Problem(
        "Too large", "decode_rgb: data: expected at most 50 MP, got 200 MP; send a smaller image", request_id="abc"
    )
    shown = Parsed(html.problem_card(problem)).text
    assert "Expected at most 50 MP, got 200 MP; send a smaller image" in shown
    assert "decode_rgb" not in shown
    assert "abc" in shown


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0 %"), (0.004, "<1 %"), (0.07, "7 %"), (0.996, ">99 %"), (1, "100 %")]
)
def test_probabilities_are_rounded_but_never_to_certainty(value: float, words: str) -> None:
    assert html.percent(value) == words


def test_poster_and_plot_are_compared_in_a_sentence() -> None:
    drama, war = make_genres(("Drama", 0.7, True)).answer, make_genres(("War", 0.6, True)).answer
    assert html.compare_sides(drama, drama).startswith("Poster and plot agree")
    assert html.compare_sides(drama, war) == (
        "Poster and plot disagree: the poster alone says Drama (70 %), the plot alone War (60 %)."
    )


def test_a_list_shows_the_filters_read_from_the_words() -> None:
    request = {"where": {"year": {"min": 1980, "max": 1989}}, "without": ["zombies"], "about": "heist"}
    shown = html.film_list(make_list(make_film(), request=request), BASE, heading="h")
    assert "1980–1989" in shown and "no zombies" in shown
