"""Checks that an image is a film poster, in tiers: blank or tiny, shape, learned score, and what else it may be.

The score is calibrated as if posters and other images were equally frequent. Between two bounds chosen on validation
images the answer is "not sure" (valid=None), and so it is for an image unlike all that the head was trained on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.answers import PosterCheck, Reason
from matinee.heads.head import Head

CHECK_NAME = "poster-check"
KIND_NAME = "poster-kind"
WITHOUT = "poster-check-without-"  # + a kind of other images: the check without having learned from it
POSTER = "poster"  # label of both heads
# Settings of the check head. Small images show less, so that their bounds are others.
REJECT_BELOW, ACCEPT_FROM, STRANGE_FROM = "reject_below", "accept_from", "strange_from"
REJECT_SMALL_BELOW, ACCEPT_SMALL_FROM = "reject_small_below", "accept_small_from"
SETTINGS = frozenset({REJECT_BELOW, ACCEPT_FROM, STRANGE_FROM, REJECT_SMALL_BELOW, ACCEPT_SMALL_FROM})

MIN_SIDE = 64  # pixels; below it lettering is gone and any answer would be a guess
_SMALL_WIDTH = 150  # pixels of the central 2:3; below it detail is missing that a catalogue's thumbnail still has
# Posters lie between 0.62 (1:1.6) and 0.75 (3:4) with few exceptions; the course's and TMDB's are 2:3.
_MIN_ASPECT, _MAX_ASPECT = 0.55, 0.82
# What another shape says against a poster, in log-odds: about one poster in fifty has one (British quads, say), and of
# what people upload by mistake most has (covers are square, stills and screens are wide).
_SHAPE_LOGIT = -float(np.log(40))
_BLANK_LEVELS = 8  # of 255: paper, scanner and codec noise stay within this of the median
_BLANK_SHARE = 0.995

# Kind of image in the training data -> (code, sentence) of the reason given. Others are named as they are.
_KINDS = {
    "photograph": ("photograph", "It looks like a photograph without a poster's lettering and layout."),
    "album_cover": ("album_cover", "It looks like the cover of something else, such as a music album."),
    "screenshot": ("screenshot", "It looks like a screenshot."),
}
_MIN_KIND_PROBABILITY = 0.5  # below it no kind is named


def check_pixels(pixels: NDArray[np.uint8], *, demo: bool) -> PosterCheck | None:
    """The verdict on an image (H, W, 3) too small or too empty to be a poster; None for the others."""
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE:
        detail = f"The image is {width} x {height} pixels; both sides need at least {MIN_SIDE}."
        return _verdict(Reason(code="too_small", detail=detail), demo)
    # Every pixel of a small image, a regular sample of a large one: blankness is no matter of detail.
    step = max(1, int(np.sqrt(height * width / 250_000)))
    sample = pixels[::step, ::step].reshape(-1, 3).astype(np.int16)
    quiet = np.abs(sample - np.median(sample, axis=0)).max(axis=1) <= _BLANK_LEVELS
    if quiet.mean() >= _BLANK_SHARE:
        detail = "The image is empty: nearly all of it has one colour."
        return _verdict(Reason(code="blank", detail=detail), demo)
    return None


def check_vector(
    head: Head, kinds: Head | None, vector: NDArray[np.float32], *, width: int, height: int
) -> PosterCheck:
    """The verdict on an image by its feature vector (D,), of an image of `width` x `height` pixels.

    A shape that posters do not have speaks against the image as far as it does in general: what looks very much like
    a poster all the same is doubtful (there are wide posters), the rest is rejected.
    """
    shape = _shape_reason(width, height)
    score = _shifted(float(head.probabilities(vector)[0, 0]), _SHAPE_LOGIT if shape else 0.0)
    strange = float(head.strangeness(vector)[0]) >= head.settings[STRANGE_FROM]
    small = min(width, height * 2 / 3) < _SMALL_WIDTH
    accepted = score >= head.settings[ACCEPT_SMALL_FROM if small else ACCEPT_FROM]
    rejected = score < head.settings[REJECT_SMALL_BELOW if small else REJECT_BELOW]
    reasons: list[Reason] = []
    valid: bool | None
    if accepted and not strange:
        valid = None if shape else True
        if not shape:
            reasons.append(Reason(code="looks_like_poster", detail="It has the look of a film poster."))
    elif not strange and (rejected or shape):
        valid = False
        reasons.append(Reason(code="not_like_poster", detail="It does not have the look of a film poster."))
    else:
        valid = None
        if strange:
            detail = "It is unlike the images this check was trained on, so the check cannot tell."
            reasons.append(Reason(code="unfamiliar", detail=detail))
        else:
            detail = "It could be a film poster or not; please have a look yourself."
            reasons.append(Reason(code="not_sure", detail=detail))
    if not accepted and not strange and kinds is not None and (kind := _kind_reason(kinds, vector)):
        reasons.insert(0, kind)
    if shape:
        reasons.append(shape)
    if head.demo:
        detail = "Trained on drawn posters only: on real posters this demo check knows little."
        reasons.append(Reason(code="demo_model", detail=detail))
    return PosterCheck(valid=valid, score=score, reasons=reasons, model=head.name, demo=head.demo)


def with_duplicate(check: PosterCheck, film_id: str, title: str) -> PosterCheck:
    """The check of an image that is nearly the poster of a film of the catalogue. It changes no verdict."""
    detail = f"It is the poster of {title}, or nearly: the catalogue has it already."
    reason = Reason(code="near_duplicate", detail=detail, film=film_id)
    reasons = [*check.reasons, reason] if check.valid is False else [reason, *check.reasons]
    return check.model_copy(update={"reasons": reasons})


def _verdict(reason: Reason, demo: bool) -> PosterCheck:
    return PosterCheck(valid=False, score=0.0, reasons=[reason], model=CHECK_NAME, demo=demo)


def _shifted(probability: float, logit: float) -> float:
    """The probability with so much more log-odds."""
    odds = probability * float(np.exp(logit))
    return odds / (odds + 1 - probability)


def _shape_reason(width: int, height: int) -> Reason | None:
    aspect = width / height
    if _MIN_ASPECT <= aspect <= _MAX_ASPECT:
        return None
    what = "square" if 0.95 <= aspect <= 1.05 else "wider than it is tall" if aspect > 1 else "not of a poster's shape"
    detail = f"It is {width} x {height} pixels, {what}; posters are about 2 wide to 3 tall."
    return Reason(code="wrong_shape", detail=detail)


def _kind_reason(kinds: Head, vector: NDArray[np.float32]) -> Reason | None:
    probabilities = kinds.probabilities(vector)[0]
    best = int(probabilities.argmax())
    label = kinds.labels[best]
    if label == POSTER or probabilities[best] < _MIN_KIND_PROBABILITY:
        return None
    name = label.replace("_", " ")
    code, detail = _KINDS.get(label, (label, f"It looks like another kind of image: {name}."))
    return Reason(code=code, detail=detail)
