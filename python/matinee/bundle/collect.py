"""Reads a catalogue for a build: films in order, where their posters are, what other images there are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from matinee import _core
from matinee.bundle.features import read_image
from matinee.bundle.poster_view import Pixels, poster_view
from matinee.catalog.database import Catalog
from matinee.catalog.film import Film
from matinee.catalog.report import BuildReport
from matinee.catalog.source import Image
from matinee.catalog.source_file import SourceFile
from matinee.errors import IoError, MatineeError
from matinee.search.request import pieces

MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


@dataclass
class Images:
    """Images by the hash of their content; bytes stay where they are until they are needed."""

    places: dict[str, Image] = field(default_factory=dict)  # sha256 -> path or bytes

    def add(self, image: Image) -> str:
        """The image's key. Raises what reading raises."""
        data = read_image("build", image)
        key = hashlib.sha256(data).hexdigest()
        self.places.setdefault(key, image)
        return key

    def read(self, key: str) -> bytes:
        """The bytes; raises IoError where the file has changed since it was added."""
        data = read_image("build", self.places[key])
        if hashlib.sha256(data).hexdigest() != key:
            raise IoError(f"build: {self.places[key]!r:.200} has changed since it was read; start the build again")
        return data

    def view(self, key: str) -> Pixels | MatineeError:
        """What the image encoder sees, or why there is nothing to see."""
        try:
            return poster_view(_core.decode_rgb(self.read(key)))
        except MatineeError as error:
            return error


@dataclass(frozen=True)
class PlotTexts:
    """The texts that stand for plots: one a sentence, and the whole of every plot of several sentences.

    A film's own plot comes first, those of other authors after it.
    """

    film: list[int]  # row of the film, ascending
    number: list[int]  # 0: the film's own plot; n: the n-th of its other plots
    span: list[tuple[int, int]]
    whole: list[bool]
    text: list[str]

    @classmethod
    def of(cls, films: list[Film]) -> PlotTexts:
        texts = cls([], [], [], [], [])
        for row, film in enumerate(films):
            for number, plot in enumerate((film.plot, *film.other_plots) if film.plot else ()):
                spans = pieces(plot)
                for begin, end in spans:
                    texts._add((row, number), (begin, end), len(spans) == 1, plot[begin:end])
                if len(spans) > 1:
                    texts._add((row, number), (spans[0][0], spans[-1][1]), True, plot)
        return texts

    def _add(self, plot: tuple[int, int], span: tuple[int, int], whole: bool, text: str) -> None:
        self.film.append(plot[0])
        self.number.append(plot[1])
        self.span.append(span)
        self.whole.append(whole)
        self.text.append(text)


@dataclass
class Material:
    """What a bundle is made of."""

    films: list[Film]
    images: Images
    posters: dict[int, str]  # film row -> key of its poster
    negatives: dict[str, str]  # key -> kind
    trainable: set[str]  # film ids
    licences: dict[str, str]  # source -> licence and notes
    report: BuildReport


def collect(source: SourceFile, catalog_path: Path, progress: Callable[[str, int, int | None], None]) -> Material:
    """Reads the sources into a fresh catalogue, and the catalogue and its images from there."""
    report = BuildReport()
    catalog_path.unlink(missing_ok=True)
    with Catalog(catalog_path) as catalog:
        source.ingest(catalog, report, lambda name, done, total: progress(f"read {name}", done, total))
        films = list(catalog.films())
        row_of = {film.id: row for row, film in enumerate(films)}
        images, posters = Images(), {}
        places = list(catalog.posters())
        for done, (film_id, place) in enumerate(places, start=1):
            try:
                posters[row_of[film_id]] = images.add(place)
            except MatineeError as error:
                name = films[row_of[film_id]].provenance.get("poster", source.name)
                report.add(name, "unreadable_poster", str(error), "kept without a poster", film=film_id)
            if done % 200 == 0 or done == len(places):
                progress("find posters", done, len(places))
        trainable = catalog.trainable()
        licences = {
            info.name: " ".join(filter(None, [info.licence, info.notes]))
            + ("" if info.train_allowed else " (shown and searched, not trained on)")
            for info in catalog.sources()
        }
    poster_keys = set(posters.values())
    negatives: dict[str, str] = {}
    for negative in source.negatives(report):
        try:
            key = images.add(negative.image)
        except MatineeError as error:
            report.add(source.name, "unreadable_negative", str(error), "left it out")
            continue
        if key in poster_keys:
            report.add(source.name, "negative_is_poster", f"{negative.image!r:.200}", "left it out of the negatives")
        else:
            negatives.setdefault(key, negative.kind)
    return Material(films, images, posters, negatives, trainable, licences, report)
