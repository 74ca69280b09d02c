"""open_clip's layout of CLIP, which is OpenAI's original one, turned into that of the transformers library.

open_clip_config.json says in other words what config.json and preprocessor_config.json say. The tensors have other
names, queries, keys and values lie in one, and the projections are transposed; no value changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, deserialize

from matinee.errors import FormatError, NotFound
from matinee.models.sources import disk_errors

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"

_EPSILON = 1e-5  # of torch.nn.LayerNorm, which the layout leaves unsaid
_PILLOW_FILTER = {"bilinear": 2, "bicubic": 3}
_FLOATS = {"F32": 4, "F16": 2, "BF16": 2}  # bytes a value
# Of OpenAI's archives and older open_clips; they say nothing that the configuration does not.
_UNUSED = {"attn_mask", "context_length", "input_resolution", "vocab_size"}


class _Strict(BaseModel):
    """Fields that this class does not have are refused, and so is any other value of a field with one choice only."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Tower(_Strict):
    layers: int = Field(gt=0)
    width: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    output_tokens: bool = False  # of the Python module: more answers, the same vector
    # steps that the plain transformer does not have
    act_kwargs: None = None
    block_type: None = None
    final_ln_after_pool: Literal[False] = False
    ls_init_value: None = None
    norm_kwargs: None = None
    qk_norm: Literal[False] = False
    scale_attn: Literal[False] = False
    scale_attn_inner: Literal[False] = False
    scale_fc: Literal[False] = False
    scale_heads: Literal[False] = False
    scaled_cosine_attn: Literal[False] = False

    def fields(self, heads: int, quick_gelu: bool, dimension: int) -> dict[str, Any]:
        """What config.json says of this tower and of the other alike."""
        return {
            "hidden_act": "quick_gelu" if quick_gelu else "gelu",
            "hidden_size": self.width,
            "intermediate_size": int(self.width * self.mlp_ratio),
            "layer_norm_eps": _EPSILON,
            "num_attention_heads": heads,
            "num_hidden_layers": self.layers,
            "projection_dim": dimension,
        }


class _Vision(_Tower):
    image_size: int = Field(gt=0)
    patch_size: int = Field(gt=0)
    head_width: int = Field(default=64, gt=0)
    patch_dropout: float = 0.0  # in training only
    attentional_pool: Literal[False] = False
    no_ln_pre: Literal[False] = False
    pool_type: Literal["tok"] = "tok"
    pos_embed_type: Literal["learnable"] = "learnable"
    timm_model_name: Literal[None, ""] = None


class _Text(_Tower):
    context_length: int = Field(gt=0)
    vocab_size: int = Field(gt=1)
    heads: int = Field(gt=0)
    embed_cls: Literal[False] = False
    hf_model_name: Literal[None, ""] = None
    hf_tokenizer_name: Literal[None, ""] = None  # else another tokenizer than CLIP's
    no_causal_mask: Literal[False] = False
    pad_id: int = 0  # what comes after the end token
    pool_type: Literal["argmax"] = "argmax"
    proj_bias: Literal[False] = False
    proj_type: Literal["linear"] = "linear"
    text_arch: Literal["clip"] = "clip"
    tokenizer_kwargs: None = None


class _Model(_Strict):
    embed_dim: int = Field(gt=0)
    quick_gelu: bool = False
    vision_cfg: _Vision
    text_cfg: _Text
    custom_text: Literal[False] = False


class _Preprocess(_Strict):
    mean: tuple[float, float, float] = Field(strict=False)
    std: tuple[float, float, float] = Field(strict=False)
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    resize_mode: Literal["shortest", "squash"] = "shortest"
    size: int | list[int] | None = None
    mode: Literal["RGB"] = "RGB"
    fill_color: int = 0  # around images that another resize_mode does not fill


class OpenClipConfig(_Strict):
    """open_clip_config.json, of models that the engine computes."""

    model_cfg: _Model
    preprocess_cfg: _Preprocess

    @staticmethod
    def read(path: Path) -> OpenClipConfig:
        """Raises NotFound, IoError; FormatError naming a field that asks for what the engine does not compute."""
        try:
            with disk_errors(f"import: reading {path}"):
                return OpenClipConfig.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
            raise FormatError(f"{path}: {field}: {first['msg']}{got}") from error

    def config(self) -> dict[str, Any]:
        """config.json of the transformers library."""
        model, vision, text = self.model_cfg, self.model_cfg.vision_cfg, self.model_cfg.text_cfg
        heads = vision.width // vision.head_width
        return {
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "projection_dim": model.embed_dim,
            "text_config": {
                "model_type": "clip_text_model",
                # the two highest ids: open_clip reads the vector off at the highest
                "bos_token_id": text.vocab_size - 2,
                "eos_token_id": text.vocab_size - 1,
                "max_position_embeddings": text.context_length,
                "vocab_size": text.vocab_size,
                **text.fields(text.heads, model.quick_gelu, model.embed_dim),
            },
            "vision_config": {
                "model_type": "clip_vision_model",
                "image_size": vision.image_size,
                "patch_size": vision.patch_size,
                **vision.fields(heads, model.quick_gelu, model.embed_dim),
            },
        }

    def preprocessor_config(self, path: Path) -> dict[str, Any]:
        """preprocessor_config.json of the transformers library. `path` is named in errors."""
        edge, given = self.model_cfg.vision_cfg.image_size, self.preprocess_cfg
        if given.size not in (None, edge, [edge, edge]):
            raise FormatError(f"{path}: preprocess_cfg.size: expected image_size, {edge}, got {given.size}")
        square = {"height": edge, "width": edge}
        squash = given.resize_mode == "squash"
        return {
            "image_processor_type": "CLIPImageProcessor",
            "do_resize": True,
            "size": square if squash else {"shortest_edge": edge},
            "resample": _PILLOW_FILTER[given.interpolation],
            "do_center_crop": not squash,
            "crop_size": square,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": given.mean,
            "image_std": given.std,
        }


def convert_weights(source: Path, config: OpenClipConfig, target: Path) -> None:
    """Writes model.safetensors with the names of the transformers library; values and their types stay as they are.

    Raises NotFound, IoError; FormatError for a damaged file, and naming a tensor that is missing, superfluous, or
    cannot be split.
    """
    if not source.is_file():
        raise NotFound(f"{source}: no such file")
    with disk_errors(f"import: reading {source}"):
        data = source.read_bytes()
    try:
        given = dict(deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise FormatError(f"{source}: expected a safetensors file: {error}") from error
    del data
    written: dict[str, tuple[str, npt.NDArray[Any]]] = {}
    for name, names, transposed in _tensors(config):
        tensor = given.pop(name, None)
        if tensor is None:
            raise FormatError(f"{source}: tensor '{name}': expected one of this name, got none")
        if tensor["dtype"] not in _FLOATS:
            raise FormatError(f"{source}: tensor '{name}': expected F32, F16 or BF16, got {tensor['dtype']}")
        array = _array(tensor)
        if transposed and array.ndim != 2:
            raise FormatError(f"{source}: tensor '{name}': expected 2 dimensions, got shape {array.shape}")
        if len(names) > 1 and (array.ndim == 0 or len(array) % len(names)):
            raise FormatError(f"{source}: tensor '{name}': expected {len(names)} equal parts, got shape {array.shape}")
        parts = np.split(array, len(names)) if len(names) > 1 else [array.T if transposed else array]
        written |= {new: (tensor["dtype"], part) for new, part in zip(names, parts, strict=True)}
    left = sorted(given.keys() - _UNUSED)
    if left:
        of = f"are the weights of another network than {CONFIG} says?"
        raise FormatError(f"{source}: tensor '{left[0]}': expected none of this name; {of}")
    with disk_errors(f"import: writing {target}"), target.open("wb") as file:
        _write_safetensors(file, written)


def _array(tensor: dict[str, Any]) -> npt.NDArray[Any]:
    """The values as whole numbers of their size: NumPy has no bfloat16, and nothing is computed here."""
    return np.frombuffer(tensor["data"], f"<u{_FLOATS[tensor['dtype']]}").reshape(tensor["shape"])


def _write_safetensors(file: BinaryIO, tensors: dict[str, tuple[str, npt.NDArray[Any]]]) -> None:
    """Types by safetensors' names with values as `_array` gives them: the library's own writer knows no bfloat16."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, array) in tensors.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the values are aligned
    file.write(len(text).to_bytes(8, "little") + text)
    for _, array in tensors.values():
        file.write(array.tobytes())


def _tensors(config: OpenClipConfig) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Each tensor of the layout: its name, the names of what it is split into, and whether it is transposed."""
    plain = {
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "logit_scale": "logit_scale",
    }
    yield from ((name, (new,), False) for name, new in plain.items())
    yield "visual.proj", ("visual_projection.weight",), True
    yield "text_projection", ("text_projection.weight",), True
    pairs = {
        "visual.ln_pre": "vision_model.pre_layrnorm",  # so spelt in every file
        "visual.ln_post": "vision_model.post_layernorm",
        "ln_final": "text_model.final_layer_norm",
    }
    towers = (("visual.", "vision_model", config.model_cfg.vision_cfg), ("", "text_model", config.model_cfg.text_cfg))
    for prefix, tower, facts in towers:
        for i in range(facts.layers):
            block, layer = f"{prefix}transformer.resblocks.{i}", f"{tower}.encoder.layers.{i}"
            for kind in ("weight", "bias"):
                parts = tuple(f"{layer}.self_attn.{part}_proj.{kind}" for part in "qkv")
                yield f"{block}.attn.in_proj_{kind}", parts, False
            pairs[f"{block}.attn.out_proj"] = f"{layer}.self_attn.out_proj"
            pairs[f"{block}.ln_1"] = f"{layer}.layer_norm1"
            pairs[f"{block}.ln_2"] = f"{layer}.layer_norm2"
            pairs[f"{block}.mlp.c_fc"] = f"{layer}.mlp.fc1"
            pairs[f"{block}.mlp.c_proj"] = f"{layer}.mlp.fc2"
    for name, new in pairs.items():
        for kind in ("weight", "bias"):
            yield f"{name}.{kind}", (f"{new}.{kind}",), False
