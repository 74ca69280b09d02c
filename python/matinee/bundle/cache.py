"""Vectors kept between an interrupted build and its restart.

Items are identified by the hash of their content and sorted by it into buckets; a bucket is encoded in one call and
kept as one file named after the encoder and the exact items. So a restart encodes the missing buckets only, in the very
batches that an uninterrupted build uses, and a changed input costs its own bucket.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from matinee.errors import FormatError
from matinee.heads.head import read_tensors

Floats = NDArray[np.float32]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Encoded:
    """Vectors by content hash; errors of the items that have none."""

    vectors: dict[str, Floats]  # sha256 of the content -> (D,)
    errors: dict[str, str]  # sha256 -> what was wrong with it


@dataclass(frozen=True)
class Encoding(Generic[Item]):
    """How items become vectors, and what identifies that way."""

    namespace: str  # encoder, its weights and precision, version of what comes before it
    load: Callable[[str], Item]  # content hash -> item; called on another thread
    encode: Callable[[Sequence[Item]], tuple[Floats, list[Exception | None]]]
    num_buckets: int  # up to 256


def encode_all(
    keys: Sequence[str], encoding: Encoding[Any], folder: Path, progress: Callable[[int, int], None]
) -> Encoded:
    """Vectors of the items with these content hashes (hexadecimal; repeats are encoded once)."""
    folder.mkdir(parents=True, exist_ok=True)
    buckets = _buckets(keys, encoding.num_buckets)
    total = sum(map(len, buckets))
    encoded = Encoded({}, {})
    missing: list[tuple[Path, list[str]]] = []
    for bucket in buckets:
        path = folder / f"{_name(encoding.namespace, bucket)}.safetensors"
        if not _read(path, bucket, encoded):
            missing.append((path, bucket))
    done = total - sum(len(bucket) for _, bucket in missing)
    progress(done, total)
    for (path, bucket), items in zip(missing, _loaded(encoding, [b for _, b in missing]), strict=True):
        vectors, errors = encoding.encode(items)
        texts = {k: str(e) for k, e in zip(bucket, errors, strict=True) if e is not None}
        _write(path, bucket, vectors, texts)
        _add(encoded, bucket, vectors, texts)
        done += len(bucket)
        progress(done, total)
    return encoded


def _buckets(keys: Sequence[str], num_buckets: int) -> list[list[str]]:
    buckets: dict[int, list[str]] = {}
    for key in sorted(set(keys)):
        buckets.setdefault(int(key[:2], 16) * num_buckets // 256, []).append(key)
    return list(buckets.values())


def _name(namespace: str, bucket: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([namespace, *bucket]).encode()).hexdigest()[:32]


def _loaded(encoding: Encoding[Item], buckets: Sequence[Sequence[str]]) -> Iterator[list[Item]]:
    """The items of each bucket; those of the next are loaded while the caller works on this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="matinee-load") as pool:

        def submit(number: int) -> Future[list[Item]] | None:
            if number >= len(buckets):
                return None
            return pool.submit(lambda: [encoding.load(key) for key in buckets[number]])

        coming = submit(0)
        for number in range(len(buckets)):
            assert coming is not None
            items = coming.result()
            coming = submit(number + 1)
            yield items


def _read(path: Path, bucket: Sequence[str], into: Encoded) -> bool:
    """Adds a kept bucket; False where there is none, or a damaged one."""
    if not path.is_file():
        return False
    try:
        tensors, facts = read_tensors(path)
        vectors, errors = tensors["vectors"], dict(facts["errors"])
        if facts["keys"] != list(bucket) or len(vectors) != len(bucket):
            return False
    except (FormatError, KeyError, TypeError, ValueError):
        return False
    _add(into, bucket, vectors, errors)
    return True


def _write(path: Path, bucket: Sequence[str], vectors: Floats, errors: dict[str, str]) -> None:
    facts = {"keys": list(bucket), "errors": errors}
    data = save({"vectors": np.ascontiguousarray(vectors)}, metadata={"matinee": json.dumps(facts)})
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def _add(into: Encoded, bucket: Sequence[str], vectors: Floats, errors: dict[str, str]) -> None:
    for key, vector in zip(bucket, vectors, strict=True):
        if key in errors:
            into.errors[key] = errors[key]
        else:
            into.vectors[key] = vector
