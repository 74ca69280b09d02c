"""The table of bad input, against the Python interface: the right typed error or a right answer, and nothing else."""

from pathlib import Path

import numpy as np
import pytest

from matinee.bundle import Bundle, open_bundle
from matinee.errors import InvalidArgument, MatineeError, NotFound, TooLarge
from tests.bad_inputs import BAD_CALLS, UNKNOWN_FILMS, BadCall, BadImage, BadText, bad_images, bad_texts


@pytest.fixture(scope="module")
def bundle(small_bundle: Path) -> Bundle:
    return open_bundle(small_bundle)


@pytest.mark.parametrize("case", bad_images(), ids=lambda case: case.name)
def test_images(bundle: Bundle, case: BadImage) -> None:
    data = case.data
    calls = [
        lambda: bundle.check_poster(data),
        lambda: bundle.predict_genres(poster=data),
        lambda: bundle.predict_genres(poster=data, plot="A detective hunts a killer."),
        lambda: bundle.similar(poster=data),
    ]
    for call in calls:
        if case.error is None:
            call()
        else:
            with pytest.raises(case.error) as caught:
                call()
            assert isinstance(caught.value, MatineeError) and str(caught.value)


@pytest.mark.parametrize("case", bad_texts(), ids=lambda case: case.name)
def test_texts(bundle: Bundle, case: BadText) -> None:
    if case.plot is None:
        answer = bundle.predict_genres(plot=case.text)
        assert sum(g.probability for g in answer.genres) > 0
        assert len(bundle.similar(plot=case.text, k=3).films) == 3
    else:
        with pytest.raises(case.plot):
            bundle.predict_genres(plot=case.text)
    if case.request is None:
        found = bundle.discover(case.text, k=3)
        assert len(found.films) <= 3
        assert found.nothing_fits or found.films
    else:
        with pytest.raises(case.request):
            bundle.discover(case.text)


def test_more_bytes_than_allowed_are_too_large(bundle: Bundle) -> None:
    with pytest.raises(TooLarge):
        bundle.check_poster(b"\xff\xd8\xff" + bytes(21 << 20))


def test_only_signs_fit_no_film(bundle: Bundle) -> None:
    for text in ("😀🎬👻", "?!… --- ***"):
        answer = bundle.discover(text)
        assert answer.nothing_fits and answer.films == []


@pytest.mark.parametrize("case", BAD_CALLS, ids=lambda case: case.name)
def test_calls(bundle: Bundle, case: BadCall) -> None:
    for call in (
        lambda: bundle.discover("a haunted family", **case.arguments),
        lambda: bundle.similar("local:1", **case.arguments),
    ):
        if case.error is None:
            assert len(call().films) <= len(bundle)
        else:
            with pytest.raises(case.error):
                call()


@pytest.mark.parametrize("film", UNKNOWN_FILMS, ids=repr)
def test_unknown_films(bundle: Bundle, film: str) -> None:
    for call in (bundle.film, bundle.poster, bundle.similar, lambda f: bundle.similar(["local:1", f])):
        with pytest.raises(NotFound):
            call(film)


def test_arguments_of_the_wrong_kind(bundle: Bundle) -> None:
    for call in (
        bundle.predict_genres,
        lambda: bundle.predict_genres(plot="x y", labels="many"),
        lambda: bundle.predict_genres(plot=7),
        lambda: bundle.check_poster(7),
        lambda: bundle.check_poster(np.zeros((4, 4), np.uint8)),
        lambda: bundle.check_poster(np.zeros((4, 4, 3), np.float32)),
        bundle.similar,
        lambda: bundle.similar([]),
        lambda: bundle.similar([3]),
        lambda: bundle.similar("local:1", weights={"plot": 0}),
        lambda: bundle.similar("local:1", weights={"plot": -1}),
        lambda: bundle.similar("local:1", weights={"plot": float("nan")}),
        lambda: bundle.similar("local:1", weights={"smell": 1}),
        lambda: bundle.similar(["local:1"] * 101),
        lambda: bundle.discover(None),
        lambda: bundle.discover("x", k=2.5),
        lambda: bundle.discover("x", k=True),
    ):
        with pytest.raises(InvalidArgument):
            call()
    for path in ("/no/such/file.jpg", "/"):
        with pytest.raises(NotFound):
            bundle.check_poster(path)
