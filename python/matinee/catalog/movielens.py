"""MovieLens data sets as GroupLens publishes them: a zip or its folder with movies, links, ratings and tags."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from matinee.catalog import values
from matinee.catalog.film import Film
from matinee.catalog.folders import Folder
from matinee.catalog.report import BuildReport
from matinee.catalog.rows import read_rows
from matinee.catalog.source import Negative, Rating, SourceFilm, SourceInfo
from matinee.errors import NotFound

MAX_KEYWORDS = 20
"""People's tags kept for a film: those most people gave."""


class MovieLensOptions(BaseModel):
    """One `[[source]]` of kind "movielens" in a source file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["movielens"] = "movielens"
    name: str = "movielens"
    path: Path
    licence: str = "GroupLens terms of use (research; see the set's README)"
    train_allowed: bool = True
    notes: str = ""
    ratings: bool = Field(default=True, description="False: films only.")


class MovieLensSource:
    """Films, tags as keywords, and ratings."""

    def __init__(self, options: MovieLensOptions, folder: Path = Path()) -> None:
        self._options = options
        self._folder = folder

    @property
    def info(self) -> SourceInfo:
        """Name, licence and what may be done with the data."""
        o = self._options
        return SourceInfo(o.name, o.licence, o.train_allowed, o.notes)

    def films(self, report: BuildReport) -> Iterator[SourceFilm]:
        """Every film of movies.csv. Raises NotFound where there is no movies.csv."""
        name = self._options.name
        links = {cells["movieId"]: cells for cells in self._rows("links.csv", report, "movieId")}
        tags: dict[str, Counter[str]] = defaultdict(Counter)
        for cells in self._rows("tags.csv", report, "movieId", "tag"):
            if tag := values.known(cells.get("tag", "")):
                tags[cells["movieId"]][tag.lower()] += 1
        found = False
        for cells in self._rows("movies.csv", report, "movieId", "title"):
            found = True
            number = cells["movieId"]
            title = cells.get("title", "")
            genres = (values.genre(part) for part in cells.get("genres", "").split("|"))
            link = links.get(number, {})
            ids = (("tmdb:", link.get("tmdbId", "")), ("imdb:tt", link.get("imdbId", "")))
            keywords = tuple(tag for tag, _ in tags[number].most_common(MAX_KEYWORDS))
            yield SourceFilm(
                Film(
                    id=f"movielens:{number}",
                    title=values.title(title) or f"movielens:{number}",
                    year=values.title_year(title),
                    genres=tuple(dict.fromkeys(genre for genre in genres if genre)),
                    keywords=keywords,
                    aliases=tuple(prefix + value for prefix, value in ids if value),
                    provenance=dict.fromkeys(("title", "year", "genres"), name)
                    | ({"keywords": f"{name} (people's tags)"} if keywords else {}),
                )
            )
        if not found:
            raise NotFound(f"movielens: path: expected a movies.csv with films in {self._options.path}")

    def ratings(self, report: BuildReport) -> Iterator[Rating]:
        """Every rating of ratings.csv, in its order."""
        if not self._options.ratings:
            return
        for cells in self._rows("ratings.csv", report, "userId", "movieId", "rating", "timestamp"):
            try:
                value, time = float(cells["rating"]), int(float(cells["timestamp"]))
            except (ValueError, OverflowError) as error:
                report.add(self._options.name, "bad_rating", str(error), "left the rating out")
                continue
            yield Rating(cells["userId"], f"movielens:{cells['movieId']}", value, time)

    def negatives(self, report: BuildReport) -> Iterator[Negative]:
        """None."""
        return iter(())

    def _rows(self, file_name: str, report: BuildReport, *required: str) -> Iterator[dict[str, str]]:
        files = Folder(self._folder / self._options.path)
        name = files.named(file_name)
        if name is None:
            return
        with tempfile.TemporaryDirectory() as scratch:
            path = files.extracted(name, Path(scratch))
            label = f"{self._options.name}/{file_name}"
            for _, cells in read_rows(path, report, source=label, required=required):
                yield cells
