"""The build with MATINEE_TORCH=python: both the core and a user's torch stand on pip's torch, in one process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for sys.path with the package and its modules built on pip's torch."""
    pytest.importorskip("torch")
    if shutil.which("cmake") is None or shutil.which("ninja") is None:
        pytest.skip("building needs cmake and ninja")
    build = repository / "build" / "torch-python"  # kept: a second run compiles what has changed
    options = ["-DMATINEE_TORCH=python", "-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={sys.executable}"]
    for command in (
        ["cmake", "-S", str(repository), "-B", str(build), "-G", "Ninja", *options],
        ["cmake", "--build", str(build), "--parallel", "2", "--target", "_core", "_torch"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(repository / "python" / "matinee", folder / "matinee", ignore=shutil.ignore_patterns("*.so"))
    for module in (build / "bindings").glob("_*.so"):
        shutil.copy(module, folder / "matinee")
    return folder


def test_a_network_runs_beside_the_torch_that_made_it(package: Path, tmp_path: Path) -> None:
    # the installed package is found by a finder of its own, which has to step aside
    code = f"""
        import sys
        sys.meta_path[:] = [finder for finder in sys.meta_path if "ScikitBuild" not in type(finder).__name__]
        sys.path.insert(0, {str(package)!r})
        import numpy as np, torch
        torch.set_num_threads(2)
        torch.ones(64, 64) @ torch.ones(64, 64)
        import matinee
        assert matinee.__file__.startswith({str(package)!r}), matinee.__file__
        from matinee import _core
        assert _core.torch_source == "python"
        from matinee.torchscript import TorchScriptModel
        from matinee import _torch
        assert _torch.torch_version == torch.__version__.split("+")[0]

        class Attention(torch.nn.Module):  # an operator that Debian's libtorch does not have
            def forward(self, x):
                return torch.nn.functional.scaled_dot_product_attention(x, x, x).mean(1)
        x = torch.randn(9, 6, 8)
        torch.jit.save(torch.jit.trace(Attention(), x), "attention.pt")
        model = TorchScriptModel.load("attention.pt", example_shape=(1, 6, 8))
        np.testing.assert_allclose(model.run(x.numpy())[0], Attention()(x).numpy(), atol=1e-5)
        assert torch.get_num_threads() == 2  # the user's own
        (torch.randn(300, 300) @ torch.randn(300, 300)).sum().item()
        assert torch.get_num_threads() == 2
        print("done")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "MATINEE_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")
