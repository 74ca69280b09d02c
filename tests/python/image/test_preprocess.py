"""Preprocessing gives the bits that Hugging Face's slow image processors compute with Pillow and NumPy."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
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
SIGLIP = {
    "image_processor_type": "SiglipImageProcessor",
    "processor_class": "SiglipProcessor",
    "do_convert_rgb": None,
    "do_resize": True,
    "size": {"height": 224, "width": 224},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 0.00392156862745098,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
# As OpenAI's folder had it in 2022: bare numbers, the older name, nothing about rescaling.
OLD_CLIP = {
    "feature_extractor_type": "CLIPFeatureExtractor",
    "do_resize": True,
    "size": 224,
    "resample": 3,
    "do_center_crop": True,
    "crop_size": 224,
    "do_normalize": True,
    "image_mean": CLIP["image_mean"],
    "image_std": CLIP["image_std"],
}
# As transformers 5 writes it: every key of its base class, most of them null.
NEW_CLIP = {
    **CLIP,
    "image_processor_type": "CLIPImageProcessorFast",
    "data_format": "channels_first",
    "default_to_square": False,
    "device": None,
    "disable_grouping": None,
    "do_pad": None,
    "image_seq_length": None,
    "input_data_format": None,
    "pad_size": None,
    "return_tensors": None,
    "size_divisor": None,
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


CONFIGS = {
    "CLIP": CLIP,
    "SigLIP": SIGLIP,
    "EfficientNet-Lite0": LITE0,
    "square": SQUARE,
    "resize then crop": RESIZE_THEN_CROP,
}
SIZES = [
    (278, 185),
    (185, 278),
    (224, 224),
    (223, 225),
    (1500, 1000),
    (30, 31),
    (501, 40),
    (7, 640),
    (2, 301),  # very wide
    (301, 2),  # so tall that Pillow swaps its passes
    (1, 1),
]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("size", SIZES)
def test_planes_equal_the_slow_twin(name: str, size: tuple[int, int]) -> None:
    image = noise(*size)
    planes, statuses = _core.Preprocessor.from_json(json.dumps(CONFIGS[name])).run([image, png(image)])
    assert statuses == [None, None]
    assert planes.dtype == np.float32
    for plane in planes:
        np.testing.assert_array_equal(plane, slow_twin(image, CONFIGS[name]))


def transformers_processor(name: str, config: dict[str, Any]) -> Any:
    """The processor of transformers that works with Pillow and NumPy, made of the same config."""
    transformers = pytest.importorskip("transformers")
    processor_class = getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)
    return processor_class(**{key: value for key, value in config.items() if not key.endswith("_type")})


PROCESSORS = {
    "CLIP": ("CLIPImageProcessor", CLIP),
    "CLIP of 2022": ("CLIPImageProcessor", OLD_CLIP),
    "CLIP of transformers 5": ("CLIPImageProcessor", NEW_CLIP),
    "SigLIP": ("SiglipImageProcessor", SIGLIP),
    "CLIP of another size": (
        "CLIPImageProcessor",
        {**CLIP, "size": {"shortest_edge": 90}, "crop_size": {"height": 64, "width": 101}, "resample": 2},
    ),
}


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("size", [(278, 185), (185, 278), (225, 227), (60, 50), (40, 1001), (1001, 9), (1, 1)])
def test_planes_equal_those_of_transformers(name: str, size: tuple[int, int]) -> None:
    class_name, config = PROCESSORS[name]
    image = noise(*size)
    processor = transformers_processor(class_name, config)
    want = processor(Image.fromarray(image), do_convert_rgb=True, return_tensors="np")["pixel_values"]
    got, _ = _core.Preprocessor.from_json(json.dumps(config)).run([image])
    # Some releases fold rescaling and normalising into one step; both round within two units in the last place.
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


def files_of_every_mode() -> dict[str, bytes]:
    """One picture of 61 x 83 in the modes and formats that Pillow opens it in."""
    picture = Image.fromarray(noise(8, 6)).resize((61, 83), Image.Resampling.BICUBIC)
    alpha = picture.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(picture.size))

    def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, file_format, **options)
        return buffer.getvalue()

    return {
        "P": saved(picture.quantize(16), "PNG"),
        "P with transparency": saved(picture.quantize(16), "PNG", transparency=bytes(range(0, 256, 16))),
        "1": saved(picture.convert("1"), "PNG"),
        "L": saved(picture.convert("L"), "PNG"),
        "LA": saved(alpha.convert("LA"), "PNG"),
        "RGB": saved(picture, "PNG"),
        "RGBA": saved(alpha, "PNG"),
        "L, JPEG": saved(picture.convert("L"), "JPEG"),
        "RGB, JPEG": saved(picture, "JPEG"),
        "CMYK, JPEG": saved(picture.convert("CMYK"), "JPEG"),
        "RGBA, WebP": saved(alpha, "WEBP", lossless=True, exact=True),
    }


@pytest.mark.parametrize("name", ["CLIP", "SigLIP"])
def test_files_of_every_mode_equal_transformers(name: str) -> None:
    class_name, config = PROCESSORS[name]
    files = files_of_every_mode()
    processor = transformers_processor(class_name, config)
    pictures = [Image.open(io.BytesIO(file)).convert("RGB") for file in files.values()]
    want = processor(pictures, return_tensors="np")["pixel_values"]
    got, errors = _core.Preprocessor.from_json(json.dumps(config)).run(list(files.values()))
    assert errors == [None] * len(files)
    for mode, ours, theirs in zip(files, got, want, strict=True):
        # JPEG decoders may differ by 2 of 255, and bicubic overshoots by a quarter of that.
        tolerance = 2.5 / 255 / min(config["image_std"]) if "JPEG" in mode else 1e-6
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance, err_msg=mode)


def test_many_threads_share_one_preprocessor() -> None:
    preprocessor = _core.Preprocessor.from_json(json.dumps(CLIP))
    images = [noise(40 + 13 * i, 300 - 17 * i, i) for i in range(12)]
    expected = [slow_twin(image, CLIP) for image in images]
    items = [png(image) if i % 2 else image for i, image in enumerate(images)]

    def call(shift: int) -> bool:
        order = [(i + shift) % len(items) for i in range(len(items))]
        planes, errors = preprocessor.run([items[i] for i in order])
        assert errors == [None] * len(items)
        return all(np.array_equal(plane, expected[i]) for plane, i in zip(planes, order, strict=True))

    with ThreadPoolExecutor(6) as callers:
        assert all(callers.map(call, range(24)))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_planes_do_not_depend_on_the_number_of_threads(count: int) -> None:
    before = _core.num_threads()
    images = [noise(90 + i, 61, i) for i in range(7)]
    try:
        _core.set_num_threads(count)
        planes, _ = _core.Preprocessor.from_json(json.dumps(SIGLIP)).run(images)
    finally:
        _core.set_num_threads(before)
    for plane, image in zip(planes, images, strict=True):
        np.testing.assert_array_equal(plane, slow_twin(image, SIGLIP))


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
        ({"size": 224, "image_processor_type": "DPTImageProcessor"}, "size: expected"),
        ({"size": 224.5}, "size: expected"),
        ({"size": "224"}, "size: expected"),
        ({"size": {"shortest_edge": 224, "longest_edge": 448}}, "size: expected"),
        ({"include_top": True}, "include_top: expected only steps"),
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


@pytest.mark.parametrize(
    ("whose", "square"),
    [
        ({"feature_extractor_type": "CLIPFeatureExtractor"}, False),
        ({"image_processor_type": "CLIPImageProcessorFast"}, False),
        ({"image_processor_type": "SiglipImageProcessor"}, True),
        ({"feature_extractor_type": "ViTFeatureExtractor"}, True),
        ({"default_to_square": False}, False),
        ({"default_to_square": True, "feature_extractor_type": "CLIPFeatureExtractor"}, True),
    ],
)
def test_a_bare_size_means_what_it_means_to_its_processor(whose: dict[str, Any], square: bool) -> None:
    image = noise(50, 80)
    config = {**OLD_CLIP, "size": 40, "crop_size": 32}
    del config["feature_extractor_type"]
    got, _ = _core.Preprocessor.from_json(json.dumps({**config, **whose})).run([image])
    size = {"height": 40, "width": 40} if square else {"shortest_edge": 40}
    want = slow_twin(image, {**config, "size": size, "crop_size": {"height": 32, "width": 32}})
    np.testing.assert_array_equal(got[0], want)
    with pytest.raises(InvalidArgument, match="size: expected"):
        _core.Preprocessor.from_json(json.dumps(config))


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
