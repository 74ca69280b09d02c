"""CLIP's two towers compute what transformers computes, layer by layer, with both activations; on generated weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference_nets import cosines, packed

from matinee import FormatError, InvalidArgument, _core
from matinee.models.spec import registry
from tests.python.published_clip import laion_config, openai_config
from tests.python.tiny_clip import make_clip, write_clip

EVERY_SHAPE = ["small", "b32", *(pytest.param(name, marks=pytest.mark.slow) for name in ("b16", "l14"))]
LOWEST_COSINE = {"fp32": 0.99999, "bf16": 0.999, "int8": 0.99}


def random_pixels(model: Any, count: int) -> np.ndarray:
    side = model.config.vision_config.image_size
    return np.random.default_rng(1).standard_normal((count, 3, side, side), dtype=np.float32)


def random_texts(model: Any, lengths: list[int]) -> list[list[int]]:
    """Ids that end with the end token, which is found nowhere else."""
    vocabulary = model.config.text_config.vocab_size
    rng = np.random.default_rng(2)
    return [[*rng.integers(0, vocabulary - 2, length - 1).tolist(), vocabulary - 1] for length in lengths]


def unit(rows: torch.Tensor) -> np.ndarray:
    return np.asarray(torch.nn.functional.normalize(rows, dim=1).numpy())


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("shape", EVERY_SHAPE)
def test_every_layer_of_the_image_tower_is_transformers(tmp_path: Path, shape: str, activation: str) -> None:
    model = make_clip(shape, activation)
    folder = write_clip(tmp_path, model)
    pixels = random_pixels(model, 3)
    with torch.inference_mode():
        answer = model.vision_model(pixel_values=torch.from_numpy(pixels), output_hidden_states=True)
        expected = unit(model.visual_projection(answer.pooler_output))
    network = _core.VisionTransformer.load(folder, "fp32")
    states = network.hidden_states(pixels)
    assert states.shape == (3, 3 * network.num_tokens, model.config.vision_config.hidden_size)
    for ours, theirs in zip(states, answer.hidden_states, strict=True):
        # Sums of up to 4,096 products in another order, carried through two layers.
        np.testing.assert_allclose(ours, theirs.reshape(ours.shape).numpy(), atol=3e-4)
    for precision, lowest in LOWEST_COSINE.items():
        assert cosines(_core.VisionTransformer.load(folder, precision).features(pixels), expected).min() > lowest


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("shape", EVERY_SHAPE)
def test_every_layer_of_the_text_tower_is_transformers(tmp_path: Path, shape: str, activation: str) -> None:
    model = make_clip(shape, activation)
    folder = write_clip(tmp_path, model)
    longest = model.config.text_config.max_position_embeddings
    texts = random_texts(model, [2, 3, longest, 17, 5, longest - 1])
    network = _core.TokenEncoder.load(folder, "fp32")
    states = network.hidden_states(*packed(texts))
    expected = []
    row = 0
    for ids in texts:
        # Padded with what comes after the end token in a batch: it must not matter.
        padded = torch.tensor([[*ids, *[ids[0]] * (longest - len(ids))]])
        with torch.inference_mode():
            answer = model.text_model(input_ids=padded, output_hidden_states=True)
            expected.append(model.text_projection(answer.pooler_output))
        for ours, theirs in zip(states, answer.hidden_states, strict=True):
            np.testing.assert_allclose(ours[row : row + len(ids)], theirs[0, : len(ids)].numpy(), atol=3e-4)
        row += len(ids)
    for precision, lowest in LOWEST_COSINE.items():
        vectors = _core.TokenEncoder.load(folder, precision).encode(*packed(texts))
        assert cosines(vectors, unit(torch.cat(expected))).min() > lowest
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["b32", "b16", "l14"])
def test_all_layers_of_the_real_shapes(tmp_path: Path, shape: str) -> None:
    model = make_clip(shape, layers=24 if shape == "l14" else 12)
    folder = write_clip(tmp_path, model)
    pixels = random_pixels(model, 2)
    with torch.inference_mode():
        expected = unit(
            model.visual_projection(model.vision_model(pixel_values=torch.from_numpy(pixels)).pooler_output)
        )
    for precision in ("fp32", "bf16"):
        vectors = _core.VisionTransformer.load(folder, precision).features(pixels)
        assert cosines(vectors, expected).min() > LOWEST_COSINE[precision]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_an_image_has_the_same_vector_in_any_batch(tmp_path: Path, precision: str) -> None:
    model = make_clip("small")
    network = _core.VisionTransformer.load(write_clip(tmp_path, model), precision)
    pixels = random_pixels(model, 45)  # two groups
    together = network.features(pixels)
    for i in (0, 1, 19, 20, 44):
        np.testing.assert_allclose(network.features(pixels[i : i + 1])[0], together[i], rtol=0, atol=1e-6)
    assert network.features(pixels[:0]).shape == (0, 24)


def test_calibrated_int8_survives_outlier_channels(tmp_path: Path) -> None:
    # What trained transformers have: a few channels twenty times the others after the first norm.
    model = make_clip("b32", "gelu")
    with torch.no_grad():
        for layer in model.vision_model.encoder.layers:
            for norm in (layer.layer_norm1, layer.layer_norm2):
                norm.weight[:4] *= 20
    folder = write_clip(tmp_path, model)
    pixels = random_pixels(model, 24)
    exact = _core.VisionTransformer.load(folder, "fp32")
    expected = exact.features(pixels)

    def agreement() -> float:
        vectors = _core.VisionTransformer.load(folder, "int8").features(pixels)
        return float(cosines(vectors - vectors.mean(0), expected - expected.mean(0)).min())

    plain = agreement()
    from safetensors.numpy import save_file

    ranges = exact.activation_ranges(pixels[:8])
    assert set(ranges) == {
        f"image.{layer}.{name}"
        for layer in range(2)
        for name in ("query_key_value", "attention_output", "intermediate", "output")
    }
    save_file(ranges, str(folder / "calibration.safetensors"))
    smoothed = agreement()
    assert smoothed > plain
    assert smoothed > 0.98


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"model_type": "siglip"}, "model_type"),
        ("config.json", {"projection_dim": 25}, r"dimension|text_projection"),
        ("config.json", {"rope_theta": 1}, "rope_theta: unknown field"),
        ("config.json", {"text_config_dict": {"hidden_size": 41}}, "text_config_dict.hidden_size: expected 40"),
        ("config.json", {"text_config": {"hidden_act": "silu"}}, "text_config: hidden_act"),
        ("config.json", {"text_config": {"attention_bias": False}}, "text_config: attention_bias: unknown field"),
        ("config.json", {"vision_config": {"patch_size": 7}}, "vision_config: patch_size: expected a divisor"),
        ("config.json", {"vision_config": {"num_channels": 4}}, "num_channels"),
        ("config.json", {"vision_config": {"num_attention_heads": 5}}, "divisor of hidden_size"),
        ("config.json", {"vision_config": {"num_hidden_layers": 3}}, r"vision_model\.encoder\.layers\.2"),
        ("config.json", {"vision_config": {"num_hidden_layers": 1}}, r"vision_model\.encoder\.layers\.1"),
        ("config.json", {"text_config": {"vocab_size": 599}}, "token_embedding"),
        ("config.json", {"vision_config": {"intermediate_size": 99}}, r"mlp\.fc1"),
        ("matinee.json", {"dimension": 23}, "dimension: expected projection_dim"),
        ("matinee.json", {"kind": "image"}, "kind"),
        ("matinee.json", {"family": "bert"}, "model_type|family"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused_and_the_field_named(
    tmp_path: Path, file: str, change: dict[str, Any], message: str
) -> None:
    folder = write_clip(tmp_path, make_clip("small"))
    document = json.loads((folder / file).read_text())
    for name, value in change.items():
        document[name] = {**document.get(name, {}), **value} if isinstance(value, dict) else value
    (folder / file).write_text(json.dumps(document))
    with pytest.raises(FormatError, match=message):
        _core.VisionTransformer.load(folder, "fp32")
        _core.TokenEncoder.load(folder, "fp32")


def test_the_configurations_of_older_libraries_are_read(tmp_path: Path) -> None:
    folder = write_clip(tmp_path, make_clip("small"))
    document = json.loads((folder / "config.json").read_text())
    old = {
        "_attn_implementation_autoset": True, "_commit_hash": None, "_name_or_path": "",
        "add_cross_attention": False, "bad_words_ids": None, "cross_attention_hidden_size": None,
        "do_sample": False, "is_decoder": False, "is_encoder_decoder": False, "pruned_heads": {}, "top_k": 50,
        "tie_encoder_decoder": False, "dropout": 0.0, "use_bfloat16": False, "torch_dtype": None,
    }  # fmt: skip
    document["text_config"] |= old
    document["vision_config"] |= old
    document |= {"text_config_dict": None, "vision_config_dict": {"hidden_size": 48}, "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(document))
    assert _core.TokenEncoder.load(folder, "fp32").dimension == 24
    assert _core.VisionTransformer.load(folder, "fp32").dimension == 24


PUBLISHED = {"openai": openai_config, "laion": laion_config}


@pytest.mark.parametrize("whose", PUBLISHED)
def test_the_published_configurations_are_read_whatever_else_they_say(tmp_path: Path, whose: str) -> None:
    text = PUBLISHED[whose]()
    (file,) = (f for f in registry().models[f"clip-vit-b32-{whose}"].files if f.name == "config.json")
    assert hashlib.sha256(text.encode()).hexdigest() == file.sha256
    document = json.loads(text)
    folder = write_clip(tmp_path, make_clip("small", document["text_config"]["hidden_act"]))
    small = json.loads((folder / "config.json").read_text())
    for tower in ("text_config", "vision_config"):
        sizes = ("size", "heads", "layers", "embeddings", "projection_dim")
        document[tower] |= {name: value for name, value in small[tower].items() if name.endswith(sizes)}
    (folder / "config.json").write_text(json.dumps(document | {"projection_dim": small["projection_dim"]}))
    assert _core.TokenEncoder.load(folder, "fp32").dimension == 24
    assert _core.VisionTransformer.load(folder, "fp32").dimension == 24


@pytest.mark.slow
@pytest.mark.parametrize("whose", PUBLISHED)
def test_a_network_made_of_a_published_configuration_is_that_of_transformers(tmp_path: Path, whose: str) -> None:
    from transformers import CLIPConfig, CLIPModel

    (tmp_path / "config.json").write_text(PUBLISHED[whose]())
    torch.manual_seed(3)
    model = CLIPModel(CLIPConfig.from_pretrained(tmp_path)).eval()
    folder = write_clip(tmp_path, model)
    (tmp_path / "config.json").write_text(PUBLISHED[whose]())
    pixels, texts = random_pixels(model, 2), random_texts(model, [2, 9, 77])
    # Padded with the end token as the tokenizer does. OpenAI's says eos_token_id 2, which transformers takes for the
    # highest id, as OpenAI did.
    padded = torch.tensor([ids + [49407] * (77 - len(ids)) for ids in texts])
    with torch.inference_mode():
        images = unit(model.visual_projection(model.vision_model(torch.from_numpy(pixels)).pooler_output))
        words = unit(model.text_projection(model.text_model(padded).pooler_output))
    for precision in ("fp32", "bf16"):
        lowest = LOWEST_COSINE[precision]
        assert cosines(_core.VisionTransformer.load(folder, precision).features(pixels), images).min() > lowest
        assert cosines(_core.TokenEncoder.load(folder, precision).encode(*packed(texts)), words).min() > lowest


def test_pixels_of_another_shape_are_refused(tmp_path: Path) -> None:
    network = _core.VisionTransformer.load(write_clip(tmp_path, make_clip("small")))
    for shape in ((1, 3, 30, 29), (3, 30, 30), (1, 1, 30, 30)):
        with pytest.raises(InvalidArgument, match=r"pixels: expected \(B, 3, 30, 30\) float32"):
            network.features(np.zeros(shape, np.float32))
    with pytest.raises(InvalidArgument, match="loaded in fp32"):
        _core.VisionTransformer.load(tmp_path, "int8").activation_ranges(np.zeros((1, 3, 30, 30), np.float32))
