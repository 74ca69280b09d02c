"""EfficientNet-Lite0 computes what the reference implementation computes, and refuses what it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference_nets import LOWEST_COSINE, PRECISIONS, cosines, lite0_features, lite0_reference, write_lite0
from safetensors.torch import load_file

from matinee import FormatError, InvalidArgument, NotFound, _core

SMALL = 64


@pytest.fixture(scope="module")
def small_reference() -> Any:
    return lite0_reference(SMALL)


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory: pytest.TempPathFactory, small_reference: Any) -> Path:
    return write_lite0(tmp_path_factory.mktemp("lite0"), small_reference, SMALL)


def noise(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(count, 3, size, size)).astype(np.float32)


# Odd sizes make every padding of SAME: none, equal, larger at the bottom and right.
@pytest.mark.parametrize("size", [32, 33, 47, 75, 96])
def test_generated_weights_give_what_the_reference_gives(tmp_path: Path, size: int) -> None:
    net = lite0_reference(size)
    pixels = noise(3, size)
    expected = lite0_features(net, pixels)
    features = _core.ConvNet.load(write_lite0(tmp_path, net, size), "fp32").features(pixels)
    assert features.shape == (3, 1280)
    assert features.dtype == np.float32
    # Values below 6 after 50 layers of sums in another order.
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)
    assert cosines(features, expected).min() > 0.999999


@pytest.mark.parametrize("precision", PRECISIONS)
def test_bf16_stays_near_on_generated_weights(small_folder: Path, small_reference: Any, precision: str) -> None:
    net = _core.ConvNet.load(small_folder, precision)
    pixels = noise(4, SMALL)
    assert net.precision == precision
    # Random weights are harsher than trained ones: 0.999 is held for those below.
    assert cosines(net.features(pixels), lite0_features(small_reference, pixels)).min() > 0.99


@pytest.fixture(scope="module")
def real_case(lite0: Path, posters: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of posters, and the features of the reference with the real weights."""
    pixels, errors = _core.Preprocessor.from_folder(lite0).run(posters)
    assert errors == [None] * len(posters)
    return pixels, lite0_features(lite0_reference(224, load_file(lite0 / "model.safetensors")), pixels)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_real_weights_give_what_the_reference_gives(
    lite0: Path, real_case: tuple[np.ndarray, np.ndarray], precision: str
) -> None:
    pixels, expected = real_case
    assert cosines(_core.ConvNet.load(lite0, precision).features(pixels), expected).min() >= LOWEST_COSINE[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_any_batch_gives_the_same_features(small_folder: Path, precision: str) -> None:
    net = _core.ConvNet.load(small_folder, precision)
    pixels = noise(9, SMALL)
    together = net.features(pixels)
    for i in range(9):
        np.testing.assert_array_equal(net.features(pixels[i : i + 1])[0], together[i])
    np.testing.assert_array_equal(net.features(pixels[::-1].copy()), together[::-1])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_stages_follow_the_features_and_are_what_the_reference_s_blocks_give(
    small_folder: Path, small_reference: Any, precision: str
) -> None:
    pixels = noise(3, SMALL)
    seen = _core.ConvNet.load(small_folder, precision, stages=True).features(pixels)
    plain = _core.ConvNet.load(small_folder, precision).features(pixels)
    np.testing.assert_array_equal(seen[:, :1280], plain)
    expected = []
    small_reference.eval()
    with torch.inference_mode():
        x = small_reference._swish(small_reference._bn0(small_reference._conv_stem(torch.from_numpy(pixels))))
        for number, block in enumerate(small_reference._blocks):
            x = block(x)
            if number in {0, 2, 4, 7, 10, 14, 15}:
                expected += [x.mean((2, 3)).numpy(), x.std((2, 3), correction=0).numpy()]
    stages = np.hstack(expected)
    assert seen.shape == (3, 1280 + stages.shape[1])
    assert cosines(seen[:, 1280:], stages).min() > (0.999999 if precision == "fp32" else 0.99)
    if precision == "fp32":
        np.testing.assert_allclose(seen[:, 1280:], stages, rtol=1e-3, atol=1e-3)


def test_an_empty_batch_is_an_empty_answer(small_folder: Path) -> None:
    net = _core.ConvNet.load(small_folder)
    assert net.features(np.zeros((0, 3, SMALL, SMALL), np.float32)).shape == (0, 1280)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((1, 3, SMALL, SMALL)), r"expected \(B, 3, 64, 64\) float32, got \(1, 3, 64, 64\) float64"),
        (np.zeros((1, 3, SMALL, SMALL), np.uint8), "got .* uint8"),
        (np.zeros((3, SMALL, SMALL), np.float32), r"got \(3, 64, 64\)"),
        (np.zeros((1, SMALL, SMALL, 3), np.float32), r"got \(1, 64, 64, 3\)"),
        (np.zeros((1, 3, SMALL, SMALL + 1), np.float32), "expected"),
        (np.zeros((2, 3, SMALL, SMALL), np.float32)[::2].transpose(0, 1, 3, 2), "contiguous"),
    ],
)
def test_bad_input_is_refused_and_named(small_folder: Path, pixels: np.ndarray, message: str) -> None:
    net = _core.ConvNet.load(small_folder)
    with pytest.raises(InvalidArgument, match=message):
        net.features(pixels)


def test_unusable_folders_are_typed_errors(tmp_path: Path, small_reference: Any) -> None:
    with pytest.raises(NotFound, match=r"config\.json"):
        _core.ConvNet.load(tmp_path / "nowhere")
    folder = write_lite0(tmp_path / "lite0", small_reference, SMALL)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for size in (0, 8, 3000, len(whole) - 1):
        weights.write_bytes(whole[:size])
        with pytest.raises(FormatError, match=r"model\.safetensors"):
            _core.ConvNet.load(folder)
    state = small_reference.state_dict()
    for change, name in [
        (lambda s: s.pop("_blocks.15._bn2.weight"), r"_blocks\.15\._bn2\.weight"),
        (lambda s: s.update({"_blocks.0._expand_conv.weight": torch.zeros(1)}), r"_blocks\.0\._expand_conv\.weight"),
        (lambda s: s.update({"_conv_stem.weight": torch.zeros(32, 3, 5, 5)}), r"_conv_stem\.weight"),
        (lambda s: s["_conv_head.weight"].view(-1)[7].fill_(torch.nan), r"_conv_head\.weight.*finite"),
        (lambda s: s.update({"_bn1.bias": torch.zeros(1280, dtype=torch.int64)}), r"_bn1\.bias"),
    ]:
        changed = {key: value.clone() for key, value in state.items()}
        change(changed)
        from safetensors.torch import save_file

        save_file(changed, str(weights))
        with pytest.raises(FormatError, match=name):
            _core.ConvNet.load(folder)


@pytest.mark.parametrize("level", ["scalar", "avx2", "avx512", "avx512_vnni"])
def test_a_lesser_processor_gives_the_same_features(small_folder: Path, tmp_path: Path, level: str) -> None:
    levels = ["scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx"]
    if levels.index(level) > levels.index(_core.isa_level()):
        pytest.skip(f"this processor lacks {level}")
    np.save(tmp_path / "input.npy", noise(2, SMALL))
    code = (
        "import sys, numpy as np; from matinee import _core; folder, root = sys.argv[1:]\n"
        "net = _core.ConvNet.load(folder, 'fp32')\n"
        "np.save(root + '/output.npy', net.features(np.load(root + '/input.npy')))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(small_folder), str(tmp_path)],
        env=os.environ | {"MATINEE_MAX_CPU_ISA": level},
        check=True,
    )
    here = _core.ConvNet.load(small_folder, "fp32").features(noise(2, SMALL))
    np.testing.assert_allclose(np.load(tmp_path / "output.npy"), here, rtol=1e-4, atol=1e-4)
