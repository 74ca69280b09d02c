"""The demo as a source: films, posters, negatives and viewers' ratings, every field with its origin."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from matinee import models
from matinee.catalog.demo.artwork.direction import Art, lead_genre
from matinee.catalog.demo.facts import CARRIER_MODEL, read_facts
from matinee.catalog.demo.negatives import COUNTS
from matinee.catalog.demo.options import DemoOptions
from matinee.catalog.demo.pool import draw_negatives, draw_posters
from matinee.catalog.demo.posters import POSTER_SOURCE
from matinee.catalog.demo.viewers import VIEWERS, rate
from matinee.catalog.film import Film
from matinee.catalog.report import BuildReport
from matinee.catalog.source import Negative, Rating, SourceFilm, SourceInfo
from matinee.catalog.values import SINGLE_GENRES
from matinee.errors import FormatError

PLOT_SOURCE = "Matinee's own words, Apache-2.0"
LABEL_SOURCE = "Matinee's choice, Apache-2.0"
RULE_SOURCE = "Matinee's rule: the most telling of the recorded genres"
LICENCE = "facts: CC0-1.0 (Wikidata via bokeh_sampledata); plots, posters, negatives and viewers: Apache-2.0 (Matinee)"
NOTES = (
    "Demo data. Facts are real; plots are our own; posters and negatives are drawn by code and look like no real "
    "poster; viewers are made up. Heads trained on it know drawings, not posters."
)


@dataclass(frozen=True)
class Plot:
    """One of our own plots."""

    title: str
    year: int
    genre: str
    text: str
    """The story, and a last sentence that says how the film feels."""
    art: Art
    """What its poster shows."""


class DemoSource:
    """The embedded default catalogue."""

    def __init__(self, options: DemoOptions | None = None, folder: Path = Path()) -> None:
        self._options = options or DemoOptions()
        self._folder = folder
        self._read: list[Film] | None = None

    @property
    def info(self) -> SourceInfo:
        """Name, licence and what may be done with the data."""
        return SourceInfo(self._options.name, LICENCE, True, NOTES)

    def films(self, report: BuildReport) -> Iterator[SourceFilm]:
        """Every film of the table, in its order; those with our plots and the best documented have posters.

        Raises IoError where the facts cannot be pulled, FormatError where they are not what they should be.
        """
        films = self._films(report)
        pictured = {film.id for film in choose_pictured(films, self._options.posters)}
        drawn = draw_posters(
            [film for film in films if film.id in pictured], self._options.seed, art=art_directions(films)
        )
        for film in films:
            if film.id in pictured:
                yield SourceFilm(_pictured(film), next(drawn))
            else:
                yield SourceFilm(film)

    def negatives(self, report: BuildReport) -> Iterator[Negative]:
        """About 330 drawn pictures that are not posters."""
        wanted = [(kind, index) for kind, count in COUNTS.items() for index in range(count)]
        pictures = draw_negatives(wanted, self._options.seed)
        for (kind, _), picture in zip(wanted, pictures, strict=True):
            yield Negative(picture, kind)

    def ratings(self, report: BuildReport) -> Iterator[Rating]:
        """Ratings of made-up viewers with declared tastes, by viewer, oldest first."""
        if not self._options.ratings:
            return
        films = choose_pictured(self._films(BuildReport()), max(self._options.posters, 1))
        for viewer in VIEWERS:
            yield from rate(viewer, films, self._options.seed)

    def _films(self, report: BuildReport) -> list[Film]:
        """The films with our plots, read once."""
        if self._read is None:
            films = with_plots(self._facts(), report, self._options.name)
            if self._options.films is not None:
                order = sorted(range(len(films)), key=lambda row: (films[row].plot is None, row))
                films = [films[row] for row in sorted(order[: self._options.films])]
            self._read = films
        return self._read

    def _facts(self) -> list[Film]:
        given = self._options.facts
        path = self._folder / given if given is not None else models.resolve(CARRIER_MODEL) / "movies.db"
        return read_facts(path)


@cache
def read_plots() -> tuple[Plot, ...]:
    """Our plots, by genre file and in the order written.

    Raises FormatError for a file that is not as it should be; that is a mistake in this package.
    """
    plots: list[Plot] = []
    folder = files("matinee.catalog.demo").joinpath("plots")
    for file in sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name):
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
            genre, rows = table["genre"], table["film"]
            for row in rows:
                art = Art(tuple(row["show"].split()), row["layout"])
                text = f"{' '.join(row['plot'].split())} {row['mood']}"
                plots.append(Plot(row["title"], row["year"], genre, text, art))
        except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise FormatError(
                f"read_plots: {file.name}: expected a genre and [[film]] of title, year, show, layout, mood, plot: "
                f"{error}"
            ) from error
    return tuple(plots)


def same_title(title: str) -> str:
    """A title's letters and digits, for comparing titles that differ in case, accents and punctuation."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", title.casefold()) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", " ", plain.replace("&", " and ")).strip()


def with_plots(films: Iterable[Film], report: BuildReport, source: str = "demo") -> list[Film]:
    """The films, those that we wrote a plot for with it and with their single genre."""
    plots = {(same_title(plot.title), plot.year): plot for plot in read_plots()}
    joined = []
    for film in films:
        plot = plots.pop((same_title(film.title), film.year or 0), None)
        if plot is None:
            joined.append(film)
            continue
        origin = {**film.provenance, "plot": PLOT_SOURCE, "single_genre": LABEL_SOURCE}
        joined.append(film.model_copy(update={"plot": plot.text, "single_genre": plot.genre, "provenance": origin}))
    for plot in plots.values():
        report.add(source, "unknown_film", f"{plot.title} ({plot.year}) is not in the table", "its plot is left out")
    return joined


def art_directions(films: Iterable[Film]) -> dict[str, Art]:
    """By film id, what the posters of films with our plots show."""
    decided = {(same_title(plot.title), plot.year): plot.art for plot in read_plots()}
    keys = ((film.id, (same_title(film.title), film.year or 0)) for film in films if film.plot is not None)
    return {film_id: decided[key] for film_id, key in keys if key in decided}


def choose_pictured(films: Iterable[Film], count: int) -> list[Film]:
    """At most `count` films that get posters: those with plots, then the best documented of each genre in turn."""
    listed = list(films)
    chosen = [film for film in listed if film.plot is not None][:count]
    rows: dict[str, list[Film]] = {genre: [] for genre in SINGLE_GENRES}
    for film in listed:
        if film.plot is None and any(genre in SINGLE_GENRES for genre in film.genres):
            rows[lead_genre(film)].append(film)
    for row in rows.values():
        row.sort(key=lambda film: (-_documented(film), film.id))
    rank = 0
    while len(chosen) < count and any(rank < len(row) for row in rows.values()):
        chosen += [row[rank] for row in rows.values() if rank < len(row)][: count - len(chosen)]
        rank += 1
    return chosen


def _pictured(film: Film) -> Film:
    """The film with its poster's origin, and with the genre that the poster shows as its single one."""
    changes: dict[str, object] = {}
    origin = {**film.provenance, "poster": POSTER_SOURCE}
    if film.single_genre is None and (lead := lead_genre(film)) in film.genres:
        changes["single_genre"] = lead
        origin["single_genre"] = RULE_SOURCE
    return film.model_copy(update={**changes, "provenance": origin})


def _documented(film: Film) -> float:
    """How much is known of a film: one point a fact, and up to two for the length of its credits."""
    facts = (film.release_date, film.runtime, film.certificate, film.revenue, film.languages, film.countries)
    return sum(fact not in (None, ()) for fact in facts) + min(len(film.people), 40) / 20
