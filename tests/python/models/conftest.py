"""A store of its own with one tiny model: nothing here touches the network or the user's cache."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from tiny_model import VOCABULARY, TinyModel

from matinee.models import commands, hub, store
from matinee.models.spec import Registry


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyModel:
    """The store knows one model, `tiny`.

    Its wheel lies in MATINEE_MODELS and in pip's only index; the hub is a port where nobody listens.
    """
    torch = pytest.importorskip("torch")
    weights = {"stem.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "stem.count": np.array(7, dtype=np.int64)}
    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in weights.items()}, buffer)
    files = {"vocab.txt": VOCABULARY, "tiny.pth": buffer.getvalue()}

    def facts(name: str, **more: str) -> dict[str, object]:
        return {"name": name, "size": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest(), **more}

    known = Registry.model_validate(
        {
            "format": 1,
            "models": {
                "tiny": {
                    "title": "Tiny",
                    "kind": "text",
                    "family": "bert",
                    "licence": "CC0-1.0",
                    "homepage": "about:blank",
                    "about": "Made for tests.",
                    "data": "None.",
                    "limits": "Knows one word.",
                    "files": [facts("vocab.txt"), facts("tiny.pth", convert_to="model.safetensors")],
                    "sources": [
                        {"type": "pypi", "package": "tiny-model", "version": "1.0", "from": "tiny_model/data"},
                        {"type": "hub", "repo": "nobody/tiny", "revision": "0" * 40},
                    ],
                    "write": {"matinee.json": {"dimension": 4}, "config.json": {"model_type": "tiny"}},
                }
            },
        }
    )
    for module in (store, commands):
        monkeypatch.setattr(module, "registry", lambda: known)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MATINEE_MODELS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    for name in ("MATINEE_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hub, "_CONNECT_TIMEOUT_S", 2.0)
    store._checked.clear()
    model = TinyModel("tiny", files, weights, wheels, wheels / "tiny_model-1.0-py3-none-any.whl")
    model.write_wheel(files)
    return model
