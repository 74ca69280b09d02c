"""films.toml: which sources make a catalogue. Relative paths start at the file; ``${NAME}`` is an environment variable.

.. code-block:: toml

    name = "My catalogue"

    [[source]]
    kind = "table"              # table | course | imagefolder | movielens | demo
    name = "films"
    path = "films.csv"
    licence = "ours"
    id = { column = "id", prefix = "local:" }
    columns = { title = "title", plot = "synopsis", poster = { column = "poster", prefix = "posters/" } }

    [[negatives]]               # images that are not film posters, for the poster check
    name = "photographs"
    path = "photos"
    negative = "photograph"     # photograph | album_cover | screenshot | other
    licence = "ours"

    [[requests]]                # what people asked and the film each meant: the search is measured with them
    name = "asked at the desk"
    path = "requests.jsonl"
    licence = "ours"
    text = ["subject", "message"]
    film = { column = "film", prefix = "local:" }

The first source that knows a fact decides; later ones fill in what is unknown.
"""

from __future__ import annotations

import importlib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from matinee.catalog.course import PLOTS_FILE, CourseOptions, CourseSource
from matinee.catalog.database import Catalog, Progress
from matinee.catalog.demo.options import DemoOptions
from matinee.catalog.folders import IMAGE_SUFFIXES
from matinee.catalog.imagefolder import ImageFolderOptions, ImageFolderSource
from matinee.catalog.movielens import MovieLensOptions, MovieLensSource
from matinee.catalog.report import BuildReport
from matinee.catalog.requests import Request, RequestOptions, read_requests
from matinee.catalog.source import Negative, Source
from matinee.catalog.table import TableOptions, TableSource
from matinee.errors import FormatError, InvalidArgument, NotFound

FILE_NAME = "films.toml"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


Options = Annotated[
    TableOptions | CourseOptions | ImageFolderOptions | MovieLensOptions | DemoOptions, Field(discriminator="kind")
]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    demo: bool = Field(default=False, description="Answers of heads trained on this catalogue say so.")
    source: list[Options] = Field(min_length=1)
    negatives: list[ImageFolderOptions] = Field(default_factory=list)
    requests: list[RequestOptions] = Field(default_factory=list)


@dataclass(frozen=True)
class SourceFile:
    """A parsed films.toml, ready to be read into a catalogue."""

    name: str
    demo: bool
    sources: tuple[Source, ...]
    path: Path
    asked: tuple[RequestOptions, ...] = ()

    def ingest(self, catalog: Catalog, report: BuildReport, progress: Progress | None = None) -> int:
        """Reads every source into `catalog`, in order; returns the number of films in it then."""
        for source in self.sources:
            catalog.ingest(source, report, progress)
        return len(catalog)

    def negatives(self, report: BuildReport) -> Iterator[Negative]:
        """Images that are not film posters, of all sources."""
        for source in self.sources:
            yield from source.negatives(report)

    def requests(self, report: BuildReport) -> Iterator[Request]:
        """Requests with the films that answer them. A build takes no notice of them."""
        for options in self.asked:
            yield from read_requests(options, self.path.parent, report)


def load_source_file(path: str | Path, environment: Mapping[str, str] | None = None) -> SourceFile:
    """Reads a films.toml, a folder that holds one, or a folder laid out like the course's data set.

    Raises NotFound, FormatError (not TOML) or InvalidArgument (an unknown key, a missing one, a variable that is not
    set), naming what is wrong.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / FILE_NAME).is_file():
            return _course_folder(path)
        path = path / FILE_NAME
    if not path.is_file():
        raise NotFound(f"source file: path: expected a {FILE_NAME} or a folder with data, found nothing at {path}")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path.name}: expected TOML: {error}") from error
    values = _expanded(raw, os.environ if environment is None else environment, path.name)
    try:
        document = _Document.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()[:5])
        raise InvalidArgument(f"{path.name}: {problems}") from error
    for negative in document.negatives:
        if negative.negative is None:
            raise InvalidArgument(f"{path.name}: negatives.{negative.name}: expected `negative` to say what they are")
    sources = [_open(options, path.parent) for options in (*document.source, *document.negatives)]
    return SourceFile(document.name, document.demo, tuple(sources), path, tuple(document.requests))


def _open(options: Options, folder: Path) -> Source:
    match options:
        case TableOptions():
            return TableSource(options, folder)
        case CourseOptions():
            return CourseSource(options, folder)
        case ImageFolderOptions():
            return ImageFolderSource(options, folder)
        case MovieLensOptions():
            return MovieLensSource(options, folder)
        case DemoOptions():
            return _demo(options, folder)


def _demo(options: DemoOptions, folder: Path) -> Source:
    # Draws posters: Pillow is imported only where it is used.
    source: Source = importlib.import_module("matinee.catalog.demo.source").DemoSource(options, folder)
    return source


def _course_folder(path: Path) -> SourceFile:
    """The course's set as people unpack it: zips or folders of posters, movie_plots.csv, maybe a movies.csv."""

    def first(*patterns: str) -> Path | None:
        return next((found for pattern in patterns for found in sorted(path.glob(pattern))), None)

    posters = first("*oster*.zip", "*oster*/", "*mage*.zip", "*mage*/") or (path if _has_genre_folders(path) else None)
    if posters is None:
        raise InvalidArgument(
            f"source file: path: expected a {FILE_NAME}, or the course's posters as <genre>/<movieId>.jpg in a folder "
            f"or zip, in {path}; found neither"
        )
    plots = first(PLOTS_FILE, f"*/{PLOTS_FILE}", "*plot*.zip", "*plot*.csv")
    titles = first("movies.csv", "*/movies.csv")
    options = CourseOptions(posters=posters, plots=plots, titles=titles)
    return SourceFile(path.name, False, (CourseSource(options),), path)


def _has_genre_folders(path: Path) -> bool:
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in path.glob("*/*"))


def _expanded(value: Any, environment: Mapping[str, str], file: str) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(item, environment, file) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, environment, file) for item in value]
    if isinstance(value, str):
        try:
            return _VARIABLE.sub(lambda match: environment[match[1]], value)
        except KeyError as error:
            raise InvalidArgument(f"{file}: {value!r}: the environment variable {error} is not set") from error
    return value
