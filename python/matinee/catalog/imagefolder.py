"""Images in folders: ``<label>/<file>`` or flat. Either films with a poster and nothing else, or negatives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from matinee.catalog import values
from matinee.catalog.film import Film
from matinee.catalog.folders import Folder
from matinee.catalog.report import BuildReport
from matinee.catalog.source import Negative, Rating, SourceFilm, SourceInfo


class ImageFolderOptions(BaseModel):
    """One `[[source]]` of kind "imagefolder", or one `[[negatives]]`, in a source file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["imagefolder"] = "imagefolder"
    name: str
    path: Path
    licence: str
    train_allowed: bool = True
    notes: str = ""
    id_prefix: str = Field(
        default="local:",
        description="Film id = this + the file's name without its ending (with its folder, where the name is taken).",
    )
    labels_are_genres: bool = Field(default=True, description="The folder above a file names the film's genre.")
    negative: str | None = Field(
        default=None, description="Not films: what these images are (photograph, album_cover, screenshot, other)."
    )


class ImageFolderSource:
    """Every image below a folder (or in a zip)."""

    def __init__(self, options: ImageFolderOptions, folder: Path = Path()) -> None:
        self._options = options
        self._folder = folder

    @property
    def info(self) -> SourceInfo:
        """Name, licence and what may be done with the data."""
        o = self._options
        return SourceInfo(o.name, o.licence, o.train_allowed, o.notes)

    def films(self, report: BuildReport) -> Iterator[SourceFilm]:
        """A film an image, titled by its file name; none where the folder holds negatives."""
        o = self._options
        if o.negative is not None:
            return
        files = Folder(self._folder / o.path)
        seen: set[str] = set()
        for name in files.images(report, o.name):
            path = PurePosixPath(name)
            film_id = o.id_prefix + path.stem
            if film_id in seen:  # numbered anew in every folder
                film_id = o.id_prefix + path.with_suffix("").as_posix()
                report.add(o.name, "duplicate_id", f"{name}: the name is taken", f"kept as {film_id}", film=film_id)
            seen.add(film_id)
            genre = values.genre(path.parent.name) if o.labels_are_genres and path.parent.name else None
            written = path.stem.replace("_", " ")
            year = values.title_year(written)
            provenance = {"title": f"{o.name} (file name)", "poster": o.name}
            if year:
                provenance["year"] = f"{o.name} (file name)"
            if genre:
                provenance |= {"genres": f"{o.name} (folder name)", "single_genre": f"{o.name} (folder name)"}
            film = Film(
                id=film_id,
                title=values.title(written) or path.stem,
                year=year,
                genres=(genre,) if genre else (),
                single_genre=genre if genre in values.SINGLE_GENRES else None,
                provenance=provenance,
            )
            image = files.image_or_report(name, report, o.name, film.id)
            if image is not None:  # without its image nothing is known of the film
                yield SourceFilm(film, image)

    def negatives(self, report: BuildReport) -> Iterator[Negative]:
        """Every image, where the folder is declared as negatives."""
        if self._options.negative is None:
            return
        files = Folder(self._folder / self._options.path)
        for name in files.images(report, self._options.name):
            image = files.image_or_report(name, report, self._options.name)
            if image is not None:
                yield Negative(image, self._options.negative)

    def ratings(self, report: BuildReport) -> Iterator[Rating]:
        """None."""
        return iter(())
