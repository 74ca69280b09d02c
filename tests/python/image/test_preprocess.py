"""Preprocessing gives the bits that Hugging Face's slow image processors compute with Pillow and NumPy."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from matinee import _core
from matinee.errors import FormatError, InvalidArgument, MatineeError, NotFound, TooLarge, UnsupportedFormat

CLIP = {
    "image_processor_type": "CLIPImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
LITE0 = {
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": False,
    "do_normalize": True,
    "image_mean": [127.0, 127.0, 127.0],
    "image_std": [128.0, 128.0, 128.0],
}
SQUARE = {
    "size": {"height": 96, "width": 64},
    "resample": 2,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.5, 1],
}
RESIZE_THEN_CROP = {**SQUARE, "do_center_crop": True, "crop_size": {"height": 51, "width": 40}}


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def slow_twin(image: np.ndarray, config: dict[str, Any]) -> np.ndarray:
    """What transformers' BaseImageProcessor steps do, written out: (3, H, W) float32."""
    height, width = image.shape[:2]
    size = config["size"]
    if "shortest_edge" in size:
        edge = size["shortest_edge"]
        short, long = sorted((height, width))
        longer = int(edge * long / short)
        to_height, to_width = (longer, edge) if width <= height else (edge, longer)
    else:
        to_height, to_width = size["height"], size["width"]
    pixels = np.asarray(Image.fromarray(image).resize((to_width, to_height), Image.Resampling(config["resample"])))
    if config.get("do_center_crop", False):
        crop = config["crop_size"]
        crop_height, crop_width = crop["height"], crop["width"]
        padded_height, padded_width = max(crop_height, to_height), max(crop_width, to_width)
        padded = np.zeros((padded_height, padded_width, 3), np.uint8)
        top_pad, left_pad = -(-(padded_height - to_height) // 2), -(-(padded_width - to_width) // 2)
        padded[top_pad : top_pad + to_height, left_pad : left_pad + to_width] = pixels
        top, left = (padded_height - crop_height) // 2, (padded_width - crop_width) // 2
        pixels = padded[top : top + crop_height, left : left + crop_width]
    values = pixels.astype(np.float32)
    if config.get("do_rescale", True):
        values = (pixels.astype(np.float64) * config.get("rescale_factor", 1 / 255)).astype(np.float32)
    if config.get("do_normalize", True):
        values = (values - np.array(config["image_mean"], np.float32)) / np.array(config["image_std"], np.float32)
    return values.transpose(2, 0, 1)


CONFIGS = {"CLIP": CLIP, "EfficientNet-Lite0": LITE0, "square": SQUARE, "resize then crop": RESIZE_THEN_CROP}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("size", [(278, 185), (185, 278), (224, 224), (30, 31), (501, 40), (7, 640), (1, 1)])
def test_planes_equal_the_slow_twin(name: str, size: tuple[int, int]) -> None:
    image = noise(*size)
    planes, statuses = _core.Preprocessor.from_json(json.dumps(CONFIGS[name])).run([image, png(image)])
    assert statuses == [None, None]
    assert planes.dtype == np.float32
    for plane in planes:
        np.testing.assert_array_equal(plane, slow_twin(image, CONFIGS[name]))


@pytest.mark.parametrize("size", [(278, 185), (185, 278), (225, 227), (60, 50)])
def test_clip_equals_transformers(size: tuple[int, int]) -> None:
    transformers = pytest.importorskip("transformers")
    processor_class = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    options = {key: value for key, value in CLIP.items() if key != "image_processor_type"}
    image = noise(*size)
    want = processor_class(**options)(Image.fromarray(image), return_tensors="np")["pixel_values"]
    got, _ = _core.Preprocessor.from_json(json.dumps(CLIP)).run([image])
    # Some releases fold rescaling and normalising into one step; both round within two units in the last place.
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


def test_a_center_crop_smaller_than_the_image_is_padded_with_black() -> None:
    config = {**LITE0, "size": {"height": 10, "width": 13}, "crop_size": {"height": 15, "width": 20}}
    image = noise(40, 40)
    planes, _ = _core.Preprocessor.from_json(json.dumps(config)).run([image])
    np.testing.assert_array_equal(planes[0], slow_twin(image, config))
    assert (planes[0, :, 0] == np.float32(-127 / 128)).all()


def test_squash_keeps_what_a_center_crop_loses() -> None:
    poster = np.zeros((300, 200, 3), np.uint8)
    poster[:40] = 255  # the title, at the top
    text = json.dumps(LITE0)
    cropped, _ = _core.Preprocessor.from_json(text).run([poster])
    squashed, _ = _core.Preprocessor.from_json(text, squash=True).run([poster])
    assert cropped.max() < 0
    assert squashed.max() == 1
    want = slow_twin(poster, {**LITE0, "size": {"height": 224, "width": 224}, "do_center_crop": False})
    np.testing.assert_array_equal(squashed[0], want)


def test_keywords_make_the_same_preprocessor_as_a_config() -> None:
    image = noise(278, 185)
    preprocessor = _core.Preprocessor(
        height=224,
        width=224,
        resize="shortest_edge",
        shortest_edge=256,
        filter="bicubic",
        center_crop=True,
        mean=(127, 127, 127),
        std=(128, 128, 128),
    )
    assert (preprocessor.height, preprocessor.width) == (224, 224)
    planes, _ = preprocessor.run([image])
    np.testing.assert_array_equal(planes[0], slow_twin(image, LITE0))


def test_without_resizing_images_must_have_the_size_asked_for() -> None:
    image = noise(20, 30)
    planes, statuses = _core.Preprocessor(height=20, width=30, resize="none").run([image, noise(21, 30)])
    np.testing.assert_array_equal(planes[0], image.transpose(2, 0, 1).astype(np.float32))
    assert isinstance(statuses[1], InvalidArgument)


def test_a_batch_never_fails_for_one_bad_item() -> None:
    good = noise(50, 40)
    gif = io.BytesIO()
    Image.fromarray(good).save(gif, "GIF")
    items: list[Any] = [good, b"", gif.getvalue(), png(good)[:200], png(noise(300, 300)), "poster.jpg", good[:, :, 0]]
    items += [np.zeros((0, 5, 3), np.uint8), png(good)]
    planes, statuses = _core.Preprocessor(height=8, width=8, max_pixels=50_000).run(items)
    kinds = [type(status) for status in statuses]
    assert kinds == [
        type(None),
        FormatError,
        UnsupportedFormat,
        FormatError,
        TooLarge,
        InvalidArgument,
        InvalidArgument,
        InvalidArgument,
        type(None),
    ]
    assert all(isinstance(status, MatineeError) and "expected" in str(status) for status in statuses if status)
    assert not planes[1:8].any()
    np.testing.assert_array_equal(planes[0], planes[8])
    assert planes[0].any()


def test_an_empty_batch_is_fine() -> None:
    planes, statuses = _core.Preprocessor().run([])
    assert planes.shape == (0, 3, 224, 224)
    assert statuses == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resample": 1}, "resample: expected 2 .bilinear. or 3 .bicubic., got 1"),
        ({"resample": "bicubic"}, "resample"),
        ({"resample": None}, "resample"),
        ({"size": 224}, "size: expected"),
        ({"size": {"longest_edge": 224}}, "size: expected"),
        ({"size": {"shortest_edge": 0}}, "size.shortest_edge"),
        ({"do_center_crop": False}, "do_center_crop"),
        ({"crop_size": {"height": 224}}, "crop_size"),
        ({"image_mean": [0.5]}, "image_mean"),
        ({"image_std": [1, 1, 0]}, "std not 0"),
        ({"rescale_factor": "1/255"}, "rescale_factor"),
        ({"do_pad": True}, "do_pad: expected only steps"),
        ({"crop_pct": 0.875}, "crop_pct: expected only steps"),
    ],
)
def test_configs_we_cannot_follow_exactly_are_invalid_arguments(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        _core.Preprocessor.from_json(json.dumps({**CLIP, **change}))


def test_steps_that_are_switched_off_do_not_matter() -> None:
    config = {**CLIP, "do_pad": False, "do_flip_channel_order": None}
    assert _core.Preprocessor.from_json(json.dumps(config)).height == 224


def test_a_folder_is_read_by_its_config_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"preprocessor_config\.json"):
        _core.Preprocessor.from_folder(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{ not JSON")
    with pytest.raises(FormatError, match=r"preprocessor_config\.json: expected a JSON object"):
        _core.Preprocessor.from_folder(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LITE0))
    image = noise(278, 185)
    planes, _ = _core.Preprocessor.from_folder(tmp_path).run([image])
    np.testing.assert_array_equal(planes[0], slow_twin(image, LITE0))


def test_real_posters_equal_the_slow_twin(shared_data: Path) -> None:
    posters = sorted((shared_data / "posters").rglob("*.jpg"))
    chosen = [path.read_bytes() for path in posters[:: len(posters) // 16]]
    decoded = [_core.decode_rgb(data) for data in chosen]
    planes, statuses = _core.Preprocessor.from_json(json.dumps(LITE0)).run(chosen)
    assert statuses == [None] * len(chosen)
    for plane, image in zip(planes, decoded, strict=True):
        np.testing.assert_array_equal(plane, slow_twin(image, LITE0))
