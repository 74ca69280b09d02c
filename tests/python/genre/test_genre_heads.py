"""Genre heads on made-up features: six of them, honest figures, labels that cannot be learned left out."""

import numpy as np
import pytest

from matinee.genre.infer import answer
from matinee.genre.labels import COURSE_GENRES, single_label
from matinee.genre.train import LabelledFilms, Provenance, TrainedHead, train_genre_heads
from matinee.heads import ModelCard

GENRES = ("Comedy", "Drama", "Horror")
PROVENANCE = Provenance({"made": "by the test"}, {"poster": "p", "plot": "t", "both": "p; t"}, True)


def make_films(count: int = 900) -> LabelledFilms:
    """Plots show the genres well, posters less so; five films also have a genre nobody can learn from five."""
    rng = np.random.default_rng(0)
    truth = rng.random((count, 3)) < [0.5, 0.4, 0.2]
    plots = (truth @ rng.standard_normal((3, 6)) * 2 + rng.standard_normal((count, 6))).astype(np.float32)
    posters = (truth @ rng.standard_normal((3, 8)) + rng.standard_normal((count, 8)) * 1.5).astype(np.float32)
    genres = [[g for g, has in zip(GENRES, row, strict=True) if has] for row in truth]
    for number in range(5):
        genres[number].append("Film-Noir")
    return LabelledFilms(
        ids=[f"film:{i}" for i in range(count)],
        genres=genres,
        single=[None] * count,
        posters=posters,
        has_poster=rng.random(count) < 0.8,
        plots=plots,
        has_plot=rng.random(count) < 0.8,
    )


@pytest.fixture(scope="module")
def trained() -> dict[str, TrainedHead]:
    calls: list[tuple[int, int]] = []
    heads, missing = train_genre_heads(make_films(), PROVENANCE, lambda done, of: calls.append((done, of)))
    assert missing == {}
    assert calls == [(i, 6) for i in range(1, 7)]
    return {item.head.name: item for item in heads}


def figure(card: ModelCard, name: str) -> float:
    value = next(metric.value for metric in card.metrics if metric.name == name)
    assert value is not None
    return value


def test_all_six_beat_the_plain_rows(trained: dict[str, TrainedHead]) -> None:
    assert len(trained) == 6
    for item in trained.values():
        metric = next(m for m in item.card.metrics if m.name == "mAP")
        assert metric.low is not None
        assert all(plain is not None and metric.low > plain for plain in metric.baselines.values())
        assert item.head.demo and item.card.demo


def test_plots_that_show_more_are_read_better(trained: dict[str, TrainedHead]) -> None:
    scores = {name: figure(item.card, "mAP") for name, item in trained.items()}
    assert scores["genre-both-multi"] > scores["genre-poster-multi"]
    assert scores["genre-plot-multi"] > scores["genre-poster-multi"]


def test_labels_with_too_few_films_are_left_out_and_named(trained: dict[str, TrainedHead]) -> None:
    item = trained["genre-plot-multi"]
    assert item.head.labels == GENRES
    assert "Film-Noir" in item.card.dropped_labels
    assert "Film-Noir" in item.card.to_markdown()
    single = trained["genre-plot-single"]
    assert set(single.card.dropped_labels) == set(COURSE_GENRES) - set(GENRES)


def test_figures_are_of_test_films_alone(trained: dict[str, TrainedHead]) -> None:
    card = trained["genre-both-multi"].card
    assert all(metric.count == card.counts["test"] and metric.part == "test" for metric in card.metrics)
    assert card.counts["train"] > card.counts["validation"] > 0


def test_a_catalogue_too_small_gives_reasons() -> None:
    heads, missing = train_genre_heads(make_films(30), PROVENANCE)
    assert heads == [] and len(missing) == 6
    assert all("are needed" in why for why in missing.values())


def test_a_card_survives_its_file(trained: dict[str, TrainedHead]) -> None:
    card = trained["genre-poster-single"].card
    assert ModelCard.model_validate_json(card.to_json()) == card


def test_answers_are_sorted_and_predict_by_their_link(trained: dict[str, TrainedHead]) -> None:
    films = make_films()
    multi, single = trained["genre-plot-multi"].head, trained["genre-plot-single"].head
    for row in range(20):
        several = answer(multi, films.plots[row], used=["plot"])
        probabilities = multi.probabilities(films.plots[row])[0]
        assert [g.probability for g in several.genres] == sorted(probabilities.tolist(), reverse=True)
        decided = {g.name for g in several.genres if g.predicted}
        assert decided == {multi.labels[i] for i in np.flatnonzero(probabilities >= multi.thresholds)}
        one = answer(single, films.plots[row], used=["plot"])
        assert [g.predicted for g in one.genres] == [True, False, False]
        assert one.top == one.genres[0].name and one.demo


@pytest.mark.parametrize(
    ("recorded", "genres", "expected"),
    [
        ("Horror", ["Comedy"], ("Horror", True)),
        (None, ["Comedy", "War"], ("Comedy", False)),
        (None, ["Comedy", "Drama"], (None, False)),
        (None, [], (None, False)),
        ("Western", ["Western"], (None, False)),
    ],
)
def test_the_single_label(recorded: str | None, genres: list[str], expected: tuple[str | None, bool]) -> None:
    assert single_label(recorded, genres) == expected
