"""Trains the six genre heads: from poster, plot or both; independent labels or one of ten. Run by `matinee build`.

Measured on 23,451 real films (MovieLens genres), validation mAP: one vector a plot 0.529, the mean of its sentences'
vectors 0.532, both averaged 0.537: hence that average is a film's plot vector. Posters: the whole poster squashed to
the network's square 0.355, a centre crop 0.348.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matinee.answers import Labels
from matinee.evaluation.metrics import (
    accuracy,
    average_precision,
    bootstrap,
    expected_calibration_error,
    f1_per_label,
    macro_f1,
    mean_average_precision,
)
from matinee.genre.labels import COURSE_GENRES, EVIDENCE, LABELS, Evidence, head_name, single_label
from matinee.heads.card import Metric, ModelCard
from matinee.heads.fit import enough_labels, fit_exclusive, fit_independent
from matinee.heads.head import Head
from matinee.heads.split import parts_of

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

MIN_FILMS = 40  # labelled films a head needs at least, all parts together
_MIN_RECORDED = 100  # recorded single labels in validation + test from which only those are used to choose and measure

# Values of scikit-learn's C to choose from: features are standardised, so they depend on their number above all.
_STRENGTHS: dict[Evidence, tuple[float, ...]] = {
    "poster": (0.0001, 0.0003, 0.001),
    "plot": (0.001, 0.003, 0.01),
    "both": (0.0003, 0.001, 0.003),
}
_READS: dict[Evidence, str] = {"poster": "a poster", "plot": "a plot", "both": "a poster and a plot together"}


@dataclass(frozen=True)
class LabelledFilms:
    """N films that heads may be trained on, with their frozen features."""

    ids: Sequence[str]
    genres: Sequence[Sequence[str]]  # empty: unknown
    single: Sequence[str | None]  # the one label of a single-label data set
    posters: Floats  # (N, P); rows of films without a poster are not looked at
    has_poster: Bools  # (N,)
    plots: Floats  # (N, T)
    has_plot: Bools  # (N,)


@dataclass(frozen=True)
class Provenance:
    """What the cards say about the data and the encoders."""

    data: dict[str, str]  # source -> what was used, licence
    encoders: dict[Evidence, str]
    demo: bool


@dataclass(frozen=True)
class TrainedHead:
    head: Head
    card: ModelCard


def train_genre_heads(
    films: LabelledFilms, provenance: Provenance, progress: Callable[[int, int], None] | None = None
) -> tuple[list[TrainedHead], dict[str, str]]:
    """The heads that the films suffice for, and {name of a head: why there is none} for the others.

    progress is called with (done, of).
    """
    trained: list[TrainedHead] = []
    missing: dict[str, str] = {}
    wanted: list[tuple[Evidence, Labels]] = [(evidence, labels) for labels in LABELS for evidence in EVIDENCE]
    # One BLAS thread a fit and one fit a core: the products of a single fit are too small to share.
    with threadpool_limits(1), ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, len(wanted)))) as pool:
        futures = [
            pool.submit(_train_multi if labels == "multi" else _train_single, films, evidence, provenance)
            for evidence, labels in wanted
        ]
        for done, ((evidence, labels), future) in enumerate(zip(wanted, futures, strict=True), start=1):
            outcome = future.result()
            if isinstance(outcome, str):
                missing[head_name(evidence, labels)] = outcome
            else:
                trained.append(outcome)
            if progress:
                progress(done, len(wanted))
    return trained, missing


def _features(films: LabelledFilms, evidence: Evidence) -> tuple[Floats, Bools]:
    """(N, D) features and (N,) which films have them."""
    if evidence == "poster":
        return films.posters, films.has_poster
    if evidence == "plot":
        return films.plots, films.has_plot
    return np.hstack([films.posters, films.plots]), films.has_poster & films.has_plot


def _train_multi(films: LabelledFilms, evidence: Evidence, provenance: Provenance) -> TrainedHead | str:
    features, present = _features(films, evidence)
    labelled = np.array([bool(genres) for genres in films.genres], dtype=bool)
    rows = np.flatnonzero(present & labelled)
    if len(rows) < MIN_FILMS:
        return f"{len(rows)} films have genres and {_READS[evidence]}; {MIN_FILMS} are needed"
    genres = [films.genres[row] for row in rows.tolist()]
    parts = parts_of(films.ids[row] for row in rows.tolist())
    every_label = sorted({label for some in genres for label in some})
    truth = np.array([[label in some for label in every_label] for some in genres])
    dropped = enough_labels(truth, parts, every_label)
    kept = [i for i, label in enumerate(every_label) if label not in dropped]
    if not kept or not (parts == "train").any():
        return f"none of the genres of {len(rows)} films occurs often enough to learn it from {_READS[evidence]}"
    truth, labels = truth[:, kept], [every_label[i] for i in kept]
    name = head_name(evidence, "multi")
    fitted = fit_independent(
        name, features[rows], truth, parts, labels, strengths=_STRENGTHS[evidence], demo=provenance.demo
    )
    test, learned = parts == "test", parts != "test"
    metrics, per_label = _measure_multi(fitted.head, features[rows[test]], truth[test], truth[learned])
    card = ModelCard(
        name=name,
        title=f"Genres from {_READS[evidence]}",
        task=f"Probabilities of {len(labels)} genres, independent of one another, from {_READS[evidence]}.",
        demo=provenance.demo,
        encoder=provenance.encoders[evidence],
        data=provenance.data,
        split=_SPLIT,
        training=f"Logistic regression a label on standardised features; {fitted.chosen}. {_MULTI_TRAINING}",
        counts=_counts(parts),
        labels=tuple(labels),
        label_counts=dict(zip(labels, truth[learned].sum(axis=0).tolist(), strict=True)),
        dropped_labels=dropped,
        metrics=metrics,
        per_label=per_label,
        limits=_limits(evidence, int(test.sum()), int(truth[learned].sum(axis=0).min())),
    )
    return TrainedHead(fitted.head, card)


def _train_single(films: LabelledFilms, evidence: Evidence, provenance: Provenance) -> TrainedHead | str:
    features, present = _features(films, evidence)
    choice = [single_label(one, genres) for one, genres in zip(films.single, films.genres, strict=True)]
    rows = np.flatnonzero(present & np.array([label is not None for label, _ in choice], dtype=bool))
    if len(rows) < MIN_FILMS:
        return f"{len(rows)} films have one genre of the ten and {_READS[evidence]}; {MIN_FILMS} are needed"
    parts = parts_of(films.ids[row] for row in rows.tolist())
    recorded = np.array([choice[row][1] for row in rows])
    truth = np.array([[label == choice[row][0] for label in COURSE_GENRES] for row in rows])
    dropped = enough_labels(truth, parts, COURSE_GENRES)
    kept = [i for i, label in enumerate(COURSE_GENRES) if label not in dropped]
    inside = truth[:, kept].any(axis=1)
    rows, parts, recorded, truth = rows[inside], parts[inside], recorded[inside], truth[inside][:, kept]
    labels = [COURSE_GENRES[i] for i in kept]
    if len(labels) < 2 or not (parts == "train").any():
        return f"fewer than two of the ten genres occur often enough to learn them from {_READS[evidence]}"
    # Labels derived from a film's genres differ in kind from recorded ones; both train, but where there are enough of
    # the recorded ones, only they choose and judge.
    trusted = recorded if (recorded & (parts != "train")).sum() >= _MIN_RECORDED else np.ones(len(rows), dtype=bool)
    name = head_name(evidence, "single")
    target = truth.argmax(axis=1)
    fitted = fit_exclusive(
        name,
        features[rows],
        target,
        parts,
        labels,
        strengths=_STRENGTHS[evidence],
        demo=provenance.demo,
        trusted=trusted,
    )
    test, learned = (parts == "test") & trusted, parts != "test"
    metrics, per_label = _measure_single(fitted.head, features[rows[test]], truth[test], truth[learned & trusted])
    derived = int((~recorded & learned).sum())
    card = ModelCard(
        name=name,
        title=f"One genre of {len(labels)} from {_READS[evidence]}",
        task=f"Exactly one genre of {len(labels)}, from {_READS[evidence]}; the probabilities add up to 1.",
        demo=provenance.demo,
        encoder=provenance.encoders[evidence],
        data=provenance.data,
        split=_SPLIT + (" Only films with a recorded single label choose and judge." if not trusted.all() else ""),
        training=f"Multinomial logistic regression on standardised features; {fitted.chosen}. {derived} of the fitted "
        "films have no recorded single label and take their only genre among the ten. Probabilities are "
        "temperature-scaled on the validation films; then the head is fitted again on train and validation films.",
        counts=_counts(parts),
        labels=tuple(labels),
        label_counts=dict(zip(labels, truth[learned].sum(axis=0).tolist(), strict=True)),
        dropped_labels=dropped,
        metrics=metrics,
        per_label=per_label,
        limits=_limits(evidence, int(test.sum()), int(truth[learned].sum(axis=0).min())),
    )
    return TrainedHead(fitted.head, card)


def _measure_multi(
    head: Head, features: Floats, truth: Bools, learned: Bools
) -> tuple[tuple[Metric, ...], dict[str, dict[str, float | None]]]:
    """Figures on test films beside plain rows made of the training labels alone."""
    scores = head.probabilities(features) if len(features) else np.zeros(truth.shape)
    decided = scores >= head.thresholds
    prevalence = np.broadcast_to(learned.mean(axis=0), truth.shape)
    usual = np.broadcast_to(_most_frequent_row(learned), truth.shape)
    everything = np.ones_like(truth)
    count = len(truth)
    metrics = (
        Metric.of(
            "mAP",
            bootstrap(lambda i: mean_average_precision(truth[i], scores[i]), count),
            baselines={"prevalence": mean_average_precision(truth, prevalence)},
        ),
        Metric.of(
            "macro-F1",
            bootstrap(lambda i: macro_f1(truth[i], decided[i]), count),
            baselines={"majority": macro_f1(truth, usual), "every label": macro_f1(truth, everything)},
        ),
        Metric.of(
            "accuracy (all labels of a film right)",
            bootstrap(lambda i: accuracy(truth[i], decided[i]), count),
            baselines={"majority": accuracy(truth, usual)},
        ),
        Metric.of(
            "ECE",
            bootstrap(lambda i: expected_calibration_error(truth[i].ravel(), scores[i].ravel()), count),
            higher_is_better=False,
            baselines={"prevalence": expected_calibration_error(truth.ravel(), prevalence.ravel())},
        ),
    )
    return metrics, _per_label(head, truth, scores, decided)


def _measure_single(
    head: Head, features: Floats, truth: Bools, learned: Bools
) -> tuple[tuple[Metric, ...], dict[str, dict[str, float | None]]]:
    scores = head.probabilities(features) if len(features) else np.zeros(truth.shape)
    one_hot = np.eye(truth.shape[1], dtype=bool)
    decided = one_hot[scores.argmax(axis=1)]
    majority = np.broadcast_to(one_hot[int(learned.sum(axis=0).argmax())], truth.shape)
    prevalence = np.broadcast_to(learned.mean(axis=0), truth.shape)
    correct, confidence = (decided & truth).any(axis=1), scores.max(axis=1)
    count = len(truth)
    metrics = (
        Metric.of(
            "accuracy",
            bootstrap(lambda i: accuracy(truth[i], decided[i]), count),
            baselines={"majority": accuracy(truth, majority)},
        ),
        Metric.of(
            "macro-F1",
            bootstrap(lambda i: macro_f1(truth[i], decided[i]), count),
            baselines={"majority": macro_f1(truth, majority)},
        ),
        Metric.of(
            "mAP",
            bootstrap(lambda i: mean_average_precision(truth[i], scores[i]), count),
            baselines={"prevalence": mean_average_precision(truth, prevalence)},
        ),
        Metric.of(
            "ECE",
            bootstrap(lambda i: expected_calibration_error(correct[i], confidence[i]), count),
            higher_is_better=False,
            baselines={},
        ),
    )
    return metrics, _per_label(head, truth, scores, decided)


def _per_label(
    head: Head, truth: Bools, scores: NDArray[np.float64], decided: Bools
) -> dict[str, dict[str, float | None]]:
    precision, f1 = average_precision(truth, scores), f1_per_label(truth, decided)

    def defined(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return {
        label: {
            "AP": defined(precision[i]),
            "F1": defined(f1[i]),
            "prevalence": defined(truth[:, i].mean()) if len(truth) else None,
            **({"threshold": float(head.thresholds[i])} if head.link == "sigmoid" else {}),
        }
        for i, label in enumerate(head.labels)
    }


def _most_frequent_row(truth: Bools) -> Bools:
    rows, counts = np.unique(truth, axis=0, return_counts=True)
    return np.asarray(rows[counts.argmax()])


def _counts(parts: NDArray[np.str_]) -> dict[str, int]:
    return {part: int((parts == part).sum()) for part in ("train", "validation", "test")}


_SPLIT = (
    "By film: SHA-256 of the film id decides, 70 % train, 15 % validation, 15 % test, the same in every build. "
    "Test films were neither fitted nor used to choose anything."
)
_MULTI_TRAINING = (
    "Probabilities are Platt-scaled and the thresholds of best F1 chosen on the validation films; then the head is "
    "fitted again on train and validation films. Macro-F1 is taken at those thresholds."
)


def _limits(evidence: Evidence, num_test: int, rarest: int) -> tuple[str, ...]:
    limits = [
        "It repeats the labels of its sources, with their habits and errors; two people often disagree on a genre.",
        f"Measured on {num_test} films; the intervals say how far that carries.",
        f"The rarest label was learned from {rarest} films.",
    ]
    if evidence != "plot":
        limits.append("Features come from a network made for photographs: lettering and design are seen dimly.")
    if evidence != "poster":
        limits.append("Plots are read in English; other languages get an answer of little worth.")
    return tuple(limits)
