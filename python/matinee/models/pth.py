"""Reads PyTorch's ``.pth`` files without torch and without running what they say.

A ``.pth`` file is a pickle: a small program. Python's own unpickler would run any program. The reader here is a
machine of its own that knows the three dozen instructions that a state dict needs, can build strings, numbers,
containers and tensors, and refuses everything else with a FormatError. Both layouts are read:

- the stream of ``torch.save`` before 1.6: magic number, protocol, system facts, state dict, storage keys, storages;
- the zip of later versions: ``<name>/data.pkl`` and one file a storage under ``<name>/data/``.

Layouts: torch/serialization.py of PyTorch (``_legacy_load``, ``_load``).
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from matinee.errors import FormatError, IoError
from matinee.models.state_pickle import StateDictMachine, TensorView

Array = npt.NDArray[Any]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_ZIP_MAGIC = b"PK\x03\x04"


def read_pth(path: Path) -> dict[str, Array]:
    """The tensors of a state dict by name, in file order, as contiguous arrays of their own.

    Half floats stay float16; bfloat16 becomes float32, because NumPy has no such type. Raises FormatError for
    anything that is not a state dict, is truncated, or asks for something to be imported or called; IoError where
    the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IoError(f"read_pth: {path}: cannot be read: {error.strerror or error}") from error
    if data[:4] == _ZIP_MAGIC:
        state, storages = _read_zip(data, path.name)
    else:
        state, storages = _read_stream(data, path.name)
    return {name: _array(tensor, storages, f"{path.name}: {name}") for name, tensor in state.items()}


def _state_dict(state: Any, where: str) -> dict[str, TensorView]:
    if not isinstance(state, dict):
        raise FormatError(f"read_pth: {where}: expected a state dict, got {type(state).__name__}")
    for name, value in state.items():
        if not (isinstance(name, str) and isinstance(value, TensorView)):
            kind = type(value).__name__
            raise FormatError(
                f"read_pth: {where}: entry {str(name)[:80]!r}: expected a tensor, got {kind}; "
                "save the state dict alone, not a checkpoint around it"
            )
    return state


def _read_stream(data: bytes, where: str) -> tuple[dict[str, TensorView], dict[str, memoryview]]:
    """The layout before PyTorch 1.6."""
    stream = io.BytesIO(data)
    magic = StateDictMachine(stream, where).run()
    if magic != _LEGACY_MAGIC:
        raise FormatError(f"read_pth: {where}: not a PyTorch file (no magic number)")
    if StateDictMachine(stream, where).run() != _LEGACY_PROTOCOL:
        raise FormatError(f"read_pth: {where}: unknown protocol of the old layout, expected {_LEGACY_PROTOCOL}")
    system = StateDictMachine(stream, where).run()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise FormatError(f"read_pth: {where}: written on a big-endian machine; save it again on another")
    state = _state_dict(StateDictMachine(stream, where).run(), where)
    keys = StateDictMachine(stream, where).run()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise FormatError(f"read_pth: {where}: the list of storages is broken")
    sizes = {t.storage.key: t.storage.dtype.itemsize for t in state.values()}
    storages: dict[str, memoryview] = {}
    at, view = stream.tell(), memoryview(data)
    for key in keys:
        # each storage: its count as int64, then its elements
        if key not in sizes:
            raise FormatError(f"read_pth: {where}: storage {key} belongs to no tensor")
        if at + 8 > len(data):
            raise FormatError(f"read_pth: {where}: truncated before storage {key}")
        end = at + 8 + int.from_bytes(view[at : at + 8], "little", signed=True) * sizes[key]
        if not at + 8 <= end <= len(data):
            raise FormatError(f"read_pth: {where}: truncated inside storage {key}")
        storages[key] = view[at + 8 : end]
        at = end
    return state, storages


def _read_zip(data: bytes, where: str) -> tuple[dict[str, TensorView], dict[str, memoryview]]:
    """The layout since PyTorch 1.6."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_archive(archive, where)
    except FormatError:
        raise
    # zipfile lets through what a forged directory does to it: undecodable names, negative seeks, encryption flags
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, struct.error) as error:
        raise FormatError(f"read_pth: {where}: broken zip: {error}") from error


def _read_archive(archive: zipfile.ZipFile, where: str) -> tuple[dict[str, TensorView], dict[str, memoryview]]:
    members = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise FormatError(f"read_pth: {where}: a zip without <name>/data.pkl is not a PyTorch file")
    folder = pickles[0].removesuffix("data.pkl")
    # PyTorch stores its members; refusing compressed ones keeps what is read no larger than the file.
    if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
        raise FormatError(f"read_pth: {where}: compressed members; PyTorch stores them")
    if (order := folder + "byteorder") in members and archive.read(order) != b"little":
        raise FormatError(f"read_pth: {where}: written on a big-endian machine; save it again on another")
    state = _state_dict(StateDictMachine(io.BytesIO(archive.read(pickles[0])), where).run(), where)
    storages: dict[str, memoryview] = {}
    for tensor in state.values():
        key = tensor.storage.key
        if (name := f"{folder}data/{key}") not in members:
            raise FormatError(f"read_pth: {where}: storage {key} is missing")
        if key not in storages:
            storages[key] = memoryview(archive.read(name))
    return state, storages


def _array(tensor: TensorView, storages: dict[str, memoryview], where: str) -> Array:
    """Copies the view that `tensor` describes out of its storage, after checking that it stays inside."""
    storage = tensor.storage
    raw = storages.get(storage.key)
    if raw is None or len(raw) < storage.count * storage.dtype.itemsize:
        raise FormatError(f"read_pth: {where}: its storage is missing or shorter than it says")
    flat = np.frombuffer(raw, storage.dtype, storage.count)
    count = 1
    for extent in tensor.shape:
        count *= extent
    if count == 0:
        return np.zeros(tensor.shape, np.float32 if storage.widen else storage.dtype)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    # An expanded tensor (stride 0) is legal in torch, but a small file could ask for terabytes with it.
    if last >= storage.count or count > storage.count:
        raise FormatError(
            f"read_pth: {where}: shape {tensor.shape}, strides {tensor.strides}, offset {tensor.offset} "
            f"leave a storage of {storage.count} elements"
        )
    strides = tuple(s * storage.dtype.itemsize for s in tensor.strides)
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides, writeable=False)
    if storage.widen:
        return (view.astype(np.uint32) << 16).view(np.float32)
    return np.array(view, order="C")
