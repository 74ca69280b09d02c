"""What the tests of the networks share: the real models, real texts and real posters, or ours where there are none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from matinee import MatineeError, models

SENTENCES = [
    "A retired detective takes one last case in a city that never forgave him.",
    "Toys come alive when the boy leaves the room.",
    "x",
    "",
    "Une comédie où rien ne se passe comme prévu; 北京的夏天; 😀😀",
    "Two friends rob a bank, then another, then fall out over a dog. " * 20,
    *(f"In {1900 + i}, {i} strangers meet on a train to nowhere" + ", again" * i for i in range(40)),
]


def pulled(name: str) -> Path:
    """The folder of a real model; the test is skipped where it was not pulled, as tests never use the network."""
    try:
        return models.verify(name)
    except MatineeError as error:
        pytest.skip(f"{name}: {error}")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of the real MiniLM."""
    return pulled("minilm-l6-v2")


@pytest.fixture(scope="session")
def lite0() -> Path:
    """Folder of the real EfficientNet-Lite0."""
    return pulled("efficientnet-lite0")


@pytest.fixture(scope="session")
def texts(real_data: Path | None) -> list[str]:
    """Sentences of ours in every shape, and real plots where they are."""
    if real_data is None:
        return SENTENCES
    with (real_data / "catalog.tsv").open(encoding="utf-8") as file:
        plots = [line.split("\t")[8] for line in file][1:]
    return SENTENCES + [plot for plot in plots if plot][:60]


@pytest.fixture(scope="session")
def posters(real_data: Path | None) -> list[bytes]:
    """Real posters where they are, else drawn patterns; JPEG files."""
    if real_data is not None:
        return [path.read_bytes() for path in sorted((real_data / "posters").glob("*.jpg"))[:24]]
    files = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        small = Image.fromarray(rng.integers(0, 256, (3 + seed, 2 + seed, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        small.resize((185, 278), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    return files
