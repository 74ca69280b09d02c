"""Trains the poster check: posters of the catalogue against images that are none. Run by `matinee build`.

The features see every image through the same window (bundle.poster_view: the central 2:3, at the resolution of a
thumbnail), and many images again in other sizes and qualities (posters.views), so that size, shape and sharpness do not
give the kind away. What counts is how it judges kinds of images never seen: the shrinkage is chosen by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matinee.evaluation.metrics import accuracy, bootstrap, expected_calibration_error, macro_f1, roc_auc
from matinee.heads.card import Metric, ModelCard
from matinee.heads.fit import MIN_POSITIVES, balanced_platt, fit_exclusive, listed
from matinee.heads.head import Head, sigmoid
from matinee.heads.split import parts_of
from matinee.posters.check import (
    ACCEPT_FROM,
    ACCEPT_SMALL_FROM,
    CHECK_NAME,
    KIND_NAME,
    POSTER,
    REJECT_BELOW,
    REJECT_SMALL_BELOW,
    STRANGE_FROM,
    WITHOUT,
)
from matinee.posters.discriminant import fit_discriminant

Floats = NDArray[np.float32]

MIN_IMAGES = 30  # posters and negatives needed each
_SHRINKAGES = (0.3, 0.6)
# Shares of validation images: posters below `reject_below`, others from `accept_from` on; for small images the same of
# images in other sizes and qualities.
_MAX_LOST_POSTERS, _MAX_LET_THROUGH = 0.01, 0.03
_MAX_LOST_SMALL, _MAX_LET_THROUGH_SMALL = 0.04, 0.05
_SPREAD_FLOOR = 1e-3
_STRANGE_SHARE = 0.995  # of training images less strange than `strange_from`


@dataclass(frozen=True)
class Again:
    """Features of images made of others: each one's source by its row, and what the encoder sees."""

    rows: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))  # (A,) of the posters or negatives
    features: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (A, D)

    def of(self, chosen: NDArray[np.bool_]) -> list[Floats]:
        """The features of those whose source is chosen; in a list, for it may be that there are none."""
        picked = chosen[self.rows]
        return [self.features[picked]] if picked.any() else []


@dataclass(frozen=True)
class PosterImages:
    """Features of posters and of images that are none."""

    posters: Floats  # (P, D)
    poster_ids: Sequence[str]  # film ids: they decide the part
    negatives: Floats  # (M, D)
    negative_keys: Sequence[str]  # sha256 of the file, each once: repeats would sit on both sides of the split
    kinds: Sequence[str]  # (M,) 'photograph', 'album_cover' …
    altered_posters: Again = field(default_factory=Again)  # still posters
    altered_negatives: Again = field(default_factory=Again)
    pieces: Again = field(default_factory=Again)  # of posters, and none themselves


@dataclass(frozen=True)
class TrainedCheck:
    head: Head
    kinds: Head | None
    card: ModelCard
    unseen: tuple[Head, ...] = ()  # one a kind of other images: the check without having learned from it


def train_poster_check(images: PosterImages, *, data: dict[str, str], encoder: str, demo: bool) -> TrainedCheck | str:
    """The check's heads and card, or why there are none."""
    num_posters, num_negatives = len(images.posters), len(images.negatives)
    if min(num_posters, num_negatives) < MIN_IMAGES:
        return (
            f"{num_posters} posters and {num_negatives} other images; {MIN_IMAGES} of each are needed. "
            "Name a folder of negatives in the source file"
        )
    material = _Material.of(images)
    features, truth, parts, kinds = material.features, material.truth, material.parts, material.kinds
    if any(len({*truth[parts == part]}) < 2 for part in ("train", "validation")):
        return "the training or the validation part has no posters or no other images"
    with threadpool_limits(1):  # other heads may be training at the same time
        by_shrinkage = {value: material.unseen_kinds(value) for value in _SHRINKAGES}
        shrinkage = max(by_shrinkage, key=lambda value: np.mean([*by_shrinkage[value].values()] or [0.0]))
        head = _calibrated(material, shrinkage, demo)
        blind = tuple(_without(material, kind, shrinkage, demo) for kind in sorted(by_shrinkage[shrinkage]))
        kind_head = _kind_head(features, kinds, parts, demo)
    unseen = by_shrinkage[shrinkage]
    card = ModelCard(
        name=CHECK_NAME,
        title="Poster check",
        task="The probability that an image is a film poster, as if posters and other images came equally often; "
        "not sure between two bounds. A second head names the kind of a doubtful image.",
        demo=demo,
        encoder=encoder,
        data={**data, "negatives": ", ".join(f"{(kinds == k).sum()} {k}" for k in sorted({*images.kinds}))},
        split="Posters by film id, other images by the hash of their file (repeats removed): 70 % train, 15 % "
        "validation, 15 % test. Test images were neither fitted nor used to choose anything.",
        training="Fisher's discriminant on what the encoder's stages see, both kinds of images weighing the same, "
        f"covariance shrunk by {shrinkage:g} of {listed(_SHRINKAGES)} by the mean ROC AUC of kinds left out of the fit"
        f"{_told(unseen)}. Beside the images: {len(images.altered_posters.rows)} posters and "
        f"{len(images.altered_negatives.rows)} others cut, resized and compressed, and {len(images.pieces.rows)} "
        "pieces of posters as images that are none. Platt scaling and the "
        f"bounds ({head.settings[REJECT_BELOW]:.2f}, {head.settings[ACCEPT_FROM]:.2f}) come from validation images: at "
        f"most {_MAX_LOST_POSTERS:.1%} of posters rejected, at most {_MAX_LET_THROUGH:.0%} of the others accepted; for "
        f"small images ({head.settings[REJECT_SMALL_BELOW]:.2f}, {head.settings[ACCEPT_SMALL_FROM]:.2f}) from altered "
        f"ones: {_MAX_LOST_SMALL:.0%} and {_MAX_LET_THROUGH_SMALL:.0%}. "
        "Then fitted again on train and validation images.",
        counts={
            f"{part} {what}": int(((parts == part) & (truth == is_poster)).sum())
            for part in ("train", "validation", "test")
            for what, is_poster in (("posters", True), ("other images", False))
        },
        labels=(POSTER,),
        metrics=_measure(head, kind_head, features[parts == "test"], truth[parts == "test"], kinds[parts == "test"]),
        limits=(
            "It knows only the kinds of other images it was trained on; book and game covers may pass as posters.",
            "It sees the centre of the image at the resolution of a thumbnail.",
            "Posters it was trained on are recognised better than new ones; the figures are of new ones.",
            *(("Trained on drawn posters only: unfit for real ones, and says so.",) if demo else ()),
        ),
    )
    return TrainedCheck(head, kind_head, card, blind)


@dataclass(frozen=True)
class _Material:
    """All images in one order, posters first."""

    images: PosterImages
    features: Floats  # (N, D)
    truth: NDArray[np.bool_]
    parts: NDArray[np.str_]
    kinds: NDArray[np.str_]

    @classmethod
    def of(cls, images: PosterImages) -> _Material:
        return cls(
            images,
            np.concatenate([images.posters, images.negatives]),
            np.arange(len(images.posters) + len(images.negatives)) < len(images.posters),
            np.concatenate([parts_of(images.poster_ids), parts_of(images.negative_keys)]),
            np.array([POSTER] * len(images.posters) + list(images.kinds)),
        )

    def sides(self, chosen: NDArray[np.bool_]) -> tuple[list[Floats], list[Floats]]:
        """Posters and others among the chosen images (N,), and what was made of them and still is the same."""
        posters, others = chosen[self.truth], chosen[~self.truth]
        images = self.images
        return (
            [images.posters[posters], *images.altered_posters.of(posters)],
            [images.negatives[others], *images.altered_negatives.of(others)],
        )

    def fit(self, chosen: NDArray[np.bool_], shrinkage: float) -> tuple[Floats, float]:
        """The discriminant of the chosen images (N,); pieces of the chosen posters count as others."""
        posters, others = self.sides(chosen)
        return fit_discriminant(posters, others + self.images.pieces.of(chosen[self.truth]), shrinkage)

    def unseen_kinds(self, shrinkage: float) -> dict[str, float]:
        """ROC AUC of each kind of other images when none of it is fitted, against validation posters."""
        train, validation = self.parts == "train", self.parts == "validation"
        found = {}
        for kind in sorted({*self.images.kinds}):
            of_kind = self.kinds == kind
            if not (train & ~of_kind & ~self.truth).any():
                continue
            weight, bias = self.fit(train & ~of_kind, shrinkage)
            asked = (validation & self.truth) | ((train | validation) & of_kind)
            found[kind] = roc_auc(self.truth[asked], self.features[asked] @ weight + bias)
        return {kind: value for kind, value in found.items() if np.isfinite(value)}


def _without(material: _Material, kind: str, shrinkage: float, demo: bool) -> Head:
    """The check fitted without one kind of other images, not calibrated: for measuring how it judges unseen kinds."""
    weight, bias = material.fit((material.parts != "test") & (material.kinds != kind), shrinkage)
    zero = np.zeros(1, np.float32)
    return Head(f"{WITHOUT}{kind}", (POSTER,), "sigmoid", weight[None], zero + np.float32(bias), zero, demo)


def _told(unseen: dict[str, float]) -> str:
    return f" ({', '.join(f'{kind} {value:.3f}' for kind, value in unseen.items())})" if unseen else ""


def _calibrated(material: _Material, shrinkage: float, demo: bool) -> Head:
    """One sigmoid output, with bounds and the limit of strangeness as settings."""
    weight, bias = material.fit(material.parts == "train", shrinkage)
    posters, others = (
        [rows @ weight + bias for rows in side] for side in material.sides(material.parts == "validation")
    )
    slope, shift = balanced_platt(posters, others)  # as files come, and altered, count alike

    def bounds(posters: Floats, others: Floats, lost: float, through: float) -> list[float]:
        # Without overlap at these rates, doubt lies between the two kinds.
        logits = np.sort([np.quantile(posters, lost), np.quantile(others, 1 - through)])
        return [float(score) for score in sigmoid(logits * slope + shift)]

    reject_below, accept_from = bounds(posters[0], others[0], _MAX_LOST_POSTERS, _MAX_LET_THROUGH)
    small = bounds(posters[-1], np.concatenate(others), _MAX_LOST_SMALL, _MAX_LET_THROUGH_SMALL)
    learned = material.parts != "test"
    weight, bias = material.fit(learned, shrinkage)
    # Posters outnumber the others: equal say for both, or every photograph would be strange.
    groups = [np.concatenate(side) for side in material.sides(learned)]
    center = np.mean([rows.mean(axis=0) for rows in groups], axis=0).astype(np.float32)
    spread = np.sqrt(np.mean([((rows - center) ** 2).mean(axis=0) for rows in groups], axis=0)) + _SPREAD_FLOOR
    strangeness = [(((rows - center) / spread) ** 2).mean(axis=1) for rows in groups]
    return Head(
        name=CHECK_NAME,
        labels=(POSTER,),
        link="sigmoid",
        weight=(weight * slope)[None].astype(np.float32),
        bias=np.array([bias * slope + shift], np.float32),
        thresholds=np.array([accept_from], np.float32),
        demo=demo,
        center=center,
        spread=spread.astype(np.float32),
        settings={
            REJECT_BELOW: reject_below,
            ACCEPT_FROM: accept_from,
            REJECT_SMALL_BELOW: small[0],
            ACCEPT_SMALL_FROM: small[1],
            STRANGE_FROM: max(float(np.quantile(values, _STRANGE_SHARE)) for values in strangeness),
        },
    )


def _kind_head(features: Floats, kinds: NDArray[np.str_], parts: NDArray[np.str_], demo: bool) -> Head | None:
    """A head over 'poster' and the kinds of other images that occur often enough; None where no kind does."""
    learned = parts != "test"
    labels = [k for k in sorted({*kinds}) if (learned & (kinds == k)).sum() >= MIN_POSITIVES]
    if POSTER not in labels or len(labels) < 2:
        return None
    known = np.isin(kinds, labels)
    target = np.array([labels.index(k) for k in kinds[known]])
    # Sixteen posters to a photograph would make every doubtful image a poster: all kinds weigh the same.
    return fit_exclusive(
        KIND_NAME, features[known], target, parts[known], labels, strengths=(0.001,), demo=demo, balances=(1.0,)
    ).head


def _measure(
    head: Head, kind_head: Head | None, features: Floats, truth: NDArray[np.bool_], kinds: NDArray[np.str_]
) -> tuple[Metric, ...]:
    scores = head.probabilities(features)[:, 0]
    decided = scores >= 0.5
    below, accepted = scores < head.settings[REJECT_BELOW], scores >= head.settings[ACCEPT_FROM]
    two = np.stack([truth, ~truth], axis=1)
    two_decided = np.stack([decided, ~decided], axis=1)
    posters, others, count = np.flatnonzero(truth), np.flatnonzero(~truth), len(truth)

    def share(name: str, rows: NDArray[np.intp], flag: NDArray[np.bool_], *, higher: bool) -> Metric:
        interval = bootstrap(lambda i: float(flag[rows[i]].mean()) if len(i) else float("nan"), len(rows))
        return Metric.of(name, interval, higher_is_better=higher)

    metrics = [
        Metric.of("ROC AUC", bootstrap(lambda i: roc_auc(truth[i], scores[i]), count), baselines={"majority": 0.5}),
        Metric.of(
            "accuracy at 0.5",
            bootstrap(lambda i: accuracy(two[i], two_decided[i]), count),
            baselines={"majority": float(max(truth.mean(), 1 - truth.mean())) if count else None},
        ),
        Metric.of(
            "macro-F1 at 0.5",
            bootstrap(lambda i: macro_f1(two[i], two_decided[i]), count),
            baselines={"majority": macro_f1(two, np.stack([np.ones_like(truth), np.zeros_like(truth)], axis=1))},
        ),
        Metric.of(
            "ECE (equal numbers)",
            bootstrap(lambda i: _balanced_ece(truth[i], scores[i]), count),
            higher_is_better=False,
        ),
        share("posters rejected", posters, below, higher=False),
        share("posters accepted", posters, accepted, higher=True),
        share("other images accepted", others, accepted, higher=False),
        share("other images rejected", others, below, higher=True),
    ]
    for kind in sorted({*kinds[~truth]}):
        rows = np.flatnonzero(kinds == kind)
        metrics.append(share(f"{kind.replace('_', ' ')}s accepted", rows, accepted, higher=False))
    if kind_head is not None and len(others):
        named = np.array(kind_head.labels)[kind_head.probabilities(features).argmax(axis=1)]
        metrics.append(share("kinds of other images named right", others, named == kinds, higher=True))
    return tuple(metrics)


def _balanced_ece(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Calibration error with both kinds of images repeated to the same number, as the score is meant."""
    positives, negatives = np.flatnonzero(truth), np.flatnonzero(~truth)
    if not len(positives) or not len(negatives):
        return float("nan")
    times = max(1, round(len(positives) / len(negatives)))
    rows = np.concatenate([positives, np.repeat(negatives, times)])
    return expected_calibration_error(truth[rows], scores[rows])
