"""Search measured: descriptions that people half remember, plots by other authors, posters by their plots."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from matinee.bundle.opened import Bundle
from matinee.errors import NotFound
from matinee.evaluation.metrics import roc_auc
from matinee.evaluation.plain_search import Bm25, found_among, fused, place_of, ridge, words_of
from matinee.evaluation.report import Cell, Figure, Findings, Row, Section, Table, compared
from matinee.evaluation.similar import similar_rows
from matinee.evaluation.subject import Subject, TestFilm
from matinee.heads.split import part_of
from matinee.search.pair import pair_scores
from matinee.search.rank import Recipe, rank_films
from matinee.search.store import SearchStore, unit

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

NAME = "search"
CARD = "joint-space"
DESCRIPTIONS, OTHER_PLOTS, POSTERS = "description → film", "another author's plot → film", "plot → its own poster"
_OURS = "ours"
_LISTED = 100
_NOT_LISTED = 1_000_000  # place of a film that is not among those listed
_MAX_PLOTS = 800
_SAME_TEXT = 0.5  # share of words in common from which two plots are one text, edited
_MIN_PAIRS = 20
_FEWER_POSTERS = 543  # a number that figures can be compared at, where more are held back
_RANDOM_POSTERS = 20  # other posters that a plot is paired with, for the AUROC

_STEPS: tuple[tuple[str, Recipe], ...] = (
    ("plots and posters, standardised apart", Recipe(words=0, name=0, feedback=0, popularity=0)),
    ("+ lexical", Recipe(name=0, feedback=0, popularity=0)),
    ("+ names and feedback", Recipe(popularity=0)),
    ("+ popularity prior: the default", Recipe()),
    ("the default without posters", Recipe(poster=0)),
)


@dataclass(frozen=True)
class _Question:
    text: str
    row: int  # of the film that answers it


class _Catalogue:
    """The films with plots of a bundle, and what plain systems need of them."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.store: SearchStore = bundle.search_store
        self.rows = np.unique(self.store.space.plot_film)
        self.allowed = np.zeros(len(bundle), dtype=bool)
        self.allowed[self.rows] = True
        films = self.store.films.films(self.rows.tolist())
        self.plots = {int(r): (film.plot or "", *film.other_plots) for r, film in zip(self.rows, films, strict=True)}
        self.bm25 = Bm25([self.plots[int(row)][0] for row in self.rows])
        whole = np.flatnonzero(self.store.space.own_whole)
        self.vectors = np.zeros((0, 0), np.float32) if self.store.plots is None else self.store.plots.vectors(whole)

    @cached_property
    def raw_rows(self) -> tuple[Floats, Floats]:
        """(rows of plots, rows of posters) as they were before anything was taken off."""
        plots, posters = self.centred_rows
        mean = self.store.space.text_mean
        assert self.store.plots is not None
        return self.store.plots.vectors(np.arange(len(plots))), unit(posters + mean) if len(posters) else posters

    @cached_property
    def centred_rows(self) -> tuple[Floats, Floats]:
        """(rows of plots, rows of posters) in the joint space."""
        space = self.store.space
        assert self.store.plots is not None
        plots = space.text_to_joint(self.store.plots.vectors(np.arange(len(space.plot_film))))
        if not space.has_posters_in_joint:
            return plots, np.zeros((0, plots.shape[1]), np.float32)
        return plots, self.store.joint_posters(np.arange(len(space.poster_film)))

    def row_of(self, film_id: str) -> int | None:
        """The film's row, where the bundle has it with a plot."""
        try:
            row = self.store.films.row_of(film_id)
        except NotFound:
            return None
        return row if self.allowed[row] else None

    def ours(self, question: _Question, recipe: Recipe) -> tuple[int, float]:
        """(place of the film, share of the first ten that a poster brought in above all)."""
        ranking = rank_films(
            self.store,
            question.text,
            encode=self.bundle.encode_texts,
            allowed=self.allowed,
            k=_LISTED,
            recipe=recipe,
        )
        first = ranking.rows[:10].tolist()
        posters = [row for row in first if "poster" in ranking.found_by[row]]
        return _place(ranking.rows[:_LISTED], question.row), len(posters) / max(len(first), 1)

    def plain(self, question: _Question) -> dict[str, int]:
        """Places by BM25 over plots, by one vector a plot, and by both fused."""
        target = int(np.searchsorted(self.rows, question.row))
        by_words = self.bm25.scores(question.text)
        by_vector = (self.vectors @ self.bundle.encode_texts([question.text])[0]).astype(np.float64)
        systems = {"BM25": by_words, "MiniLM": by_vector, "BM25 and MiniLM fused": fused(by_words, by_vector)}
        return {name: place_of(scores, target) for name, scores in systems.items()}


def evaluate_search(subject: Subject) -> Findings:
    """Rows of recall and mean reciprocal rank for each kind of question that the subject has material for."""
    notes: list[str] = []
    rows: list[Row] = []
    tables: list[Table] = []
    if subject.bundle.search_store.plots is None:
        notes.append("The bundle has no plots to search.")
    else:
        catalogue = _Catalogue(subject.bundle)
        for work, questions, cuts in (
            (DESCRIPTIONS, _descriptions(subject, catalogue), (10, 100)),
            (OTHER_PLOTS, _other_plots(subject, catalogue), (1, 10)),
        ):
            if questions:
                rows += _retrieval(subject, catalogue, work, questions, cuts)
                tables.append(_steps(subject, catalogue, work, questions))
            else:
                notes.append(f"{work}: nothing to measure it with; a test source can bring some (docs: evaluation).")
    alike = similar_rows(subject)
    if isinstance(alike, str):
        notes.append(alike)
    else:
        rows += alike
    found = _posters(subject)
    if isinstance(found, str):
        notes.append(found)
    else:
        rows += found
    if subject.learning_curve:
        # Fitting needs what a build needs; measuring alone does not.
        from matinee.evaluation.learning_curve import learning_curve  # noqa: PLC0415

        names = {entry.name for entry in subject.bundle.manifest.models.values()}
        if isinstance(found, str) or len(names) == 1:
            notes.append("No learning curve: no space of plots and posters was learned, or nothing can measure it.")
        else:
            tables.append(learning_curve(subject.bundle, subject.progress))
    section = Section(
        name=NAME,
        title="Search",
        about="Descriptions: requests of people with the film they meant, those that name it left out. Another "
        "author's plot: a plot of the test source for a film whose own, different plot the bundle holds. Both are "
        "looked for among the bundle's films with plots; plain systems search the same plots. Posters: films that "
        "the joint space was not fitted on, each plot against all their posters. Similar films: of those that many "
        "have rated, how much the people who liked one liked the first ten, and the genres that they share.",
        tables=tuple(tables),
        notes=tuple(notes),
    )
    return Findings(rows=tuple(rows), section=section)


def _descriptions(subject: Subject, catalogue: _Catalogue) -> list[_Question]:
    found = [(request.text, catalogue.row_of(request.film)) for request in subject.requests]
    return [_Question(text, row) for text, row in found if row is not None]


def _other_plots(subject: Subject, catalogue: _Catalogue) -> list[_Question]:
    """Plots of the test source about films that the bundle knows by another text; at most 800, chosen by the seed."""
    if subject.source is None:
        return []
    questions = []
    for test in subject.films:
        rows = [catalogue.row_of(film_id) for film_id in (test.film.id, *test.film.aliases)]
        row = next((row for row in rows if row is not None), None)
        if (
            row is not None
            and test.film.plot
            and not any(_same_text(test.film.plot, known) for known in catalogue.plots[row])
        ):
            questions.append(_Question(test.film.plot, row))
    order = np.random.default_rng(subject.seed).permutation(len(questions))[:_MAX_PLOTS]
    return [questions[i] for i in sorted(order.tolist())]


def _same_text(one: str, other: str) -> bool:
    first, second = set(words_of(one)), set(words_of(other))
    return len(first & second) > _SAME_TEXT * max(1, min(len(first), len(second)))


def _retrieval(
    subject: Subject, catalogue: _Catalogue, work: str, questions: Sequence[_Question], cuts: tuple[int, ...]
) -> list[Row]:
    ours, plain, seconds = [], [], []
    for number, question in enumerate(questions):
        plain.append(catalogue.plain(question))
        begin = time.perf_counter()
        subject.bundle.discover(question.text)  # its text was just encoded whole; its sentences were not
        seconds.append(time.perf_counter() - begin)
        ours.append(catalogue.ours(question, Recipe())[0])
        subject.progress(f"ask: {work}", number + 1, len(questions))
    systems = {name: np.array([places[name] for places in plain]) for name in plain[0]}
    cost = {"ms": float(np.median(seconds)) * 1000}
    return _place_rows(subject, work, systems | {_OURS: np.array(ours)}, cuts, cost)


def _place_rows(
    subject: Subject,
    work: str,
    systems: Mapping[str, Places],
    cuts: Sequence[int],
    cost: Mapping[str, float] | None = None,
) -> list[Row]:
    """Recall at each cut and MRR of the system called 'ours' beside the others."""
    plain = {name: places for name, places in systems.items() if name != _OURS}

    def row(metric: str, figure: Callable[[Places], Figure]) -> Row:
        baselines = {name: figure(places) for name, places in plain.items()}
        return compared(
            NAME,
            work,
            metric,
            len(systems[_OURS]),
            ours=figure(systems[_OURS]),
            baselines=baselines,
            model=CARD,
            cost=cost,
            seed=subject.seed,
        )

    def recall(cut: int) -> Callable[[Places], Figure]:
        return lambda places: lambda i: float((places[i] < cut).mean())

    def reciprocal(places: Places) -> Figure:
        return lambda i: float((1 / (1 + places[i])).mean())

    return [*(row(f"recall at {cut}", recall(cut)) for cut in cuts), row("MRR", reciprocal)]


def _steps(subject: Subject, catalogue: _Catalogue, work: str, questions: Sequence[_Question]) -> Table:
    """What each part of the recipe adds, from one common ranking on."""
    lines: list[tuple[Cell, ...]] = []
    for name, centred in (("raw: one ranking", False), ("centred: one ranking", True)):
        found = [_one_ranking(catalogue, question, centred) for question in questions]
        lines.append(_step(name, found))
    for number, (name, recipe) in enumerate(_STEPS):
        found = [catalogue.ours(question, recipe) for question in questions]
        lines.append(_step(name, found))
        subject.progress(f"steps: {work}", number + 1, len(_STEPS))
    return Table(
        title=f"{work}, step by step",
        columns=("ranking", "recall at 10", "recall at 100", "MRR", "posters among the first ten"),
        rows=tuple(lines),
        note="Posters: share of the first ten places that a poster takes (one ranking) or speaks for (from then on).",
        model=CARD,
    )


def _step(name: str, found: Sequence[tuple[int, float]]) -> tuple[Cell, ...]:
    places = np.array([place for place, _ in found])
    figures = ((places < 10).mean(), (places < 100).mean(), (1 / (1 + places)).mean())
    return (name, *map(float, figures), float(np.mean([share for _, share in found])))


def _one_ranking(catalogue: _Catalogue, question: _Question, centred: bool) -> tuple[int, float]:
    """Rows of plots and posters ranked together by their cosine, with or without what is common to each taken off."""
    space = catalogue.store.space
    vector = catalogue.bundle.encode_texts([question.text])[0]
    plots, posters = catalogue.centred_rows if centred else catalogue.raw_rows
    scores = np.concatenate([plots, posters]) @ (space.text_to_joint(vector) if centred else vector)
    films = np.concatenate([space.plot_film, space.poster_film[: len(posters)]])
    best = np.argsort(-scores, kind="stable")
    _, first = np.unique(films[best], return_index=True)
    best = best[np.sort(first)]  # each film where its best row stands
    listed = films[best][catalogue.allowed[films[best]]]
    return _place(listed[:_LISTED], question.row), float((best[:10] >= len(plots)).mean())


def _place(rows: NDArray[np.int64], target: int) -> int:
    found = np.flatnonzero(rows == target)
    return int(found[0]) if len(found) else _NOT_LISTED


def _posters(subject: Subject) -> list[Row] | str:
    """Films with plot and poster that the joint space was not fitted on, each plot against all their posters."""
    bundle = subject.bundle
    if not bundle.search_store.space.has_posters_in_joint:
        return f"{POSTERS}: the bundle has no joint space with posters in it."
    films = [film for film in subject.films if film.poster is not None and film.film.plot and not film.learned_from]
    if len(films) < _MIN_PAIRS:
        return f"{POSTERS}: {len(films)} films to measure it with; {_MIN_PAIRS} are needed."
    plots = np.stack([bundle.joint_vector(plot=film.film.plot) for film in films])
    posters = np.stack([bundle.joint_vector(poster=film.poster) for film in films])
    ours = plots @ posters.T
    plain = _plain_posters(bundle, films)
    chance = np.random.default_rng(subject.seed).permutation(len(films))
    systems = {_OURS: _own_places(ours), "ridge": _own_places(plain), "chance": chance}
    rows = _place_rows(subject, POSTERS, systems, (10,))
    if len(films) > _FEWER_POSTERS:
        rows.append(_among_fewer(subject, systems))
    sample = bundle.search_store.sample
    pairs = pair_scores(plots, posters, sample.pair_plots, sample.pair_posters).astype(np.float32)
    return [*rows, _true_against_random(subject, pairs, plain)]


def _among_fewer(subject: Subject, systems: Mapping[str, Places]) -> Row:
    """Recall at 10 among fewer posters than there are: the mean over every draw of so many, each with the own one."""
    shares = {name: found_among(places, _FEWER_POSTERS, 10) for name, places in systems.items()}

    def figure(share: NDArray[np.float64]) -> Figure:
        return lambda i: float(share[i].mean())

    return compared(
        NAME,
        f"{POSTERS} among {_FEWER_POSTERS}",
        "recall at 10",
        len(shares[_OURS]),
        ours=figure(shares[_OURS]),
        baselines={name: figure(share) for name, share in shares.items() if name != _OURS},
        model=CARD,
        seed=subject.seed,
    )


def _own_places(scores: Floats) -> Places:
    own = np.diag(scores)
    return np.asarray((scores > own[:, None]).sum(axis=1), dtype=np.int64)


def _plain_posters(bundle: Bundle, films: Sequence[TestFilm]) -> Floats:
    """Scores (B, B) by ridge regression from poster features to vectors of whole plots, fitted on training films."""
    store = bundle.search_store
    space = store.space
    assert store.posters is not None and store.plots is not None
    whole = np.flatnonzero(space.own_whole)
    _, of_plot, of_poster = np.intersect1d(space.plot_film[whole], space.poster_film, return_indices=True)
    kept = np.array([part_of(store.films.id_of(int(row))) != "test" for row in space.poster_film[of_poster]], bool)
    inputs = store.posters.vectors(of_poster[kept])
    targets = store.plots.vectors(whole[of_plot[kept]])
    mean, spread = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-6)
    projection = ridge((inputs - mean) / spread, targets - targets.mean(axis=0))
    asked = np.stack([bundle.poster_features(film.poster or b"") for film in films])
    posters = unit(((space.center_poster(asked) - mean) / spread) @ projection)
    plots = unit(bundle.encode_texts([film.film.plot or "" for film in films]) - targets.mean(axis=0))
    return np.asarray(plots @ posters.T, dtype=np.float32)


def _true_against_random(subject: Subject, ours: Floats, plain: Floats) -> Row:
    """AUROC of plots with their own poster against plots with posters drawn at random, over resampled films."""
    count = len(ours)
    rng = np.random.default_rng(subject.seed)
    others = (np.arange(count)[:, None] + rng.integers(1, count, (count, _RANDOM_POSTERS))) % count
    truth = np.zeros((count, 1 + _RANDOM_POSTERS), bool)
    truth[:, 0] = True

    def figure(scores: Floats) -> Figure:
        paired = np.hstack([np.diag(scores)[:, None], np.take_along_axis(scores, others, axis=1)])
        return lambda i: roc_auc(truth[i].ravel(), paired[i].ravel())

    return compared(
        NAME,
        POSTERS,
        "AUROC, true against random pair",
        count,
        ours=figure(ours),
        baselines={"ridge": figure(plain)},
        model=CARD,
        seed=subject.seed,
    )
