"""Trains the poster check: posters of the catalogue against images that are none. Run by `matinee build`.

The features see every image through the same window (bundle.poster_view: the central 2:3, at the resolution of a
thumbnail), so that size, shape and sharpness do not give the kind away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matinee.evaluation.metrics import accuracy, bootstrap, expected_calibration_error, macro_f1, roc_auc
from matinee.heads.card import Metric, ModelCard
from matinee.heads.fit import MIN_POSITIVES, balanced_platt, fit_exclusive
from matinee.heads.head import Head, sigmoid
from matinee.heads.split import parts_of
from matinee.posters.check import ACCEPT_FROM, CHECK_NAME, KIND_NAME, POSTER, REJECT_BELOW, STRANGE_FROM

Floats = NDArray[np.float32]

MIN_IMAGES = 30  # posters and negatives needed each
_STRENGTHS = (0.0003, 0.001, 0.003)
_MAX_LOST_POSTERS = 0.02  # share of validation posters below `reject_below`
_MAX_LET_THROUGH = 0.05  # share of validation negatives from `accept_from` on
_SPREAD_FLOOR = 1e-3
_STRANGE_SHARE = 0.995  # of training images less strange than `strange_from`


@dataclass(frozen=True)
class PosterImages:
    """Features of posters and of images that are none."""

    posters: Floats  # (P, D)
    poster_ids: Sequence[str]  # film ids: they decide the part
    negatives: Floats  # (M, D)
    negative_keys: Sequence[str]  # sha256 of the file, each once: repeats would sit on both sides of the split
    kinds: Sequence[str]  # (M,) 'photograph', 'album_cover' …


@dataclass(frozen=True)
class TrainedCheck:
    head: Head
    kinds: Head | None
    card: ModelCard


def train_poster_check(images: PosterImages, *, data: dict[str, str], encoder: str, demo: bool) -> TrainedCheck | str:
    """The check's heads and card, or why there are none."""
    num_posters, num_negatives = len(images.posters), len(images.negatives)
    if min(num_posters, num_negatives) < MIN_IMAGES:
        return (
            f"{num_posters} posters and {num_negatives} other images; {MIN_IMAGES} of each are needed. "
            "Name a folder of negatives in the source file"
        )
    features = np.concatenate([images.posters, images.negatives])
    truth = np.arange(len(features)) < num_posters
    parts = np.concatenate([parts_of(images.poster_ids), parts_of(images.negative_keys)])
    kinds = np.array([POSTER] * num_posters + list(images.kinds))
    if any(len({*truth[parts == part]}) < 2 for part in ("train", "validation")):
        return "the training or the validation part has no posters or no other images"
    with threadpool_limits(1):  # the products of one fit are too small to share among threads
        target = (~truth).astype(np.intp)
        names = (POSTER, "other")
        fitted = fit_exclusive(
            CHECK_NAME, features, target, parts, names, strengths=_STRENGTHS, demo=demo, balances=(1.0,)
        )
        kind_head = _kind_head(features, kinds, parts, demo)
    logits = fitted.held_logits[:, 0] - fitted.held_logits[:, 1]
    head = _calibrated(fitted.head, logits, features, truth, parts)
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
        training=f"Logistic regression, both kinds of images weighing the same; {fitted.chosen}. Platt scaling and the "
        f"bounds ({head.settings[REJECT_BELOW]:.2f}, {head.settings[ACCEPT_FROM]:.2f}) come from validation images: at "
        f"most {_MAX_LOST_POSTERS:.0%} of posters rejected, at most {_MAX_LET_THROUGH:.0%} of the others accepted. "
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
    return TrainedCheck(head, kind_head, card)


def _calibrated(
    two_way: Head,
    held_logits: NDArray[np.floating],
    features: Floats,
    truth: NDArray[np.bool_],
    parts: NDArray[np.str_],
) -> Head:
    """One sigmoid output from the two-way head, with bounds and the limit of strangeness as settings."""
    weight = two_way.weight[0] - two_way.weight[1]
    bias = two_way.bias[0] - two_way.bias[1]
    held_truth = truth[parts == "validation"]
    slope, shift = balanced_platt(held_logits, held_truth)
    scores = sigmoid(held_logits * slope + shift)
    reject_below = float(np.quantile(scores[held_truth], _MAX_LOST_POSTERS))
    accept_from = float(np.quantile(scores[~held_truth], 1 - _MAX_LET_THROUGH))
    if reject_below > accept_from:  # no overlap at these rates: doubt lies between the two kinds
        reject_below, accept_from = accept_from, reject_below
    learned = parts != "test"
    # Posters outnumber the others: equal say for both, or every photograph would be strange.
    groups = [features[learned & truth], features[learned & ~truth]]
    center = np.mean([rows.mean(axis=0) for rows in groups], axis=0).astype(np.float32)
    spread = np.sqrt(np.mean([((rows - center) ** 2).mean(axis=0) for rows in groups], axis=0)) + _SPREAD_FLOOR
    head = replace(
        two_way,
        labels=(POSTER,),
        link="sigmoid",
        weight=(weight * slope)[None].astype(np.float32),
        bias=np.array([bias * slope + shift], np.float32),
        thresholds=np.array([accept_from], np.float32),
        center=center,
        spread=spread.astype(np.float32),
    )
    strange_from = max(float(np.quantile(head.strangeness(rows), _STRANGE_SHARE)) for rows in groups)
    settings = {REJECT_BELOW: reject_below, ACCEPT_FROM: accept_from, STRANGE_FROM: strange_from}
    return replace(head, settings=settings)


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
