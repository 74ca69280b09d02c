"""Runs an exported TorchScript file on the libtorch of this build.

``python -m matinee.models.export_check FILE CASES OUTPUT`` prints one JSON object. `matinee.models.export` starts it,
because the exporting process holds another torch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from matinee.errors import MatineeError

# Largest difference of any output value, as a share of the largest value: two releases of the same operators.
TOLERANCE = 1e-3


def check(path: Path, cases: dict[str, Any], output: int) -> dict[str, Any]:
    """Largest difference to the expected vectors, the batch it came up in, and whether shorter inputs do as well."""
    from matinee import _torch  # noqa: PLC0415  imported by torchscript, which guards it
    from matinee.torchscript import TorchScriptModel  # noqa: PLC0415

    pairs = [(cases[f"input_{i}"], cases[f"expected_{i}"]) for i in range(len(cases) // 2)]
    shape = (1, *pairs[0][0].shape[1:])
    texts = pairs[0][0].dtype == np.int64

    def differences(model: TorchScriptModel, some: list[Any]) -> list[tuple[float, int]]:
        found = []
        for batch, expected in some:
            got = model.run(batch)[output]
            if got.shape != expected.shape:
                raise MatineeError(f"expected vectors {expected.shape}, got {got.shape}")
            gap = np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-6)
            found.append((float(gap) if np.isfinite(gap) else float("inf"), len(batch)))
        return found

    model = TorchScriptModel.load(path, example_shape=shape, input_type="int64" if texts else "float32")
    full = [pair for pair in pairs if pair[0].shape[1:] == shape[1:]]
    difference, batch = max(differences(model, full))
    any_length = False
    if shorter := [pair for pair in pairs if pair[0].shape[1:] != shape[1:]]:
        try:
            free = TorchScriptModel.load(path, example_shape=shape, input_type="int64", any_length=True)
            any_length = max(differences(free, shorter))[0] <= TOLERANCE
        except MatineeError:
            any_length = False  # traced for one length; every text is filled up to it
    return {"difference": difference, "batch": batch, "any_length": any_length, "libtorch": _torch.torch_version}


def main() -> None:
    path, cases, output = sys.argv[1:]
    try:
        with np.load(cases) as loaded:
            answer = check(Path(path), dict(loaded), int(output))
    except MatineeError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
