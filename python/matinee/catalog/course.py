"""The course's data set: posters as ``<genre>/<movieId>.jpg`` and plots in ``movie_plots.csv``, as zips or folders.

``movie_plots.csv`` has the columns movie_poster_path, movie_plot and movie_category. The plots are machine-written and
the one genre of a film is noisy (it agrees with MovieLens' genres for about 60 % of the films): the provenance says so.
There are no titles; with a MovieLens ``movies.csv`` the films get theirs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from matinee.catalog import values
from matinee.catalog.film import Film
from matinee.catalog.folders import Folder
from matinee.catalog.report import BuildReport
from matinee.catalog.rows import read_rows
from matinee.catalog.source import Negative, Rating, SourceFilm, SourceInfo

PLOTS_FILE = "movie_plots.csv"


class CourseOptions(BaseModel):
    """One `[[source]]` of kind "course" in a source file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["course"] = "course"
    name: str = "course"
    posters: Path = Field(description="Folder or zip with <genre>/<movieId>.jpg")
    plots: Path | None = Field(default=None, description="movie_plots.csv, or a folder or zip that holds it.")
    titles: Path | None = Field(default=None, description="A MovieLens movies.csv.")
    licence: str = "posters: the studios' property, research and demonstration only; plots: machine-written"
    train_allowed: bool = True
    notes: str = ""


class CourseSource:
    """Posters, machine-written plots and one noisy genre a film."""

    def __init__(self, options: CourseOptions, folder: Path = Path()) -> None:
        self._options = options
        self._folder = folder

    @property
    def info(self) -> SourceInfo:
        """Name, licence and what may be done with the data."""
        o = self._options
        return SourceInfo(o.name, o.licence, o.train_allowed, o.notes)

    def films(self, report: BuildReport) -> Iterator[SourceFilm]:
        """Every film with a poster or a plot, by movieId."""
        posters: dict[str, str] = {}
        genres: dict[str, str] = {}
        files = Folder(self._folder / self._options.posters)
        for name in files.images(report, self._options.name):
            path = PurePosixPath(name)
            if path.stem in posters:
                report.add(self._options.name, "duplicate_id", name, "kept the first", film=f"movielens:{path.stem}")
                continue
            posters[path.stem] = name
            if genre := values.genre(path.parent.name):
                genres[path.stem] = genre
        plots = dict(self._plots(report, genres))
        titles = dict(self._titles(report))
        for number in sorted({*posters, *plots}, key=lambda stem: (not stem.isdigit(), stem.zfill(12))):
            film = self._film(number, plots.get(number), genres.get(number), titles.get(number, {}))
            poster = posters.get(number)
            image = files.image_or_report(poster, report, self._options.name, film.id) if poster else None
            if image is not None:
                film = film.model_copy(update={"provenance": {**film.provenance, "poster": self._options.name}})
            yield SourceFilm(film, image)

    def negatives(self, report: BuildReport) -> Iterator[Negative]:
        """None."""
        return iter(())

    def ratings(self, report: BuildReport) -> Iterator[Rating]:
        """None."""
        return iter(())

    def _film(self, number: str, plot: str | None, genre: str | None, facts: dict[str, Any]) -> Film:
        name = self._options.name
        provenance = dict.fromkeys(facts, "MovieLens movies.csv")
        if plot:
            provenance["plot"] = f"{name} (machine-written)"
        if genre:
            provenance["single_genre"] = f"{name} (one noisy label a film)"
        recorded = facts.get("genres") or ((genre,) if genre else ())
        if recorded and "genres" not in facts:
            provenance["genres"] = provenance["single_genre"]
        return Film(
            id=f"movielens:{number}",
            title=facts.get("title") or f"Film {number}",
            year=facts.get("year"),
            genres=recorded,
            single_genre=genre if genre in values.SINGLE_GENRES else None,
            plot=plot,
            provenance=provenance,
        )

    def _plots(self, report: BuildReport, genres: dict[str, str]) -> Iterator[tuple[str, str]]:
        if self._options.plots is None:
            return
        with tempfile.TemporaryDirectory() as scratch:
            path = self._folder / self._options.plots
            if path.is_dir() or path.suffix.lower() == ".zip":
                files = Folder(path)
                inside = files.named(PLOTS_FILE)
                path = path / PLOTS_FILE if inside is None else files.extracted(inside, Path(scratch))
            label = f"{self._options.name}/{PLOTS_FILE}"
            for number, cells in read_rows(path, report, source=label, required=("movie_poster_path", "movie_plot")):
                stem = PurePosixPath(cells.get("movie_poster_path", "").replace("\\", "/")).stem
                plot = values.text(cells.get("movie_plot", ""))
                if not stem or plot is None:
                    detail = "movie_poster_path or movie_plot is empty"
                    report.add(self._options.name, "missing_plot", detail, "left the row out", row=number)
                    continue
                if genre := values.genre(cells.get("movie_category", "")):
                    genres.setdefault(stem, genre)
                yield stem, plot

    def _titles(self, report: BuildReport) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._options.titles is None:
            return
        path = self._folder / self._options.titles
        for _, cells in read_rows(
            path, report, source=f"{self._options.name}/{path.name}", required=("movieId", "title")
        ):
            written = cells.get("title", "")
            genres = (values.genre(part) for part in cells.get("genres", "").split("|"))
            facts = {
                "title": values.title(written),
                "year": values.title_year(written),
                "genres": tuple(dict.fromkeys(genre for genre in genres if genre)),
            }
            yield cells["movieId"], {field: value for field, value in facts.items() if value}
