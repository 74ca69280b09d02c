"""From films and their vectors to what the trainers and indexes take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matinee import _core
from matinee.bundle.cache import Encoded
from matinee.bundle.collect import Images, Material, PlotTexts
from matinee.bundle.features import Encoders
from matinee.bundle.opened import CARDS, HEADS
from matinee.bundle.poster_view import Pixels, poster_view
from matinee.catalog.film import Film
from matinee.errors import MatineeError
from matinee.genre.experts import Experts
from matinee.genre.train import LabelledFilms, TrainedGenres
from matinee.heads import Head, ModelCard
from matinee.posters.train import Again, PosterImages
from matinee.posters.views import altered_other, altered_poster, piece_of_poster
from matinee.search.fit import SearchVectors, ToldGenres
from matinee.search.request import combine

Floats = NDArray[np.float32]

# For the poster check: an image seen again costs as much as one seen first, and these are what still helped.
_ALTERED_POSTERS = 400  # at least, where the catalogue has them
_ALTERED_A_NEGATIVE = 4
_PIECES = 1500


def text_key(text: str) -> str:
    """What a text is cached under."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def described(encoders: Encoders, kind: str) -> str:
    """The 'text' or 'image' encoder in a card."""
    entry = encoders.entry(kind)
    return f"{entry.name} ({entry.sha256[:12]}, {entry.precision}, {entry.dimension}-d)"


def search_vectors(
    material: Material, images: Encoded, texts: PlotTexts, plots: Floats, image_dimension: int
) -> SearchVectors:
    """Rows of the indexes, in order of films; `images` as `Encoders.encode_views` has encoded them."""
    rows = sorted(material.posters)
    width = len(next(iter(images.vectors.values()), np.zeros(2 * image_dimension)))
    seen = _stack([images.vectors[material.posters[row]] for row in rows], width)
    return SearchVectors(
        plot_film=np.array(texts.film, np.int64),
        plot_number=np.array(texts.number, np.int64),
        plot_span=np.array(texts.span, np.int64).reshape(-1, 2),
        plot_whole=np.array(texts.whole, bool),
        plots=plots,
        poster_film=np.array(rows, np.int64),
        posters=np.ascontiguousarray(seen[:, :image_dimension]),
        details=np.ascontiguousarray(seen[:, width // 2 :]),  # behind the whole view
        genres=genre_table(material.films),
    )


def genre_table(films: Sequence[Film]) -> Floats:
    """(N, G) 1 where a film is of a genre."""
    names = {name: i for i, name in enumerate(sorted({genre for film in films for genre in film.genres}))}
    table = np.zeros((len(films), len(names)), np.float32)
    for row, film in enumerate(films):
        table[row, [names[genre] for genre in film.genres]] = 1
    return table


def labelled_films(films: Sequence[Film], trainable: Collection[str], vectors: SearchVectors) -> LabelledFilms:
    """The films that heads may be trained on; `trainable`: ids."""
    count = len(films)
    posters = np.zeros((count, vectors.details.shape[1]), np.float32)
    posters[vectors.poster_film] = vectors.details
    has_poster = np.zeros(count, bool)
    has_poster[vectors.poster_film] = True
    plots = np.zeros((count, vectors.plots.shape[1]), np.float32)
    has_plot = np.zeros(count, bool)
    first = np.flatnonzero(np.diff(vectors.plot_film, prepend=-1))
    for begin, end in zip(first, np.append(first[1:], len(vectors.plot_film)), strict=True):
        film = vectors.plot_film[begin]
        own = vectors.plot_number[begin:end] == 0
        whole = vectors.plot_whole[begin:end][own]
        pieces = vectors.plots[begin:end][own]
        # A film's plot vector is made as a request's is (search.request.text_vector).
        plots[film] = pieces[0] if len(pieces) == 1 else combine(pieces[whole][0], pieces[~whole])
        has_plot[film] = True
    kept = np.array([film.id in trainable for film in films], dtype=bool)
    films = [film for film, keep in zip(films, kept, strict=True) if keep]
    return LabelledFilms(
        ids=[film.id for film in films],
        genres=[film.genres for film in films],
        single=[film.single_genre for film in films],
        posters=posters[kept],
        has_poster=has_poster[kept],
        plots=plots[kept],
        has_plot=has_plot[kept],
        texts=[film.plot or "" for film in films],
    )


def told_genres(films: Sequence[Film], labelled: LabelledFilms, genres: TrainedGenres) -> ToldGenres | None:
    """What the heads say of the films that they could be trained on; None unless they read plots and posters."""
    if set(genres.told) != {"plot", "poster"}:
        return None
    kept = np.isin([film.id for film in films], labelled.ids)
    by_film = {}
    for source, told in genres.told.items():
        by_film[source] = np.zeros((len(kept), told.shape[1]), np.float32)
        by_film[source][kept] = told
    return ToldGenres(by_film["plot"], by_film["poster"])


@dataclass(frozen=True)
class MadeImage:
    """An image made of another one, for training the poster check."""

    source: str  # key of the image it is made of
    make: Callable[[Pixels, np.random.Generator], Pixels]
    number: int  # of those made of the same image in the same way

    @property
    def key(self) -> str:
        """What it is cached under; also the seed of what chance decides in it."""
        return hashlib.sha256(f"{self.source} {self.make.__name__} {self.number}".encode()).hexdigest()

    def view(self, images: Images) -> Pixels | MatineeError:
        """What the image encoder sees, or why there is nothing to see."""
        try:
            pixels = _core.decode_rgb(images.read(self.source))
        except MatineeError as error:
            return error
        return poster_view(self.make(pixels, np.random.default_rng(int(self.key[:16], 16))))


@dataclass(frozen=True)
class CheckImages:
    """What the poster check is trained on, before it is encoded."""

    posters: Sequence[tuple[str, str]]  # (film id, key) of films that heads may be trained on
    others: Sequence[str]  # keys
    altered_posters: Sequence[MadeImage]
    altered_others: Sequence[MadeImage]
    pieces: Sequence[MadeImage]

    @classmethod
    def of(cls, material: Material) -> CheckImages:
        """Every second or third poster once more, every other image several times, and pieces of some posters."""
        posters = [(material.films[row].id, key) for row, key in sorted(material.posters.items())]
        posters = [(film_id, key) for film_id, key in posters if film_id in material.trainable]
        others = sorted(material.negatives)
        by_chance = sorted(key for _, key in posters)
        again = by_chance[: min(len(by_chance), max(_ALTERED_POSTERS, len(by_chance) * 2 // 5))]
        pieces = by_chance[::-1][: min(_PIECES, 2 * len(others))]
        return cls(
            posters=posters,
            others=others,
            altered_posters=[MadeImage(key, altered_poster, 0) for key in again],
            altered_others=[MadeImage(key, altered_other, n) for key in others for n in range(_ALTERED_A_NEGATIVE)],
            pieces=[MadeImage(key, piece_of_poster, 0) for key in pieces],
        )

    @property
    def made(self) -> list[MadeImage]:
        """All that have to be encoded beside the images themselves."""
        return [*self.altered_posters, *self.altered_others, *self.pieces]


def poster_images(material: Material, seen: CheckImages, own: Encoded, made: Encoded) -> PosterImages:
    """The features of the check's images; `own` of the images themselves, `made` of those made of them."""
    dimension = len(next(iter(own.vectors.values()), np.zeros(1)))
    place = {key: row for row, (_, key) in enumerate(seen.posters)} | {key: row for row, key in enumerate(seen.others)}

    def again(images: Sequence[MadeImage]) -> Again:
        good = [image for image in images if image.key in made.vectors]
        rows = np.array([place[image.source] for image in good], np.intp)
        return Again(rows, _stack([made.vectors[image.key] for image in good], dimension))

    return PosterImages(
        posters=_stack([own.vectors[key] for _, key in seen.posters], dimension),
        poster_ids=[film_id for film_id, _ in seen.posters],
        negatives=_stack([own.vectors[key] for key in seen.others], dimension),
        negative_keys=seen.others,
        kinds=[material.negatives[key] for key in seen.others],
        altered_posters=again(seen.altered_posters),
        altered_negatives=again(seen.altered_others),
        pieces=again(seen.pieces),
    )


def save_experts(folder: Path, experts: Experts) -> None:
    """Writes experts beside the heads that stand on them."""
    (folder / HEADS / f"{experts.name}.safetensors").write_bytes(experts.to_bytes())


def save_head(folder: Path, head: Head, card: ModelCard | None) -> str:
    """Writes a head and its card; returns its name."""
    (folder / HEADS / f"{head.name}.safetensors").write_bytes(head.to_bytes())
    if card is not None:
        save_card(folder, card)
    return head.name


def save_card(folder: Path, card: ModelCard) -> None:
    """Writes a card as JSON, for programs, and as Markdown, for people."""
    (folder / CARDS / f"{card.name}.json").write_text(card.to_json(), encoding="utf-8")
    (folder / CARDS / f"{card.name}.md").write_text(card.to_markdown(), encoding="utf-8")


def _stack(rows: list[Floats], dimension: int) -> Floats:
    return np.stack(rows) if rows else np.zeros((0, dimension), np.float32)
