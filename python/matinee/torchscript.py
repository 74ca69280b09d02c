"""Networks people bring: TorchScript files, run by libtorch in the compiled module ``matinee._torch``.

`TorchScriptModel` runs any of them. `ImageNetwork` and `TextNetwork` are what `matinee.Encoder` runs for a model folder
of the family "torchscript"; docs/guides/bring-your-own-network.md says what lies in such a folder.

Debian's libtorch and pip's torch cannot live in one process: whichever comes second aborts it. Built on Debian's
(``MATINEE_TORCH=system``, the default), importing this module in a process that holds pip's torch raises TorchConflict,
and importing torch afterwards raises ImportError: an error instead of an abort. Nothing else of Matinee loads libtorch.
"""

from __future__ import annotations

import importlib
import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from matinee import _core
from matinee.errors import FormatError, InvalidArgument, TorchConflict
from matinee.models.brought import weights_file

_REMEDY = (
    "run the TorchScript model in a process of its own (matinee serve is one), or build Matinee with "
    "-DMATINEE_TORCH=python so that both use pip's torch"
)


def _foreign_libtorch() -> str | None:
    """The path of a libtorch from a pip package that this process has mapped, if any."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in maps.splitlines():
        path = line.rpartition(" ")[2]
        if path.endswith("libtorch_cpu.so") and "torch/lib/" in path:
            return path
    return None


class _TorchBlocker(importlib.abc.MetaPathFinder):
    """Refuses `import torch` once Debian's libtorch is in the process."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torch":
            raise ImportError(
                "torch: this process runs matinee.torchscript on the system's libtorch; "
                f"a second one would abort it: {_REMEDY}"
            )
        return None


def _load() -> Any:
    # The compiled module itself must not be imported to find out how it was built: that alone would abort.
    build = _core.torch_source
    if build == "off":
        raise ImportError(
            "matinee.torchscript: this build has no libtorch; build with -DMATINEE_TORCH=system or python"
        )
    if build == "python":
        import torch  # noqa: F401, PLC0415 - brings the libraries that _torch was linked with

    elif "torch" in sys.modules or _foreign_libtorch() is not None:
        raise TorchConflict(f"matinee.torchscript: this process holds pip's torch already: {_REMEDY}")
    else:
        sys.meta_path.insert(0, _TorchBlocker())
    return importlib.import_module("matinee._torch")


_torch = _load()


class TorchScriptModel:
    """A TorchScript network with one float32 or int64 input and one or more floating-point outputs.

    Safe to call from many threads; the GIL is released while it runs. A batch is shared out among the threads of this
    module's own pool, as many as `matinee._core.set_num_threads` says; the two pools share nothing, so a process that
    keeps both busy computes on twice as many threads.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        example_shape: Sequence[int],
        input_type: Literal["float32", "int64"] = "float32",
        any_length: bool = False,
    ) -> TorchScriptModel:
        """Loads a file written by ``torch.jit.save`` and tries it on zeros of `example_shape` (batch first).

        `any_length`: the second axis may also be shorter; tried as well. Raises NotFound, FormatError (not TorchScript,
        truncated, an operator that this libtorch lacks, a failing trial) or InvalidArgument (a shape without positive
        sizes).
        """
        _follow_threads()
        shape = [int(size) for size in example_shape]
        options = {"example_shape": shape, "input_type": input_type, "any_length": any_length}
        return cls(_torch.TorchScriptModel.load(Path(path), **options))

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Shape of the input it was tried on; the first axis may differ in run()."""
        return tuple(self._model.example_shape)

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the outputs for one item, without the batch."""
        return [tuple(shape) for shape in self._model.output_shapes]

    def run(self, batch: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> list[npt.NDArray[np.float32]]:
        """Outputs for a batch (B, …), each (B, …) float32. Raises InvalidArgument for another shape or type."""
        _follow_threads()
        outputs: list[npt.NDArray[np.float32]] = self._model.run(batch)
        return outputs


def _follow_threads() -> None:
    """The core's number of threads is this module's, too."""
    if _torch.num_threads() != _core.num_threads():
        _torch.set_num_threads(_core.num_threads())


class _Network:
    """What the two kinds have in common: the facts of matinee.json, and the output that is the vector."""

    precision = "fp32"

    def __init__(self, folder: Path, facts: dict[str, Any], precision: str) -> None:
        if precision not in ("auto", "fp32"):
            raise InvalidArgument(
                f"Encoder.load: precision: expected auto or fp32, got {precision}; a TorchScript network computes in "
                "what it was exported in"
            )
        self._where = folder / "matinee.json"
        self._facts = facts
        self._path = weights_file(folder, facts)
        self.dimension = self._whole("dimension", minimum=1)
        self._output = self._whole("output", minimum=0, default=0)

    def _whole(self, name: str, *, minimum: int, default: int | None = None) -> int:
        value = self._facts.get(name, default)
        if type(value) is not int or value < minimum:
            raise FormatError(f"{self._where}: {name}: expected a whole number of at least {minimum}, got {value!r}")
        return value

    def _flag(self, name: str, *, default: bool) -> bool:
        value = self._facts.get(name, default)
        if not isinstance(value, bool):
            raise FormatError(f"{self._where}: {name}: expected true or false, got {value!r}")
        return value

    def _check(self, model: TorchScriptModel, trial: npt.NDArray[Any]) -> None:
        """Raises FormatError unless the chosen output is a vector of the stated dimension, and finite."""
        shapes = model.output_shapes
        if self._output >= len(shapes) or shapes[self._output] != (self.dimension,):
            raise FormatError(
                f"{self._where}: output, dimension: expected output {self._output} to be a vector of {self.dimension} "
                f"values, got outputs of shapes {shapes} for an item"
            )
        if not np.isfinite(model.run(trial)[self._output]).all():
            raise FormatError(f"{self._path}: expected finite vectors, got NaN or infinity for an ordinary input")


class ImageNetwork(_Network):
    """A network of images (B, 3, H, W) float32, preprocessed as ``preprocessor_config.json`` says."""

    def __init__(self, folder: Path, facts: dict[str, Any], precision: str, *, height: int, width: int) -> None:
        """Raises NotFound, FormatError (facts, file or shapes that do not fit), InvalidArgument (precision)."""
        super().__init__(folder, facts, precision)
        self._model = TorchScriptModel.load(self._path, example_shape=(1, 3, height, width))
        self._check(self._model, np.random.default_rng(0).normal(size=(1, 3, height, width)).astype(np.float32))

    def features(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(B, D) float32 for pixels (B, 3, H, W) float32."""
        return self._model.run(pixels)[self._output]


class TextNetwork(_Network):
    """A network of token ids (B, T) int64, padded at the end with `pad_token`, which the network itself must mask."""

    _TEXTS_A_BATCH = 32

    def __init__(self, folder: Path, facts: dict[str, Any], precision: str) -> None:
        """Raises NotFound, FormatError (facts, file or shapes that do not fit), InvalidArgument (precision)."""
        super().__init__(folder, facts, precision)
        self.max_tokens = self._whole("max_tokens", minimum=2)
        self.vocabulary = self._whole("vocabulary", minimum=1)
        self._pad = self._whole("pad_token", minimum=0, default=0)
        self._any_length = self._flag("any_length", default=False)
        self._model = TorchScriptModel.load(
            self._path, example_shape=(1, self.max_tokens), input_type="int64", any_length=self._any_length
        )
        # the highest id as well: a smaller embedding would fail at the first rare word
        self._check(self._model, np.full((1, self.max_tokens), self.vocabulary - 1, np.int64))

    def encode(self, token_ids: npt.NDArray[Any], offsets: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """(B, D) float32 rows of length 1 for ragged texts: text i is ``token_ids[offsets[i]:offsets[i + 1]]``."""
        lengths = np.diff(offsets)
        vectors = np.empty((len(lengths), self.dimension), np.float32)
        by_length = np.argsort(lengths, kind="stable")  # texts of like length together, so that little is padded
        for start in range(0, len(by_length), self._TEXTS_A_BATCH):
            rows = by_length[start : start + self._TEXTS_A_BATCH]
            width = int(lengths[rows].max()) if self._any_length else self.max_tokens
            padded = np.full((len(rows), width), self._pad, np.int64)  # (B, T)
            for line, row in zip(padded, rows, strict=True):
                line[: lengths[row]] = token_ids[offsets[row] : offsets[row + 1]]
            found = self._model.run(padded)[self._output]
            vectors[rows] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return vectors


__all__ = ["ImageNetwork", "TextNetwork", "TorchScriptModel"]
