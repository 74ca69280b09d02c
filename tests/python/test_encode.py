"""Encoder: from strings and image files to vectors, with errors, progress and threads as documented."""

from __future__ import annotations

import io
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_folders import WORDS, write_image_model, write_text_model

import matinee
from matinee import (
    Encoder,
    FormatError,
    ImageEncoder,
    InvalidArgument,
    NotFound,
    TextEncoder,
    TooLarge,
    UnsupportedFormat,
    _core,
)


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_model(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image_model(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def text_encoder(text_folder: Path) -> TextEncoder:
    encoder = Encoder.load(text_folder, "fp32")
    assert isinstance(encoder, TextEncoder)
    return encoder


@pytest.fixture(scope="module")
def image_encoder(image_folder: Path) -> ImageEncoder:
    encoder = Encoder.load(image_folder, "fp32")
    assert isinstance(encoder, ImageEncoder)
    return encoder


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_encoder_says_what_it_is(text_encoder: TextEncoder, image_encoder: ImageEncoder, text_folder: Path) -> None:
    assert (text_encoder.kind, text_encoder.name, text_encoder.dimension) == ("text", "tiny-text", 16)
    assert (image_encoder.kind, image_encoder.name, image_encoder.dimension) == ("image", "tiny-image", 1280)
    assert text_encoder.precision == "fp32"
    assert repr(text_encoder) == "TextEncoder('tiny-text', dimension=16, precision='fp32')"
    import hashlib

    assert text_encoder.sha256 == hashlib.sha256((text_folder / "model.safetensors").read_bytes()).hexdigest()
    assert Encoder.load(text_folder).precision == ("bf16" if _core.has_native_bf16() else "fp32")


def test_texts_become_unit_rows_in_order(text_encoder: TextEncoder) -> None:
    texts = [("abc" * (i % 5) + " film noir" * (i % 3)).strip() for i in range(600)]  # several chunks; some empty
    vectors = text_encoder.encode(texts)
    assert vectors.shape == (600, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for i in (0, 7, 255, 256, 599):
        np.testing.assert_allclose(text_encoder.encode_one(texts[i]), vectors[i], atol=1e-6)
    assert not np.allclose(vectors[1], vectors[2], atol=1e-3)
    assert text_encoder.encode([]).shape == (0, 16)


def test_a_long_text_is_read_to_the_last_token_that_fits(text_encoder: TextEncoder) -> None:
    long = " ".join(["film"] * 100_000)
    np.testing.assert_array_equal(text_encoder.encode_one(long), text_encoder.encode_one(" ".join(["film"] * 10)))


A_MILLION = [pytest.param(text, id=name) for name, text in (("one word", "a" * 10**6), ("words", "film " * 200_000))]


@pytest.mark.parametrize("text", ["", " ", "\0", "\0\x01\x7f", "😀😀", "北京", "\ud800", "film\n\tnoir", *A_MILLION])
def test_any_string_has_a_finite_unit_vector(text_encoder: TextEncoder, text: str) -> None:
    vector = text_encoder.encode_one(text)
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("texts", ["one string", [b"bytes"], ["fine", None], [3]])
def test_what_is_not_a_list_of_strings_is_refused(text_encoder: TextEncoder, texts: Any) -> None:
    with pytest.raises(InvalidArgument, match="texts: expected"):
        text_encoder.encode(texts)


def test_bytes_arrays_and_paths_of_one_image_are_one_vector(image_encoder: ImageEncoder, tmp_path: Path) -> None:
    pixels = picture(1)
    (tmp_path / "poster.png").write_bytes(png(pixels))
    encoded = image_encoder.encode([png(pixels), pixels, tmp_path / "poster.png", picture(2)])
    assert encoded.errors == [None] * 4
    assert encoded.vectors.shape == (4, 1280)
    assert encoded.vectors.dtype == np.float32
    for row in (1, 2):
        np.testing.assert_array_equal(encoded.vectors[row], encoded.vectors[0])
    assert not np.allclose(encoded.vectors[3], encoded.vectors[0])
    np.testing.assert_array_equal(image_encoder.encode_one(pixels), encoded.vectors[0])
    assert image_encoder.encode([]).vectors.shape == (0, 1280)


def test_one_bad_image_fails_alone(image_encoder: ImageEncoder, tmp_path: Path) -> None:
    good = [png(picture(i)) for i in range(150)]  # three chunks
    expected = image_encoder.encode(good).vectors
    (tmp_path / "large").write_bytes(bytes(21 << 20))
    bad: dict[int, tuple[Any, type[Exception]]] = {
        0: (b"", FormatError),
        5: (b"GIF89a" + bytes(50), UnsupportedFormat),
        63: (good[63][:200], FormatError),
        64: (tmp_path / "absent.jpg", NotFound),
        100: (tmp_path / "large", TooLarge),
        149: (np.zeros((4, 4), np.uint8), InvalidArgument),
    }
    images: list[Any] = [bad[i][0] if i in bad else image for i, image in enumerate(good)]
    encoded = image_encoder.encode(images)
    assert repr(encoded) == "EncodedImages(vectors=(150, 1280) float32, failed=6)"
    for i, error in enumerate(encoded.errors):
        if i in bad:
            assert isinstance(error, bad[i][1]), (i, error)
            assert not encoded.vectors[i].any()
            with pytest.raises(bad[i][1]):
                image_encoder.encode_one(images[i])
        else:
            assert error is None
            np.testing.assert_array_equal(encoded.vectors[i], expected[i])


def test_a_chunk_of_bad_images_only(image_encoder: ImageEncoder) -> None:
    encoded = image_encoder.encode([b"no image"] * 70)
    assert all(isinstance(error, UnsupportedFormat) for error in encoded.errors)
    assert not encoded.vectors.any()


def test_progress_is_told_to_the_end(text_encoder: TextEncoder, image_encoder: ImageEncoder) -> None:
    told: list[tuple[str, int, int]] = []
    text_encoder.encode(["film"] * 600, progress=lambda *state: told.append(state))
    image_encoder.encode([picture(0)] * 130, progress=lambda *state: told.append(state))
    for kind, total in (("texts", 600), ("images", 130)):
        done = [state[1] for state in told if state[0] == kind]
        assert done == sorted(set(done))
        assert done[-1] == total
        assert len(done) > 1
        assert all(state[2] == total for state in told if state[0] == kind)


def test_an_interrupt_stops_between_chunks(text_encoder: TextEncoder, image_encoder: ImageEncoder) -> None:
    calls = 0

    def interrupt(*_: object) -> None:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        text_encoder.encode(["film"] * 5000, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        image_encoder.encode([picture(0)] * 300, progress=interrupt)
    assert calls == 2
    assert not [thread for thread in threading.enumerate() if "matinee-decode" in thread.name]
    assert text_encoder.encode_one("film").shape == (16,)


def test_threads_share_an_encoder(text_encoder: TextEncoder, image_encoder: ImageEncoder) -> None:
    texts = ["film " * (i % 9) + "noir" for i in range(50)]
    images = [picture(i) for i in range(20)]
    vectors, encoded = text_encoder.encode(texts), image_encoder.encode(images).vectors
    problems: list[object] = []

    def work() -> None:
        for _ in range(3):
            if not np.array_equal(text_encoder.encode(texts), vectors):
                problems.append("texts")
            if not np.array_equal(image_encoder.encode(images).vectors, encoded):
                problems.append("images")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def changed(folder: Path, into: Path, file: str, **fields: object) -> Path:
    """A copy of a model folder with some fields of a JSON file changed; None takes one away."""
    shutil.copytree(folder, into)
    document = json.loads((into / file).read_text()) | fields
    (into / file).write_text(json.dumps({key: value for key, value in document.items() if value is not None}))
    return into


def test_unusable_models_are_typed_errors(text_folder: Path, image_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no-such-model"):
        Encoder.load("no-such-model")
    with pytest.raises(NotFound, match=r"matinee\.json"):
        Encoder.load(tmp_path / "nowhere")
    with pytest.raises(NotFound, match=r"matinee\.json"):
        Encoder.load("./nowhere")
    with pytest.raises(InvalidArgument, match="precision"):
        Encoder.load(text_folder, "fp8")  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="kind"):
        Encoder.load(changed(text_folder, tmp_path / "kind", "matinee.json", kind="sound"))
    with pytest.raises(FormatError, match="lowercase"):
        Encoder.load(changed(text_folder, tmp_path / "lowercase", "matinee.json", lowercase="yes"))
    with pytest.raises(FormatError, match="expected images of 32 x 32, got 48 x 48"):
        size = {"height": 48, "width": 48}
        Encoder.load(changed(image_folder, tmp_path / "size", "preprocessor_config.json", size=size))
    longer = changed(text_folder, tmp_path / "vocabulary", "matinee.json")
    (longer / "vocab.txt").write_text("\n".join([*WORDS, "more"]) + "\n")
    with pytest.raises(FormatError, match=r"vocab\.txt: expected at most 27 tokens"):
        Encoder.load(longer)
    for text in ("{", "[]"):
        broken = changed(text_folder, tmp_path / f"json{len(text)}", "matinee.json")
        (broken / "matinee.json").write_text(text)
        with pytest.raises(FormatError, match=r"matinee\.json"):
            Encoder.load(broken)


def test_the_real_models_are_found_by_name() -> None:
    try:
        matinee.models.verify("minilm-l6-v2")
        matinee.models.verify("efficientnet-lite0")
    except matinee.MatineeError as error:
        pytest.skip(str(error))
    text, image = Encoder.load("minilm-l6-v2"), Encoder.load("efficientnet-lite0")
    assert isinstance(text, TextEncoder)
    assert isinstance(image, ImageEncoder)
    assert text.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    food, bread, guitar = text.encode(
        ["A man is eating food.", "A man eats a piece of bread.", "A woman plays the guitar on stage."]
    )
    assert food @ bread > 0.5
    assert food @ guitar < 0.3
    assert image.encode_one(picture(0)).shape == (1280,)
