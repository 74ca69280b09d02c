"""The memory of texts: right, bounded, and safe for threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from matinee.vector_cache import VectorCache

ROOM = 1 << 20


class Recorder:
    """An encoder that remembers what it was asked; a text's vector is its length and first letter."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(list(texts))
        return np.array([[len(text), ord(text[0]) if text else 0] for text in texts], np.float32)


def test_a_text_is_encoded_once_and_the_order_is_kept() -> None:
    cache, encode = VectorCache(ROOM), Recorder()
    first = cache.encode(["a", "bb", ""], encode)
    mixed = cache.encode(["ccc", "bb", "d", "a", "\ud800"], encode)
    assert encode.asked == [["a", "bb", ""], ["ccc", "d", "\ud800"]]
    np.testing.assert_array_equal(first, Recorder()(["a", "bb", ""]))
    np.testing.assert_array_equal(mixed, Recorder()(["ccc", "bb", "d", "a", "\ud800"]))
    counts = cache.statistics()
    assert (counts.hits, counts.misses, counts.entries) == (2, 6, 6)


def test_it_never_takes_more_than_it_may_and_forgets_what_was_not_used_for_longest() -> None:
    sized = VectorCache(ROOM)
    sized.encode(["a"], Recorder())
    entry = sized.statistics().bytes
    cache, encode = VectorCache(3 * entry), Recorder()
    for text in ("a", "b", "c", "a", "d"):  # b is the oldest
        cache.encode([text], encode)
        assert cache.statistics().bytes <= 3 * entry
    encode.asked.clear()
    cache.encode(["a", "c", "d"], encode)
    assert encode.asked == []
    cache.encode(["b"], encode)
    assert encode.asked == [["b"]]
    assert cache.statistics().entries == 3


def test_a_long_text_takes_no_more_than_a_short_one() -> None:
    cache = VectorCache(ROOM)
    cache.encode(["film"], Recorder())
    entry = cache.statistics().bytes
    cache.encode(["x" * 1_000_000], Recorder())
    assert cache.statistics().bytes == 2 * entry


def test_no_room_remembers_nothing_and_still_answers() -> None:
    cache, encode = VectorCache(0), Recorder()
    for _ in range(2):
        np.testing.assert_array_equal(cache.encode(["ab"], encode), [[2, 97]])
    assert len(encode.asked) == 2
    assert cache.statistics().bytes == 0


def test_who_changes_an_answer_changes_nobody_elses() -> None:
    cache, encode = VectorCache(ROOM), Recorder()
    cache.encode(["a"], encode)[:] = 7
    cache.encode(["a"], encode)[:] = 8
    np.testing.assert_array_equal(cache.encode(["a"], encode), [[1, 97]])


def test_what_fails_is_not_remembered() -> None:
    cache = VectorCache(ROOM)

    def fail(texts: Sequence[str]) -> np.ndarray:
        raise ValueError(texts)

    with pytest.raises(ValueError, match="a"):
        cache.encode(["a"], fail)
    np.testing.assert_array_equal(cache.encode(["a"], Recorder()), [[1, 97]])


def test_many_threads_get_their_own_texts() -> None:
    sized = VectorCache(ROOM)
    sized.encode(["a"], Recorder())
    cache = VectorCache(50 * sized.statistics().bytes)  # fewer than there are texts

    def ask(number: int) -> bool:
        texts = ["x" * (1 + (number * k) % 97) for k in range(5)]
        return bool((cache.encode(texts, Recorder())[:, 0] == [len(text) for text in texts]).all())

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(2000)))
    assert cache.statistics().entries == 50
