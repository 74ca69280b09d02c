"""Networks people bring: TorchScript files, run by libtorch in the compiled module ``matinee._torch``.

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
from matinee.errors import TorchConflict

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
    module = importlib.import_module("matinee._torch")
    module.set_num_threads(_core.num_threads())
    return module


_torch = _load()


class TorchScriptModel:
    """A TorchScript network with one float32 or int64 input and one or more floating-point outputs.

    Safe to call from many threads; the GIL is released while it runs. One call computes on one thread of this module's
    own pool, which is as large as the core's was when the module was imported; the two pools share nothing, so a
    process that keeps both busy computes on twice as many threads.
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
    ) -> TorchScriptModel:
        """Loads a file written by ``torch.jit.save`` and tries it on zeros of `example_shape` (batch first).

        Raises NotFound, FormatError (not TorchScript, truncated, an operator that this libtorch lacks, a failing trial)
        or InvalidArgument (a shape without positive sizes).
        """
        shape = [int(size) for size in example_shape]
        return cls(_torch.TorchScriptModel.load(Path(path), example_shape=shape, input_type=input_type))

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
        outputs: list[npt.NDArray[np.float32]] = self._model.run(batch)
        return outputs


__all__ = ["TorchScriptModel"]
