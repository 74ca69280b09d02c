"""Model folders that went wrong, the same table for every family: a FormatError names the tensor or field, always."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from matinee import FormatError, _core
from tests.python.tiny_clip import make_clip, write_clip
from tests.python.tiny_folders import write_image_model, write_item_model, write_text_model

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Family:
    """A network, a small folder of it, and which of the folder's tensors it reads."""

    load: Callable[..., Any]
    write: Callable[[Path], Path]
    reads: str = ""  # a regular expression
    section: str | None = None  # of config.json


def write_small_clip(folder: Path) -> Path:
    return write_clip(folder, make_clip("small"))


FAMILIES = {
    "BERT": Family(_core.TokenEncoder.load, write_text_model),
    "item transformer": Family(_core.TokenEncoder.load, write_item_model),
    "CLIP text": Family(_core.TokenEncoder.load, write_small_clip, "text_(model|projection)", "text_config"),
    "CLIP image": Family(_core.VisionTransformer.load, write_small_clip, "vis(ion_model|ual)", "vision_config"),
    "convnet": Family(_core.ConvNet.load, write_image_model),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def whole(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    family.write(folder)
    family.load(folder, "fp32")
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "folder"))


def some_read(family: Family, tensors: Tensors) -> list[str]:
    """About twelve of the tensors that the family reads, the first and the last among them."""
    names = [name for name in sorted(tensors) if re.match(family.reads, name)]
    return [names[i] for i in sorted({*range(0, len(names), max(1, len(names) // 11)), len(names) - 1})]


def without(tensors: Tensors, name: str) -> Tensors:
    return {key: value for key, value in tensors.items() if key != name}


def with_value(tensors: Tensors, name: str, value: float) -> Tensors:
    changed = tensors[name].copy()
    changed.flat[-1] = value
    return tensors | {name: changed}


BAD_TENSORS: dict[str, Callable[[Tensors, str], Tensors]] = {
    "missing": without,
    "another name": lambda t, name: without(t, name) | {name + ".moved": t[name]},
    "one more element": lambda t, name: t | {name: np.zeros(t[name].size + 1, np.float32)},
    "another rank": lambda t, name: t | {name: t[name][None]},
    "no element": lambda t, name: t | {name: np.zeros(0, np.float32)},
    "whole numbers": lambda t, name: t | {name: t[name].astype(np.int64)},
    "NaN": lambda t, name: with_value(t, name, float("nan")),
    "infinity": lambda t, name: with_value(t, name, float("-inf")),
}


@pytest.mark.parametrize("change", BAD_TENSORS)
def test_a_bad_tensor_is_refused_and_named(family: Family, folder: Path, change: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    for name in some_read(family, tensors):
        save_file(BAD_TENSORS[change](tensors, name), folder / "model.safetensors")
        with pytest.raises(FormatError, match=re.escape(name)):
            family.load(folder, "fp32")


@pytest.mark.parametrize("name", ["adapter.weight", "encoder.layer.1.rotary.freqs", "text_models.x", ""])
def test_a_tensor_too_many_is_refused_and_named(family: Family, folder: Path, name: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {name: np.ones(1, np.float32)}, folder / "model.safetensors")
    with pytest.raises(FormatError, match=f"'{re.escape(name)}': expected none of this name"):
        family.load(folder, "fp32")


def test_a_damaged_header_is_refused(family: Family, folder: Path) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    first, second = sorted(name for name in header if name != "__metadata__")[:2]

    def written(changed: dict[str, Any]) -> bytes:
        text = json.dumps(changed).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + length :]

    overlapping = written(header | {first: header[second]})
    beyond = written(header | {first: header[first] | {"data_offsets": [0, 1 << 40]}})
    cut = [data[:size] for size in (0, 7, 8, 8 + length // 2, 8 + length, len(data) // 2, len(data) - 1)]
    for bad in (overlapping, beyond, *cut, b"\xff" * 8 + data[8:], data + b"\0"):
        path.write_bytes(bad)
        with pytest.raises(FormatError, match=r"model\.safetensors"):
            family.load(folder, "fp32")
    path.write_bytes(written(header))
    family.load(folder, "fp32")  # and it was not our writing


def test_a_configuration_that_contradicts_the_weights_is_refused(family: Family, folder: Path) -> None:
    path = folder / "config.json"
    document = json.loads(path.read_text())
    ours = document if family.section is None else document[family.section]
    # Those that weights can contradict; heads only divide, and images of any size have the same convolutions.
    sizes = ["hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size", "max_position_embeddings",
             "type_vocab_size", "patch_size", "feature_dimension"]  # fmt: skip
    for name in (name for name in sizes if name in ours):
        for wrong in (ours[name] + 1, ours[name] - 1, 0, -1, str(ours[name]), None, 1 << 60):
            changed = ours | {name: wrong}
            path.write_text(json.dumps(changed if family.section is None else document | {family.section: changed}))
            with pytest.raises(FormatError, match=r"config\.json|matinee\.json|model\.safetensors"):
                family.load(folder, "fp32")


@pytest.mark.parametrize("name", ["rope_theta", "attention_bias", "num_key_value_heads", "squeeze_excite"])
def test_a_field_that_might_change_the_result_is_refused_and_named(family: Family, folder: Path, name: str) -> None:
    path = folder / "config.json"
    document = json.loads(path.read_text())
    (document if family.section is None else document[family.section])[name] = 1
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError, match=f"{name}: unknown field"):
        family.load(folder, "fp32")


def test_a_folder_of_another_family_is_refused(family: Family, whole: Path) -> None:
    reads_it = [other.load for other in FAMILIES.values() if other.write == family.write]
    for other in FAMILIES.values():
        if other.load not in reads_it:
            with pytest.raises(FormatError, match=r"config\.json|matinee\.json"):
                other.load(whole, "fp32")


def test_weights_of_another_family_are_refused(family: Family, folder: Path, tmp_path: Path) -> None:
    for name, other in FAMILIES.items():
        if other.write == family.write:
            continue
        (tmp_path / name).mkdir()
        weights = other.write(tmp_path / name) / "model.safetensors"
        shutil.copyfile(weights, folder / "model.safetensors")
        with pytest.raises(FormatError, match=r"model\.safetensors: tensor"):
            family.load(folder, "fp32")
