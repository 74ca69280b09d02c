"""An open bundle: everything the product answers, from files that are mapped, never written."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.answers import FilmList, GenreAnswer, Labels, PlotPosterFit, PosterCheck
from matinee.batching import BatchOptions
from matinee.bundle.features import Encoders, EncodingStatistics, ImageLike, SeenImage, see
from matinee.bundle.manifest import Manifest
from matinee.bundle.poster_view import poster_view
from matinee.bundle.verify import Verify, verify
from matinee.catalog.film import Film
from matinee.catalog.frozen import FilmTable
from matinee.errors import FormatError, InternalError, InvalidArgument, NotFound
from matinee.genre.experts import Experts
from matinee.genre.infer import answer, disagreement
from matinee.genre.labels import LABELS, SOURCES, Evidence, Source, experts_name, head_name
from matinee.heads import Head, ModelCard
from matinee.posters.check import (
    CHECK_NAME,
    KIND_NAME,
    SETTINGS,
    WITHOUT,
    check_pixels,
    check_vector,
    with_duplicate,
)
from matinee.posters.duplicates import NUM_CANDIDATES, Signatures, thumbnail
from matinee.search.dialogue import ChatAnswer, ConversationState, Dialogue, Vocabulary, read_sentence
from matinee.search.discover import discover
from matinee.search.pair import pair_fit
from matinee.search.request import clean_text, has_words, text_vector
from matinee.search.similar import similar
from matinee.search.store import SPACE, SearchStore, genre_directions
from matinee.where import Where

FILMS, POSTERS, HEADS, CARDS = "films.sqlite", "posters.bin", "heads", "cards"
SIGNATURES = "duplicates.safetensors"
LEARNED_IMAGES = "learned_images.json"  # sha256 of the other images that the poster check was fitted on
_FILMS_A_READ = 500


def open_bundle(
    path: str | os.PathLike[str], verify: Verify = "full", *, batching: BatchOptions | None = None
) -> Bundle:
    """Opens a bundle for reading.

    verify: 'full' reads every byte against its sha256 first (about a second for a gigabyte); 'fast' compares names and
    sizes, for files that were checked when they were copied. Open it after a fork, not before: every call of a bundle
    that was carried across a fork raises InternalError.
    batching: how the texts and posters of concurrent calls are encoded together, and how many may wait; a call that
    would be one too many raises Overloaded.
    Raises NotFound where there is no bundle, FormatError naming the file that is not what it was built as.
    """
    return Bundle(Path(path), verify, batching)


class Bundle:
    """The films of a bundle and what is known about them. Unchangeable, and safe for concurrent threads.

    The encoders are loaded by the first request that needs them; `warm_up` does it at once.
    """

    def __init__(self, path: Path, mode: Verify = "full", batching: BatchOptions | None = None) -> None:
        """Use `open_bundle`."""
        self._manifest = verify(path, mode)
        self._path = path
        self._process = os.getpid()
        self._films = FilmTable(path / FILMS)
        self._store = SearchStore.open(path, self._films)
        paths = {name: path / HEADS / f"{name}.safetensors" for name in self._manifest.heads}
        self._heads = {name: Head.load(file) for name, file in paths.items()}
        self._experts = {
            source: Experts.load(path / HEADS / f"{experts_name(source)}.safetensors")
            for source in SOURCES
            if f"{HEADS}/{experts_name(source)}.safetensors" in self._manifest.files
        }
        self._signatures = Signatures.load(path / SIGNATURES) if SIGNATURES in self._manifest.files else None
        if self._signatures is not None and len(self._signatures.thumbnails) != len(self._store.space.poster_film):
            raise FormatError(f"{path / SIGNATURES}: expected a thumbnail for every poster; build the bundle again")
        check = self._heads.get(CHECK_NAME)
        if check is not None and not set(check.settings) >= SETTINGS:
            raise FormatError(f"{paths[CHECK_NAME]}: expected the bounds of a poster check; build it again")
        self._cards = [ModelCard.load(path / CARDS / name) for name in self._listed(CARDS) if name.endswith(".json")]
        entries = self._manifest.models
        self._encoders = Encoders(entries["text"].name, entries["image"].name, entries, batching=batching)
        self._check_dimensions()
        self._posters = _map(path / POSTERS)

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held that the last reference would not give back; `with` marks where a bundle is used."""

    def __len__(self) -> int:
        return len(self._films)

    def __repr__(self) -> str:
        demo = ", demo" if self.demo else ""
        return f"Bundle({self._manifest.name!r}, films={len(self)}, id={self._manifest.identity}{demo})"

    # What it is

    @property
    def path(self) -> Path:
        """The bundle's folder."""
        return self._path

    @property
    def manifest(self) -> Manifest:
        """What the bundle holds and what it was made from."""
        return self._manifest

    @property
    def demo(self) -> bool:
        """Whether it was built from demo data."""
        return self._manifest.demo

    @property
    def cards(self) -> list[ModelCard]:
        """A card for every head and for the joint space, by name."""
        return list(self._cards)

    def warm_up(self) -> None:
        """Loads the encoders and what a conversation needs, so that the first request is as quick as the next.

        Raises what loading raises.
        """
        self._same_process()
        self._encoders.encode_texts(["warm up"])
        _ = self._encoders.image, self._dialogue

    def encoding_statistics(self) -> EncodingStatistics:
        """What the encoders have done since the bundle was opened."""
        return self._encoders.statistics()

    # Films

    def film(self, film_id: str) -> Film:
        """One film by its id or an alias. Raises NotFound."""
        self._same_process()
        return self._films.film(film_id)

    def films(self) -> Iterator[Film]:
        """Every film, in the bundle's order."""
        self._same_process()
        for begin in range(0, len(self), _FILMS_A_READ):
            yield from self._films.films(range(begin, min(begin + _FILMS_A_READ, len(self))))

    def find(self, query: str, k: int = 20, offset: int = 0) -> list[Film]:
        """Films whose title or people hold every word of `query`, the last by its first letters; all for ''."""
        self._same_process()
        return self._films.find(query, k, offset)

    def poster(self, film_id: str) -> tuple[bytes, str]:
        """The original bytes of a film's poster and their media type. Raises NotFound."""
        self._same_process()
        span = self._films.poster_span(film_id)
        if span is None:
            raise NotFound(f"poster: the film {film_id!r} has no poster")
        data = self._posters[span.offset : span.offset + span.length]
        if len(data) != span.length:
            raise FormatError(f"{self._path / POSTERS}: expected the poster of {film_id}; build the bundle again")
        return bytes(data), span.media_type

    # Answers

    def predict_genres(
        self, poster: ImageLike | None = None, plot: str | None = None, labels: Labels = "multi"
    ) -> GenreAnswer:
        """Genres from a poster, a plot, or both.

        labels: 'multi' for independent genres, each predicted above its own threshold; 'single' for one of ten.
        The poster is checked first. One that is rejected is left out when there is a plot; without a plot the answer
        rests on the image all the same. Either way `note` says so and `poster` holds the check.
        Raises InvalidArgument (neither given, a plot without any word), what decoding the image raises, NotFound where
        the catalogue did not suffice to train such a head.
        """
        self._same_process()
        if poster is None and plot is None:
            raise InvalidArgument("predict_genres: expected a poster, a plot, or both, got neither")
        if labels not in LABELS:
            raise InvalidArgument(f"predict_genres: labels: expected 'multi' or 'single', got {labels!r}")
        text = None if plot is None else _plot("predict_genres", plot)
        seen = None if poster is None else see("predict_genres: poster", poster)
        check = None if seen is None or CHECK_NAME not in self._heads else self._check(seen)
        notes = []
        use_poster = seen is not None
        if check is not None and check.valid is False:
            why = check.reasons[0].detail.rstrip(".")
            use_poster = text is None
            rest = "rests on it all the same; give the plot, too" if use_poster else "rests on the plot alone"
            notes.append(f"The image was not accepted as a film poster ({why}); the answer {rest}.")
        elif check is not None and check.valid is None:
            notes.append("It is not certain that the image is a film poster.")
        used: list[Literal["poster", "plot"]] = [*(["poster"] if use_poster else []), *(["plot"] if text else [])]  # type: ignore[list-item]
        evidence: Evidence = "both" if len(used) == 2 else used[0]
        if evidence == "both" and head_name("both", labels) not in self._heads:
            used, evidence = ["plot"], "plot"
            notes.append("This catalogue has no head for poster and plot together; the answer rests on the plot alone.")
        head = self._head(head_name(evidence, labels))
        opinions = {}
        if "poster" in used and seen is not None:
            opinions["poster"] = self._opinions_of_poster(seen)
        if "plot" in used and text is not None:
            opinions["plot"] = self._opinions_of_plot(text_vector(self._encoders.encode_request, text), text)
        if evidence == "both" and labels == "multi":
            alone = [(self._head(head_name(source, "multi")), opinions[source]) for source in SOURCES]
            if told := disagreement(head, *alone):
                notes.append(told)
        note = " ".join(notes) or None
        return answer(head, np.concatenate([*opinions.values()]), used=used, poster=check, note=note)

    def check_poster(self, image: ImageLike) -> PosterCheck:
        """Whether an image is a film poster, with a score and reasons; `valid` is None where the check is not sure.

        Raises UnsupportedFormat, FormatError or TooLarge where it is no image that can be read, NotFound where the
        catalogue had no images to train the check with.
        """
        self._same_process()
        self._head(CHECK_NAME)
        return self._check(see("check_poster: image", image))

    def unseen_kind_scores(self, image: ImageLike) -> dict[str, float]:
        """For every kind of other images, the log-odds of 'poster' by a check that has learned from all but that kind.

        They are not calibrated: for measuring, not for deciding. Raises what `check_poster` raises.
        """
        style = self.check_features(image)
        heads = {name: head for name, head in self._heads.items() if name.startswith(WITHOUT)}
        return {name.removeprefix(WITHOUT): float((head.weight @ style + head.bias)[0]) for name, head in heads.items()}

    def check_features(self, image: ImageLike) -> NDArray[np.float32]:
        """(S,) what the poster check sees of an image. Raises what decoding it raises."""
        self._same_process()
        return self._encoders.style(see("check_features: image", image))

    def learned_images(self) -> frozenset[str]:
        """The sha256 of the files of the other images that the poster check was fitted on."""
        if LEARNED_IMAGES not in self._manifest.files:
            return frozenset()
        return frozenset(json.loads((self._path / LEARNED_IMAGES).read_text(encoding="utf-8")))

    def copy_of(self, image: ImageLike, *, besides: str | None = None) -> Film | None:
        """The film whose poster the image is nearly, compressed again, cut, resized or lettered anew; None for none.

        besides: id of a film that is passed over. Raises what decoding the image raises.
        """
        self._same_process()
        return self._copy_of(see("copy_of: image", image), None if besides is None else self.film(besides).id)

    def similar(
        self,
        film: str | Sequence[str] | None = None,
        plot: str | None = None,
        poster: ImageLike | None = None,
        *,
        weights: Mapping[str, float] | None = None,
        k: int = 10,
        where: Where | dict[str, Any] | None = None,
    ) -> FilmList:
        """Films like a film, several films, a plot, a poster, or all of them together, best first.

        weights: of 'plot' and 'poster', default 1 and 0.5. The given films are not among the answers.
        Raises InvalidArgument, NotFound for an unknown film, what decoding the poster raises.
        """
        self._same_process()
        films = [film] if isinstance(film, str) else list(film or ())
        if not all(isinstance(film_id, str) for film_id in films):
            raise InvalidArgument("similar: film: expected a film id or a list of them")
        features = None if poster is None else self._encoders.features(see("similar: poster", poster))
        return similar(
            self._store,
            films=films,
            plot=plot,
            encode=self._encoders.encode_request,
            poster=features,
            weights=weights,
            k=k,
            where=where,
        )

    def discover(
        self,
        text: str,
        k: int = 10,
        where: Where | dict[str, Any] | None = None,
        *,
        popularity: bool = True,
        facets: bool = True,
    ) -> FilmList:
        """Films that fit a request in plain words, best first; `nothing_fits` where none does.

        popularity: among films that fit about alike, those that more people have rated come first.
        facets: "a comedy from the 80s without zombies" filters: `request` says what was understood (`where`, `without`)
        and what is left to look for (`about`). `where` wins over it, kind by kind. Descriptions of more than 40 words
        filter nothing.
        Raises InvalidArgument for empty text, k outside 1 … 1000, an unknown filter.
        """
        self._same_process()
        cleaned = clean_text("discover", "text", text)
        return discover(
            self._store,
            text,
            encode=self._encoders.encode_request,
            k=k,
            where=where,
            popularity=popularity,
            facets=read_sentence(cleaned, self._vocabulary) if facets else None,
        )

    # Vectors

    @property
    def search_store(self) -> SearchStore:
        """The indexes that searches read."""
        return self._store

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(B, T) unit rows of texts, as the bundle's plots are encoded; the last ones are remembered."""
        self._same_process()
        return self._encoders.encode_request(texts)

    def poster_features(self, poster: ImageLike) -> NDArray[np.float32]:
        """(D,) of a poster, as the bundle's own are encoded. Raises what decoding the image raises."""
        self._same_process()
        return self._encoders.features(see("poster_features: poster", poster))

    def poster_details(self, poster: ImageLike) -> NDArray[np.float32]:
        """(E,) of a poster: what genres and the joint space read. Raises what decoding the image raises."""
        self._same_process()
        return self._encoders.details(see("poster_details: poster", poster))

    def joint_vector(self, *, plot: str | None = None, poster: ImageLike | None = None) -> NDArray[np.float32]:
        """(J,) of a plot or of a poster: the cosine of two tells how well they fit each other.

        It is the joint space, which a request is looked for in, and behind it the genres that each speaks for.

        Raises InvalidArgument unless exactly one is given, NotFound for a poster where the catalogue had too few pairs
        to learn from, what decoding the image raises.
        """
        self._same_process()
        if (plot is None) == (poster is None):
            raise InvalidArgument("joint_vector: expected a plot or a poster, one of them")
        space = self._store.space
        if plot is not None:
            text = _plot("joint_vector", plot)
            vector = text_vector(self._encoders.encode_request, text)
            genres = self._genres("plot", space.usual_plot_genres, lambda: self._opinions_of_plot(vector, text))
            return space.with_genres(space.text_to_joint(vector), genres)
        if not space.has_posters_in_joint:
            raise NotFound("joint_vector: this catalogue had too few films with plot and poster to learn from")
        assert poster is not None
        seen = see("joint_vector: poster", poster)
        genres = self._genres("poster", space.usual_poster_genres, lambda: self._opinions_of_poster(seen))
        return space.with_genres(space.poster_to_joint(self._encoders.details(seen)), genres)

    def poster_fits_plot(self, poster: ImageLike, plot: str) -> PlotPosterFit:
        """How well a poster fits a plot, learned from the catalogue's own pairs.

        Raises InvalidArgument for an empty plot, NotFound where the catalogue had too few pairs to learn from, what
        decoding the image raises.
        """
        if not self._store.space.has_posters_in_joint:
            raise NotFound("poster_fits_plot: this catalogue had too few films with plot and poster to learn from")
        return pair_fit(self._store, self.joint_vector(plot=plot), self.joint_vector(poster=poster))

    def chat(
        self, message: str = "", state: ConversationState | dict[str, Any] | None = None, *, k: int = 12
    ) -> ChatAnswer:
        """A turn of a conversation: what `message` makes of the request in `state`, and at most `k` films for it.

        state: that of the last answer, changed or not; None begins a conversation. Nothing is kept between turns. An
        empty message answers for the state as it is.
        Raises InvalidArgument for a message of more than 20,000 characters, a state that is none, k outside 1 … 1000;
        NotFound where the state names a film to come near to that is not in the catalogue.
        """
        self._same_process()
        return self._dialogue.answer(message, state, k=k)

    # Inside

    def _opinions_of_plot(self, vector: NDArray[np.float32], text: str) -> NDArray[np.float32]:
        return np.asarray(self._experts["plot"](vector, [text])[0])

    def _opinions_of_poster(self, seen: SeenImage) -> NDArray[np.float32]:
        return np.asarray(self._experts["poster"](self._encoders.details(seen))[0])

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        """Read from all films when first asked for; two threads at once make the same."""
        return Vocabulary(self._store.films)

    @cached_property
    def _dialogue(self) -> Dialogue:
        return Dialogue(self._store, self._encoders.encode_request, self._vocabulary)

    def _genres(
        self, source: Source, usual: NDArray[np.float32], opinions: Callable[[], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """(L,) direction of the genres that a poster or plot speaks for; L is 0 where pairs are judged without."""
        if not len(usual):
            return usual
        return genre_directions(self._head(head_name(source, "multi")).probabilities(opinions())[0], usual)

    def _check(self, seen: SeenImage) -> PosterCheck:
        head = self._heads[CHECK_NAME]
        plain = check_pixels(seen.pixels, demo=head.demo)
        if plain is not None:
            return plain
        height, width = seen.pixels.shape[:2]
        style = self._encoders.style(seen)
        check = check_vector(head, self._heads.get(KIND_NAME), style, width=width, height=height)
        known = self._copy_of(seen)
        return check if known is None else with_duplicate(check, known.id, known.label)

    def _copy_of(self, seen: SeenImage, besides: str | None = None) -> Film | None:
        if self._signatures is None or self._store.posters is None:
            return None
        query = self._store.space.center_poster(self._encoders.features(seen))
        near = [row for row, _ in self._store.posters.search(query[None], NUM_CANDIDATES + 1).pairs()]
        film_of = self._store.space.poster_film
        if besides is not None:
            near = [row for row in near if self._films.id_of(int(film_of[row])) != besides]
        row = self._signatures.copy_of(thumbnail(poster_view(seen.pixels)), near[:NUM_CANDIDATES])
        return None if row is None else self._films.films([int(film_of[row])])[0]

    def _head(self, name: str) -> Head:
        try:
            return self._heads[name]
        except KeyError:
            why = self._manifest.missing_heads.get(name, "it was not built with one")
            raise NotFound(f"this catalogue has no head {name}: {why}") from None

    def _listed(self, folder: str) -> list[str]:
        prefix = f"{folder}/"
        return sorted(name.removeprefix(prefix) for name in self._manifest.files if name.startswith(prefix))

    def _check_dimensions(self) -> None:
        try:
            image = self._manifest.models["image"].dimension
            text = self._manifest.models["text"].dimension
        except KeyError as error:
            raise FormatError(f"{self._path}: expected the encoders 'text' and 'image' in the manifest") from error
        of_poster, of_plot = (
            self._experts[source].num_opinions if source in self._experts else 0 for source in SOURCES
        )
        if "plot" in self._experts and self._experts["plot"].dimension != text:
            got = self._experts["plot"].dimension
            raise FormatError(f"{self._path / HEADS / experts_name('plot')}: expected {text} inputs, got {got}")
        of_check = (head.dimension for name, head in self._heads.items() if name.startswith((CHECK_NAME, KIND_NAME)))
        style = next(of_check, image)  # the encoder says how much the check sees: the same for all its heads
        by_prefix = {"genre-poster": of_poster, "genre-plot": of_plot, "genre-both": of_poster + of_plot}
        by_prefix |= {CHECK_NAME: style, KIND_NAME: style}
        for name, head in self._heads.items():
            expected = next((size for prefix, size in by_prefix.items() if name.startswith(prefix)), image)
            if head.dimension != expected:
                raise FormatError(f"{self._path / HEADS / name}: expected {expected} inputs, got {head.dimension}")

        told = self._store.space.plot_genres.shape[1]
        for source in SOURCES:
            found = self._heads.get(head_name(source, "multi"))
            if told and (found is None or len(found.labels) != told):
                raise FormatError(f"{self._path / SPACE}: expected {told} genres of a {source}; build the bundle again")

    def _same_process(self) -> None:
        if os.getpid() != self._process:
            raise InternalError("this bundle was opened before a fork; open it in the process that uses it")


def _plot(function: str, plot: object) -> str:
    text = clean_text(function, "plot", plot)
    if not has_words(text):
        raise InvalidArgument(f"{function}: plot: expected words, got only signs; describe the film in a sentence")
    return text


def _map(path: Path) -> mmap.mmap | bytes:
    """A read-only map of the file; an empty file cannot be mapped."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
