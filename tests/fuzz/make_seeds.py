"""Makes the first corpus of every fuzz target: ``make_seeds.py FOLDER`` writes FOLDER/<target>/<name>.

Small valid files of every kind that a target reads; the fuzzer finds the broken ones. Made by code, so that no binary
enters the repository.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image


def _saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def decode_seeds() -> dict[str, bytes]:
    """JPEG, PNG and WebP files of 13 x 11 pixels in every mode."""
    image = Image.effect_noise((13, 11), 60).convert("RGB")
    alpha = image.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    palette = image.quantize(16)
    return {
        "baseline.jpg": _saved(image, "JPEG"),
        "progressive.jpg": _saved(image, "JPEG", progressive=True),
        "gray.jpg": _saved(image.convert("L"), "JPEG"),
        "cmyk.jpg": _saved(image.convert("CMYK"), "JPEG"),
        "restart.jpg": _saved(image, "JPEG", restart_marker_blocks=1),
        "rgb.png": _saved(image, "PNG"),
        "rgba.png": _saved(alpha, "PNG"),
        "gray.png": _saved(image.convert("L"), "PNG"),
        "bits.png": _saved(image.convert("1"), "PNG"),
        "gray16.png": _saved(image.convert("I;16"), "PNG"),
        "palette.png": _saved(palette, "PNG"),
        "transparent.png": _saved(palette, "PNG", transparency=bytes(range(16))),
        "lossless.webp": _saved(image, "WEBP", lossless=True),
        "lossy.webp": _saved(image, "WEBP"),
        "alpha.webp": _saved(alpha, "WEBP"),
        "animated.webp": _saved(image, "WEBP", save_all=True, append_images=[image.rotate(90).resize(image.size)]),
        "animated.gif": _saved(palette, "GIF"),
    }


def preprocess_config_seeds() -> dict[str, bytes]:
    """A full config and a short one."""
    full = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": 224},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.48, 0.46, 0.41],
        "image_std": [0.27, 0.26, 0.28],
    }
    short = {"size": {"height": 96, "width": 64}, "resample": 2, "do_normalize": False}
    return {"full.json": json.dumps(full).encode(), "short.json": json.dumps(short).encode()}


def resize_seeds() -> dict[str, bytes]:
    """Sizes before and after, filter, pixels."""
    return {"down": bytes([200, 133, 50, 40, 0, *range(256)]), "up": bytes([9, 17, 99, 64, 1, 0, 255, 128, 7])}


def safetensors_seeds() -> dict[str, bytes]:
    """Two tensors with metadata, one of each 16-bit type, an empty file."""

    def built(header: dict[str, Any], data: bytes) -> bytes:
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data

    two = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "n": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]},
    }
    halves = {
        "h": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
        "b": {"dtype": "BF16", "shape": [1, 1], "data_offsets": [4, 6]},
    }
    return {"two": built(two, bytes(range(16))), "halves": built(halves, bytes(6)), "none": built({}, b"")}


def wordpiece_seeds() -> dict[str, bytes]:
    """The options' byte, then a text of several scripts; or a vocabulary."""
    texts = {
        "latin": "aba Ab. [CLS] ÀB\u0301 [SEP]",
        "scripts": "中ab文 각 क़ \u0f73 İ ß 🎬\u200d",
        "malformed": "a\udc80b",
    }
    seeds = {
        f"{name}{mode}": bytes([mode]) + text.encode("utf-8", "surrogatepass")
        for name, text in texts.items()
        for mode in range(4)
    }
    return {**seeds, "vocabulary": b"\x04[UNK]\n[CLS]\n[SEP]\nfilm\n##s\n"}


def clip_bpe_seeds() -> dict[str, bytes]:
    """The options' byte, then a text of what is cleaned; or a merges.txt, or a vocab.json."""
    texts = {
        "latin": "aba's ABAAAA 12! <|endoftext|> À e\u0301 “it’s”",
        "references": "&amp;lt; &eacute; &EACUTE; &#8217; &#x1f3ac; &lt &notit; ＆amp；",
        "controls": "\x1b[1;31mred\x1b[0m\r\n\x00 \u2028 ﬁ Ａ ﾊﾞ ŉ",
        "scripts": "中ab文 가\u1100\u1161 ΑΣ Σ' İ ß 🎬\u200d \ud83c\udfac",
    }
    seeds = {
        f"{name}{mode}": bytes([mode]) + text.encode("utf-8", "surrogatepass")
        for name, text in texts.items()
        for mode in (0, 1, 2, 16, 17, 20)
    }
    return {**seeds, "merges": b"\x20#version: 0.2\na a\nb a\n< |\n", "vocabulary": b'\x60{"a": 0, "a</w>": 1}'}


def index_file_seeds() -> dict[str, bytes]:
    """Index files of each kind and metric, where the package is installed."""
    try:
        import numpy as np

        import matinee
    except ImportError:
        return {"magic": b"MATINDEX"}
    seeds = {}
    metrics: tuple[matinee.index.Metric, ...] = ("cosine", "inner_product", "l2")
    kinds: tuple[matinee.index.Kind, ...] = ("exact", "partitioned")
    for metric, kind in itertools.product(metrics, kinds):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "seed.index"
            matinee.Index.build(np.eye(3, dtype=np.float32), np.array([40, 0, 1]), metric=metric, kind=kind).save(path)
            seeds[f"{metric}-{kind}"] = path.read_bytes()
    return seeds


SEEDS = {
    "clip_bpe_fuzz": clip_bpe_seeds,
    "decode_fuzz": decode_seeds,
    "index_file_fuzz": index_file_seeds,
    "preprocess_config_fuzz": preprocess_config_seeds,
    "resize_fuzz": resize_seeds,
    "safetensors_fuzz": safetensors_seeds,
    "wordpiece_fuzz": wordpiece_seeds,
}


def main() -> None:
    """Writes the seeds of every target below the folder that is named."""
    for target, make in SEEDS.items():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in make().items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
