"""Builds a bundle: sources, vectors, heads, indexes, verification, and only then the name it is known by.

Everything happens in OUT.partial. There the vectors, which take most of the time, are kept: a build that was stopped
continues with them. OUT itself appears (or is replaced) at the very end, complete and verified.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

import matinee
from matinee import _core
from matinee.bundle.assemble import (
    CheckImages,
    described,
    labelled_films,
    poster_images,
    save_card,
    save_experts,
    save_head,
    search_vectors,
    text_key,
    told_genres,
)
from matinee.bundle.cache import Encoded, Encoding, encode_all
from matinee.bundle.collect import MEDIA_TYPES, Material, PlotTexts, collect
from matinee.bundle.features import Encoders
from matinee.bundle.manifest import FILE_NAME, FORMAT, Manifest
from matinee.bundle.opened import CARDS, FILMS, HEADS, LEARNED_IMAGES, POSTERS, SIGNATURES, Bundle
from matinee.bundle.poster_view import VIEW_VERSION
from matinee.bundle.swap import put_in_place, recover, sync_tree
from matinee.bundle.verify import entry_of, verify
from matinee.catalog.frozen import FilmTable, PosterSpan, write_films
from matinee.catalog.report import BuildReport
from matinee.catalog.source_file import SourceFile, load_source_file
from matinee.errors import InvalidArgument, IoError, MatineeError
from matinee.genre.train import Provenance, train_genres
from matinee.heads.split import part_of, parts_of
from matinee.index import Index
from matinee.posters.check import CHECK_NAME
from matinee.posters.duplicates import NUM_CANDIDATES, thumbnail, with_bound
from matinee.posters.train import train_poster_check
from matinee.search import store as search_files
from matinee.search.fit import SearchVectors, ToldGenres, fit_bound, fit_space, joint_vectors, space_card
from matinee.search.store import Space

Progress = Callable[[str, int, int | None], None]
"""Called with (step, done, total or None); raise KeyboardInterrupt in it to stop."""

TEXT_MODEL, IMAGE_MODEL = "minilm-l6-v2", "efficientnet-lite0"
_POSTER_BUCKETS, _TEXT_BUCKETS = 256, 64  # about a second's work each for the catalogues this is made for


@dataclass(frozen=True)
class BuildResult:
    """What came of a build."""

    path: Path
    manifest: Manifest
    report: BuildReport
    seconds: dict[str, float] = field(default_factory=dict)  # step -> wall time


def build(
    source_file: str | Path | SourceFile,
    out: str | Path,
    *,
    progress: Progress | None = None,
    text_model: str = TEXT_MODEL,
    image_model: str = IMAGE_MODEL,
) -> BuildResult:
    """Builds the bundle `out` from a films.toml, a folder with one, or the course's folder.

    text_model, image_model: names in the model store. A joint model (CLIP) named twice gives plots and posters
    a space of its own, in place of one learned from the catalogue's pairs.

    Stopped at any moment (Ctrl-C, a crash, power), it leaves `out` as it was; started again, it takes the vectors that
    OUT.partial holds for inputs that have not changed. Raises InvalidArgument where `out` is something other than a
    bundle, IoError where another build is at work on it, and what reading the sources raises.
    """
    place = Path(out).absolute()
    place = place.resolve() if place.is_symlink() else place
    source = source_file if isinstance(source_file, SourceFile) else load_source_file(source_file)
    work = place.with_name(place.name + ".partial")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IoError(f"build: out: cannot write {work}: {error.strerror}") from error
    lock = FileLock(work / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise IoError(f"build: out: another build of {place} is running; wait for it or choose another path") from error
    try:
        recover(place, work / "old")
        _refuse_foreign(place)
        encoders = Encoders(text_model, image_model)
        job = _Job(source, place, work, encoders, progress or (lambda step, done, total: None))
        result = job.run()
    finally:
        lock.release()
    shutil.rmtree(work, ignore_errors=True)
    return result


def _refuse_foreign(place: Path) -> None:
    """A folder that is no bundle is never replaced, and so never lost."""
    if place.is_dir() and ((place / FILE_NAME).is_file() or not any(place.iterdir())):
        return
    if place.exists():
        raise InvalidArgument(f"build: out: expected a new path or a bundle to replace, got {place}; choose another")


@dataclass
class _Job:
    source: SourceFile
    place: Path
    work: Path
    encoders: Encoders
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> BuildResult:
        folder = self.work / "bundle"
        for leftover in (folder, self.work / "old"):
            shutil.rmtree(leftover, ignore_errors=True)
        (folder / HEADS).mkdir(parents=True)
        (folder / CARDS).mkdir()
        with self._step("read"):
            material = collect(self.source, self.work / "catalog.sqlite", self.progress)
        with self._step("encode posters"):
            images = self._encode_images(material)
        with self._step("encode plots"):
            texts = PlotTexts.of(material.films)
            plots = self._encode_texts(texts.text)
        dimension = self.encoders.image.own_dimension
        vectors = search_vectors(material, images, texts, plots, dimension)
        with self._step("write films"):
            films = self._write_films(folder, material)
        with self._step("train"):
            heads, missing, told = self._train(folder, material, images, vectors)
        with self._step("index"):
            self._index(folder, films, material, vectors, told)
        with self._step("verify"):
            manifest = self._finish(folder, material, vectors, heads, missing)
        put_in_place(folder, self.place, self.work / "old")
        return BuildResult(self.place, manifest, material.report, self.seconds)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begin

    # Vectors

    def _encode_images(self, material: Material) -> Encoded:
        model = self.encoders.entry("image")
        encoding = Encoding(
            namespace=f"image {model.sha256} {model.precision} view {VIEW_VERSION}",
            load=material.images.view,
            encode=self.encoders.encode_views,
            num_buckets=_POSTER_BUCKETS,
        )
        keys = [*material.posters.values(), *material.negatives]
        encoded = encode_all(
            keys, encoding, self.work / "cache", lambda done, total: self.progress("encode posters", done, total)
        )
        for row, key in list(material.posters.items()):
            if key in encoded.errors:
                film = material.films[row]
                name = film.provenance.get("poster", self.source.name)
                problem, action = "unreadable_poster", "kept without a poster"
                material.report.add(name, problem, encoded.errors[key], action, film=film.id)
                del material.posters[row]
        for key in [key for key in material.negatives if key in encoded.errors]:
            detail = f"{material.images.places[key]!r:.200}: {encoded.errors[key]}"
            material.report.add(self.source.name, "unreadable_negative", detail, "left it out")
            del material.negatives[key]
        return encoded

    def _encode_made(self, material: Material, seen: CheckImages) -> Encoded:
        """The images that the poster check is trained on beside those of the sources."""
        model = self.encoders.entry("image")
        made = {image.key: image for image in seen.made}
        encoding = Encoding(
            namespace=f"made {model.sha256} {model.precision} view {VIEW_VERSION}",
            load=lambda key: made[key].view(material.images),
            encode=self.encoders.encode_styles,
            num_buckets=_POSTER_BUCKETS,
        )
        return encode_all(
            list(made), encoding, self.work / "cache", lambda done, total: self.progress("alter images", done, total)
        )

    def _encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        model = self.encoders.entry("text")
        by_key = {text_key(text): text for text in texts}
        encoding: Encoding[str] = Encoding(
            namespace=f"text {model.sha256} {model.precision}",
            load=by_key.__getitem__,
            encode=lambda batch: (self.encoders.encode_texts(batch), [None] * len(batch)),
            num_buckets=_TEXT_BUCKETS,
        )
        encoded = encode_all(
            list(by_key), encoding, self.work / "cache", lambda done, total: self.progress("encode plots", done, total)
        )
        rows = np.zeros((len(texts), model.dimension), np.float32)
        for row, text in enumerate(texts):
            rows[row] = encoded.vectors[text_key(text)]
        return rows

    # Files

    def _write_films(self, folder: Path, material: Material) -> FilmTable:
        spans: dict[str, PosterSpan] = {}
        offset = 0
        with (folder / POSTERS).open("wb") as file:
            for done, (row, key) in enumerate(material.posters.items(), start=1):
                data = material.images.read(key)
                media_type = MEDIA_TYPES[_core.sniff_format(data) or "jpeg"]
                spans[material.films[row].id] = PosterSpan(offset, len(data), media_type)
                file.write(data)
                offset += len(data)
                if done % 200 == 0:
                    self.progress("pack posters", done, len(material.posters))
        self.progress("write films", 0, None)
        write_films(material.films, folder / FILMS, spans)
        return FilmTable(folder / FILMS)

    def _train(
        self, folder: Path, material: Material, images: Encoded, vectors: SearchVectors
    ) -> tuple[list[str], dict[str, str], ToldGenres | None]:
        data = dict(material.licences)
        image = described(self.encoders, "image")
        text = described(self.encoders, "text")
        provenance = Provenance(data, {"poster": image, "plot": text, "both": f"{image}; {text}"}, self.source.demo)
        labelled = labelled_films(material.films, material.trainable, vectors)
        genres = train_genres(
            labelled,
            provenance,
            lambda done, total: self.progress("train genre heads", done, total),
        )
        for experts in genres.experts:
            save_experts(folder, experts)
        names = [save_head(folder, item.head, item.card) for item in genres.heads]
        missing = dict(genres.missing)
        self.progress("train poster check", 0, None)
        seen = CheckImages.of(material)
        own = Encoded({key: self.encoders.style_of(vector) for key, vector in images.vectors.items()}, images.errors)
        check = train_poster_check(
            poster_images(material, seen, own, self._encode_made(material, seen)),
            data=data,
            encoder=image,
            demo=self.source.demo,
        )
        if isinstance(check, str):
            missing[CHECK_NAME] = check
        else:
            names.append(save_head(folder, check.head, check.card))
            more = [*check.unseen, *([check.kinds] if check.kinds is not None else [])]
            names += [save_head(folder, head, None) for head in more]
            learned = sorted(key for key in material.negatives if part_of(key) != "test")
            (folder / LEARNED_IMAGES).write_text(json.dumps(learned, indent=0), encoding="utf-8")
        return names, missing, told_genres(material.films, labelled, genres)

    def _index(
        self, folder: Path, films: FilmTable, material: Material, vectors: SearchVectors, told: ToldGenres | None
    ) -> None:
        trainable = np.array([film.id in material.trainable for film in material.films], dtype=bool)
        space, metrics, how = fit_space(
            vectors,
            [film.id for film in material.films],
            trainable,
            self.encoders.encode_texts,
            told=told,
            in_one_space=self.encoders.in_one_space,
        )
        for name, rows in (
            (search_files.PLOTS, vectors.plots),
            (search_files.POSTERS, space.center_poster(vectors.posters)),
            (search_files.JOINT, joint_vectors(space, vectors)),
        ):
            self.progress(f"index {name.removesuffix('.index')}", 0, None)
            if len(rows):
                Index.build(rows, metric="cosine").save(folder / name)
        self._write_signatures(folder, material, vectors, space)
        self.progress("set the bound of 'nothing fits'", 0, None)
        (folder / search_files.SPACE).write_bytes(space.to_bytes())
        opened = search_files.SearchStore.open(folder, films)
        plots = [film.plot for film in material.films if film.plot]
        settings, bound_metrics = fit_bound(opened, plots, self.encoders.encode_texts)
        space = space.with_settings(settings)
        (folder / search_files.SPACE).write_bytes(space.to_bytes())
        card = space_card(
            space,
            [*metrics, *bound_metrics],
            how,
            data=material.licences,
            encoder=f"{described(self.encoders, 'image')}; {described(self.encoders, 'text')}",
            demo=self.source.demo,
        )
        save_card(folder, card)

    def _write_signatures(self, folder: Path, material: Material, vectors: SearchVectors, space: Space) -> None:
        self.progress("see posters small", 0, None)
        if not len(vectors.poster_film):
            return
        thumbnails = []
        for row in vectors.poster_film.tolist():
            view = material.images.view(material.posters[row])
            if isinstance(view, MatineeError):
                raise view  # it could be read when it was encoded
            thumbnails.append(thumbnail(view))
        index = Index.open(folder / search_files.POSTERS)
        centred = space.center_poster(vectors.posters)
        ids = [material.films[row].id for row in vectors.poster_film.tolist()]

        def propose(row: int) -> list[int]:
            return [found for found, _ in index.search(centred[row : row + 1], NUM_CANDIDATES + 1).pairs()]

        signatures = with_bound(np.stack(thumbnails), parts_of(ids) != "test", propose)
        (folder / SIGNATURES).write_bytes(signatures.to_bytes())

    def _finish(
        self, folder: Path, material: Material, vectors: SearchVectors, heads: list[str], missing: dict[str, str]
    ) -> Manifest:
        self.progress("verify", 0, None)
        material.report.save(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        manifest = Manifest(
            format=FORMAT,
            name=self.source.name,
            version=matinee.__version__,
            created=datetime.now(UTC).replace(microsecond=0),
            demo=self.source.demo,
            counts={
                "films": len(material.films),
                "posters": len(material.posters),
                "plots": int(vectors.own_whole.sum()),
                "plot rows": len(vectors.plots),
                "negatives": len(material.negatives),
            },
            models={kind: self.encoders.entry(kind) for kind in ("text", "image")},
            heads=tuple(sorted(heads)),
            missing_heads=missing,
            files={str(path.relative_to(folder).as_posix()): entry_of(path) for path in files},
        )
        (folder / FILE_NAME).write_bytes(manifest.to_bytes())
        sync_tree(folder)
        verify(folder, "full")
        Bundle(folder, "fast")  # opens, and every file fits the others
        return manifest
