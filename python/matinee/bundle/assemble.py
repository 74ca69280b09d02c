"""From films and their vectors to what the trainers and indexes take."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matinee.bundle.cache import Encoded
from matinee.bundle.collect import Material, PlotTexts
from matinee.bundle.features import Encoders
from matinee.bundle.opened import CARDS, HEADS
from matinee.genre.experts import Experts
from matinee.genre.train import LabelledFilms
from matinee.heads import Head, ModelCard
from matinee.posters.train import PosterImages
from matinee.search.fit import SearchVectors
from matinee.search.request import combine

Floats = NDArray[np.float32]


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
    width = len(next(iter(images.vectors.values()), np.zeros(image_dimension)))
    seen = _stack([images.vectors[material.posters[row]] for row in rows], width)
    return SearchVectors(
        plot_film=np.array(texts.film, np.int64),
        plot_number=np.array(texts.number, np.int64),
        plot_span=np.array(texts.span, np.int64).reshape(-1, 2),
        plot_whole=np.array(texts.whole, bool),
        plots=plots,
        poster_film=np.array(rows, np.int64),
        posters=np.ascontiguousarray(seen[:, :image_dimension]),
        details=np.ascontiguousarray(seen[:, image_dimension:]),
    )


def whole_views(images: Encoded, image_dimension: int) -> Encoded:
    """What the poster check sees of images that `Encoders.encode_views` has encoded."""
    return Encoded({key: vector[:image_dimension] for key, vector in images.vectors.items()}, images.errors)


def labelled_films(material: Material, vectors: SearchVectors) -> LabelledFilms:
    """The films that heads may be trained on."""
    count = len(material.films)
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
    kept = np.array([film.id in material.trainable for film in material.films], dtype=bool)
    films = [film for film, keep in zip(material.films, kept, strict=True) if keep]
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


def poster_images(material: Material, images: Encoded) -> PosterImages:
    """Posters of films that heads may be trained on, and the other images."""
    dimension = len(next(iter(images.vectors.values()), np.zeros(1)))
    posters = [(material.films[row].id, key) for row, key in sorted(material.posters.items())]
    posters = [(film_id, key) for film_id, key in posters if film_id in material.trainable]
    negatives = sorted(material.negatives)
    return PosterImages(
        posters=_stack([images.vectors[key] for _, key in posters], dimension),
        poster_ids=[film_id for film_id, _ in posters],
        negatives=_stack([images.vectors[key] for key in negatives], dimension),
        negative_keys=negatives,
        kinds=[material.negatives[key] for key in negatives],
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
