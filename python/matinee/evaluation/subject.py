"""What is evaluated: a bundle, and films and images that its models have not learned from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from matinee.catalog.film import Film
from matinee.errors import MatineeError, NotFound
from matinee.heads.split import part_of

if TYPE_CHECKING:
    from matinee.bundle.opened import Bundle
    from matinee.catalog.requests import Request
    from matinee.catalog.source import Rating

Progress = Callable[[str, int, int | None], None]
Evidence = Literal["poster", "plot"]


@dataclass(frozen=True)
class TestFilm:
    """A film to measure with, fields as the source reader gives them."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    film: Film
    poster: bytes | None
    learned_from: frozenset[Evidence]
    """What of this very film the bundle's models were fitted on. Anything that uses such evidence must pass it by."""


@dataclass(frozen=True)
class OtherImage:
    """An image that is not a film poster."""

    data: bytes
    kind: str


@dataclass(frozen=True)
class Subject:
    """A bundle and what to measure it with; handed to every protocol."""

    bundle: Bundle
    films: Sequence[TestFilm]
    images: Sequence[OtherImage]
    data: dict[str, str]  # what the report says about them
    source: Path | None  # of --test; None: the bundle's own held-back films
    seed: int
    progress: Progress
    requests: Sequence[Request] = ()
    ratings: Sequence[Rating] = ()
    learning_curve: bool = False  # whether to fit on parts of the films, too; takes minutes
    tuned: Path | None = None  # the model folder of a network that `matinee tune-posters` wrote, to stand beside ours

    def training_films(self) -> Iterator[Film]:
        """The films that the bundle's models could learn from, in its order: what plain systems are fitted on."""
        for film in self.bundle.films():
            if part_of(film.id) != "test":
                yield film


def held_back(bundle: Bundle, progress: Progress, seed: int = 0) -> Subject:
    """The films that the bundle's own split kept out of all fitting and choosing. It keeps no other images."""
    films = []
    for film in bundle.films():
        if part_of(film.id) == "test":
            poster = bundle.poster(film.id)[0] if film.has_poster else None
            films.append(TestFilm(film, poster, frozenset()))
    data = {
        "films": f"{len(films):,} of the bundle's {len(bundle):,}, held back by the hash of their id (15 %); "
        "neither fitted nor used to choose anything"
    }
    return Subject(bundle, films, (), data, None, seed, progress)


def from_source(bundle: Bundle, source_file: Path, progress: Progress, seed: int = 0) -> Subject:
    """The films and images of a films.toml.

    Films that the bundle's models were fitted on are marked with what was fitted, so that no protocol measures with it.
    """
    # Reading sources loads the catalogue's database; nothing of it is needed to measure on a bundle alone.
    from matinee.bundle.collect import collect  # noqa: PLC0415
    from matinee.catalog.source_file import load_source_file  # noqa: PLC0415

    source = load_source_file(source_file)
    with tempfile.TemporaryDirectory(prefix="matinee-evaluate-") as folder:
        material = collect(source, Path(folder) / "catalog.sqlite", progress)
    films = []
    for row, film in enumerate(material.films):
        key = material.posters.get(row)
        if key is not None and isinstance(error := material.images.view(key), MatineeError):
            material.report.add(source.name, "unreadable_poster", str(error), "measured without it", film=film.id)
            key = None
        poster = None if key is None else material.images.read(key)
        films.append(TestFilm(film, poster, _learned_from(bundle, film)))
    images = []
    for key, kind in material.negatives.items():
        if isinstance(error := material.images.view(key), MatineeError):
            material.report.add(source.name, "unreadable_negative", str(error), "left it out")
        else:
            images.append(OtherImage(material.images.read(key), kind))
    requests = list(source.requests(material.report))
    ratings = [rating for one in source.sources for rating in one.ratings(material.report)]
    fitted = sum(bool(film.learned_from) for film in films)
    data = {
        "films": f"{len(films):,} of {source.name} ({sum(f.poster is not None for f in films):,} posters, "
        f"{sum(f.film.plot is not None for f in films):,} plots), read from {source_file.name}",
        "other images": f"{len(images):,}",
        "requests": f"{len(requests):,}",
        "ratings": f"{len(ratings):,}",
        "left out": f"what the bundle was fitted on: plot or poster of {fitted:,} of the films",
        "problems in the source": ", ".join(f"{n} {name}" for name, n in material.report.counts().most_common())
        or "none",
    }
    return Subject(bundle, films, images, data, source_file, seed, progress, requests, ratings)


def known_as(bundle: Bundle, film: Film) -> Iterator[Film]:
    """The bundle's films under any of this film's ids; none where the bundle does not have it."""
    for film_id in (film.id, *film.aliases):
        try:
            yield bundle.film(film_id)
        except NotFound:
            continue


def _learned_from(bundle: Bundle, film: Film) -> frozenset[Evidence]:
    """What the bundle holds of this film, under any of its ids, unless the split kept that film out of the fitting."""
    learned: set[Evidence] = set()
    for known in known_as(bundle, film):
        if part_of(known.id) != "test":
            learned |= {"poster"} if known.has_poster else set()
            learned |= {"plot"} if known.plot else set()
    return frozenset(learned)
