"""What the product answers: the same models in Python, in REST and in the UI.

Probabilities are in [0, 1]; lists are best first; `demo` is true where the answering model was trained on demo data.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from matinee.where import Where

Channel = Literal["plot", "poster", "title", "people", "keywords"]
Labels = Literal["multi", "single"]


class Answer(BaseModel):
    """Base of all answers: unchangeable once given."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(Answer):
    """Why a poster check says what it says."""

    code: str = Field(description="Stable word for programs: 'photograph', 'blank', 'wrong_shape', 'demo_model' …")
    detail: str = Field(description="A sentence for people.")
    film: str | None = Field(default=None, description="Id of the film that it names: whose poster this is nearly.")


class PosterCheck(Answer):
    """Whether an image is a film poster."""

    valid: bool | None = Field(description="None: not sure.")
    score: float = Field(ge=0, le=1, description="Calibrated probability that this is a film poster.")
    reasons: list[Reason]
    model: str = Field(description="Name of the head, as in the model cards.")
    demo: bool


class GenreProbability(Answer):
    """One genre and how likely it is."""

    name: str
    probability: float = Field(ge=0, le=1)
    predicted: bool = Field(description="Above the threshold of this genre (multi) or the top one (single).")
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Predicted from this probability on (multi); None where the top one is (single).",
    )


class GenreAnswer(Answer):
    """Genres from a poster, a plot, or both."""

    genres: list[GenreProbability] = Field(description="All genres of the head, most probable first.")
    top: str
    used: list[Literal["poster", "plot"]] = Field(description="What the answer rests on.")
    poster: PosterCheck | None = Field(default=None, description="The check of the poster, where one was sent.")
    note: str | None = Field(default=None, description="What the person should know: a rejected poster, and so on.")
    model: str
    demo: bool


class PlotPosterFit(Answer):
    """How well a poster fits a plot: mood and kind of film, not whether it names the right people."""

    fits: bool | None = Field(
        description="From a probability of 2/3 on it fits, up to 1/3 it does not; None, cannot tell, between them."
    )
    probability: float | None = Field(
        ge=0,
        le=1,
        description="That the poster is this plot's own rather than one drawn at random, at even odds; None where the "
        "catalogue has too few pairs to tell.",
    )
    better_than: float = Field(
        ge=0, le=1, description="Share of the catalogue's posters (up to 512 of them) that fit the plot less."
    )


class FilmHit(Answer):
    """One film of a list."""

    id: str
    title: str
    year: int | None
    score: float = Field(description="Higher is better; comparable within one answer only.")
    channels: list[Channel] = Field(description="What found it.")
    why: str = Field(description="One line for people: the sentence of the plot that matched, the shared poster look …")
    has_poster: bool = False


class FilmList(Answer):
    """Films, best first."""

    films: list[FilmHit]
    request: dict[str, object] = Field(description="The request as understood: seeds, text, where, weights, k.")
    nothing_fits: bool = Field(description="No film is a good answer; `films` holds the nearest, or nothing.")
    left_out: dict[str, int] = Field(default_factory=dict, description="Fact -> films left out because it is unknown.")


__all__ = [
    "Answer",
    "Channel",
    "FilmHit",
    "FilmList",
    "GenreAnswer",
    "GenreProbability",
    "Labels",
    "PlotPosterFit",
    "PosterCheck",
    "Reason",
    "Where",
]
