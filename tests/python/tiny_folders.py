"""Small model folders with generated weights, made without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij", *(f"##{c}" for c in "abcdefghij"), "film", "noir"]


def _write_tensors(folder: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Random weights; batch norms with variance near one."""
    rng = np.random.default_rng(4)
    tensors = {}
    for name, shape in shapes.items():
        scale = 0.3 if len(shape) < 2 else 1.4 / np.sqrt(np.prod(shape[1:]))
        centre = 1.0 if name.endswith(("running_var", "LayerNorm.weight", "_bn0.weight", "_bn1.weight")) else 0.0
        values = rng.uniform(-scale, scale, shape) + centre
        tensors[name] = values.astype(np.float32)
    save_file(tensors, folder / "model.safetensors")


def write_text_model(folder: Path, *, hidden: int = 16, max_tokens: int = 12) -> Path:
    """A BERT of one layer over WORDS."""
    h, inner, layer = hidden, 3 * hidden // 2, "encoder.layer.0."
    config = {
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": h, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": inner, "vocab_size": len(WORDS),
        "max_position_embeddings": max_tokens, "type_vocab_size": 1, "layer_norm_eps": 1e-12,
    }  # fmt: skip
    facts = {
        "name": "tiny-text", "family": "bert", "kind": "text", "dimension": h, "pooling": "mean", "normalize": True,
        "max_tokens": max_tokens,
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), h),
        "embeddings.position_embeddings.weight": (max_tokens, h),
        "embeddings.token_type_embeddings.weight": (1, h),
    }
    for norm in ("embeddings.", layer + "attention.output.", layer + "output."):
        shapes |= {norm + "LayerNorm.weight": (h,), norm + "LayerNorm.bias": (h,)}
    for name, out, into in [
        ("attention.self.query", h, h), ("attention.self.key", h, h), ("attention.self.value", h, h),
        ("attention.output.dense", h, h), ("intermediate.dense", inner, h), ("output.dense", h, inner),
    ]:  # fmt: skip
        shapes |= {f"{layer}{name}.weight": (out, into), f"{layer}{name}.bias": (out,)}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "matinee.json").write_text(json.dumps(facts))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    _write_tensors(folder, shapes)
    return folder


def write_item_model(folder: Path) -> Path:
    """An item transformer of one layer over 30 items, for sessions of up to 9."""
    h, inner, items, longest = 16, 24, 30, 9
    config = {
        "model_type": "sasrec", "hidden_act": "relu", "hidden_size": h, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": inner, "vocab_size": items,
        "max_position_embeddings": longest, "layer_norm_eps": 1e-5,
    }  # fmt: skip
    facts = {"name": "tiny-items", "family": "sasrec", "kind": "items", "normalize": False}
    shapes: dict[str, tuple[int, ...]] = {
        "item_embeddings.weight": (items, h), "position_embeddings.weight": (longest, h),
    }  # fmt: skip
    for norm in ("final_norm", "layers.0.attention_norm", "layers.0.feed_forward_norm"):
        shapes |= {f"{norm}.weight": (h,), f"{norm}.bias": (h,)}
    for name, out, into in [
        *((f"attention.{part}", h, h) for part in ("query", "key", "value", "output")),
        ("feed_forward.in", inner, h), ("feed_forward.out", h, inner),
    ]:  # fmt: skip
        shapes |= {f"layers.0.{name}.weight": (out, into), f"layers.0.{name}.bias": (out,)}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "matinee.json").write_text(json.dumps(facts))
    _write_tensors(folder, shapes)
    return folder


def write_image_model(folder: Path, *, image_size: int = 32) -> Path:
    """EfficientNet-Lite0, for images of `image_size`."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(conv: str, norm: str, out: int, into: int, kernel: int) -> None:
        shapes[conv + ".weight"] = (out, into, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (out,)

    convolution("_conv_stem", "_bn0", 32, 3, 3)
    number = 0
    for blocks, kernel, expansion, first, out in [
        (1, 3, 1, 32, 16), (2, 3, 6, 16, 24), (2, 5, 6, 24, 40), (3, 3, 6, 40, 80), (3, 5, 6, 80, 112),
        (4, 5, 6, 112, 192), (1, 3, 6, 192, 320),
    ]:  # fmt: skip
        for i in range(blocks):
            prefix, into = f"_blocks.{number}.", first if i == 0 else out
            if expansion > 1:
                convolution(prefix + "_expand_conv", prefix + "_bn0", into * expansion, into, 1)
            convolution(prefix + "_depthwise_conv", prefix + "_bn1", into * expansion, 1, kernel)
            convolution(prefix + "_project_conv", prefix + "_bn2", out, into * expansion, 1)
            number += 1
    convolution("_conv_head", "_bn1", 1280, 320, 1)
    _write_tensors(folder, shapes)
    config = {
        "model_type": "efficientnet-lite", "variant": "lite0", "image_size": image_size, "feature_dimension": 1280,
        "batch_norm_epsilon": 0.001,
    }  # fmt: skip
    processor = {
        "do_resize": True, "size": {"height": image_size, "width": image_size}, "resample": 2, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    facts = {"name": "tiny-image", "family": "efficientnet-lite", "kind": "image", "dimension": 1280}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    (folder / "matinee.json").write_text(json.dumps(facts))
    return folder
