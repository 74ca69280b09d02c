"""Answers that only the API has; the others are `matinee.answers`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from matinee.answers import Answer
from matinee.catalog.film import Film
from matinee.heads.card import ModelCard


class FilmPage(Answer):
    """Films of the catalogue, best match first."""

    films: list[Film]
    query: str
    offset: int
    next_offset: int | None = Field(description="Ask with this offset for more; null on the last page.")


class ModelCards(Answer):
    """The cards of all models in the bundle: data, split, metrics, limits."""

    models: list[ModelCard]


class CatalogueInfo(Answer):
    """What is being served."""

    name: str = Field(description="The catalogue's name.")
    demo: bool = Field(description="Whether the models were trained on demo data.")
    films: int
    posters: int
    plots: int
    bundle_version: str = Field(description="Short hash of all that is in the bundle.")
    bundle_created: str = Field(description="When the bundle was built, ISO 8601.")
    software_version: str
    max_upload_bytes: int
    max_k: int


class Health(Answer):
    """A passing check."""

    status: Literal["live", "ready"]


__all__ = ["CatalogueInfo", "FilmPage", "Health", "ModelCards"]
