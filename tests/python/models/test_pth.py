"""The reader of .pth files against torch's own, and against programs that try to get out of it."""

from __future__ import annotations

import collections
import io
import os
import pickle
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matinee.errors import FormatError, IoError
from matinee.models.pth import read_pth

torch = pytest.importorskip("torch")

OLD, NEW = pytest.param(False, id="old stream"), pytest.param(True, id="zip")
LAYOUTS = pytest.mark.parametrize("zipped", [OLD, NEW])


def save(value: Any, path: Path, *, zipped: bool) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return path


def network() -> Any:
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))


@LAYOUTS
def test_a_state_dict_reads_as_torch_reads_it(tmp_path: Path, zipped: bool) -> None:
    path = save(network().state_dict(), tmp_path / "net.pth", zipped=zipped)
    expected = torch.load(path, weights_only=True)
    got = read_pth(path)
    assert list(got) == list(expected)
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(got[name], tensor.numpy())
        assert got[name].flags.c_contiguous


@LAYOUTS
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"])
def test_every_type_of_number(tmp_path: Path, zipped: bool, dtype: str) -> None:
    tensor = (torch.randn(5, 3, generator=torch.Generator().manual_seed(1)) * 40).to(getattr(torch, dtype))
    got = read_pth(save({"t": tensor}, tmp_path / "t.pth", zipped=zipped))["t"]
    assert got.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(got, tensor.numpy())


@LAYOUTS
def test_bfloat16_is_widened_exactly(tmp_path: Path, zipped: bool) -> None:
    tensor = torch.randn(64, generator=torch.Generator().manual_seed(2)).to(torch.bfloat16)
    got = read_pth(save({"t": tensor}, tmp_path / "t.pth", zipped=zipped))["t"]
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, tensor.float().numpy())


@LAYOUTS
def test_views_share_a_storage_and_scalars_and_empties_are_kept(tmp_path: Path, zipped: bool) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {
        "whole": base,
        "transposed": base.T,
        "slice": base[1:, ::2],
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(base[2]),
    }
    got = read_pth(save(tensors, tmp_path / "t.pth", zipped=zipped))
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(got[name], tensor.detach().numpy())
        assert got[name].shape == tuple(tensor.shape)


class Evil:
    """Unpickled by Python, this would run a command."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.witness}",))


@LAYOUTS
def test_a_command_in_a_state_dict_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    witness = tmp_path / "ran"
    path = save({"weight": torch.zeros(2), "evil": Evil(witness)}, tmp_path / "evil.pth", zipped=zipped)
    with pytest.raises(FormatError, match=r"names (posix|os)\.system"):
        read_pth(path)
    assert not witness.exists()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value", [Evil(Path("/nowhere")), eval, collections.Counter("aab"), np.zeros(3), {1, 2}, b"bytes", 3 + 4j, range(3)]
)
def test_any_other_object_is_refused(tmp_path: Path, protocol: int, value: Any) -> None:
    path = tmp_path / "odd.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("odd/data.pkl", pickle.dumps({"x": value}, protocol))
    with pytest.raises(FormatError):
        read_pth(path)


def program(body: bytes, path: Path, storage: bytes = b"") -> Path:
    """A zip whose pickle is `body`, with one storage `0`."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("p/data.pkl", b"\x80\x02" + body + b".")
        archive.writestr("p/data/0", storage)
    return path


def string(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def tensor_program(count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    def whole(value: int) -> bytes:
        data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
        return b"\x8a" + bytes([len(data)]) + data

    storage = b"(" + string("storage") + b"ctorch\nFloatStorage\n" + string("0") + string("cpu") + whole(count) + b"tQ"
    shapes = b"(" + b"".join(map(whole, shape)) + b"t(" + b"".join(map(whole, strides)) + b"t"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + whole(offset) + shapes + b"\x89}tR"
    return b"}" + string("t") + tensor + b"s"


def test_the_handwritten_program_itself_is_right(tmp_path: Path) -> None:
    data = np.arange(6, dtype="<f4")
    got = read_pth(program(tensor_program(6, 1, (2, 2), (2, 1)), tmp_path / "p.pth", data.tobytes()))["t"]
    np.testing.assert_array_equal(got, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("count", "offset", "shape", "strides"),
    [
        pytest.param(6, 0, (7,), (1,), id="past the end"),
        pytest.param(6, 5, (2,), (1,), id="offset past the end"),
        pytest.param(6, 0, (2,), (6,), id="stride past the end"),
        pytest.param(60, 0, (60,), (1,), id="storage shorter than it says"),
        pytest.param(6, 0, (2**40,), (0,), id="terabytes by stride zero"),
        pytest.param(6, 0, (2**40, 2**40), (0, 0), id="overflow"),
        pytest.param(6, -1, (2,), (1,), id="negative offset"),
        pytest.param(6, 0, (2,), (-1,), id="negative stride"),
        pytest.param(-6, 0, (2,), (1,), id="negative count"),
        pytest.param(6, 0, (2, 2), (1,), id="ranks differ"),
        pytest.param(6, 0, (1,) * 9, (1,) * 9, id="nine dimensions"),
    ],
)
def test_a_tensor_may_not_leave_its_storage(
    tmp_path: Path, count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    body = tensor_program(count, offset, shape, strides)
    with pytest.raises(FormatError):
        read_pth(program(body, tmp_path / "p.pth", np.arange(6, dtype="<f4").tobytes()))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"cos\nsystem\n(X\x04\x00\x00\x00truetR", id="global and reduce"),
        pytest.param(string("os") + string("system") + b"\x93", id="stack global"),
        pytest.param(b"K\x01K\x02\x93", id="stack global of numbers"),
        pytest.param(b"(S'true'\nios\nsystem\n", id="inst"),
        pytest.param(b"(cos\nsystem\nS'true'\no", id="obj"),
        pytest.param(b"\x82\x01", id="extension registry"),
        pytest.param(b"P0\n", id="persistent id as text"),
        pytest.param(b"ccollections\nOrderedDict\n]X\x01\x00\x00\x00ba\x85R", id="ordered dict of something"),
        pytest.param(b"K\x01)R", id="calls a number"),
        pytest.param(b"ctorch\nFloatStorage\n)R", id="calls a storage"),
        pytest.param(b"K\x05}b", id="attributes for a number"),
        pytest.param(b"}]K\x01s", id="a list as key"),
        pytest.param(b"}K\x01a", id="append to a dict"),
        pytest.param(b"h\x07", id="memo never put"),
        pytest.param(b"X\xff\xff\xff\x7fa", id="a string of two gigabytes"),
        pytest.param(b"t", id="no mark"),
        pytest.param(b"\x87", id="too few values"),
        pytest.param(b"s", id="empty stack"),
        pytest.param(b"X\x02\x00\x00\x00\xff\xfe", id="not UTF-8"),
        pytest.param(b"(" * 1_100_000, id="a stack without end"),
        pytest.param(b"K\x05", id="a number alone"),
        pytest.param(b"}K\x05}s", id="a dict of dicts by number"),
        pytest.param(b"}" + string("epoch") + b"K\x05s", id="a checkpoint"),
        pytest.param(b"ctorch._utils\n_rebuild_tensor_v2\n)R", id="a tensor of nothing"),
        pytest.param(b"ctorch._utils\n_rebuild_parameter\n)R", id="a parameter of nothing"),
        pytest.param(b"(" + string("storage") + b"K\x01K\x01K\x01K\x01tQ", id="a storage of numbers"),
    ],
)
def test_hostile_programs_are_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(FormatError, match="read_pth"):
        read_pth(program(body, tmp_path / "p.pth"))


def test_nested_lists_do_not_explode_in_an_error_message(tmp_path: Path) -> None:
    # each list holds the one before it twice: printing the last would take 2**60 characters
    laughs = b"]" + b"".join(b"q" + bytes([i]) + b"](h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(60))
    for stream in (laughs, b"}" + string("x") + laughs + b"s"):
        with pytest.raises(FormatError) as caught:
            read_pth(program(stream, tmp_path / "p.pth"))
        assert len(str(caught.value)) < 1000


@LAYOUTS
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, zipped: bool) -> None:
    whole = save({"t": torch.arange(4.0), "u": torch.zeros(2)}, tmp_path / "t.pth", zipped=zipped).read_bytes()
    cut = tmp_path / "cut.pth"
    for length in range(0, len(whole), 7):
        cut.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            read_pth(cut)


@LAYOUTS
def test_flipped_bytes_give_a_format_error_or_arrays_of_the_same_names(tmp_path: Path, zipped: bool) -> None:
    whole = save({"t": torch.arange(40.0), "u": torch.zeros(2, 3)}, tmp_path / "t.pth", zipped=zipped).read_bytes()
    draw = random.Random(5)
    path, refused = tmp_path / "flip.pth", 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 1, 1, 4))):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        try:
            for array in read_pth(path).values():
                assert isinstance(array, np.ndarray)
        except FormatError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"PK\x03\x04 no zip", b"\x80\x02K\x01.", b"GIF89a"])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(data)
    with pytest.raises(FormatError):
        read_pth(tmp_path / "x.pth")


def test_a_compressed_zip_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("p/data.pkl", b"\x80\x02}.")
    (tmp_path / "x.pth").write_bytes(buffer.getvalue())
    with pytest.raises(FormatError, match="compressed members"):
        read_pth(tmp_path / "x.pth")


def test_a_checkpoint_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = save({"state_dict": {"t": torch.zeros(1)}, "epoch": 3}, tmp_path / "c.pth", zipped=False)
    with pytest.raises(FormatError, match="'state_dict': expected a tensor, got dict; save the state dict alone"):
        read_pth(path)


def test_a_file_that_is_not_there_is_an_io_error(tmp_path: Path) -> None:
    with pytest.raises(IoError, match="cannot be read: No such file"):
        read_pth(tmp_path / "none.pth")
