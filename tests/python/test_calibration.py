"""Calibrating a model for int8: what is written, what is measured, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import matinee
from matinee import Encoder, FormatError, InvalidArgument, NotFound, models
from matinee.errors import MatineeError
from tests.python.tiny_clip import make_clip, write_clip, write_clip_inputs
from tests.python.tiny_folders import WORDS, write_text_model

TEXTS = [" ".join(WORDS[(i * 7 + j * j) % len(WORDS)] for j in range(3 + i % 9)) for i in range(80)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    return write_text_model(tmp_path / "model", hidden=64, max_tokens=32)


def test_a_calibrated_text_model_is_nearer_to_fp32_and_says_how_near(tmp_path: Path) -> None:
    try:
        real = models.verify("minilm-l6-v2")
    except MatineeError as error:
        pytest.skip(str(error))
    folder = tmp_path / "minilm"
    shutil.copytree(real, folder)
    texts = [f"In {1900 + i}, {name} and {i} strangers meet on a train" for i, name in enumerate(["Ada", "Max"] * 60)]
    plain = Encoder.load(folder, "int8").encode(texts)
    (agreement,) = matinee.calibrate(folder, texts=texts)
    smoothed = Encoder.load(folder, "int8").encode(texts)
    exact = Encoder.load(folder, "fp32").encode(texts)
    assert np.abs(smoothed - exact).mean() < np.abs(plain - exact).mean()
    assert (agreement.kind, agreement.items, agreement.calibrated_on) == ("texts", 60, 60)
    assert 0.95 < agreement.lowest_centred_cosine <= agreement.mean_centred_cosine <= 1
    assert 0.8 < agreement.neighbour_overlap <= 1


def test_a_joint_model_is_calibrated_on_texts_and_images(tmp_path: Path) -> None:
    model = make_clip("small")
    folder = write_clip_inputs(write_clip(tmp_path / "clip", model), model)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (40, 30, 3), dtype=np.uint8) for _ in range(40)]
    texts = ["".join(rng.choice(letters, 6)) for _ in range(40)]
    agreements = matinee.calibrate(folder, texts=texts, images=images)
    assert [(a.kind, a.items) for a in agreements] == [("texts", 20), ("images", 20)]
    assert min(a.mean_centred_cosine for a in agreements) > 0.9
    joint = Encoder.load(folder, "int8")
    assert isinstance(joint, matinee.JointEncoder)
    assert joint.texts.encode(["ab"]).shape == joint.images.encode(images[:1]).vectors.shape == (1, 24)
    assert joint.statistics["requests"] == 2


@pytest.mark.parametrize("texts", [None, [], TEXTS[:31]])
def test_too_few_items_are_refused_and_nothing_is_written(folder: Path, texts: list[str] | None) -> None:
    with pytest.raises(InvalidArgument, match="texts: expected at least 32"):
        matinee.calibrate(folder, texts=texts)
    assert not (folder / "calibration.safetensors").exists()


def test_a_damaged_calibration_is_a_format_error_and_only_int8_reads_it(folder: Path) -> None:
    matinee.calibrate(folder, texts=TEXTS)
    path = folder / "calibration.safetensors"
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:9], b"", whole.replace(b"text.0.output", b"text.9.output")):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"calibration\.safetensors"):
            Encoder.load(folder, "int8")
        Encoder.load(folder, "fp32")
    with pytest.raises(NotFound):
        matinee.calibrate(folder / "nowhere", texts=TEXTS)
