"""A machine for the pickles of state dicts. See pth.py for why there is one, and for the file layouts around it."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.errors import FormatError

_MAX_STACK = 1_000_000  # a state dict has thousands of entries; more is a bomb

# NumPy has no bfloat16: its bits are read as uint16 and widened to float32, which is exact.
_BFLOAT16 = np.dtype("<u2")
_STORAGES: dict[str, tuple[np.dtype[Any], bool]] = {
    "FloatStorage": (np.dtype("<f4"), False),
    "DoubleStorage": (np.dtype("<f8"), False),
    "HalfStorage": (np.dtype("<f2"), False),
    "BFloat16Storage": (_BFLOAT16, True),
    "LongStorage": (np.dtype("<i8"), False),
    "IntStorage": (np.dtype("<i4"), False),
    "ShortStorage": (np.dtype("<i2"), False),
    "CharStorage": (np.dtype("i1"), False),
    "ByteStorage": (np.dtype("u1"), False),
    "BoolStorage": (np.dtype("?"), False),
}


@dataclass(frozen=True)
class Global:
    """A name the program may mention; nothing is imported for it."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class StorageView:
    """Which bytes a tensor looks at."""

    key: str
    dtype: np.dtype[Any]
    widen: bool
    count: int


@dataclass(frozen=True)
class TensorView:
    """A strided view of a storage, in elements."""

    storage: StorageView
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_ORDERED_DICT = Global("collections", "OrderedDict")
_TENSOR = Global("torch._utils", "_rebuild_tensor_v2")
_PARAMETER = Global("torch._utils", "_rebuild_parameter")


class Mark:
    """Where a tuple or a run of items starts on the stack."""


_MARK = Mark()


class StateDictMachine:
    """Runs one restricted pickle from `stream`. `where` names the file in errors."""

    def __init__(self, stream: io.BytesIO, where: str) -> None:
        self._stream = stream
        self._where = where
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def error(self, what: str) -> FormatError:
        return FormatError(
            f"read_pth: {self._where}: {what}; only tensors and ordered dicts are admitted: "
            "save a plain state dict (torch.save(model.state_dict(), path)) or a safetensors file"
        )

    def run(self) -> Any:
        try:
            return self._run()
        except (IndexError, TypeError, ValueError, struct.error, UnicodeDecodeError) as error:
            if isinstance(error, FormatError):
                raise
            raise self.error(f"broken pickle ({error})") from error

    def _run(self) -> Any:
        while True:
            opcode = self._read(1)
            if opcode == b".":
                value = self._stack.pop()
                if self._stack:
                    raise self.error("values left over at the end")
                return value
            instruction = _INSTRUCTIONS.get(opcode)
            if instruction is None:
                raise self.error(f"instruction {opcode!r} is not admitted")
            instruction(self)
            if len(self._stack) > _MAX_STACK:
                raise self.error("more values than a state dict can need")

    def _read(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) != count:
            raise self.error("truncated")
        return data

    def _line(self) -> str:
        line = self._stream.readline(256)
        if not line.endswith(b"\n"):
            raise self.error("truncated or over-long name")
        return line[:-1].decode("ascii")

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._read(struct.calcsize(layout)))[0]

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop_to_mark(self) -> list[Any]:
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is _MARK:
                items = self._stack[at + 1 :]
                del self._stack[at:]
                return items
        raise self.error("no mark on the stack")

    # -- instructions ------------------------------------------------------------------------------------------------
    def proto(self) -> None:
        version = self._number("<B")
        if not 2 <= version <= 4:
            raise self.error(f"pickle protocol {version}, expected 2 to 4")

    def frame(self) -> None:
        self._read(8)  # the length of a frame is a hint for readers ahead

    def text(self, layout: str) -> None:
        self.push(self._read(self._number(layout)).decode("utf-8", "surrogatepass"))

    def long1(self) -> None:
        self.push(int.from_bytes(self._read(self._number("<B")), "little", signed=True))

    def put(self, layout: str) -> None:
        self._memo[self._number(layout)] = self._stack[-1]

    def memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, layout: str) -> None:
        key = self._number(layout)
        if key not in self._memo:
            raise self.error(f"memo {key} was never put")
        self.push(self._memo[key])

    def tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise self.error("too few values for a tuple")
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self.push(items)

    def global_name(self, module: str, name: str) -> None:
        found = Global(module, name)
        if found in (_ORDERED_DICT, _TENSOR, _PARAMETER) or (module == "torch" and name in _STORAGES):
            self.push(found)
        else:
            raise self.error(f"names {module}.{name}")

    def stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise self.error("a global's name is not a string")
        self.global_name(module, name)

    def reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(arguments, tuple):
            raise self.error("arguments are not a tuple")
        if function == _ORDERED_DICT:
            if arguments not in ((), ([],)):
                raise self.error("an ordered dict with arguments")
            self.push({})
        elif function == _TENSOR:
            self.push(self._tensor(arguments))
        elif function == _PARAMETER:
            if not (arguments and isinstance(arguments[0], TensorView)):
                raise self.error("a parameter without a tensor")
            self.push(arguments[0])
        else:
            raise self.error(f"calls {function}")

    def _tensor(self, arguments: tuple[Any, ...]) -> TensorView:
        if len(arguments) < 4:
            raise self.error("a tensor with too few arguments")
        storage, offset, shape, strides = arguments[:4]

        def whole(values: object) -> bool:
            return isinstance(values, tuple) and all(type(v) is int and 0 <= v < 2**48 for v in values)

        if not (isinstance(storage, StorageView) and whole((offset,)) and whole(shape) and whole(strides)):
            raise self.error("a tensor of something else than a storage, offset, shape and strides")
        if len(shape) != len(strides) or len(shape) > 8:
            raise self.error(f"a tensor with {len(shape)} extents and {len(strides)} strides")
        return TensorView(storage, offset, shape, strides)

    def persistent_id(self) -> None:
        """('storage', type, key, device, count[, view]): a reference to bytes outside the pickle."""
        what = self._stack.pop()
        if not (isinstance(what, tuple) and len(what) in (5, 6) and what[0] == "storage"):
            raise self.error("a reference to something else than a storage")
        kind, key, _device, count = what[1:5]
        if len(what) == 6 and what[5] is not None:
            raise self.error("a storage that is a view of another")
        if not (isinstance(kind, Global) and kind.module == "torch" and isinstance(key, str)):
            raise self.error("a storage without type or key")
        if type(count) is not int or count < 0:
            raise self.error(f"a storage of {count} elements")
        dtype, widen = _STORAGES[kind.name]
        self.push(StorageView(key, dtype, widen, count))

    def set_items(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise self.error("items for something else than a dict")
        for at in range(0, len(pairs), 2):
            if not isinstance(pairs[at], str | int):
                raise self.error("a key that is neither a string nor a number")
            target[pairs[at]] = pairs[at + 1]

    def append_all(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise self.error("items for something else than a list")
        target.extend(items)

    def build(self) -> None:
        """State dicts carry their modules' versions as an attribute; nothing here needs it."""
        self._stack.pop()
        if not isinstance(self._stack[-1], dict):
            raise self.error("attributes for something else than a dict")


# fmt: off
_INSTRUCTIONS: dict[bytes, Callable[[StateDictMachine], None]] = {
    b"\x80": StateDictMachine.proto,
    b"\x95": StateDictMachine.frame,
    b"(": lambda m: m.push(_MARK),
    b"}": lambda m: m.push({}),
    b"]": lambda m: m.push([]),
    b")": lambda m: m.push(()),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"X": lambda m: m.text("<I"),
    b"\x8c": lambda m: m.text("<B"),
    b"J": lambda m: m.push(m._number("<i")),
    b"K": lambda m: m.push(m._number("<B")),
    b"M": lambda m: m.push(m._number("<H")),
    b"G": lambda m: m.push(m._number(">d")),
    b"\x8a": StateDictMachine.long1,
    b"q": lambda m: m.put("<B"),
    b"r": lambda m: m.put("<I"),
    b"\x94": StateDictMachine.memoize,
    b"h": lambda m: m.get("<B"),
    b"j": lambda m: m.get("<I"),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"c": lambda m: m.global_name(m._line(), m._line()),
    b"\x93": StateDictMachine.stack_global,
    b"R": StateDictMachine.reduce,
    b"Q": StateDictMachine.persistent_id,
    b"s": lambda m: m.set_items([m._stack.pop(), m._stack.pop()][::-1]),
    b"u": lambda m: m.set_items(m.pop_to_mark()),
    b"a": lambda m: m.append_all([m._stack.pop()]),
    b"e": lambda m: m.append_all(m.pop_to_mark()),
    b"b": StateDictMachine.build,
}
# fmt: on
