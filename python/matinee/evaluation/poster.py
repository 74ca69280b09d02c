"""The poster-check protocol: posters and other images that the bundle was not fitted on, made alike beforehand.

The figure that counts is of the neutral protocol, where size, shape and codec are the same for all: centre crop to 2:3,
112 x 168 pixels, JPEG of quality 70. The original files are a second table.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from matinee.bundle.features import see
from matinee.bundle.opened import Bundle
from matinee.evaluation.metrics import expected_calibration_error, roc_auc
from matinee.evaluation.report import Cell, Figure, Findings, Mistake, Reliability, Row, Section, Table, compared
from matinee.evaluation.subject import Subject, TestFilm, known_as
from matinee.heads.split import part_of
from matinee.posters.check import CHECK_NAME

NAME = "poster"
View = Literal["neutral", "original"]
Floats = NDArray[np.float64]

_SIZE, _QUALITY = (112, 168), 70
_MAX_COPIED = 300  # posters that copies are made of
_FAMILIAR = 1500  # training posters that the one-class row knows
_DIRECTIONS = 100  # of the one-class row
_NUM_MISTAKES = 12
_DRAWN = "Animation"


@dataclass(frozen=True)
class _Seen:
    """What was found of one image under one view."""

    kind: str  # 'poster' or the kind of another image
    score: float
    valid: bool | None
    unseen: dict[str, float]
    plain: dict[str, float]
    seconds: float


def evaluate_poster(subject: Subject) -> Findings:
    """Rows of ROC AUC by kind, learned and unseen, of rejections at the default bounds, and of near-duplicates."""
    bundle = subject.bundle
    if CHECK_NAME not in bundle.manifest.heads:
        why = bundle.manifest.missing_heads.get(CHECK_NAME, "the bundle has no poster check")
        return Findings(rows=(), section=Section(name=NAME, title="Poster check", about=f"{CHECK_NAME}: {why}"))
    films = [film for film in subject.films if film.poster is not None and "poster" not in film.learned_from]
    learned, known = bundle.learned_images(), set[str]()
    images = []
    for image in subject.images:
        key = hashlib.sha256(image.data).hexdigest()
        if key not in learned and key not in known:
            images.append(image)
        known.add(key)
    familiar = _OneClass.of(subject)
    rows: list[Row] = []
    tables: list[Table] = []
    mistakes: list[Mistake] = []
    diagrams: list[Reliability] = []
    for view in ("neutral", "original"):
        files = [*((film.poster or b"", "poster") for film in films), *((image.data, image.kind) for image in images)]
        seen = []
        for done, (data, kind) in enumerate(files, start=1):
            seen.append(_look(bundle, neutral(data) if view == "neutral" else data, kind, familiar))
            if done % 50 == 0 or done == len(files):
                subject.progress(f"check: {view}", done, len(files))
        rows += _rows(view, seen, subject.seed)
        if len({item.kind == "poster" for item in seen}) == 2:
            truth, scores = _in_equal_numbers(seen)
            diagrams.append(Reliability.of(f"{view}: a poster or not, as if both came equally often", truth, scores))
        tables.append(_by_decade(view, films, seen))
        tables.append(_by_drawing(view, films, seen))
        if view == "neutral":
            mistakes = _mistakes(files, seen, films)
    rows += _duplicates(subject, films)
    section = Section(
        name=NAME,
        title="Poster check",
        about="Posters of films and other images that the bundle was not fitted on, repeats removed. Neutral: centre "
        f"crop to 2:3, {_SIZE[0]} x {_SIZE[1]} pixels, JPEG quality {_QUALITY}, posters included. 'Unseen': a check "
        "fitted without any image of that kind. Width, height and sharpness count in the direction that suits them. "
        f"One-class: distance from {_FAMILIAR} training posters along {_DIRECTIONS} directions. ms: median of one "
        "check, decoding, encoding and the search for copies included.",
        tables=tuple(tables),
        mistakes=tuple(mistakes),
        reliability=tuple(diagrams),
        notes=() if images else ("The source has no other images that the bundle has not learned from.",),
    )
    return Findings(rows=tuple(rows), section=section)


def neutral(data: bytes) -> bytes:
    """The image as the neutral protocol shows it."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    across, down = (round(height * 2 / 3), height) if 3 * width > 2 * height else (width, round(width * 3 / 2))
    left, top = (width - across) // 2, (height - down) // 2
    image = image.crop((left, top, left + across, top + down)).resize(_SIZE, Image.Resampling.BICUBIC)
    return _jpeg(image, _QUALITY)


def copies(data: bytes, rng: np.random.Generator) -> dict[str, bytes]:
    """The ways in which a poster comes back: name -> JPEG."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    cut = rng.random(2) * 0.05
    box = (cut[0] * width, cut[1] * height, (0.95 + cut[0]) * width, (0.95 + cut[1]) * height)
    lettered = image.copy()
    draw = ImageDraw.Draw(lettered)
    top = height * float(rng.choice([0.06, 0.4, 0.72]))
    colour = tuple(int(value) for value in rng.integers(0, 256, 3))
    draw.rectangle((width * 0.05, top, width * 0.95, top + height * 0.16), fill=colour)
    ink = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
    draw.text((width * 0.1, top + height * 0.04), "ANOTHER TITLE", fill=ink, font_size=height * 0.07)
    small = image.resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.BICUBIC)
    return {
        "JPEG quality 30": _jpeg(image, 30),
        "5 % cropped": _jpeg(image.crop(tuple(round(value) for value in box)), 85),
        "half size": _jpeg(small, 85),
        "re-lettered": _jpeg(lettered, 85),
    }


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


@dataclass(frozen=True)
class _OneClass:
    """Distance from posters alone: what a check without other images would be."""

    mean: NDArray[np.float32]
    whiten: NDArray[np.float32]

    @classmethod
    def of(cls, subject: Subject) -> _OneClass | None:
        ids = [film.id for film in subject.training_films() if film.has_poster]
        chosen = np.random.default_rng(subject.seed).permutation(len(ids))[:_FAMILIAR]
        vectors = []
        for done, place in enumerate(chosen.tolist(), start=1):
            vectors.append(subject.bundle.check_features(neutral(subject.bundle.poster(ids[place])[0])))
            if done % 50 == 0:
                subject.progress("one-class row", done, len(chosen))
        if len(vectors) < 2:
            return None
        rows = np.stack(vectors)
        mean = rows.mean(axis=0)
        _, lengths, directions = np.linalg.svd(rows - mean, full_matrices=False)
        kept = min(_DIRECTIONS, len(rows) - 1)
        return cls(mean, (directions[:kept] / (lengths[:kept, None] / np.sqrt(len(rows)) + 1e-6)).T)

    def __call__(self, features: NDArray[np.float32]) -> float:
        return -float((((features - self.mean) @ self.whiten) ** 2).sum())


def _look(bundle: Bundle, data: bytes, kind: str, familiar: _OneClass | None) -> _Seen:
    begin = time.perf_counter()
    check = bundle.check_poster(data)
    seconds = time.perf_counter() - begin
    pixels = see("evaluate", data).pixels
    grey = pixels.astype(np.float32).mean(axis=2)
    edges = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    plain = {"width": float(pixels.shape[1]), "height": float(pixels.shape[0]), "sharpness": float(edges)}
    if familiar is not None:
        plain["one-class"] = familiar(bundle.check_features(data))
    return _Seen(kind, check.score, check.valid, bundle.unseen_kind_scores(data), plain, seconds)


def _rows(view: View, seen: Sequence[_Seen], seed: int) -> list[Row]:
    posters = [item for item in seen if item.kind == "poster"]
    cost = {"ms": 1000 * float(np.median([item.seconds for item in seen]))} if seen else {}
    rows = []

    def share(work: str, items: Sequence[_Seen], better: Literal["higher", "lower"]) -> None:
        if items:
            flags = [float(item.valid is False) for item in items]
            rows.append(_share_row(f"{view}: {work}", "rejected", flags, better=better, seed=seed, cost=cost))

    for kind in sorted({item.kind for item in seen} - {"poster"}):
        others = [item for item in seen if item.kind == kind]
        both = [*posters, *others]
        truth = np.array([item.kind == "poster" for item in both])

        def auc(scores: Sequence[float], truth: NDArray[np.bool_] = truth, *, any_way: bool = False) -> Figure:
            values = np.array(scores)
            if any_way and roc_auc(truth, values) < 0.5:
                values = -values
            return lambda i: roc_auc(truth[i], values[i])

        names = sorted(both[0].plain)
        beside = {name: auc([x.plain[name] for x in both], any_way=name != "one-class") for name in names}
        figures: list[tuple[str, Callable[[_Seen], float]]] = [("", lambda item: item.score)]
        if all(kind in item.unseen for item in both):
            figures.append((", kind never trained on", lambda item, kind=kind: item.unseen[kind]))  # type: ignore[misc]
        for suffix, score in figures:
            rows.append(
                compared(NAME, f"{view}: poster or {kind}{suffix}", "ROC AUC", len(both),
                         ours=auc([score(item) for item in both]), baselines=beside, model=CHECK_NAME,
                         cost=cost, seed=seed)
            )  # fmt: skip
        share(kind, others, "higher")
    share("posters", posters, "lower")
    if others := [item for item in seen if item.kind != "poster"]:
        share("all other images", others, "higher")
    if posters and others:

        def ece(chosen: NDArray[np.intp]) -> float:
            some = [seen[place] for place in chosen.tolist()]
            if len({item.kind == "poster" for item in some}) < 2:
                return float("nan")
            return expected_calibration_error(*_in_equal_numbers(some))

        work = f"{view}: a poster or not, as if both came equally often"
        rows.append(
            compared(NAME, work, "ECE", len(seen), ours=ece, baselines={}, better="lower", model=CHECK_NAME, seed=seed)
        )
    return rows


def _in_equal_numbers(seen: Sequence[_Seen]) -> tuple[NDArray[np.bool_], Floats]:
    """Whether they are posters and their scores, the rarer side repeated: the score is meant for equal numbers."""
    sides = [[item.score for item in seen if (item.kind == "poster") is poster] for poster in (True, False)]
    most = max(map(len, sides))
    return np.repeat([True, False], most), np.concatenate([np.resize(side, most) for side in sides])


def _by_decade(view: View, films: Sequence[TestFilm], seen: Sequence[_Seen]) -> Table:
    decades = ["unknown" if film.film.year is None else f"{film.film.year // 10 * 10}s" for film in films]
    return _by_group(f"{view}: real posters by decade", "decade", decades, seen)


def _by_drawing(view: View, films: Sequence[TestFilm], seen: Sequence[_Seen]) -> Table:
    groups = ["animation" if _DRAWN in film.film.genres else "other films" for film in films]
    return _by_group(f"{view}: real posters, drawn or not", "films", groups, seen)


def _by_group(title: str, column: str, groups: Sequence[str], seen: Sequence[_Seen]) -> Table:
    """`seen` begins with the posters, in the order of `groups`."""
    rows: list[tuple[Cell, ...]] = []
    for group in sorted(set(groups)):
        items = [item for item, name in zip(seen, groups, strict=False) if name == group]
        valid = [item.valid for item in items]
        shares = (float(np.mean([v is answer for v in valid])) for answer in (False, None, True))
        rows.append((group, len(items), *shares))
    return Table(
        title=title, columns=(column, "posters", "rejected", "not sure", "accepted"), rows=tuple(rows), model=CHECK_NAME
    )


def _mistakes(files: Sequence[tuple[bytes, str]], seen: Sequence[_Seen], films: Sequence[TestFilm]) -> list[Mistake]:
    """Others that score highest and posters that score lowest."""
    order = np.argsort([item.score for item in seen]).tolist()
    lost = [row for row in order if seen[row].kind == "poster" and seen[row].valid is False][:_NUM_MISTAKES]
    passed = [row for row in order[::-1] if seen[row].kind != "poster" and seen[row].valid][:_NUM_MISTAKES]
    return [
        Mistake(
            title=films[row].film.label if row < len(films) else seen[row].kind,
            said=f"{'no poster' if row in lost else 'a poster'} {seen[row].score:.2f}",
            truth=seen[row].kind,
            film_id=films[row].film.id if row < len(films) else None,
            image=files[row][0],
        )
        for row in [*passed, *lost]
    ]


def _duplicates(subject: Subject, films: Sequence[TestFilm]) -> list[Row]:
    """Copies found, and new posters taken for one of the catalogue's."""
    bundle = subject.bundle
    rng = np.random.default_rng(subject.seed)
    ids = [film.id for film in bundle.films() if film.has_poster and part_of(film.id) == "test"]
    chosen = [ids[place] for place in rng.permutation(len(ids))[:_MAX_COPIED].tolist()]
    found: dict[str, list[float]] = {}
    for done, film_id in enumerate(chosen, start=1):
        poster = bundle.poster(film_id)[0]
        for name, data in copies(poster, rng).items():
            film = bundle.copy_of(data)
            # Some pictures stand in a catalogue twice: the other film's is as good an answer.
            right = film is not None and (film.id == film_id or bundle.poster(film.id)[0] == poster)
            found.setdefault(name, []).append(float(right))
        subject.progress("copies", done, len(chosen))
    alarms = []
    for done, test in enumerate(films, start=1):
        # A film held back from the fitting may stand in the bundle all the same: it is passed over.
        itself = next((known.id for known in known_as(bundle, test.film)), None)
        alarms.append(float(bundle.copy_of(test.poster or b"", besides=itself) is not None))
        subject.progress("false alarms", done, len(films))
    rows = [_share_row(f"near-duplicate: {name}", "found", flags, seed=subject.seed) for name, flags in found.items()]
    if alarms:
        work = "near-duplicate: new posters"
        rows.append(_share_row(work, "false alarms", alarms, better="lower", seed=subject.seed))
    return rows


def _share_row(
    work: str,
    metric: str,
    flags: Sequence[float],
    *,
    better: Literal["higher", "lower"] = "higher",
    seed: int,
    cost: dict[str, float] | None = None,
) -> Row:
    values = np.array(flags)

    def ours(chosen: NDArray[np.intp]) -> float:
        return float(values[chosen].mean())

    return compared(
        NAME, work, metric, len(values), ours=ours, baselines={}, better=better, model=CHECK_NAME, cost=cost, seed=seed
    )
