"""What we know of one film."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["director", "cast", "writer"]


class Person(BaseModel):
    """Somebody's part in a film."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: Role


class Film(BaseModel):
    """One film of the catalogue.

    `id` is stable over rebuilds and names its home: ``movielens:1``, ``tmdb:862``, ``imdb:tt0114709``,
    ``local:<uuid>``, ``demo:<number>``. Merged sources keep the other ids in `aliases`. An unknown fact is None or
    empty, never a guess.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str = Field(description="Without the year, article first: 'The Matrix'.")
    year: int | None = Field(default=None, description="Year of first release.")
    release_date: date | None = None
    runtime: int | None = Field(default=None, description="Minutes.")
    genres: tuple[str, ...] = Field(default=(), description="Recorded genres, canonical names, source order.")
    single_genre: str | None = Field(default=None, description="The one label of a single-label data set, if any.")
    plot: str | None = None
    other_plots: tuple[str, ...] = Field(default=(), description="Plots by other authors: searched, too.")
    tagline: str | None = None
    keywords: tuple[str, ...] = ()
    people: tuple[Person, ...] = Field(default=(), description="Billing order within a role.")
    languages: tuple[str, ...] = Field(default=(), description="English names, main language first: 'French'.")
    countries: tuple[str, ...] = Field(default=(), description="English names: 'United States'.")
    certificate: str | None = Field(default=None, description="Age rating as the source writes it: 'PG-13'.")
    budget: int | None = Field(default=None, description="US dollars.")
    revenue: int | None = Field(default=None, description="Worldwide gross in US dollars; known only after release.")
    votes: int | None = Field(
        default=None, description="How many people rated it, where a source says; known only after release."
    )
    aliases: tuple[str, ...] = Field(default=(), description="Other ids of the same film.")
    has_poster: bool = False
    provenance: dict[str, str] = Field(default_factory=dict, description="Field name -> name of the source it is from.")

    @property
    def label(self) -> str:
        """Title and year as people write them: ``Alien (1979)``."""
        return f"{self.title} ({self.year})" if self.year is not None else self.title
