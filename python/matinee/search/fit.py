"""Learns what a search needs from the catalogue itself: the joint space and the bound of "nothing fits"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from matinee.evaluation.metrics import bootstrap
from matinee.heads.card import Metric, ModelCard
from matinee.heads.split import parts_of
from matinee.search.discover import FITS_FROM, nearest_plot
from matinee.search.offtopic import EVERYDAY_REQUESTS
from matinee.search.pair import PAIR_OFFSET, PAIR_SLOPE, pair_scores
from matinee.search.request import EncodeTexts, combine
from matinee.search.store import GENRE_WEIGHT, Background, SearchStore, Space, genre_directions, unit
from matinee.search.talk import fit_talk

Floats = NDArray[np.float32]

CARD_NAME = "joint-space"
MIN_PAIRS = 40  # films with plot and poster that a projection needs
_RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0)  # penalty a pair
_DAMPING = 0.1  # exponent of the variances: 0 leaves plots as they are, 0.5 whitens them
_GENRE_SHARE = 0.25  # of what a poster tells of a plot through its genres alone, beside what it tells directly
_GENRE_PENALTY = 5.0
_GENRE_AGREEMENT = 0.15  # what it weighs in a pair; by cross-validation on real films, genres told by unseen opinions
_NUM_REQUESTS = 400  # of each kind, for the bound
_MIN_REQUESTS = 40
_RIDGE = (
    "Learned from this catalogue's own pairs of plot and poster, no network trained on captioned images is in it: "
    "ridge regression from standardised details of posters to centred plot vectors, directly and through genres"
)
_OF_ONE_MODEL = "Plots and posters are read by the two halves of one model; each half is centred, nothing is learned."
_MIN_VALIDATION = 20  # pairs that the curve of `pair_fit` is fitted on


@dataclass(frozen=True)
class SearchVectors:
    """Vectors and rows that the indexes are made of; see `Space` for the row tables."""

    plot_film: NDArray[np.int64]  # (C,)
    plot_number: NDArray[np.int64]  # (C,)
    plot_span: NDArray[np.int64]  # (C, 2)
    plot_whole: NDArray[np.bool_]  # (C,)
    plots: Floats  # (C, T)
    poster_film: NDArray[np.int64]  # (P,)
    posters: Floats  # (P, D) features as the encoder gives them
    details: Floats  # (P, E) `Encoders.details` of the same posters
    genres: Floats  # (N, G) 1 where a film is of a genre, by film row; a row of zeros: not known

    @property
    def own_whole(self) -> NDArray[np.bool_]:
        """(C,) the rows that stand for films' own plots."""
        return np.asarray(self.plot_whole & (self.plot_number == 0))


@dataclass(frozen=True)
class ToldGenres:
    """Probabilities of L genres, by film row, from heads that had not learned from that film; zeros: nothing told."""

    plots: Floats  # (N, L) from the film's own plot
    posters: Floats  # (N, L)


def fit_space(
    vectors: SearchVectors,
    film_ids: Sequence[str],
    trainable: NDArray[np.bool_],
    encode: EncodeTexts,
    *,
    told: ToldGenres | None = None,
    in_one_space: bool = False,
) -> tuple[Space, tuple[Metric, ...], str]:
    """The space, its figures on test films, and a sentence on how it came about.

    film_ids: of each film row; trainable (N,): films it may be learned from; encode: texts as plots were;
    told: None without a head for plots and one for posters;
    in_one_space: plots and posters come from the two halves of one joint model (CLIP) already, and E is T: the space is
    then that model's, each half without what all its vectors share (Liang et al., "Mind the gap", 2022), and `told` is
    left alone.
    """
    if told is None or in_one_space:
        told = ToldGenres(*np.zeros((2, len(film_ids), 0), np.float32))
    whole = vectors.plots[vectors.own_whole]
    text_mean = whole.mean(axis=0) if len(whole) else np.zeros(vectors.plots.shape[1], np.float32)
    poster_mean = vectors.posters.mean(axis=0) if len(vectors.posters) else np.zeros(vectors.posters.shape[1])
    detail_mean = vectors.details.mean(axis=0) if len(vectors.details) else np.zeros(vectors.details.shape[1])
    detail_spread = vectors.details.std(axis=0) if len(vectors.details) else np.ones(vectors.details.shape[1])
    plot_genres, usual_plot_genres = _directions(told.plots[vectors.plot_film[vectors.own_whole]])
    poster_genres, usual_poster_genres = _directions(told.posters[vectors.poster_film])
    space = Space(
        plot_film=vectors.plot_film,
        plot_number=vectors.plot_number,
        plot_span=vectors.plot_span,
        plot_whole=vectors.plot_whole,
        poster_film=vectors.poster_film,
        text_mean=text_mean.astype(np.float32),
        text_map=fit_text_map(whole - text_mean),
        poster_mean=poster_mean.astype(np.float32),
        detail_mean=detail_mean.astype(np.float32),
        detail_spread=np.maximum(detail_spread, 1e-4).astype(np.float32),
        projection=np.zeros((vectors.details.shape[1], vectors.plots.shape[1]), np.float32),
        usual_plot_genres=usual_plot_genres,
        usual_poster_genres=usual_poster_genres,
        plot_genres=plot_genres,
        poster_genres=poster_genres,
        plot_background=Background.of(whole),
        poster_background=Background.of(unit(vectors.posters - poster_mean)),
        talk=fit_talk(encode, vectors.plots[~vectors.plot_whole]),
        settings={GENRE_WEIGHT: _GENRE_AGREEMENT},
    )
    films, of_plot, of_poster = np.intersect1d(
        vectors.plot_film[vectors.own_whole], vectors.poster_film, return_indices=True
    )
    usable = trainable[films]
    if in_one_space and len(vectors.posters):
        own = np.eye(vectors.plots.shape[1], dtype=np.float32)
        space = replace(space, detail_spread=np.ones_like(space.detail_spread), projection=own)
    if int(usable.sum()) < MIN_PAIRS:
        if space.has_posters_in_joint:
            return space, (), _OF_ONE_MODEL
        return space, (), f"{int(usable.sum())} films have plot and poster; {MIN_PAIRS} are needed to learn from them."
    parts = parts_of(film_ids[film] for film in films.tolist())
    inputs = (vectors.details[of_poster] - space.detail_mean) / space.detail_spread
    targets = space.text_to_joint(plots_as_asked(vectors)[of_plot])
    if space.has_posters_in_joint:
        projection, early, how = space.projection, space.projection, _OF_ONE_MODEL
    else:
        projection, early, chosen = _ridge(inputs, targets, parts, usable)
        learned = trainable & (parts_of(film_ids) != "test")
        by_genre = _genre_path(space, vectors, learned)
        space = replace(space, projection=projection + by_genre)
        early = early + by_genre
        genres = ", and in pairs the genres that the heads read from either" if plot_genres.shape[1] else ""
        how = f"{_RIDGE}{genres}; {chosen}."
    validation, test = (parts == "validation") & usable, (parts == "test") & usable
    asked = space.with_genres(targets, plot_genres[of_plot])
    if validation.sum() >= _MIN_VALIDATION:
        seen = space.with_genres(unit(inputs @ early), poster_genres[of_poster])
        fitted = ~validation & ~test & usable
        pairs = pair_scores(asked[validation], seen[validation], asked[fitted], seen[fitted])
        space = space.with_settings(_pair_settings(pairs))
    seen = space.with_genres(unit(inputs @ space.projection), poster_genres[of_poster])
    ranks = _ranks(asked[test], seen[test])
    count = len(ranks)
    metrics = (
        Metric.of(
            "poster found by its plot, first 10",
            bootstrap(lambda i: float((ranks[i] < 10).mean()) if len(i) else float("nan"), count),
            baselines={"chance": min(1.0, 10 / count) if count else None},
        ),
        Metric.of(
            "median place of the poster",
            bootstrap(lambda i: float(np.median(ranks[i])) + 1 if len(i) else float("nan"), count),
            higher_is_better=False,
            baselines={"chance": (count + 1) / 2 if count else None},
        ),
    )
    return space, metrics, how


def _directions(probabilities: Floats) -> tuple[Floats, Floats]:
    """(`genre_directions` of probabilities (B, L), zero where nothing is told; the usual roots (L,))."""
    told = np.asarray(probabilities.any(axis=1))
    usual = np.sqrt(probabilities[told]).sum(axis=0) / max(int(told.sum()), 1)
    return np.where(told[:, None], genre_directions(probabilities, usual), np.float32(0)), usual


def fit_text_map(plots: Floats) -> Floats:
    """(T, T) symmetric map that evens out the spread of centred plots (N, T) over their directions, in part.

    What most plots share (a family, a war, a young woman) hides what tells one from another; whitening in full would
    make noise of the rest (Su et al., "Whitening sentence representations", 2021). The variances of few plots are
    shrunk towards their mean.
    """
    count, width = plots.shape
    if count < 2:
        return np.eye(width, dtype=np.float32)
    variances, directions = np.linalg.eigh(np.cov(plots.T.astype(np.float64)))
    shrinkage = width / (width + count)
    variances = (1 - shrinkage) * np.maximum(variances, 0) + shrinkage * max(float(variances.mean()), 1e-12)
    return np.asarray((directions * variances ** (-_DAMPING)) @ directions.T, dtype=np.float32)


def _genre_path(space: Space, vectors: SearchVectors, learned: NDArray[np.bool_]) -> Floats:
    """(E, T) from posters to genres to plots. Posters without a plot and plots without a poster teach it, too."""
    shape = (vectors.details.shape[1], vectors.plots.shape[1])
    known = learned & vectors.genres.any(axis=1)
    plot_film = vectors.plot_film[vectors.own_whole]
    with_plot, with_poster = known[plot_film], known[vectors.poster_film]
    if min(int(with_plot.sum()), int(with_poster.sum())) < MIN_PAIRS:
        return np.zeros(shape, np.float32)
    usual = vectors.genres[plot_film[with_plot]].mean(axis=0)
    plots = space.text_to_joint(vectors.plots[vectors.own_whole][with_plot])
    to_plot = _least_squares(vectors.genres[plot_film[with_plot]] - usual, plots, _GENRE_PENALTY)
    details = (vectors.details[with_poster] - space.detail_mean) / space.detail_spread
    genres = vectors.genres[vectors.poster_film[with_poster]] - usual
    to_genre = _least_squares(details, genres, _GENRE_PENALTY * len(details))
    return np.asarray(_GENRE_SHARE * (to_genre @ to_plot), dtype=np.float32)


def _least_squares(inputs: Floats, targets: Floats, penalty: float) -> NDArray[np.float64]:
    x = inputs.astype(np.float64)
    return np.asarray(np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ targets), dtype=np.float64)


def _pair_settings(scores: NDArray[np.float64]) -> dict[str, float]:
    """The logistic curve that tells a plot's own poster from a random one, from the scores (V, V) of pairs."""
    own = np.eye(len(scores), dtype=bool)
    weights = np.where(own, 1.0, 1 / (len(scores) - 1)).ravel()
    curve = LogisticRegression(C=1e6).fit(scores.reshape(-1, 1), own.ravel(), sample_weight=weights)
    return {PAIR_SLOPE: float(curve.coef_[0, 0]), PAIR_OFFSET: float(curve.intercept_[0])}


def joint_vectors(space: Space, vectors: SearchVectors) -> Floats:
    """Rows of joint.index: plots first, then posters (none without a projection)."""
    plots = space.text_to_plots(vectors.plots)
    return np.concatenate([plots, space.poster_to_joint(vectors.details)]) if space.has_posters_in_joint else plots


def fit_bound(
    store: SearchStore, plots: Sequence[str], encode: EncodeTexts
) -> tuple[dict[str, float], tuple[Metric, ...]]:
    """The setting FITS_FROM and how often it errs on requests kept for measuring.

    Real requests are made of the catalogue's own plots: a handful of a sentence's telling words, as people half
    remember a film. Nonsense is everyday speech about other things, words drawn at random, and strings of letters. The
    bound separates half of both kinds best (equal weight); the other half measures it.
    """
    rng = np.random.default_rng(0)
    real = _remembered(plots, rng, _NUM_REQUESTS)
    if len(real) < _MIN_REQUESTS:
        return {FITS_FROM: -1.0}, ()
    nonsense = _nonsense(rng, _NUM_REQUESTS)
    near_real = nearest_plot(store, encode(real))
    near_nonsense = nearest_plot(store, encode(nonsense))
    candidates = np.quantile(np.concatenate([near_real[::2], near_nonsense[::2]]), np.linspace(0, 1, 201))
    kept = [(near_real[::2] >= c).mean() + (near_nonsense[::2] < c).mean() for c in candidates]
    bound = float(candidates[int(np.argmax(kept))])
    real_rest, nonsense_rest = near_real[1::2], near_nonsense[1::2]
    metrics = (
        Metric.of(
            "remembered plots told to fit",
            bootstrap(lambda i: float((real_rest[i] >= bound).mean()), len(real_rest)),
            part="requests kept for measuring",
        ),
        Metric.of(
            "nonsense told that nothing fits",
            bootstrap(lambda i: float((nonsense_rest[i] < bound).mean()), len(nonsense_rest)),
            part="requests kept for measuring",
        ),
    )
    return {FITS_FROM: bound}, metrics


def space_card(
    space: Space, metrics: Sequence[Metric], how: str, *, data: dict[str, str], encoder: str, demo: bool
) -> ModelCard:
    """The card of the joint space and of the bound."""
    return ModelCard(
        name=CARD_NAME,
        title="Joint space of plots and posters",
        task="Lets a sentence find posters, and tells requests that no film answers.",
        demo=demo,
        encoder=encoder,
        data=data,
        split="By film: SHA-256 of the film id, 70 % train, 15 % validation (chooses the penalty), 15 % test. Requests "
        "for the bound: every other one chooses, the others measure.",
        training=f"{how} The bound of 'nothing fits' is the nearness to the best plot "
        f"({space.settings.get(FITS_FROM, -1.0):.2f}) that best separates remembered plots from nonsense.",
        counts={"rows of plots": len(space.plot_film), "posters": len(space.poster_film)},
        metrics=tuple(metrics),
        limits=(
            "From a poster it reads mood and kind of film rather than objects: a weak second voice beside plots.",
            "Requests for the bound are made from plots by a rule, not asked by people.",
            "A request about a person or title counts as answered when one of the films holds all its words.",
        ),
    )


def plots_as_asked(vectors: SearchVectors) -> Floats:
    """(films with plots, T): the vector of each plot as a request's is made (`request.text_vector`)."""
    rows = np.flatnonzero(vectors.own_whole)
    asked = vectors.plots[rows].copy()
    first = np.searchsorted(vectors.plot_film, vectors.plot_film[rows])
    for place, (begin, row) in enumerate(zip(first.tolist(), rows.tolist(), strict=True)):
        if begin < row:  # a plot of one sentence has no other row
            asked[place] = combine(vectors.plots[row], vectors.plots[begin:row])
    return asked


def _ridge(
    inputs: Floats, targets: Floats, parts: NDArray[np.str_], usable: NDArray[np.bool_]
) -> tuple[Floats, Floats, str]:
    """(E, T) projection fitted on train and validation with the penalty that is best for validation, and the one
    fitted on train alone."""
    train, validation = (parts == "train") & usable, (parts == "validation") & usable
    if not validation.any():
        train = validation = (parts != "test") & usable

    def solve(rows: NDArray[np.bool_], penalties: Sequence[float]) -> list[Floats]:
        x = inputs[rows].astype(np.float64)
        values, basis = np.linalg.eigh(x.T @ x)
        seen = basis.T @ (x.T @ targets[rows])
        return [np.asarray(basis @ (seen / (values + p * len(x))[:, None]), dtype=np.float32) for p in penalties]

    trials = solve(train, _RIDGES)
    places = [np.log1p(_ranks(targets[validation], unit(inputs[validation] @ w))).mean() for w in trials]
    penalty = _RIDGES[int(np.argmin(places))]
    (projection,) = solve((parts != "test") & usable, [penalty])
    return (
        projection,
        trials[_RIDGES.index(penalty)],
        f"penalty {penalty:g} a pair by the mean log place on validation films",
    )


def _ranks(queries: Floats, items: Floats) -> NDArray[np.int64]:
    """(n,) how many items score above the own one of each query."""
    scores = queries @ items.T
    return np.asarray((scores > np.diag(scores)[:, None]).sum(axis=1), dtype=np.int64)


def _remembered(plots: Sequence[str], rng: np.random.Generator, count: int) -> list[str]:
    """Requests of four to eight telling words of one plot, in their order."""
    requests: list[str] = []
    for number in rng.permutation(len(plots))[: 2 * count]:
        words = [w.strip(".,;:!?\"'()") for w in plots[int(number)].split()]
        telling = [w for w in words if len(w) > 4 and w.islower()]
        if len(telling) >= 6:
            size = int(rng.integers(4, 9))
            begin = int(rng.integers(0, max(1, len(telling) - size)))
            requests.append("a film about " + " ".join(telling[begin : begin + size]))
    return requests[:count]


def _nonsense(rng: np.random.Generator, count: int) -> list[str]:
    letters = list("abcdefghijklmnopqrstuvwxyz")
    vocabulary = sorted({word for text in EVERYDAY_REQUESTS for word in text.lower().rstrip(".?").split()})
    requests = list(EVERYDAY_REQUESTS)
    while len(requests) < count:
        if len(requests) % 2:
            sizes = rng.integers(3, 9, int(rng.integers(1, 5)))
            requests.append(" ".join("".join(rng.choice(letters, size)) for size in sizes))
        else:
            requests.append(" ".join(rng.choice(vocabulary, int(rng.integers(4, 9)), replace=False)))
    order = rng.permutation(len(requests))
    return [requests[int(i)] for i in order[:count]]
