"""The benchmark's networks as PyTorch modules, and written for the others: ``python -m benchmarks.torch_networks``.

``python -m benchmarks.torch_networks generate FOLDER`` writes ViT-B/32 with generated weights as a model folder.
``python -m benchmarks.torch_networks export NETWORK FOLDER FILE.onnx`` writes a model folder's network as ONNX.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

quiet: Any = transformers.logging
quiet.set_verbosity_error()
quiet.disable_progress_bar()


class _SentenceVectors(torch.nn.Module):
    """Token ids and mask (B, T) to unit vectors (B, D): the mean over the tokens that are no padding."""

    def __init__(self, bert: Any) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        kept = mask.unsqueeze(-1).float()
        return torch.nn.functional.normalize((states * kept).sum(1) / kept.sum(1), dim=1)


class _PosterFeatures(torch.nn.Module):
    """Pixels (B, 3, H, W) to features (B, 1280)."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.net.extract_features(pixels).mean((2, 3)).float()
        return features


class _ImageVectors(torch.nn.Module):
    """Pixels (B, 3, H, W) to CLIP's vectors (B, D), not normalised."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.tower(pixel_values=pixels).image_embeds.float()
        return vectors


def minilm(folder: Path, attention: str) -> torch.nn.Module:
    """Sentence vectors of a BERT model folder."""
    bert: Any = transformers.BertModel.from_pretrained(folder, attn_implementation=attention)
    bert.pooler = None  # its output is not asked for
    return _SentenceVectors(bert)


def efficientnet(folder: Path, attention: str) -> torch.nn.Module:
    """Features of an EfficientNet-Lite0 model folder; it has no attention."""
    from efficientnet_lite_pytorch import EfficientNet
    from safetensors.torch import load_file

    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(load_file(folder / "model.safetensors"))
    return _PosterFeatures(net)


def vit(folder: Path, attention: str) -> torch.nn.Module:
    """Vectors of the image tower of a CLIP model folder."""
    return _ImageVectors(
        transformers.CLIPVisionModelWithProjection.from_pretrained(folder, attn_implementation=attention)
    )


NETWORKS: dict[str, Callable[[Path, str], torch.nn.Module]] = {
    "MiniLM": minilm,
    "EfficientNet-Lite0": efficientnet,
    "ViT-B/32": vit,
}


def load(network: str, folder: Path, *, attention: str = "sdpa") -> torch.nn.Module:
    """One of NETWORKS in fp32, for inference."""
    return NETWORKS[network](folder, attention).eval()


def generate(folder: Path) -> None:
    """Writes the image tower of CLIP ViT-B/32, in its real shape with LAION's activation, as a model folder."""
    torch.manual_seed(0)
    config: Any = transformers.CLIPConfig(text_config={"hidden_act": "gelu"}, vision_config={"hidden_act": "gelu"})
    transformers.CLIPVisionModelWithProjection(config.vision_config).save_pretrained(folder)
    config.save_pretrained(folder)  # the towers' together, as a published CLIP has it
    facts = {"family": "clip", "kind": "joint", "dimension": config.projection_dim, "normalize": False}
    (folder / "matinee.json").write_text(json.dumps(facts), encoding="utf-8")


def export(network: str, folder: Path, path: Path) -> None:
    """Writes one of NETWORKS as ONNX; every axis of the input but the picture's is free."""
    module = load(network, folder, attention="eager")  # the exporter knows no fused attention
    inputs: dict[str, torch.Tensor]
    if network == "MiniLM":
        mask = torch.ones(2, 16, dtype=torch.long)
        mask[1, 9:] = 0
        inputs = {"ids": torch.randint(1000, 2000, (2, 16)), "mask": mask}
        free = {0: "batch", 1: "tokens"}
    else:
        inputs = {"pixels": torch.randn(2, 3, 224, 224)}
        free = {0: "batch"}
    torch.onnx.export(
        module,
        tuple(inputs.values()),
        path,
        input_names=list(inputs),
        output_names=["vectors"],
        dynamic_axes={**dict.fromkeys(inputs, free), "vectors": {0: "batch"}},
        dynamo=False,
    )


def main() -> None:
    """Does what the first argument says."""
    if sys.argv[1] == "generate":
        generate(Path(sys.argv[2]))
    else:
        export(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))


if __name__ == "__main__":
    main()
