"""Vectors of texts that were asked for lately: people ask for the same things."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# What an entry takes beside its vector's values: the key, the array object, the dictionary's links (sys.getsizeof).
_ENTRY_OVERHEAD = 400


@dataclass(frozen=True)
class CacheStatistics:
    """Counts of texts since the cache was made, and what it holds now."""

    hits: int
    misses: int
    entries: int
    bytes: int


class VectorCache:
    """Remembers the vectors (D,) of the last texts, in at most `max_bytes`; the one not used for longest goes first.

    Texts are kept as hashes: however long one was, its entry is small, and what people typed is not held on to.
    Safe for concurrent threads.
    """

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes`: 0 remembers nothing."""
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, Floats] = OrderedDict()
        self._bytes = self._hits = self._misses = 0

    def encode(self, texts: Sequence[str], encode: Callable[[Sequence[str]], Floats]) -> Floats:
        """(B, D): the remembered vectors of `texts`, and those that `encode` gives for the others.

        Two threads that miss the same text at once both compute it. Raises what `encode` raises.
        """
        keys = [_key(text) for text in texts]
        known = self._find(keys)
        unknown = [i for i, vector in enumerate(known) if vector is None]
        if unknown:
            # A copy: a row that is remembered must not keep the whole batch alive, nor change with it.
            fresh = [row.copy() for row in encode([texts[i] for i in unknown])]
            for i, vector in zip(unknown, fresh, strict=True):
                known[i] = vector
                self._remember(keys[i], vector)
        return np.stack([vector for vector in known if vector is not None])

    def statistics(self) -> CacheStatistics:
        """Counts so far."""
        with self._lock:
            return CacheStatistics(self._hits, self._misses, len(self._entries), self._bytes)

    def _find(self, keys: list[bytes]) -> list[Floats | None]:
        with self._lock:
            found = [self._entries.get(key) for key in keys]
            for key, vector in zip(keys, found, strict=True):
                if vector is not None:
                    self._entries.move_to_end(key)
            hits = sum(vector is not None for vector in found)
            self._hits += hits
            self._misses += len(keys) - hits
        return found

    def _remember(self, key: bytes, vector: Floats) -> None:
        size = vector.nbytes + _ENTRY_OVERHEAD
        with self._lock:
            if key not in self._entries:
                self._bytes += size
            self._entries[key] = vector
            self._entries.move_to_end(key)
            while self._bytes > self._max_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= oldest.nbytes + _ENTRY_OVERHEAD


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
