"""Copies of posters are found again, and what only resembles a poster is not."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from matinee.bundle import open_bundle
from matinee.bundle.poster_view import poster_view
from matinee.errors import FormatError
from matinee.evaluation.poster import copies
from matinee.heads.split import part_of
from matinee.posters.duplicates import Signatures, thumbnail, with_bound


@pytest.fixture(scope="module")
def drawings() -> list[bytes]:
    """Pictures of large and small shapes, each of its own."""
    rng = np.random.default_rng(11)
    files = []
    for _ in range(24):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 4, 3)).astype(np.uint8)).resize((185, 278))
        fine = Image.fromarray(rng.integers(0, 256, (30, 20, 3)).astype(np.uint8)).resize((185, 278))
        file = io.BytesIO()
        Image.blend(coarse, fine, 0.4).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def small(data: bytes) -> np.ndarray:
    return thumbnail(poster_view(np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))))


def test_an_altered_picture_agrees_with_itself_and_with_no_other(drawings: list[bytes]) -> None:
    signatures = Signatures(np.stack([small(data) for data in drawings]), alarm_from=0.5)
    rng = np.random.default_rng(0)
    everything = list(range(len(drawings)))
    for row, data in enumerate(drawings):
        for name, copy in copies(data, rng).items():
            found = signatures.nearest(small(copy), everything)
            assert found is not None and found[0] == row, name


def test_agreement_is_one_with_itself_whatever_brightness_and_contrast(drawings: list[bytes]) -> None:
    thumbnails = np.stack([small(data) for data in drawings])
    signatures = Signatures(thumbnails, alarm_from=0.5)
    textured = int(np.argmax([t.std() for t in thumbnails]))
    darker = (thumbnails[textured] * 0.7 + 10).astype(np.uint8)
    found = signatures.nearest(darker, [textured])
    assert found is not None and found[1] > 0.97
    assert signatures.nearest(darker, []) is None


def test_the_bound_lets_hardly_any_known_poster_pass_for_another() -> None:
    pictures = np.random.default_rng(3).integers(0, 256, (400, 72, 48)).astype(np.uint8)
    learned = np.arange(400) < 300
    signatures = with_bound(pictures, learned, lambda row: [(row + step) % 400 for step in range(1, 6)])
    assert 0 < signatures.alarm_from < 0.9
    assert all(signatures.copy_of(pictures[row], [(row + 1) % 400, (row + 2) % 400]) is None for row in range(300))
    assert signatures.copy_of(pictures[5], [4, 5, 6]) == 5


def test_the_file_is_read_back_or_refused(tmp_path: Path, drawings: list[bytes]) -> None:
    signatures = Signatures(np.stack([small(data) for data in drawings]), alarm_from=0.4)
    path = tmp_path / "duplicates.safetensors"
    path.write_bytes(signatures.to_bytes())
    loaded = Signatures.load(path)
    assert loaded.alarm_from == 0.4 and np.array_equal(loaded.thumbnails, signatures.thumbnails)
    path.write_bytes(signatures.to_bytes()[:-1000])
    with pytest.raises(FormatError, match="duplicates"):
        Signatures.load(path)


def test_a_bundle_names_the_film_whose_poster_comes_back(small_bundle: Path) -> None:
    bundle = open_bundle(small_bundle)
    film = next(film for film in bundle.films() if film.has_poster and part_of(film.id) == "train")
    data = bundle.poster(film.id)[0]
    check = bundle.check_poster(data)
    copied = next(reason for reason in check.reasons if reason.code == "near_duplicate")
    assert film.label in copied.detail and copied.film == film.id
    known = bundle.copy_of(data)
    assert known is not None and known.id == film.id
    besides = bundle.copy_of(data, besides=film.id)
    assert besides is None or besides.id != film.id
