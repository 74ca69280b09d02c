"""What the genre heads are called and what they answer with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from matinee.answers import Labels
from matinee.catalog.values import SINGLE_GENRES

Evidence = Literal["poster", "plot", "both"]
"""What a head looks at."""

Source = Literal["poster", "plot"]
"""What experts look at."""

SOURCES: tuple[Source, ...] = get_args(Source)

EVIDENCE: tuple[Evidence, ...] = get_args(Evidence)
LABELS: tuple[Labels, ...] = get_args(Labels)

COURSE_GENRES = SINGLE_GENRES
"""The ten exclusive labels of the single-label heads."""


def head_name(evidence: Evidence, labels: Labels) -> str:
    """Name of a head in files, cards and answers: 'genre-poster-multi'."""
    return f"genre-{evidence}-{labels}"


def single_label(recorded: str | None, genres: Sequence[str]) -> tuple[str | None, bool]:
    """(label of the ten or None, whether it is recorded).

    The recorded single label where the source has one; else the film's only genre among the ten, where there is exactly
    one: a film that is both Comedy and Drama has no single label that we would not be inventing.
    """
    if recorded in COURSE_GENRES:
        return recorded, True
    among = [genre for genre in genres if genre in COURSE_GENRES]
    return (among[0], False) if len(among) == 1 else (None, False)


def experts_name(source: Source) -> str:
    """Name of the experts in files: 'genre-poster-experts'."""
    return f"genre-{source}-experts"
