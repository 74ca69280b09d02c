"""CLIPs with random weights, in the shapes of the real ones or small, and their model folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch


class Shape(NamedTuple):
    """What tells one CLIP from another; the widths of the real ones, of which everyday tests take two layers."""

    vision: tuple[int, int, int]  # hidden, intermediate, heads
    image_size: int
    patch_size: int
    text: tuple[int, int, int]
    positions: int
    projection: int
    vocabulary: int = 600


SHAPES = {
    "small": Shape((48, 100, 3), 30, 6, (40, 72, 5), 21, 24),
    "b32": Shape((768, 3072, 12), 224, 32, (512, 2048, 8), 77, 512),
    "b16": Shape((768, 3072, 12), 224, 16, (512, 2048, 8), 77, 512),
    "l14": Shape((1024, 4096, 16), 224, 14, (768, 3072, 12), 77, 768),
}


def make_clip(shape: str, activation: str = "quick_gelu", layers: int = 2) -> Any:
    """A transformers CLIPModel with random weights, large enough to matter in every part."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    torch.manual_seed(3)
    sizes = SHAPES[shape]

    def tower(widths: tuple[int, int, int]) -> dict[str, Any]:
        names = ("hidden_size", "intermediate_size", "num_attention_heads")
        common = {"hidden_act": activation, "num_hidden_layers": layers, "projection_dim": sizes.projection}
        return {**dict(zip(names, widths, strict=True)), **common}

    projection = sizes.projection
    end = sizes.vocabulary - 1
    text = CLIPTextConfig(
        **tower(sizes.text),
        vocab_size=sizes.vocabulary,
        max_position_embeddings=sizes.positions,
        eos_token_id=end,
        bos_token_id=end - 1,
    )
    vision = CLIPVisionConfig(**tower(sizes.vision), image_size=sizes.image_size, patch_size=sizes.patch_size)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=projection)
    model: Any = CLIPModel(config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias") or "norm" in name:
                value.add_(torch.randn_like(value) * 0.1)
    return model.eval()


def write_clip(folder: Path, model: Any, **facts: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    known = {"family": "clip", "kind": "joint", "dimension": model.config.projection_dim, "normalize": True}
    (folder / "matinee.json").write_text(json.dumps(known | facts))
    return folder
