"""CLIPs in the layouts of transformers and of open_clip become model folders with the same vectors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from matinee import Encoder, FormatError, IoError, JointEncoder, NotFound, cli, models  # noqa: E402
from tests.python.tiny_clip import make_clip, write_clip, write_clip_inputs, write_open_clip  # noqa: E402

TEXTS = ["", "A heist goes wrong.", "Une comédie; 北京 😀", "film " * 200_000, "x" * 10**6]


@pytest.fixture(scope="module")
def clip() -> Any:
    return make_clip("small")


@pytest.fixture
def open_clip(tmp_path: Path, clip: Any) -> Path:
    """A folder as open_clip's hub repositories are."""
    folder = write_clip_inputs(write_open_clip(tmp_path / "open_clip", clip), clip)
    (folder / "preprocessor_config.json").unlink()
    return folder


def vectors(folder: Path, precision: Any = "fp32") -> tuple[np.ndarray, np.ndarray]:
    encoder = Encoder.load(folder, precision)
    assert isinstance(encoder, JointEncoder)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((40, 30, 3), (30, 30, 3), (31, 90, 3))]
    return encoder.texts.encode(TEXTS), encoder.images.encode(images).vectors


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_both_layouts_give_the_same_vectors_bit_for_bit(tmp_path: Path, activation: str, precision: str) -> None:
    model = make_clip("small", activation)
    expected = vectors(write_clip_inputs(write_clip(tmp_path / "plain", model), model), precision)
    sources = {
        "transformers": write_clip_inputs(write_clip(tmp_path / "transformers", model), model),
        "open_clip": write_clip_inputs(write_open_clip(tmp_path / "open_clip", model), model),
    }
    (sources["transformers"] / "matinee.json").unlink()
    for layout, source in sources.items():
        found = vectors(models.import_clip(source, tmp_path / f"{layout}-imported"), precision)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_values_of_sixteen_bits_stay_as_they_are(tmp_path: Path, clip: Any, dtype: Any) -> None:
    source = write_clip_inputs(write_open_clip(tmp_path / "open_clip", clip, dtype), clip)
    written = load_file(models.import_clip(source, tmp_path / "out") / "model.safetensors")
    state = clip.state_dict()
    assert set(written) == {name for name in state if not name.endswith("position_ids")}
    for name, value in written.items():
        assert value.dtype == dtype
        assert torch.equal(value, state[name].to(dtype)), name


def test_transformers_reads_what_was_written(tmp_path: Path, open_clip: Path, clip: Any) -> None:
    from transformers import CLIPModel

    read: Any = CLIPModel.from_pretrained(models.import_clip(open_clip, tmp_path / "out")).eval()
    pixels = torch.randn(2, 3, 30, 30)
    ids = torch.randint(0, 500, (2, 21))
    ids[:, 9] = 599
    with torch.inference_mode():
        for name, inputs in (
            ("get_image_features", {"pixel_values": pixels}),
            ("get_text_features", {"input_ids": ids}),
        ):
            ours, theirs = (getattr(model, name)(**inputs) for model in (read, clip))
            assert torch.equal(getattr(ours, "pooler_output", ours), getattr(theirs, "pooler_output", theirs))


def test_the_preprocessing_is_open_clips(tmp_path: Path, open_clip: Path) -> None:
    path = open_clip / "open_clip_config.json"
    document = json.loads(path.read_text())
    document["preprocess_cfg"] = {
        "size": [30, 30], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bilinear",
        "resize_mode": "shortest", "mode": "RGB", "fill_color": 0,
    }  # fmt: skip
    path.write_text(json.dumps(document))
    found = json.loads((models.import_clip(open_clip, tmp_path / "out") / "preprocessor_config.json").read_text())
    assert found["size"] == {"shortest_edge": 30}
    assert found["crop_size"] == {"height": 30, "width": 30}
    assert (found["do_center_crop"], found["resample"]) == (True, 2)
    assert (found["image_mean"], found["image_std"]) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])


def test_links_as_a_hubs_cache_has_them_are_followed(tmp_path: Path, clip: Any) -> None:
    blobs = write_clip_inputs(write_clip(tmp_path / "blobs", clip), clip)
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(Path("..") / "blobs" / file.name)
    folder = models.import_clip(snapshot, tmp_path / "out")
    shutil.rmtree(blobs)
    assert vectors(folder)[0].shape == (5, 24)


def test_the_command_makes_a_model_that_is_found_by_its_name(
    tmp_path: Path, open_clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = tmp_path / "shelf"
    assert cli.main(["models", "import", str(open_clip), "--out", str(shelf / "posters"), "--name", "our posters"]) == 0
    assert str(shelf / "posters") in capsys.readouterr().out
    monkeypatch.setenv("MATINEE_MODELS", str(shelf))
    assert Encoder.load("posters").name == "our posters"


CONTRADICTIONS: list[tuple[tuple[str, ...], Any, str]] = [
    (("model_cfg", "vision_cfg", "rope"), True, "model_cfg.vision_cfg.rope: Extra inputs"),
    (("model_cfg", "vision_cfg", "attentional_pool"), True, "attentional_pool: .*, got True"),
    (("model_cfg", "vision_cfg", "timm_model_name"), "vit_base", "timm_model_name"),
    (("model_cfg", "vision_cfg", "layers"), [3, 4, 6, 3], "vision_cfg.layers"),
    (("model_cfg", "vision_cfg", "layers"), 3, r"visual\.transformer\.resblocks\.2\..*': expected one of this name"),
    (("model_cfg", "vision_cfg", "layers"), 1, r"visual\.transformer\.resblocks\.1\..*': expected none of this name"),
    (
        ("model_cfg", "vision_cfg", "width"),
        51,
        r"import_clip: .*open_clip: model\.safetensors: tensor .*patch_embedding",
    ),
    (("model_cfg", "vision_cfg", "patch_size"), 5, "patch_embedding"),
    (("model_cfg", "vision_cfg", "mlp_ratio"), 2.0, r"mlp\.fc1"),
    (("model_cfg", "text_cfg", "no_causal_mask"), True, "no_causal_mask"),
    (("model_cfg", "text_cfg", "pool_type"), "last", "pool_type"),
    (("model_cfg", "text_cfg", "hf_tokenizer_name"), "google/mt5-base", "hf_tokenizer_name"),
    (("model_cfg", "text_cfg", "vocab_size"), 601, "token_embedding"),
    (("model_cfg", "text_cfg", "heads"), "8", "text_cfg.heads"),
    (("model_cfg", "embed_dim"), 25, "projection"),
    (("model_cfg", "custom_text"), True, "custom_text"),
    (("preprocess_cfg", "resize_mode"), "longest", "resize_mode"),
    (("preprocess_cfg", "interpolation"), "random", "interpolation"),
    (("preprocess_cfg", "size"), 31, "preprocess_cfg.size: expected image_size, 30, got 31"),
    (("preprocess_cfg", "mean"), [0.5], "preprocess_cfg.mean"),
    (("preprocess_cfg",), None, "preprocess_cfg"),
]


@pytest.mark.parametrize(("where", "value", "message"), CONTRADICTIONS)
def test_a_configuration_that_is_not_computed_or_not_the_weights_is_refused(
    tmp_path: Path, open_clip: Path, where: tuple[str, ...], value: Any, message: str
) -> None:
    path = open_clip / "open_clip_config.json"
    document = json.loads(path.read_text())
    part = document
    for name in where[:-1]:
        part = part[name]
    part[where[-1]] = value
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError, match=message) as caught:
        models.import_clip(open_clip, tmp_path / "out")
    assert str(open_clip) in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["open_clip"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("visual.proj", None, "'visual.proj': expected one of this name, got none"),
        ("visual.proj", torch.zeros(48), "'visual.proj': expected 2 dimensions"),
        ("visual.proj", torch.zeros(24, 48), "visual_projection"),
        ("visual.proj", torch.full((48, 24), float("nan")), "visual_projection.*finite"),
        ("visual.proj", torch.zeros(48, 24, dtype=torch.int32), "'visual.proj': expected F32, F16 or BF16, got I32"),
        ("transformer.resblocks.0.attn.in_proj_weight", torch.zeros(121, 40), "3 equal parts, got shape"),
        ("transformer.resblocks.0.attn.in_proj_bias", torch.zeros(()), "3 equal parts, got shape"),
        ("transformer.resblocks.0.attn.in_proj_weight", torch.zeros(117, 40), r"self_attn\.q_proj"),
        ("visual.trunk.norm.weight", torch.zeros(3), "'visual.trunk.norm.weight': expected none of this name"),
        ("attn_mask", torch.zeros(21, 21), None),
    ],
)
def test_a_tensor_that_is_missing_superfluous_or_of_another_shape_is_named(
    tmp_path: Path, open_clip: Path, name: str, value: Any, message: str | None
) -> None:
    path = open_clip / "open_clip_model.safetensors"
    tensors = {key: tensor for key, tensor in load_file(path).items() if key != name}
    save_file(tensors if value is None else tensors | {name: value}, path)
    if message is None:
        assert models.import_clip(open_clip, tmp_path / "out").is_dir()
        return
    with pytest.raises(FormatError, match=message):
        models.import_clip(open_clip, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_that_are_no_clip_are_typed_errors(tmp_path: Path, open_clip: Path, clip: Any) -> None:
    out = tmp_path / "out"
    with pytest.raises(NotFound, match=r"open_clip_config\.json"):
        models.import_clip(tmp_path / "nowhere", out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(IoError, match="expected a new or empty folder"):
        models.import_clip(open_clip, tmp_path / "full")
    weights = open_clip / "open_clip_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="expected a safetensors file"):
        models.import_clip(open_clip, out)
    weights.unlink()
    with pytest.raises(NotFound, match=r"open_clip_model\.safetensors"):
        models.import_clip(open_clip, out)
    (open_clip / "open_clip_config.json").write_text("{")
    with pytest.raises(FormatError, match=r"open_clip_config\.json"):
        models.import_clip(open_clip, out)
    (open_clip / "merges.txt").unlink()
    with pytest.raises(NotFound, match=r"merges\.txt: no such file"):
        models.import_clip(open_clip, out)
    other = write_clip_inputs(write_clip(tmp_path / "other", clip), clip)
    for text in ("[]", "{", "{}", '{"model_type": "siglip", "projection_dim": 24}'):
        (other / "config.json").write_text(text)
        with pytest.raises(FormatError, match=r"config\.json"):
            models.import_clip(other, out)
    assert not out.exists()
