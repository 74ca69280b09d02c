"""Reference networks in PyTorch, and model folders made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

PRECISIONS = ["fp32", "bf16"]
# Lowest cosine to PyTorch in fp32, with real weights.
LOWEST_COSINE = {"fp32": 0.99999, "bf16": 0.999}


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of each row of one with the same row of the other, in double."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def write_bert(folder: Path, model: Any, **facts: object) -> Path:
    """Writes a transformers BertModel as a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    fields = {
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers, "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size, "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_position_embeddings, "type_vocab_size": config.type_vocab_size,
        "layer_norm_eps": config.layer_norm_eps,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(fields))
    known = {
        "family": "bert", "kind": "text", "dimension": config.hidden_size, "pooling": "mean", "normalize": True,
        "max_tokens": config.max_position_embeddings,
    }  # fmt: skip
    (folder / "matinee.json").write_text(json.dumps(known | facts))
    tensors = {name: value.contiguous() for name, value in model.state_dict().items() if "position_ids" not in name}
    save_file(tensors, str(folder / "model.safetensors"))
    return folder


def tiny_bert(**changes: int) -> Any:
    """A transformers BertModel of two layers with random weights, large enough to matter in every part."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(5)
    fields = {
        "vocab_size": 90, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 100, "max_position_embeddings": 70, "initializer_range": 0.3,
    }  # fmt: skip
    model = BertModel(BertConfig(**(fields | changes))).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "LayerNorm" in name or name.endswith("bias"):
                value.add_(0.1 * torch.randn_like(value))
    return model


def packed(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of texts as the core takes them."""
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return np.array([token for text in texts for token in text], np.int32), offsets


def lite0_reference(image_size: int, state: dict[str, torch.Tensor] | None = None, *, variant: str = "lite0") -> Any:
    """The reference EfficientNet-Lite, with these weights or random ones whose activations keep their size."""
    from efficientnet_lite_pytorch import EfficientNet

    torch.manual_seed(6)
    net = EfficientNet.from_name(f"efficientnet-{variant}", image_size=image_size).eval()
    if state is not None:
        net.load_state_dict(state)
        return net
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.normal_(1, 0.2)
                module.bias.normal_(0, 0.3)
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
            elif isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
    return net


def write_lite0(folder: Path, net: Any, image_size: int, *, variant: str = "lite0") -> Path:
    """Writes a reference network as a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "efficientnet-lite", "variant": variant, "image_size": image_size, "feature_dimension": 1280,
        "batch_norm_epsilon": 0.001,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "matinee.json").write_text(
        json.dumps({"family": "efficientnet-lite", "kind": "image", "dimension": 1280})
    )
    processor = {
        "do_resize": True, "size": {"height": image_size, "width": image_size}, "resample": 3, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    save_file(net.state_dict(), str(folder / "model.safetensors"))
    return folder


def lite0_features(net: Any, pixels: np.ndarray) -> np.ndarray:
    """The reference's pooled features of the last convolution."""
    with torch.no_grad():
        return net._avg_pooling(net.extract_features(torch.from_numpy(pixels)))[:, :, 0, 0].numpy()
