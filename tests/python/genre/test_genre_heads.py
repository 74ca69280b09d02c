"""Genre heads on made-up features: six of them, honest figures, labels that cannot be learned left out."""

import numpy as np
import pytest

from matinee.evaluation.metrics import roc_auc
from matinee.genre.fit_experts import Lesson, Shown, fit_opinions, folds_of
from matinee.genre.infer import answer, disagreement
from matinee.genre.labels import COURSE_GENRES, single_label
from matinee.genre.train import LabelledFilms, Provenance, TrainedGenres, TrainedHead, train_genres
from matinee.heads import ModelCard
from matinee.heads.perceptron import Recipe

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
        texts=[" ".join(f"{genre.lower()} story" for genre in genres_of) for genres_of in genres],
    )


@pytest.fixture(scope="module")
def genres() -> TrainedGenres:
    calls: list[tuple[int, int]] = []
    found = train_genres(make_films(), PROVENANCE, lambda done, of: calls.append((done, of)))
    assert found.missing == {}
    assert calls == [(i, 13) for i in range(1, 14)]
    return found


@pytest.fixture(scope="module")
def trained(genres: TrainedGenres) -> dict[str, TrainedHead]:
    return {item.head.name: item for item in genres.heads}


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
    found = train_genres(make_films(30), PROVENANCE)
    assert found.heads == [] and found.experts == [] and len(found.missing) == 6
    assert all("are needed" in why for why in found.missing.values())


def test_a_film_is_judged_by_experts_that_had_not_seen_it() -> None:
    rng = np.random.default_rng(3)
    features = rng.standard_normal((300, 40)).astype(np.float32)
    truth = rng.random((300, 2)) < 0.5  # nothing to be learned: whoever is right has seen the answer
    folds = folds_of([f"film:{i}" for i in range(300)])
    lesson = Lesson(("A", "B"), truth, np.ones(300, dtype=bool), folds)
    opinions = fit_opinions("made", Shown(features, (), 0.01, Recipe()), lesson)
    seen, unseen = opinions.experts(features), opinions.of_films
    for column in range(6):  # three experts on two labels
        assert abs(roc_auc(truth[:, column % 2], unseen[:, column]) - 0.5) < 0.12
        assert roc_auc(truth[:, column % 2], seen[:, column]) > 0.6


def test_a_poster_of_another_film_is_told(trained: dict[str, TrainedHead], genres: TrainedGenres) -> None:
    films = make_films()
    rows = np.flatnonzero(films.has_poster & films.has_plot)
    posters, plots = (
        genres.experts[0](films.posters[rows]),
        genres.experts[1](films.plots[rows], [films.texts[row] for row in rows.tolist()]),
    )
    fused, poster, plot = (trained[f"genre-{e}-multi"].head for e in ("both", "poster", "plot"))

    def told(shift: int) -> float:
        other = np.roll(posters, shift, axis=0)
        sentences = [disagreement(fused, (poster, a), (plot, b)) for a, b in zip(other, plots, strict=True)]
        return float(np.mean([sentence is not None for sentence in sentences]))

    assert told(0) < 0.1
    assert told(1) > 2 * told(0)


def test_a_card_survives_its_file(trained: dict[str, TrainedHead]) -> None:
    card = trained["genre-poster-single"].card
    assert ModelCard.model_validate_json(card.to_json()) == card


def test_answers_are_sorted_and_predict_by_their_link(genres: TrainedGenres, trained: dict[str, TrainedHead]) -> None:
    films = make_films()
    multi, single = trained["genre-plot-multi"].head, trained["genre-plot-single"].head
    opinions = genres.experts[1](films.plots, films.texts)
    for row in range(20):
        several = answer(multi, opinions[row], used=["plot"])
        probabilities = multi.probabilities(opinions[row])[0]
        assert [g.probability for g in several.genres] == sorted(probabilities.tolist(), reverse=True)
        decided = {g.name for g in several.genres if g.predicted}
        assert decided == {multi.labels[i] for i in np.flatnonzero(probabilities >= multi.thresholds)}
        one = answer(single, opinions[row], used=["plot"])
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
