"""CLIPs with random weights, in the shapes of the real ones or small, and their model folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tests.python.text.simple_tokenizer import vocabulary


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


def write_clip_inputs(folder: Path, model: Any) -> Path:
    """What `Encoder.load` needs besides: a squash to the square, and a tokenizer without merges."""
    edge = model.config.vision_config.image_size
    settings = {"do_resize": True, "size": {"height": edge, "width": edge}, "resample": 3, "do_rescale": True,
                "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "vocab.json").write_text(json.dumps(vocabulary([])))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


def write_open_clip(folder: Path, model: Any, dtype: torch.dtype = torch.float32) -> Path:
    """The same network as open_clip writes it, whose names of the tensors are OpenAI's."""
    from safetensors.torch import save_file

    state = {name: value.to(dtype) for name, value in model.state_dict().items() if not name.endswith("position_ids")}
    vision, text = model.config.vision_config, model.config.text_config
    tensors = {
        "visual.class_embedding": state["vision_model.embeddings.class_embedding"],
        "visual.conv1.weight": state["vision_model.embeddings.patch_embedding.weight"],
        "visual.positional_embedding": state["vision_model.embeddings.position_embedding.weight"],
        "visual.proj": state["visual_projection.weight"].T,
        "token_embedding.weight": state["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": state["text_model.embeddings.position_embedding.weight"],
        "text_projection": state["text_projection.weight"].T,
        "logit_scale": state["logit_scale"],
    }
    for kind in ("weight", "bias"):
        tensors[f"visual.ln_pre.{kind}"] = state[f"vision_model.pre_layrnorm.{kind}"]
        tensors[f"visual.ln_post.{kind}"] = state[f"vision_model.post_layernorm.{kind}"]
        tensors[f"ln_final.{kind}"] = state[f"text_model.final_layer_norm.{kind}"]
        for prefix, tower, layers in (
            ("visual.", "vision_model", vision.num_hidden_layers),
            ("", "text_model", text.num_hidden_layers),
        ):
            for i in range(layers):
                block, layer = f"{prefix}transformer.resblocks.{i}", f"{tower}.encoder.layers.{i}"
                qkv = [state[f"{layer}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
                tensors[f"{block}.attn.in_proj_{kind}"] = torch.cat(qkv)
                tensors[f"{block}.attn.out_proj.{kind}"] = state[f"{layer}.self_attn.out_proj.{kind}"]
                tensors[f"{block}.ln_1.{kind}"] = state[f"{layer}.layer_norm1.{kind}"]
                tensors[f"{block}.ln_2.{kind}"] = state[f"{layer}.layer_norm2.{kind}"]
                tensors[f"{block}.mlp.c_fc.{kind}"] = state[f"{layer}.mlp.fc1.{kind}"]
                tensors[f"{block}.mlp.c_proj.{kind}"] = state[f"{layer}.mlp.fc2.{kind}"]
    config = {
        "model_cfg": {
            "embed_dim": model.config.projection_dim,
            "quick_gelu": vision.hidden_act == "quick_gelu",
            "vision_cfg": {
                "image_size": vision.image_size,
                "layers": vision.num_hidden_layers,
                "width": vision.hidden_size,
                "head_width": vision.hidden_size // vision.num_attention_heads,
                "mlp_ratio": vision.intermediate_size / vision.hidden_size,
                "patch_size": vision.patch_size,
            },
            "text_cfg": {
                "context_length": text.max_position_embeddings,
                "vocab_size": text.vocab_size,
                "width": text.hidden_size,
                "heads": text.num_attention_heads,
                "layers": text.num_hidden_layers,
                "mlp_ratio": text.intermediate_size / text.hidden_size,
            },
        },
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2))
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "open_clip_model.safetensors")
    return folder
