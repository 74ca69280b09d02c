"""The cache of vectors: a restart encodes what is missing, in the same batches, and nothing stale is taken."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from matinee.bundle.cache import Encoded, Encoding, encode_all


def key_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class CountingEncoder:
    """Encodes a text as its length and first letter; a text starting with '!' has no vector."""

    texts: dict[str, str]
    batches: list[list[str]] = field(default_factory=list)
    stop_after: int = 10**9

    def encode(self, batch: Sequence[str]) -> tuple[np.ndarray, list[Exception | None]]:
        if len(self.batches) >= self.stop_after:
            raise KeyboardInterrupt
        self.batches.append(list(batch))
        vectors = np.array([[len(text), ord(text[0])] for text in batch], np.float32)
        return vectors, [ValueError("bad " + text) if text.startswith("!") else None for text in batch]

    def encoding(self, namespace: str = "n") -> Encoding[str]:
        return Encoding(namespace, self.texts.__getitem__, self.encode, num_buckets=8)

    def run(self, folder: Path, namespace: str = "n") -> Encoded:
        return encode_all(list(self.texts), self.encoding(namespace), folder, lambda done, total: None)


def encoder_of(count: int = 100) -> CountingEncoder:
    return CountingEncoder({key_of(text): text for text in [f"text {i}" * (i % 5 + 1) for i in range(count)] + ["!x"]})


def test_vectors_and_errors_belong_to_their_items(tmp_path: Path) -> None:
    encoder = encoder_of()
    encoded = encoder.run(tmp_path)
    assert set(encoded.vectors) | set(encoded.errors) == set(encoder.texts)
    assert encoded.errors == {key_of("!x"): "bad !x"}
    for key, vector in encoded.vectors.items():
        assert vector.tolist() == [len(encoder.texts[key]), ord("t")]


def test_a_second_run_reads_and_does_not_encode(tmp_path: Path) -> None:
    first = encoder_of().run(tmp_path)
    again = encoder_of()
    second = again.run(tmp_path)
    assert again.batches == []
    assert second.errors == first.errors and set(second.vectors) == set(first.vectors)
    assert all(np.array_equal(second.vectors[key], first.vectors[key]) for key in first.vectors)


def test_after_an_interruption_only_the_missing_batches_run_and_they_are_the_same(tmp_path: Path) -> None:
    whole = encoder_of()
    whole.run(tmp_path / "whole")
    stopped = replace(encoder_of(), stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(tmp_path / "stopped")
    rest = encoder_of()
    rest.run(tmp_path / "stopped")
    assert len(stopped.batches) == 3
    assert stopped.batches + rest.batches == whole.batches


def test_a_changed_item_costs_its_own_batch(tmp_path: Path) -> None:
    before = encoder_of()
    before.run(tmp_path)
    after = encoder_of()
    after.texts[key_of("one more")] = "one more"
    after.run(tmp_path)
    assert len(after.batches) == 1 and "one more" in after.batches[0]


def test_another_encoder_shares_nothing(tmp_path: Path) -> None:
    encoder_of().run(tmp_path, "weights a")
    other = encoder_of()
    other.run(tmp_path, "weights b")
    assert sum(map(len, other.batches)) == len(other.texts)


def test_damaged_and_half_written_files_are_encoded_again(tmp_path: Path) -> None:
    encoder_of().run(tmp_path)
    files = sorted(tmp_path.glob("*.safetensors"))
    files[0].write_bytes(files[0].read_bytes()[:-5])
    files[1].write_bytes(b"")
    files[2].rename(files[2].with_suffix(".new"))
    again = encoder_of()
    again.run(tmp_path)
    assert len(again.batches) == 3


def test_progress_counts_what_was_there_already(tmp_path: Path) -> None:
    encoder_of().run(tmp_path)
    calls: list[tuple[int, int]] = []
    encoder = encoder_of()
    encode_all(list(encoder.texts), encoder.encoding(), tmp_path, lambda done, total: calls.append((done, total)))
    assert calls == [(101, 101)]
    encode_all([], encoder.encoding(), tmp_path, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (0, 0)
