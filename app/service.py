"""The use cases of the product in plain Python: no Flask, no Gradio.

A `Service` owns the open bundle. It opens it on a thread of its own (after a server has forked, because neither the
core's threads nor SQLite's connections survive a fork), answers from it, and swaps to a new one when the path it was
given points at another bundle: calls that have begun keep the bundle they began with, which closes with the last of
them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import matinee
from matinee.answers import FilmList, GenreAnswer, Labels, PlotPosterFit, PosterCheck
from matinee.bundle import EncodingStatistics, Manifest
from matinee.catalog.film import Film
from matinee.errors import InvalidArgument, IoError, MatineeError, NotFound
from matinee.evaluation.report import Report, report_of
from matinee.heads.card import ModelCard
from matinee.search.dialogue import ChatAnswer, ConversationState
from matinee.where import Where

from .conversations import Conversations

_log = logging.getLogger("matinee.service")

_MEASURE = "run matinee evaluate --bundle BUNDLE"
_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 30.0


class NotReady(IoError):
    """No bundle is open (yet); try again in a moment. HTTP 503."""


class FilmBundle(Protocol):
    """What the service asks of a bundle; `matinee.open_bundle` returns one. All calls are safe from many threads."""

    @property
    def manifest(self) -> Manifest: ...
    @property
    def cards(self) -> Sequence[ModelCard]: ...
    @property
    def demo(self) -> bool: ...
    def predict_genres(
        self, poster: bytes | None = None, plot: str | None = None, labels: Labels = "multi"
    ) -> GenreAnswer: ...
    def check_poster(self, image: bytes) -> PosterCheck: ...
    def poster_fits_plot(self, poster: bytes, plot: str) -> PlotPosterFit: ...
    def similar(
        self,
        film: str | Sequence[str] | None = None,
        *,
        plot: str | None = None,
        poster: bytes | None = None,
        weights: Mapping[str, float] | None = None,
        k: int = 10,
        where: Where | dict[str, Any] | None = None,
    ) -> FilmList: ...
    def discover(
        self,
        text: str,
        k: int = 10,
        where: Where | dict[str, Any] | None = None,
        *,
        popularity: bool = True,
        facets: bool = True,
    ) -> FilmList: ...
    def chat(self, message: str = "", state: ConversationState | None = None, *, k: int = 12) -> ChatAnswer: ...
    def film(self, film_id: str) -> Film: ...
    def find(self, query: str, k: int = 10, offset: int = 0) -> list[Film]: ...
    def poster(self, film_id: str) -> tuple[bytes, str]: ...
    def encoding_statistics(self) -> EncodingStatistics: ...


@dataclass(frozen=True, kw_only=True)
class CatalogueFacts:
    """What is being served. Counts are of films; `bundle_created` is ISO 8601."""

    name: str
    demo: bool
    films: int
    posters: int
    plots: int
    bundle_version: str
    bundle_created: str
    software_version: str


class Service:
    """The product behind one interface, for the API and for anyone else above the package.

    Thread-safe. Nothing is opened by the constructor: `start()` (or the first call) does it in the background, and
    calls raise NotReady until the bundle is open.
    """

    def __init__(self, bundle: Path, *, opener: Callable[[Path], FilmBundle], watch_seconds: float = 2.0) -> None:
        """Args:
        bundle: a bundle directory, or a symbolic link to one that is swapped to roll out a new catalogue.
        opener: opens a bundle directory, such as `matinee.open_bundle`.
        watch_seconds: how often the path is looked at for a swap; 0 turns the reload off.
        """
        self._path = bundle
        self._opener = opener
        self._watch_seconds = watch_seconds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._opened: FilmBundle | None = None
        self._opened_from: tuple[str, int, int] | None = None
        self._refused: tuple[str, int, int] | None = None
        self._problem: str | None = None
        self._conversations = Conversations()

    # Life

    def start(self) -> None:
        """Opens the bundle in the background and watches for a swap. Does nothing the second time."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="matinee-bundle", daemon=True)
                self._thread.start()

    def open_now(self) -> None:
        """Opens the bundle before returning. Raises what the opener raises."""
        self._open(self._identity())

    def stop(self) -> None:
        """Stops watching. The open bundle stays usable."""
        self._stop.set()

    @property
    def ready(self) -> bool:
        """Whether a bundle is open."""
        return self._opened is not None

    @property
    def problem(self) -> str | None:
        """Why the bundle (or the one it should be swapped for) could not be opened; None where all is well."""
        return self._problem

    def bundle(self) -> FilmBundle:
        """The open bundle; hold on to it for the length of one request. Raises NotReady."""
        opened = self._opened
        if opened is None:
            self.start()
            reason = "the catalogue could not be opened" if self._problem else "the catalogue is still being opened"
            raise NotReady(f"service: {reason}; try again in a moment")
        return opened

    # Use cases

    def genres(self, *, poster: bytes | None = None, plot: str | None = None, labels: Labels = "multi") -> GenreAnswer:
        """Genres from a poster, a plot, or both.

        The poster is checked first. One that is rejected is left out when there is a plot, and the answer's note says
        so; without a plot the answer rests on the image all the same, carries the check and says what to do.
        """
        if poster is None and plot is None:
            raise InvalidArgument("genres: expected a poster, a plot, or both, got neither; send `image` or `plot`")
        return self.bundle().predict_genres(poster=poster, plot=plot, labels=labels)

    def check_poster(self, image: bytes) -> PosterCheck:
        """Whether an image is a film poster, with reasons."""
        return self.bundle().check_poster(image)

    def poster_fits_plot(self, image: bytes, plot: str) -> PlotPosterFit:
        """How well a poster fits a plot."""
        return self.bundle().poster_fits_plot(image, plot)

    def similar(
        self,
        *,
        film_ids: Sequence[str] = (),
        plot: str | None = None,
        poster: bytes | None = None,
        weights: Mapping[str, float] | None = None,
        k: int = 10,
        where: Where | None = None,
    ) -> FilmList:
        """Films like the given films, plot and poster, best first; the given films themselves are not among them."""
        if not film_ids and plot is None and poster is None:
            raise InvalidArgument("similar: expected film_ids, plot or image, got none of them; send at least one")
        film = list(film_ids) if film_ids else None
        return self.bundle().similar(film=film, plot=plot, poster=poster, weights=weights, k=k, where=where)

    def discover(
        self, query: str, *, k: int = 10, where: Where | None = None, popularity: bool = True, facets: bool = True
    ) -> FilmList:
        """Films that fit a request in plain language, best first."""
        return self.bundle().discover(query, k=k, where=where, popularity=popularity, facets=facets)

    def chat(
        self, message: str = "", state: ConversationState | None = None, *, session_id: str | None = None, k: int = 12
    ) -> ChatAnswer:
        """A turn of a conversation, answered from `state`, or else from what the session's last answer left here."""
        if state is None and session_id is not None:
            state = self._conversations.recall(session_id)
        answer = self.bundle().chat(message, state, k=k)
        if session_id is not None:
            self._conversations.keep(session_id, answer.state)
        return answer

    def films(self, query: str = "", *, k: int = 20, offset: int = 0) -> tuple[list[Film], int | None]:
        """A page of films by title or people, all of them for an empty query; and the offset of the next page."""
        found = self.bundle().find(query, k=k + 1, offset=offset)
        return found[:k], (offset + k if len(found) > k else None)

    def film(self, film_id: str) -> Film:
        """One film by its id or an alias. Raises NotFound."""
        return self.bundle().film(film_id)

    def poster(self, film_id: str) -> tuple[bytes, str]:
        """The poster's original bytes and media type. Raises NotFound where the film or its poster is unknown."""
        return self.bundle().poster(film_id)

    def cards(self) -> Sequence[ModelCard]:
        """The model cards of the bundle."""
        return self.bundle().cards

    def facts(self) -> CatalogueFacts:
        """What is being served: name, size, version, date."""
        bundle = self.bundle()
        manifest = bundle.manifest
        counts = manifest.counts
        return CatalogueFacts(
            name=manifest.name,
            demo=bundle.demo,
            films=counts["films"],
            posters=counts["posters"],
            plots=counts["plots"],
            bundle_version=manifest.identity,
            bundle_created=manifest.created.isoformat(),
            software_version=matinee.__version__,
        )

    def evaluation(self) -> Report:
        """How well the open bundle's models do. Raises NotFound where nobody has measured this bundle."""
        report, _ = self._measured()
        return report

    def evaluation_page(self) -> bytes:
        """The same as an HTML page with plots and mistakes. Raises NotFound, IoError."""
        _, path = self._measured()
        page = path.with_suffix(".html")
        try:
            return page.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"evaluation: expected a page beside {path.name}, found none; {_MEASURE}") from error
        except OSError as error:
            raise IoError(f"evaluation: {page.name} cannot be read: {error.strerror}") from error

    def _measured(self) -> tuple[Report, Path]:
        """The report beside the bundle, and where it stands; one of another bundle does not count."""
        bundle, path = self.bundle(), report_of(self._path)
        try:
            report = Report.load(path)
        except NotFound as error:
            raise NotFound(f"evaluation: this bundle has not been measured; {_MEASURE}") from error
        if report.bundle != bundle.manifest.identity:
            raise NotFound(f"evaluation: the report is of bundle {report.bundle}, an older one; {_MEASURE}")
        return report, path

    def encoding_statistics(self) -> EncodingStatistics | None:
        """What the open bundle's encoders have done so far; None where none is open. Opens nothing."""
        opened = self._opened
        return None if opened is None else opened.encoding_statistics()

    # The bundle behind the path

    def _run(self) -> None:
        patience = _FIRST_RETRY_SECONDS
        while True:
            self._reload_if_swapped()
            if self.ready:
                if self._watch_seconds <= 0:
                    return
                wait = self._watch_seconds
            else:
                # Nothing to serve: the bundle may still be on its way here, or the disk may come back.
                wait, patience = patience, min(2 * patience, _LONGEST_RETRY_SECONDS)
            if self._stop.wait(wait):
                return

    def _reload_if_swapped(self) -> None:
        try:
            identity = self._identity()
            # A bundle that was refused is not read again and again while an older one serves.
            if identity != self._opened_from and not (self.ready and identity == self._refused):
                self._open(identity)
        except (MatineeError, OSError) as error:
            message = str(error)
            if message != self._problem:
                _log.error("bundle not opened: %s", message)
            self._problem = message
        except Exception as error:
            # The watcher must outlive whatever one bundle did to it.
            _log.exception("bundle not opened")
            self._problem = f"{type(error).__name__}: {error}"

    def _identity(self) -> tuple[str, int, int]:
        """What changes when another bundle stands behind the path: bundles are renamed into place when complete."""
        real = self._path.resolve()
        try:
            manifest = (real / "manifest.json").stat()
        except OSError as error:
            raise IoError(f"service: bundle: expected a bundle at {self._path}, got {error.strerror}") from error
        return (str(real), manifest.st_ino, manifest.st_mtime_ns)

    def _open(self, identity: tuple[str, int, int]) -> None:
        self._refused = identity
        opened = self._opener(Path(identity[0]))
        self._opened, self._opened_from, self._refused, self._problem = opened, identity, None, None
        _log.info("bundle open: %s", identity[0])


__all__ = ["CatalogueFacts", "FilmBundle", "NotReady", "Service"]
