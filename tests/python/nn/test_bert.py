"""The BERT encoder computes what transformers computes, for any batch, and refuses what it cannot."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference_nets import LOWEST_COSINE, PRECISIONS, cosines, packed, tiny_bert, write_bert

from matinee import FormatError, InvalidArgument, NotFound, _core

# The largest difference of one value of a vector when a text is encoded in another batch.
BATCH_TOLERANCE = 1e-6


def reference(model: Any, texts: list[list[int]], *, pooling: str = "mean", normalize: bool = True) -> np.ndarray:
    """One text at a time, so that no padding is involved."""
    rows = []
    with torch.no_grad():
        for text in texts:
            states = model(torch.tensor([text])).last_hidden_state[0]
            row = states.mean(0) if pooling == "mean" else states[0]
            rows.append((row / row.norm() if normalize else row).numpy())
    return np.stack(rows)


def random_texts(lengths: list[int], vocabulary: int) -> list[list[int]]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, vocabulary, length).tolist() for length in lengths]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalize", [True, False])
def test_generated_weights_give_what_transformers_gives(tmp_path: Path, pooling: str, normalize: bool) -> None:
    model = tiny_bert()
    encoder = _core.TokenEncoder.load(write_bert(tmp_path, model, pooling=pooling, normalize=normalize), "fp32")
    texts = random_texts([*range(1, 71), 1, 70, 3], 90)
    expected = reference(model, texts, pooling=pooling, normalize=normalize)
    vectors = encoder.encode(*packed(texts))
    assert vectors.shape == (73, 48)
    assert vectors.dtype == np.float32
    # 48 values; sums of up to 100 products of size 1 in another order.
    np.testing.assert_allclose(vectors, expected, atol=2e-5 if not normalize else 3e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 33, "num_attention_heads": 3},
        {"hidden_size": 64, "num_attention_heads": 1},
        {"hidden_size": 10, "num_attention_heads": 5, "intermediate_size": 3},
        {"num_hidden_layers": 1, "type_vocab_size": 1},
    ],
)
def test_other_widths_and_head_counts(tmp_path: Path, changes: dict[str, int]) -> None:
    model = tiny_bert(**changes)
    encoder = _core.TokenEncoder.load(write_bert(tmp_path, model), "fp32")
    texts = random_texts([1, 5, 16, 17, 64, 65, 70], 90)
    assert cosines(encoder.encode(*packed(texts)), reference(model, texts)).min() > 0.999999


@pytest.mark.parametrize("precision", PRECISIONS)
def test_bf16_stays_near_on_generated_weights(tmp_path: Path, precision: str) -> None:
    model = tiny_bert()
    encoder = _core.TokenEncoder.load(write_bert(tmp_path, model), precision)
    texts = random_texts([*range(1, 71)], 90)
    # Random weights are harsher than trained ones: 0.999 is held for those below.
    assert cosines(encoder.encode(*packed(texts)), reference(model, texts)).min() > 0.995
    assert encoder.precision == precision


@pytest.fixture(scope="module")
def real_case(minilm: Path, texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Token ids and offsets of real texts, and the vectors of transformers."""
    from transformers import BertModel

    token_ids, offsets = _core.WordPiece(minilm / "vocab.txt", max_tokens=256).encode_batch(texts)
    split = [token_ids[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    return token_ids, offsets, reference(BertModel.from_pretrained(minilm).eval(), split)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_real_minilm_gives_what_transformers_gives(
    minilm: Path, real_case: tuple[np.ndarray, np.ndarray, np.ndarray], precision: str
) -> None:
    token_ids, offsets, expected = real_case
    vectors = _core.TokenEncoder.load(minilm, precision).encode(token_ids, offsets)
    assert cosines(vectors, expected).min() >= LOWEST_COSINE[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_any_batch_gives_the_same_vectors(tmp_path: Path, precision: str) -> None:
    encoder = _core.TokenEncoder.load(write_bert(tmp_path, tiny_bert()), precision)
    texts = random_texts([1 + (7 * i) % 70 for i in range(90)], 90)
    expected = np.concatenate([encoder.encode(*packed([text])) for text in texts])
    rng = np.random.default_rng(1)
    for size in (1, 2, 7, 33, 90):
        order = rng.permutation(90)
        for start in range(0, 90, size):
            rows = order[start : start + size]
            batch = encoder.encode(*packed([texts[i] for i in rows]))
            np.testing.assert_allclose(batch, expected[rows], rtol=0, atol=BATCH_TOLERANCE)


def test_an_empty_batch_is_an_empty_answer(tmp_path: Path) -> None:
    encoder = _core.TokenEncoder.load(write_bert(tmp_path, tiny_bert()))
    assert encoder.encode(np.zeros(0, np.int32), np.zeros(1, np.int64)).shape == (0, 48)


IDS = np.array([1, 2, 3], np.int32)
ENDS = np.array([0, 3], np.int64)


@pytest.mark.parametrize(
    ("token_ids", "offsets", "message"),
    [
        (IDS.astype(np.int64), ENDS, r"token_ids: expected \(T,\) int32, got \(3,\) int64"),
        (IDS.astype(np.float32), ENDS, "token_ids: expected"),
        (IDS[None], ENDS, r"token_ids: expected \(T,\) int32, got \(1, 3\) int32"),
        (np.arange(6, dtype=np.int32)[::2], ENDS, "token_ids: expected a contiguous array"),
        (IDS, ENDS.astype(np.int32), "offsets: expected"),
        (IDS, ENDS[None], "offsets: expected"),
        (IDS, np.zeros(0, np.int64), "offsets: expected B"),
        (IDS, np.array([0, 2, 1, 3]), "rising"),
        (IDS, np.array([0, 0, 3]), "rising"),
        (IDS, np.array([1, 3]), "offsets: expected B"),
        (IDS, np.array([0, 4]), "offsets: expected B"),
        (np.array([1, 90, 3], np.int32), ENDS, "expected 0..89, got 90 at 1"),
        (np.array([-1, 2, 3], np.int32), ENDS, "got -1 at 0"),
        (np.ones(71, np.int32), np.array([0, 71]), "at most 70 tokens"),
    ],
)
def test_bad_input_is_refused_and_named(
    tmp_path: Path, token_ids: np.ndarray, offsets: np.ndarray, message: str
) -> None:
    encoder = _core.TokenEncoder.load(write_bert(tmp_path, tiny_bert()))
    with pytest.raises(InvalidArgument, match=message):
        encoder.encode(token_ids, offsets)
    assert encoder.encode(IDS, ENDS).shape == (1, 48)  # and it goes on


def test_unusable_folders_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"config\.json"):
        _core.TokenEncoder.load(tmp_path / "nowhere")
    folder = write_bert(tmp_path, tiny_bert())
    with pytest.raises(InvalidArgument, match="precision: expected auto, fp32, bf16 or int8, got 'fp16'"):
        _core.TokenEncoder.load(folder, "fp16")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for size in (0, 7, 500, len(whole) // 2, len(whole) - 1):
        weights.write_bytes(whole[:size])
        with pytest.raises(FormatError, match=r"model\.safetensors"):
            _core.TokenEncoder.load(folder)


@pytest.mark.parametrize("level", ["scalar", "avx2", "avx512", "avx512_vnni"])
def test_a_lesser_processor_gives_the_same_vectors(tmp_path: Path, level: str) -> None:
    levels = ["scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx"]
    if levels.index(level) > levels.index(_core.isa_level()):
        pytest.skip(f"this processor lacks {level}")
    folder = write_bert(tmp_path, tiny_bert())
    texts = random_texts([*range(1, 71)], 90)
    np.savez(tmp_path / "input.npz", *packed(texts))
    code = (
        "import sys, numpy as np; from matinee import _core; root = sys.argv[1]\n"
        "token_ids, offsets = np.load(root + '/input.npz').values()\n"
        "np.save(root + '/output.npy', _core.TokenEncoder.load(root, 'fp32').encode(token_ids, offsets))\n"
        "print(_core.isa_level())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"MATINEE_MAX_CPU_ISA": level},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == level
    here = _core.TokenEncoder.load(folder, "fp32").encode(*packed(texts))
    np.testing.assert_allclose(np.load(tmp_path / "output.npy"), here, rtol=0, atol=3e-6)
