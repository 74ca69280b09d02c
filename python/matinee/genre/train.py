"""Trains the genre experts and the six heads above them: from poster, plot or both; independent labels or one of ten.

Run by `matinee build`. Experts are fitted on the films that are not for testing, once on all of them and once without
each fold; heads learn from opinions about films that the experts had not seen, which is why no further part of the
films is set aside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matinee.evaluation.metrics import (
    accuracy,
    average_precision,
    bootstrap,
    expected_calibration_error,
    f1_per_label,
    macro_f1,
    mean_average_precision,
)
from matinee.genre.experts import Experts
from matinee.genre.fit_experts import NUM_FOLDS, Lesson, Opinions, Shown, fit_opinions, folds_of
from matinee.genre.fuse import fuse
from matinee.genre.labels import (
    COURSE_GENRES,
    EVIDENCE,
    LABELS,
    Evidence,
    Source,
    experts_name,
    head_name,
    single_label,
)
from matinee.heads.card import Metric, ModelCard
from matinee.heads.fit import Fitted, enough_labels
from matinee.heads.head import Head
from matinee.heads.perceptron import Recipe
from matinee.heads.split import parts_of
from matinee.heads.stack import stack_exclusive, stack_independent

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

MIN_FILMS = 40  # labelled films a head needs at least, all parts together
_MIN_RECORDED = 100  # recorded single labels of films not for testing from which only those are used to choose
_READS: dict[Evidence, str] = {"poster": "a poster", "plot": "a plot", "both": "a poster and a plot together"}
# By cross-validation on real films. Posters have many more features, of which most say nothing: fewer passes over them.
_PLOT_NETWORKS = Recipe()
_POSTER_NETWORKS = Recipe(networks=2, epochs=12, batch=256, drop_input=0.5, drop_hidden=0.5)


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
    texts: Sequence[str]  # N plots as they were written; '' without


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


@dataclass(frozen=True)
class TrainedGenres:
    """What a build keeps."""

    experts: list[Experts]
    heads: list[TrainedHead]
    missing: dict[str, str]  # name of a head -> why there is none
    told: dict[Source, Floats]
    """(N, L) probabilities of the labels by opinions that had not seen the film; zeros without such evidence."""


@dataclass(frozen=True)
class _Labels:
    """What the experts answer with."""

    names: Sequence[str]
    dropped: dict[str, str]  # label -> why it is none of them
    truth: Bools  # (n, L) of the films at hand


@dataclass(frozen=True)
class _Seen:
    """All films of one kind of evidence and what the experts say of them."""

    evidence: Evidence
    rows: NDArray[np.intp]  # (n,) of the films that have it
    opinions: Floats  # (n, M)


def train_genres(
    films: LabelledFilms, provenance: Provenance, progress: Callable[[int, int], None] | None = None
) -> TrainedGenres:
    """The experts and heads that the films suffice for. progress is called with (done, of)."""
    parts, folds = parts_of(films.ids), folds_of(films.ids)
    labels, lacking, dropped = _labels(films, parts)
    missing = {head_name(evidence, kind): why for evidence, why in lacking.items() for kind in LABELS}
    sources: list[Source] = [s for s in ("poster", "plot") if head_name(s, "multi") not in missing]
    truth = np.array([[label in genres for label in labels] for genres in films.genres], dtype=bool)
    truth = truth.reshape(len(films.ids), len(labels))
    found: dict[Source, Opinions] = {}
    seen: list[_Seen] = []
    steps = len(sources) * (NUM_FOLDS + 1) + 1

    for number, source in enumerate(sources):
        rows = np.flatnonzero(films.has_poster if source == "poster" else films.has_plot)
        learned = (parts[rows] != "test") & np.array([bool(films.genres[row]) for row in rows.tolist()], dtype=bool)
        before = number * (NUM_FOLDS + 1)
        found[source] = fit_opinions(
            experts_name(source),
            _shown(films, source, rows),
            Lesson(labels, truth[rows], learned, folds[rows]),
            lambda done, before=before: progress(before + done, steps) if progress else None,  # type: ignore[misc]
        )
        seen.append(_Seen(source, rows, found[source].of_films))
    if len(sources) == 2 and head_name("both", "multi") not in missing:
        rows, in_poster, in_plot = np.intersect1d(seen[0].rows, seen[1].rows, return_indices=True)
        seen.append(_Seen("both", rows, np.hstack([seen[0].opinions[in_poster], seen[1].opinions[in_plot]])))
    trained: list[TrainedHead] = []
    with threadpool_limits(1), ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
        singles = [pool.submit(_train_single, films, parts, folds, one, provenance) for one in seen]
        multis: dict[Evidence, TrainedHead] = {}
        for one in seen:
            known = truth[one.rows]
            multis[one.evidence] = _train_multi(films, _Labels(labels, dropped, known), one, provenance, multis)
        for one, single in zip(seen, singles, strict=True):
            outcome = single.result()
            trained.append(multis[one.evidence])
            if isinstance(outcome, str):
                missing[head_name(one.evidence, "single")] = outcome
            else:
                trained.append(outcome)
    if progress:
        progress(steps, steps)
    told: dict[Source, Floats] = {}
    for source, one in zip(sources, seen, strict=False):  # behind them, that of both
        told[source] = np.zeros(truth.shape, np.float32)
        told[source][one.rows] = multis[source].head.probabilities(one.opinions)
    return TrainedGenres([opinions.experts for opinions in found.values()], trained, missing, told)


def _shown(films: LabelledFilms, source: Source, rows: NDArray[np.intp]) -> Shown:
    if source == "poster":
        return Shown(films.posters[rows], (), 0.3, _POSTER_NETWORKS)
    return Shown(films.plots[rows], [films.texts[row] for row in rows.tolist()], 0.1, _PLOT_NETWORKS)


def _labels(films: LabelledFilms, parts: NDArray[np.str_]) -> tuple[list[str], dict[Evidence, str], dict[str, str]]:
    """(labels that all experts answer with, evidence -> why there is no head of it, label -> why it was dropped)."""
    labelled = np.array([bool(genres) for genres in films.genres], dtype=bool)
    has = {"poster": films.has_poster, "plot": films.has_plot, "both": films.has_poster & films.has_plot}
    every = sorted({label for genres in films.genres for label in genres})
    truth = np.array([[label in genres for label in every] for genres in films.genres], dtype=bool)
    truth = truth.reshape(len(films.genres), len(every))
    missing: dict[Evidence, str] = {}
    dropped: dict[str, str] = {}
    for evidence in EVIDENCE:
        rows = has[evidence] & labelled
        if rows.sum() < MIN_FILMS or not (rows & (parts != "test")).any():
            missing[evidence] = f"{rows.sum()} films have genres and {_READS[evidence]}; {MIN_FILMS} are needed"
        elif evidence != "both":
            dropped |= enough_labels(truth[rows], parts[rows], every)
    labels = [label for label in every if label not in dropped]
    if not labels:
        for evidence in EVIDENCE:
            missing.setdefault(evidence, f"no genre occurs often enough to learn it from {_READS[evidence]}")
    return labels, missing, dropped


def _train_multi(
    films: LabelledFilms,
    genres: _Labels,
    seen: _Seen,
    provenance: Provenance,
    alone: dict[Evidence, TrainedHead],
) -> TrainedHead:
    """`alone`: the heads of one source each, for that of both."""
    evidence, name, labels = seen.evidence, head_name(seen.evidence, "multi"), genres.names
    labelled = np.array([bool(films.genres[row]) for row in seen.rows.tolist()], dtype=bool)
    rows, opinions, known = seen.rows[labelled], seen.opinions[labelled], genres.truth[labelled]
    parts = parts_of(films.ids[row] for row in rows.tolist())
    test = parts == "test"
    if evidence == "both":
        heads = alone["poster"].head, alone["plot"].head
        fitted = fuse(
            name, opinions[~test], known[~test], folds_of([films.ids[r] for r in rows[~test].tolist()]), heads
        )
    else:
        fitted = stack_independent(name, opinions[~test], known[~test], labels, demo=provenance.demo)
    metrics, per_label = _measure_multi(fitted.head, opinions[test], known[test], known[~test])
    card = ModelCard(
        name=name,
        title=f"Genres from {_READS[evidence]}",
        task=f"Probabilities of {len(labels)} genres, independent of one another, from {_READS[evidence]}.",
        demo=provenance.demo,
        encoder=provenance.encoders[evidence],
        data=provenance.data,
        split=_SPLIT,
        training=f"{_EXPERTS[evidence]} Opinions: {fitted.chosen}. Platt scaling and the thresholds of best "
        "F1 come from the same opinions; macro-F1 is taken at those thresholds.",
        counts=_counts(parts),
        labels=tuple(labels),
        label_counts=dict(zip(labels, known[~test].sum(axis=0).tolist(), strict=True)),
        dropped_labels=genres.dropped,
        metrics=metrics,
        per_label=per_label,
        limits=_limits(evidence, int(test.sum()), int(known[~test].sum(axis=0).min())),
    )
    return TrainedHead(fitted.head, card)


def _train_single(
    films: LabelledFilms, parts: NDArray[np.str_], folds: NDArray[np.int64], seen: _Seen, provenance: Provenance
) -> TrainedHead | str:
    evidence, name = seen.evidence, head_name(seen.evidence, "single")
    choice = [single_label(films.single[row], films.genres[row]) for row in seen.rows.tolist()]
    usable = np.array([label is not None for label, _ in choice], dtype=bool)
    if usable.sum() < MIN_FILMS:
        return f"{usable.sum()} films have one genre of the ten and {_READS[evidence]}; {MIN_FILMS} are needed"
    truth = np.array([[label == one for label in COURSE_GENRES] for one, _ in choice])
    dropped = enough_labels(truth[usable], parts[seen.rows[usable]], COURSE_GENRES)
    kept = [i for i, label in enumerate(COURSE_GENRES) if label not in dropped]
    usable &= truth[:, kept].any(axis=1)
    labels = [COURSE_GENRES[i] for i in kept]
    rows, opinions, truth = seen.rows[usable], seen.opinions[usable], truth[usable][:, kept]
    test = parts[rows] == "test"
    if len(labels) < 2 or test.all():
        return f"fewer than two of the ten genres occur often enough to learn them from {_READS[evidence]}"
    # Labels derived from a film's genres differ in kind from recorded ones; both train, but where there are enough of
    # the recorded ones, only they choose and judge.
    recorded = np.array([is_recorded for _, is_recorded in choice])[usable]
    trusted = recorded if (recorded & ~test).sum() >= _MIN_RECORDED else np.ones(len(rows), dtype=bool)
    fitted: Fitted = stack_exclusive(
        name,
        opinions[~test],
        truth[~test].argmax(axis=1),
        folds[rows[~test]],
        labels,
        demo=provenance.demo,
        trusted=trusted[~test],
    )
    judged = test & trusted
    metrics, per_label = _measure_single(fitted.head, opinions[judged], truth[judged], truth[~test & trusted])
    card = ModelCard(
        name=name,
        title=f"One genre of {len(labels)} from {_READS[evidence]}",
        task=f"Exactly one genre of {len(labels)}, from {_READS[evidence]}; the probabilities add up to 1.",
        demo=provenance.demo,
        encoder=provenance.encoders[evidence],
        data=provenance.data,
        split=_SPLIT + (" Only films with a recorded single label choose and judge." if not trusted.all() else ""),
        training=f"{_EXPERTS[evidence]} Multinomial logistic regression on their opinions; {fitted.chosen}. "
        f"{int((~recorded & ~test).sum())} of the fitted films have no recorded single label and take their only genre "
        "among the ten. Probabilities are temperature-scaled.",
        counts=_counts(parts[rows]),
        labels=tuple(labels),
        label_counts=dict(zip(labels, truth[~test].sum(axis=0).tolist(), strict=True)),
        dropped_labels=dropped,
        metrics=metrics,
        per_label=per_label,
        limits=_limits(evidence, int(judged.sum()), int(truth[~test].sum(axis=0).min())),
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
    "By film: SHA-256 of the film id decides; 15 % of the films are for testing, the same in every build, and were "
    "neither fitted nor used to choose anything. The others are fitted on, in five folds."
)
_POSTER_EXPERTS = "a linear map, a small network with dropout and the nearest posters, on features of several views"
_PLOT_EXPERTS = (
    "a linear map, a small network with dropout and the nearest plots, on sentence vectors, and TF-IDF of words"
)
_EXPERTS: dict[Evidence, str] = {
    "poster": f"Experts: {_POSTER_EXPERTS}.",
    "plot": f"Experts: {_PLOT_EXPERTS}.",
    "both": f"Experts: of the poster, {_POSTER_EXPERTS}; of the plot, {_PLOT_EXPERTS}.",
}


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
