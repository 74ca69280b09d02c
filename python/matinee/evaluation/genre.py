"""The genre protocol: posters, plots and both, through the same call that users make, beside plain recipes.

Every figure is taken with films that the bundle was not fitted on, over the labels that its head answers with.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from matinee.answers import GenreAnswer, Labels
from matinee.bundle.opened import HEADS, Bundle
from matinee.errors import NotFound
from matinee.evaluation.baselines import (
    Answers,
    Features,
    Training,
    averaged,
    plain_exclusive,
    plain_independent,
    tfidf_independent,
)
from matinee.evaluation.fusion_networks import ASKED, FUSIONS, Asked, Fusion, Pairs, fit_fusion, torch_is_here
from matinee.evaluation.metrics import (
    accuracy,
    average_precision,
    expected_calibration_error,
    f1_per_label,
    honest_calibration_error,
    macro_f1,
    mean_average_precision,
)
from matinee.evaluation.report import (
    Cell,
    Chart,
    Confusion,
    Figure,
    Findings,
    Mistake,
    Reliability,
    Row,
    Section,
    Table,
    compared,
)
from matinee.evaluation.subject import Subject, TestFilm
from matinee.genre.infer import DISAGREE
from matinee.genre.labels import (
    COURSE_GENRES,
    EVIDENCE,
    LABELS,
    SOURCES,
    Evidence,
    experts_name,
    head_name,
    single_label,
)
from matinee.genre.tuned import answer_elsewhere
from matinee.heads.head import sigmoid

if TYPE_CHECKING:
    from pathlib import Path

    from matinee.catalog.film import Film

Bools = NDArray[np.bool_]

NAME = "genre"
_WORK: dict[Evidence, str] = {"poster": "poster", "plot": "plot", "both": "poster and plot"}
_USES: dict[Evidence, frozenset[Literal["poster", "plot"]]] = {
    "poster": frozenset({"poster"}),
    "plot": frozenset({"plot"}),
    "both": frozenset({"poster", "plot"}),
}
_CURVE = "Learning curves of plain recipes: would more films help?"
_TUNED = "fine-tuned last blocks"
_NUM_MISTAKES = 12
_MIN_FITTED = 40  # training films below which no plain system is fitted


@dataclass(frozen=True)
class _Case:
    """One question: what evidence, which labels, which films, and the truth (B, L)."""

    evidence: Evidence
    labels_kind: Labels
    labels: tuple[str, ...]
    films: Sequence[TestFilm]
    truth: Bools
    thresholds: NDArray[np.float64]  # (L,) NaN where the top one is answered

    @property
    def work(self) -> str:
        what = "genres" if self.labels_kind == "multi" else "one of the ten"
        return f"{_WORK[self.evidence]} → {what}"

    @property
    def head(self) -> str:
        return head_name(self.evidence, self.labels_kind)


@dataclass(frozen=True)
class _Plain:
    """What stands beside ours."""

    systems: dict[str, Answers]
    networks: dict[Fusion, dict[Asked, Answers]]  # of both kinds of evidence only
    curve: dict[str, tuple[tuple[float, float], ...]]  # recipe -> (films learned from, mAP)


def evaluate_genre(subject: Subject) -> Findings:
    """Rows of mAP, macro-F1, accuracy and calibration error for each kind of evidence and of labels."""
    training = [film for film in subject.training_films() if film.genres]
    manifest = subject.bundle.manifest
    features = Features(manifest.models["text"].name, manifest.models["image"].name, subject.progress)
    rows: list[Row] = []
    tables: list[Table] = []
    diagrams: list[Reliability] = []
    confusions: list[Confusion] = []
    mistakes: list[Mistake] = []
    notes: list[str] = []
    lines: dict[str, tuple[tuple[float, float], ...]] = {}
    for labels_kind in LABELS:
        for evidence in EVIDENCE:
            case = _case(subject, evidence, labels_kind)
            if isinstance(case, str):
                notes.append(case)
                continue
            ours, answers, milliseconds = _ours(subject, case)
            beside = _plain(subject, case, training, features)
            plain, networks = beside.systems, beside.networks
            lines |= beside.curve
            if evidence == "poster" and subject.tuned is not None:
                plain |= _tuned(subject.tuned, case, ours)
            cost = {"ms": milliseconds, "MB": _size_mb(subject.bundle, case.head)}
            rows += _rows(case, ours, plain, cost, subject.seed)
            tables.append(_label_table(case, ours, plain))
            diagrams.append(_diagram(case, ours))
            if labels_kind == "single":
                confusions.append(_confusion(case, ours))
            mistakes += _mistakes(case, ours)
            if evidence == "both" and labels_kind == "multi":
                more, told = _disagreement(subject, case, answers)
                rows += more
                notes += told
                if networks:
                    tables.append(_one_missing(subject, case, ours, networks))
                else:
                    notes.append("PyTorch is not here (or too few films): no rows of fusion networks.")
    section = Section(
        name=NAME,
        title="Genre",
        about="Films that the bundle was not fitted on, asked through the public call. Each head is measured over the "
        "labels it answers with; a film's genres are those of its source. Plain systems are fitted when this is run, "
        "on the training films of the bundle, with thresholds from validation films. ms: median of one request at a "
        "time, decoding and encoding included; MB: the head's files.",
        tables=tuple(tables),
        reliability=tuple(diagrams),
        confusions=tuple(confusions),
        charts=(Chart(title=_CURVE, x="films learned from", y="mAP", lines=lines),) if lines else (),
        mistakes=tuple(mistakes),
        notes=tuple(notes),
    )
    return Findings(rows=tuple(rows), section=section)


def _case(subject: Subject, evidence: Evidence, labels_kind: Labels) -> _Case | str:
    head = head_name(evidence, labels_kind)
    if head not in subject.bundle.manifest.heads:
        return f"{head}: {subject.bundle.manifest.missing_heads.get(head, 'the bundle has no such head')}"
    films = [film for film in subject.films if _usable(film, evidence, labels_kind)]
    recorded = [film for film in films if film.film.single_genre in COURSE_GENRES]
    if labels_kind == "single" and recorded:
        films = recorded  # a recorded label is the truth; one derived from several genres is a guess of ours
    probe = _some_answer(subject.bundle, evidence, labels_kind)
    labels = tuple(sorted(genre.name for genre in probe.genres))
    thresholds = {g.name: g.threshold for g in probe.genres}
    given = [_given(film.film, labels_kind) for film in films]
    truth = np.array([[label in genres for label in labels] for genres in given], dtype=bool).reshape(-1, len(labels))
    if labels_kind == "single":
        inside = truth.any(axis=1)
        films, truth = [films[row] for row in np.flatnonzero(inside).tolist()], truth[inside]
    if not films:
        return f"{head}: no film to measure it with"
    limits = np.array([np.nan if (t := thresholds[label]) is None else t for label in labels], dtype=np.float64)
    return _Case(evidence, labels_kind, labels, films, truth, limits)


def _usable(film: TestFilm, evidence: Evidence, labels_kind: Labels) -> bool:
    uses = _USES[evidence]
    has = {"poster": film.poster is not None, "plot": bool(film.film.plot)}
    return all(has[part] for part in uses) and not (film.learned_from & uses) and bool(_given(film.film, labels_kind))


def _given(film: Film, labels_kind: Labels) -> tuple[str, ...]:
    """The film's labels; none where they are unknown."""
    if labels_kind == "multi":
        return film.genres
    label, _ = single_label(film.single_genre, film.genres)
    return () if label is None else (label,)


def _some_answer(bundle: Bundle, evidence: Evidence, labels_kind: Labels) -> GenreAnswer:
    """An answer to read labels and thresholds from: they do not depend on the question."""
    grey = np.full((278, 185, 3), 128, np.uint8)
    grey[::2] = 60  # not blank
    poster = grey if evidence != "plot" else None
    plot = "A family moves to a small town." if evidence != "poster" else None
    return bundle.predict_genres(poster, plot, labels_kind)


def _ours(subject: Subject, case: _Case) -> tuple[Answers, list[GenreAnswer], float]:
    """Our answers, in order of the case's labels, and the median milliseconds of one."""
    scores = np.zeros(case.truth.shape)
    decided = np.zeros(case.truth.shape, dtype=bool)
    place = {label: i for i, label in enumerate(case.labels)}
    answers, seconds = [], []
    for row, film in enumerate(case.films):
        poster = film.poster if case.evidence != "plot" else None
        plot = film.film.plot if case.evidence != "poster" else None
        begin = time.perf_counter()
        answer = subject.bundle.predict_genres(poster, plot, case.labels_kind)
        seconds.append(time.perf_counter() - begin)
        for genre in answer.genres:
            if genre.name in place:
                scores[row, place[genre.name]] = genre.probability
                decided[row, place[genre.name]] = genre.predicted
        answers.append(answer)
        subject.progress(f"ask: {case.work}", row + 1, len(case.films))
    return Answers(scores, decided), answers, float(np.median(seconds)) * 1000


def _plain(subject: Subject, case: _Case, training: Sequence[Film], features: Features) -> _Plain:
    """Plain systems on the same films: what the labels alone tell, recipes on plain features, fusion networks."""
    uses = _USES[case.evidence]
    given = [(film, _given(film, case.labels_kind)) for film in training]
    fitted = [
        (film, genres)
        for film, genres in given
        if any(label in case.labels for label in genres)
        and ("poster" not in uses or film.has_poster)
        and ("plot" not in uses or film.plot)
    ]
    truth = np.array([[label in genres for label in case.labels] for _, genres in fitted], dtype=bool)
    truth = truth.reshape(-1, len(case.labels))
    systems = {"labels alone": _labels_alone(truth, case)}
    networks: dict[Fusion, dict[Asked, Answers]] = {}
    curve: dict[str, tuple[tuple[float, float], ...]] = {}
    if len(fitted) < _MIN_FITTED:
        return _Plain(systems, networks, curve)
    ids = [film.id for film, _ in fitted]
    films = Training(ids, case.labels, truth)
    plain = plain_independent if case.labels_kind == "multi" else plain_exclusive
    found: dict[Evidence, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
    if "poster" in uses:
        posters = [subject.bundle.poster(film_id)[0] for film_id in ids]
        found["poster"] = features.posters(posters), features.posters([film.poster or b"" for film in case.films])
    if "plot" in uses:
        plots, asked = [film.plot or "" for film, _ in fitted], [film.film.plot or "" for film in case.films]
        found["plot"] = features.plots(plots), features.plots(asked)
        if case.labels_kind == "multi":
            systems["TF-IDF + linear"] = tfidf_independent(films, plots, asked)
    names: dict[Evidence, str] = {"poster": "one poster view + linear", "plot": "MiniLM + linear"}
    for evidence, (fit, ask) in found.items():
        subject.progress(f"fit the plain rows: {case.work}", 0, None)
        systems[names[evidence]] = plain(evidence, films, fit, ask)
        if subject.learning_curve and case.labels_kind == "multi" and case.evidence != "both":
            whole = len(films.ids), mean_average_precision(case.truth, systems[names[evidence]].scores)
            curve[f"{case.work}, {names[evidence]}"] = (*_of_fewer(subject, case, films, fit, ask), whole)
    if "TF-IDF + linear" in systems:
        systems["MiniLM and TF-IDF"] = averaged([systems["MiniLM + linear"], systems["TF-IDF + linear"]], films)
    if case.evidence == "both":
        fit, ask = (np.hstack([found["poster"][side], found["plot"][side]]) for side in (0, 1))
        systems["concatenation + linear"] = plain("both", films, fit, ask)
        systems["average of the two"] = averaged([systems[names[evidence]] for evidence in found], films)
        if case.labels_kind == "multi" and torch_is_here():
            shown, asked_pairs = (Pairs(found["poster"][side], found["plot"][side]) for side in (0, 1))
            for fusion in FUSIONS:
                networks[fusion] = fit_fusion(
                    fusion, films, shown, asked_pairs, seed=subject.seed, progress=subject.progress
                )
                systems[fusion] = networks[fusion]["both"]
    return _Plain(systems, networks, curve)


def _of_fewer(
    subject: Subject, case: _Case, films: Training, fit: NDArray[np.float32], ask: NDArray[np.float32]
) -> list[tuple[float, float]]:
    """(films, mAP) of the plain recipe fitted on an eighth, a quarter and a half of them, spread over the catalogue."""
    points = []
    for step in (8, 4, 2):
        subject.progress(f"learning curve: {case.work}, 1/{step} of the films", 0, None)
        rows = np.arange(0, len(films.ids), step)
        some = Training([films.ids[row] for row in rows.tolist()], films.labels, films.truth[rows])
        answers = plain_independent(case.evidence, some, fit[rows], ask)
        points.append((float(len(rows)), mean_average_precision(case.truth, answers.scores)))
    return points


def _tuned(folder: Path, case: _Case, ours: Answers) -> dict[str, Answers]:
    """The network whose last blocks were fine-tuned on such films, alone and beside ours: the mean of both logits."""
    posters = [film.poster or b"" for film in case.films]
    try:
        said = answer_elsewhere(folder, posters, case.labels_kind)
    except NotFound:
        return {}  # it answers with any number of labels only
    place = {label: i for i, label in enumerate(said.labels)}
    scores = np.full(case.truth.shape, 1e-6)
    limits = np.ones(len(case.labels))
    for i, label in enumerate(case.labels):
        if label in place:
            scores[:, i], limits[i] = said.scores[:, place[label]], said.thresholds[place[label]]
    if case.labels_kind == "single":
        together = np.sqrt(scores * ours.scores)
        both = together / together.sum(axis=1, keepdims=True)
        top = [np.arange(len(case.labels)) == each.argmax(axis=1)[:, None] for each in (scores, both)]
        return {_TUNED: Answers(scores, top[0]), f"{_TUNED} and ours": Answers(both, top[1])}
    logits = (_bounded_logit(scores) + _bounded_logit(ours.scores)) / 2
    bounds = (_bounded_logit(limits) + _bounded_logit(case.thresholds)) / 2
    return {
        _TUNED: Answers(scores, scores >= limits),
        f"{_TUNED} and ours": Answers(sigmoid(logits), logits >= bounds),
    }


def _bounded_logit(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(probabilities, 1e-6, 1 - 1e-6)), dtype=np.float64)


def _one_missing(subject: Subject, case: _Case, ours: Answers, networks: dict[Fusion, dict[Asked, Answers]]) -> Table:
    """mAP of the same films asked with both, and with one of the two withheld."""
    asked: dict[str, dict[Asked, Answers]] = {"ours": {"both": ours}}
    for source in SOURCES:
        asked["ours"][source] = _ours(subject, replace(case, evidence=source))[0]
    asked |= {str(name): answers for name, answers in networks.items()}
    rows: list[tuple[Cell, ...]] = []
    for name, answers in asked.items():
        rows.append((name, *(mean_average_precision(case.truth, answers[how].scores) for how in ASKED)))
    return Table(
        title="Poster and plot → genres, one of the two withheld: mAP",
        columns=("system", "both", "the poster alone", "the plot alone"),
        rows=tuple(rows),
        note="Ours answers with the head of the one source then, so a missing one costs nothing against a model of one "
        "source. The networks saw films without one of the two while they learned.",
        model=case.head,
    )


def _labels_alone(truth: Bools, case: _Case) -> Answers:
    """Each label as probable as it is frequent; decided: the commonest answer."""
    shape = case.truth.shape
    if not len(truth):
        return Answers(np.zeros(shape), np.zeros(shape, dtype=bool))
    patterns, counts = np.unique(truth, axis=0, return_counts=True)
    if case.labels_kind == "single":
        usual = np.eye(shape[1], dtype=bool)[int(truth.sum(axis=0).argmax())]
    else:
        usual = patterns[counts.argmax()]
    return Answers(np.broadcast_to(truth.mean(axis=0), shape), np.broadcast_to(usual, shape))


def _rows(case: _Case, ours: Answers, plain: dict[str, Answers], cost: dict[str, float], seed: int) -> list[Row]:
    truth = case.truth
    correct_top = {name: _top_is_right(truth, a) for name, a in {"": ours, **plain}.items()}

    def mean_ap(answers: Answers) -> Figure:
        return lambda i: mean_average_precision(truth[i], answers.scores[i])

    def f1(answers: Answers) -> Figure:
        return lambda i: macro_f1(truth[i], answers.decided[i])

    def right(answers: Answers) -> Figure:
        return lambda i: accuracy(truth[i], answers.decided[i])

    def calibration(name: str, answers: Answers) -> Figure:
        true = truth if case.labels_kind == "multi" else correct_top[name]
        stated = _stated(case, answers)
        return lambda i: expected_calibration_error(true[i].ravel(), stated[i].ravel())

    def row(metric: str, figure: Callable[[Answers], Figure]) -> Row:
        beside = {name: figure(answers) for name, answers in plain.items()}
        return compared(
            NAME,
            case.work,
            metric,
            len(truth),
            ours=figure(ours),
            baselines=beside,
            model=case.head,
            cost=cost,
            seed=seed,
        )

    ece = compared(
        NAME,
        case.work,
        "ECE",
        len(truth),
        ours=calibration("", ours),
        baselines={
            "perfectly calibrated, by chance": lambda i: honest_calibration_error(_stated(case, ours)[i].ravel()),
            **{name: calibration(name, answers) for name, answers in plain.items()},
        },
        better="lower",
        model=case.head,
        cost=cost,
        seed=seed,
    )
    if case.labels_kind == "single":
        return [row("accuracy", right), row("macro-F1", f1), row("mAP", mean_ap), ece]
    return [row("mAP", mean_ap), row("macro-F1", f1), row("all labels right", right), ece]


def _stated(case: _Case, answers: Answers) -> NDArray[np.float64]:
    """The probabilities that calibration is measured on: (B, L) of all labels, (B,) of the one that is answered."""
    return answers.scores if case.labels_kind == "multi" else answers.scores.max(axis=1)


def _top_is_right(truth: Bools, answers: Answers) -> Bools:
    return np.asarray(truth[np.arange(len(truth)), answers.scores.argmax(axis=1)])


def _label_table(case: _Case, ours: Answers, plain: dict[str, Answers]) -> Table:
    """Label by label, with the best of the plain systems by mAP beside ours."""
    best = max(plain, key=lambda name: mean_average_precision(case.truth, plain[name].scores))
    columns = ("label", "films", "AP", "F1", "threshold", f"AP: {best}", f"F1: {best}")
    values = [
        case.truth.sum(axis=0),
        average_precision(case.truth, ours.scores),
        f1_per_label(case.truth, ours.decided),
        case.thresholds,
        average_precision(case.truth, plain[best].scores),
        f1_per_label(case.truth, plain[best].decided),
    ]
    rows = tuple((label, *(_cell(column[i]) for column in values)) for i, label in enumerate(case.labels))
    return Table(title=f"{case.work}, label by label", columns=columns, rows=rows, model=case.head)


def _cell(value: float | np.integer) -> float | int | None:
    if isinstance(value, np.integer):
        return int(value)
    return float(value) if np.isfinite(value) else None


def _diagram(case: _Case, ours: Answers) -> Reliability:
    if case.labels_kind == "multi":
        return Reliability.of(case.work, case.truth, ours.scores)
    return Reliability.of(case.work, _top_is_right(case.truth, ours), ours.scores.max(axis=1))


def _confusion(case: _Case, ours: Answers) -> Confusion:
    counts = np.zeros((len(case.labels), len(case.labels)), dtype=int)
    np.add.at(counts, (case.truth.argmax(axis=1), ours.scores.argmax(axis=1)), 1)
    return Confusion(title=case.work, labels=case.labels, counts=tuple(tuple(map(int, row)) for row in counts))


def _mistakes(case: _Case, ours: Answers) -> list[Mistake]:
    """The films whose top label was surest and wrong."""
    wrong = np.flatnonzero(~_top_is_right(case.truth, ours))
    surest = wrong[np.argsort(-ours.scores[wrong].max(axis=1), kind="stable")][:_NUM_MISTAKES]
    return [
        Mistake(
            title=f"{case.films[row].film.label}, {case.work}",
            said=f"{case.labels[int(ours.scores[row].argmax())]} {ours.scores[row].max():.2f}",
            truth=", ".join(label for label, has in zip(case.labels, case.truth[row], strict=True) if has) or "none",
            film_id=case.films[row].film.id,
            image=case.films[row].poster if case.evidence != "plot" else None,
        )
        for row in surest.tolist()
    ]


def _disagreement(subject: Subject, case: _Case, answers: Sequence[GenreAnswer]) -> tuple[list[Row], list[str]]:
    """How often poster and plot are told to disagree: of one film, and with the poster of the next film in the list."""
    own = np.array([_told(answer) for answer in answers], dtype=bool)
    other = np.zeros(len(answers), dtype=bool)
    for row, film in enumerate(case.films):
        poster = case.films[(row + 1) % len(case.films)].poster
        other[row] = _told(subject.bundle.predict_genres(poster, film.film.plot, case.labels_kind))
        subject.progress(f"ask with the poster of another film: {case.work}", row + 1, len(case.films))
    rows = [
        compared(
            NAME,
            "poster of another film",
            "told to disagree with the plot",
            len(own),
            ours=lambda i: float(other[i].mean()),
            baselines={"its own poster": lambda i: float(own[i].mean())},
            model=case.head,
            seed=subject.seed,
        )
    ]
    used = Counter("+".join(answer.used) for answer in answers)
    return rows, [f"{case.work}: answers rest on " + ", ".join(f"{what} {n:,}" for what, n in used.most_common()) + "."]


def _told(answer: GenreAnswer) -> bool:
    return DISAGREE in (answer.note or "")


def _size_mb(bundle: Bundle, head: str) -> float:
    """Of the head and the experts below it; the encoders below all heads are the model store's."""
    sources = [source for source in SOURCES if head.startswith((f"genre-{source}", "genre-both"))]
    names = {f"{HEADS}/{name}.safetensors" for name in (head, *map(experts_name, sources))}
    return sum(entry.size for name, entry in bundle.manifest.files.items() if name in names) / 1e6
