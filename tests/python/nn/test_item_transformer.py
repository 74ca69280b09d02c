"""The item transformer computes what a plain PyTorch one does: causal, pre-LN, read off at the last item."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_nets import cosines, packed
from safetensors.torch import save_file
from torch import nn

from matinee import InvalidArgument, _core

HIDDEN, LAYERS, HEADS, ITEMS, LONGEST = 64, 2, 2, 300, 50


class ItemTransformer(nn.Module):
    """SASRec as sessions are trained with: Kang & McAuley 2018, with the norms first."""

    def __init__(self) -> None:
        super().__init__()
        self.item_embeddings = nn.Embedding(ITEMS, HIDDEN)
        self.position_embeddings = nn.Embedding(LONGEST, HIDDEN)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "attention_norm": nn.LayerNorm(HIDDEN),
                    "attention": nn.ModuleDict(
                        {name: nn.Linear(HIDDEN, HIDDEN) for name in ("query", "key", "value", "output")}
                    ),
                    "feed_forward_norm": nn.LayerNorm(HIDDEN),
                    "feed_forward": nn.ModuleDict({"in": nn.Linear(HIDDEN, 96), "out": nn.Linear(96, HIDDEN)}),
                }
            )
            for _ in range(LAYERS)
        )
        self.final_norm = nn.LayerNorm(HIDDEN)

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        """(T,) item numbers to (T, HIDDEN)."""
        length = len(items)
        x = self.item_embeddings(items) + self.position_embeddings(torch.arange(length))
        later = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)
        for layer in self.layers:
            y = layer["attention_norm"](x)
            q, k, v = (
                layer["attention"][name](y).view(length, HEADS, -1).transpose(0, 1)
                for name in ("query", "key", "value")
            )
            scores = (q @ k.transpose(1, 2) / (HIDDEN // HEADS) ** 0.5).masked_fill(later, float("-inf"))
            mixed = (scores.softmax(-1) @ v).transpose(0, 1).reshape(length, HIDDEN)
            x = x + layer["attention"]["output"](mixed)
            y = layer["feed_forward"]["in"](layer["feed_forward_norm"](x))
            x = x + layer["feed_forward"]["out"](torch.relu(y))
        return self.final_norm(x)


@pytest.fixture(scope="module")
def model() -> ItemTransformer:
    torch.manual_seed(4)
    return ItemTransformer().eval()


@pytest.fixture
def folder(model: ItemTransformer, tmp_path: Path) -> Path:
    config = {
        "model_type": "sasrec", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "intermediate_size": 96, "vocab_size": ITEMS, "max_position_embeddings": LONGEST, "hidden_act": "relu",
        "layer_norm_eps": 1e-5,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "matinee.json").write_text(json.dumps({"family": "sasrec", "kind": "items", "normalize": False}))
    save_file(model.state_dict(), str(tmp_path / "model.safetensors"))
    return tmp_path


def sessions() -> list[list[int]]:
    rng = np.random.default_rng(6)
    return [rng.integers(0, ITEMS, length).tolist() for length in [1, 2, 50, 17, 3, 49, 16, 33]]


@pytest.mark.parametrize(("precision", "lowest"), [("fp32", 0.999999), ("bf16", 0.9995), ("int8", 0.999)])
def test_the_last_item_of_a_session_is_read_off(
    model: ItemTransformer, folder: Path, precision: str, lowest: float
) -> None:
    with torch.inference_mode():
        expected = np.stack([model(torch.tensor(items))[-1].numpy() for items in sessions()])
    vectors = _core.TokenEncoder.load(folder, precision).encode(*packed(sessions()))
    assert cosines(vectors, expected).min() > lowest
    if precision == "fp32":
        np.testing.assert_allclose(vectors, expected, atol=2e-5)


def test_what_comes_later_changes_nothing_before(folder: Path) -> None:
    network = _core.TokenEncoder.load(folder, "fp32")
    long = sessions()[2]
    whole = network.hidden_states(*packed([long]))
    for length in (1, 16, 17, 49):
        np.testing.assert_allclose(network.hidden_states(*packed([long[:length]])), whole[:, :length], atol=1e-5)


def test_a_session_that_is_too_long_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="at most 50 tokens"):
        _core.TokenEncoder.load(folder).encode(*packed([[1] * 51]))
