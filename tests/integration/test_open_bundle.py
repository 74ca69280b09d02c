"""An open bundle under many threads and across a fork, and the models it needs."""

import multiprocessing
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from matinee.bundle import Bundle, Manifest, open_bundle
from matinee.errors import FormatError, InternalError, NotFound


@pytest.fixture(scope="module")
def bundle(small_bundle: Path) -> Bundle:
    return open_bundle(small_bundle)


def test_threads_get_the_answers_of_a_single_caller(small_bundle: Path) -> None:
    bundle = open_bundle(small_bundle)  # encoders not loaded yet: the threads race for that, too
    films = [f"local:{number}" for number in range(1, 25)]

    def ask(film: str) -> tuple[object, ...]:
        plot = bundle.film(film).plot or "A shy florist falls in love."
        poster = bundle.poster(film)[0] if bundle.film(film).has_poster else None
        return (
            bundle.predict_genres(poster=poster, plot=plot).top,
            [hit.id for hit in bundle.similar(film, k=5).films],
            [hit.id for hit in bundle.discover(plot[:80], k=5).films],
            [found.id for found in bundle.find(bundle.film(film).title[:9], 5)],
        )

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, films))
    assert together == [ask(film) for film in films]


def _use(bundle: Bundle, results: "multiprocessing.Queue[str]") -> None:
    try:
        bundle.film("local:1")
        results.put("answered")
    except InternalError as error:
        results.put(str(error))


def test_a_bundle_carried_across_a_fork_says_so(bundle: Bundle) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[str] = context.Queue()
    child = context.Process(target=_use, args=(bundle, results))
    child.start()
    assert "opened before a fork" in results.get(timeout=60)
    child.join()


def rewritten(small_bundle: Path, copy: Path, **changes: object) -> Path:
    """A copy of the bundle with another manifest, right in itself."""
    shutil.copytree(small_bundle, copy)
    manifest = Manifest.load(copy)
    (copy / "manifest.json").write_bytes(Manifest.model_validate({**dict(manifest), **changes}).to_bytes())
    return copy


def test_vectors_of_other_weights_never_meet(small_bundle: Path, bundle: Bundle, tmp_path: Path) -> None:
    entry = bundle.manifest.models["text"].model_copy(update={"sha256": "1" * 64})
    models = {**bundle.manifest.models, "text": entry}
    opened = open_bundle(rewritten(small_bundle, tmp_path / "b", models=models))
    with pytest.raises(FormatError, match="was built with weights 1111"):
        opened.discover("a haunted family")
    # What needs no text encoder goes on working.
    assert opened.similar("local:1").films and opened.check_poster(opened.poster("local:1")[0])


def test_a_head_that_the_catalogue_did_not_suffice_for_is_named_with_the_reason(
    small_bundle: Path, bundle: Bundle, tmp_path: Path
) -> None:
    gone = ("genre-both-multi", "genre-both-single", "genre-plot-single", "poster-check", "poster-kind")
    heads = tuple(name for name in bundle.manifest.heads if name not in gone)
    missing = dict.fromkeys(gone, "12 films; 40 are needed")
    opened = open_bundle(rewritten(small_bundle, tmp_path / "b", heads=heads, missing_heads=missing))
    with pytest.raises(NotFound, match="genre-plot-single: 12 films; 40 are needed"):
        opened.predict_genres(plot="A shy florist falls in love.", labels="single")
    with pytest.raises(NotFound, match="poster-check"):
        opened.check_poster(bundle.poster("local:1")[0])
    answer = opened.predict_genres(poster=bundle.poster("local:1")[0], plot="A shy florist falls in love.")
    assert answer.used == ["plot"] and answer.note is not None and "plot alone" in answer.note


def test_warming_up_and_showing(bundle: Bundle) -> None:
    bundle.warm_up()
    assert repr(bundle).startswith("Bundle('Drawn films', films=113")
