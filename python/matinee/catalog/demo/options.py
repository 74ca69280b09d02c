"""What a films.toml may say about the demo. Apart from source.py, so that reading it does not import Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class DemoOptions(BaseModel):
    """One `[[source]]` of kind "demo" in a source file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["demo"] = "demo"
    name: str = "demo"
    facts: Path | None = Field(
        default=None, description="The wheel of bokeh_sampledata or its movies.db; by default the model store's copy."
    )
    posters: int = Field(default=1400, ge=0, description="Films that get a drawn poster, at most.")
    films: int | None = Field(default=None, ge=1, description="Only so many films, those with plots first; None: all.")
    seed: int = 0
    ratings: bool = Field(default=True, description="False: no viewers.")
