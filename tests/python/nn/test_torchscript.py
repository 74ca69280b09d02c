"""TorchScript models run on the system's libtorch, in processes without pip's torch.

Every test runs in children: the process of pytest may hold pip's torch for other tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from matinee import _core

if _core.torch_source != "system":
    pytest.skip(f"this build has MATINEE_TORCH={_core.torch_source}", allow_module_level=True)
pytest.importorskip("torch", reason="the test extra's torch writes the TorchScript files")

_EXPORT = """
    import sys, numpy, torch
    torch.manual_seed(3)
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.norm = torch.nn.BatchNorm2d(8)
            self.out = torch.nn.Linear(8, 5)
        def forward(self, x):
            features = torch.relu(self.norm(self.conv(x))).mean(dim=(2, 3))
            return self.out(features), features
    net = Net().eval()
    folder = sys.argv[1]
    x = torch.randn(4, 3, 16, 16)
    torch.jit.save(torch.jit.trace(net, x), folder + "/net.pt")
    with torch.no_grad():
        logits, features = net(x)
    numpy.savez(folder + "/expected.npz", x=x.numpy(), logits=logits.numpy(), features=features.numpy())

    class Attention(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.scaled_dot_product_attention(x, x, x)
    torch.jit.save(torch.jit.trace(Attention(), torch.randn(1, 2, 4, 8)), folder + "/attention.pt")

    class Mean(torch.nn.Module):
        def forward(self, ids):
            return ids.float().mean(1, keepdim=True)
    torch.jit.save(torch.jit.trace(Mean(), torch.ones(1, 6, dtype=torch.int64)), folder + "/mean.pt")

    class Integers(torch.nn.Module):
        def forward(self, x):
            return x.long()
    torch.jit.save(torch.jit.trace(Integers(), torch.ones(1, 2)), folder + "/integers.pt")
"""


def _child(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "MATINEE_NUM_THREADS": "2"},
    )


def _passes(code: str, *arguments: str | Path) -> str:
    done = _child(code, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torchscript")
    _passes(_EXPORT, folder)
    return folder


def test_outputs_equal_those_of_the_torch_that_exported_the_network(exported: Path) -> None:
    _passes(
        """
        import sys, numpy as np
        from matinee.torchscript import TorchScriptModel
        folder = sys.argv[1]
        saved = np.load(folder + "/expected.npz")
        model = TorchScriptModel.load(folder + "/net.pt", example_shape=(1, 3, 16, 16))
        assert model.output_shapes == [(5,), (8,)], model.output_shapes
        assert model.example_shape == (1, 3, 16, 16)
        logits, features = model.run(saved["x"])
        np.testing.assert_allclose(logits, saved["logits"], atol=1e-5)
        np.testing.assert_allclose(features, saved["features"], atol=1e-5)
        empty = model.run(np.zeros((0, 3, 16, 16), np.float32))
        assert [part.shape for part in empty] == [(0, 5), (0, 8)]
        """,
        exported,
    )


def test_calls_release_the_gil_and_compute_on_the_pool_only(exported: Path) -> None:
    _passes(
        """
        import os, sys, threading, numpy as np
        from matinee.torchscript import TorchScriptModel
        model = TorchScriptModel.load(sys.argv[1] + "/net.pt", example_shape=(1, 3, 16, 16))
        batch = np.random.default_rng(0).normal(size=(256, 3, 16, 16)).astype(np.float32)
        first = model.run(batch)[0]
        stop, ticks, peak, wrong = threading.Event(), [0], [0], []
        def tick():
            while not stop.is_set():
                ticks[0] += 1
                peak[0] = max(peak[0], len(os.listdir("/proc/self/task")))
        def call():
            for _ in range(5):
                if not np.array_equal(model.run(batch)[0], first):
                    wrong.append(1)
        before = len(os.listdir("/proc/self/task"))
        watcher = threading.Thread(target=tick); watcher.start()
        callers = [threading.Thread(target=call) for _ in range(32)]
        [c.start() for c in callers]; [c.join() for c in callers]
        stop.set(); watcher.join()
        assert not wrong
        assert ticks[0] > 10, ticks
        assert peak[0] <= before + 33, (before, peak)  # the callers and the watcher, nothing that libtorch made
        """,
        exported,
    )


def test_a_batch_is_shared_out_among_as_many_threads_as_the_core_is_told(exported: Path) -> None:
    _passes(
        """
        import os, sys, numpy as np
        from matinee import _core, _torch
        from matinee.torchscript import TorchScriptModel
        saved = np.load(sys.argv[1] + "/expected.npz")
        model = TorchScriptModel.load(sys.argv[1] + "/net.pt", example_shape=(1, 3, 16, 16))
        for threads in (1, 3, 2):
            _core.set_num_threads(threads)
            for batch in (1, 2, 3, 4):
                logits = model.run(saved["x"][:batch])[0]
                np.testing.assert_allclose(logits, saved["logits"][:batch], atol=1e-5)
            assert _torch.num_threads() == threads
        """,
        exported,
    )


def test_a_network_of_any_length_takes_shorter_inputs_and_no_longer_ones(exported: Path) -> None:
    _passes(
        """
        import sys, numpy as np, matinee
        from matinee.torchscript import TorchScriptModel
        path = sys.argv[1] + "/mean.pt"
        model = TorchScriptModel.load(path, example_shape=(1, 6), input_type="int64", any_length=True)
        ids = np.arange(10).reshape(2, 5)
        np.testing.assert_allclose(model.run(ids)[0], ids.mean(1, keepdims=True))
        fixed = TorchScriptModel.load(path, example_shape=(1, 6), input_type="int64")
        for refused in (lambda: model.run(np.zeros((1, 7), np.int64)), lambda: model.run(np.zeros((1, 0), np.int64)),
                        lambda: fixed.run(ids),
                        lambda: TorchScriptModel.load(path, example_shape=(1,), any_length=True)):
            try:
                refused()
            except matinee.InvalidArgument:
                continue
            raise SystemExit("no error")
        try:
            TorchScriptModel.load(sys.argv[1] + "/net.pt", example_shape=(1, 3, 16, 16), any_length=True)
        except matinee.FormatError:
            sys.exit(0)
        sys.exit("no error")
        """,
        exported,
    )


@pytest.mark.parametrize(
    ("file", "shape", "error", "says"),
    [
        ("missing.pt", (1, 3, 16, 16), "NotFound", "missing.pt"),
        ("truncated.pt", (1, 3, 16, 16), "FormatError", "TorchScript"),
        ("text.pt", (1, 3, 16, 16), "FormatError", "TorchScript"),
        ("attention.pt", (1, 2, 4, 8), "FormatError", "scaled_dot_product_attention"),
        ("integers.pt", (1, 2), "FormatError", "floating"),
        ("net.pt", (1, 4, 16, 16), "FormatError", "cannot run"),
        ("net.pt", (), "InvalidArgument", "example_shape"),
        ("net.pt", (0, 3, 16, 16), "InvalidArgument", "example_shape"),
    ],
)
def test_bad_files_and_shapes_are_typed_errors(
    exported: Path, file: str, shape: tuple[int, ...], error: str, says: str
) -> None:
    (exported / "truncated.pt").write_bytes((exported / "net.pt").read_bytes()[:2000])
    (exported / "text.pt").write_text("not a model")
    out = _passes(
        f"""
        import sys, matinee
        from matinee.torchscript import TorchScriptModel
        try:
            TorchScriptModel.load(sys.argv[1], example_shape={shape!r})
        except matinee.MatineeError as error:
            print(type(error).__name__, error)
        """,
        exported / file,
    )
    assert out.startswith(error + " "), out
    assert says in out


@pytest.mark.parametrize(
    "array",
    [
        "np.zeros((1, 3, 8, 8), np.float32)",
        "np.zeros((3, 16, 16), np.float32)",
        "np.zeros((1, 3, 16, 16), np.int64)",
        "np.zeros((1, 3, 16, 16), np.float64)",
        "np.zeros((1, 3, 16, 32), np.float32)[..., ::2]",
    ],
)
def test_inputs_unlike_the_example_are_invalid_arguments(exported: Path, array: str) -> None:
    _passes(
        f"""
        import sys, numpy as np, matinee
        from matinee.torchscript import TorchScriptModel
        model = TorchScriptModel.load(sys.argv[1] + "/net.pt", example_shape=(1, 3, 16, 16))
        try:
            model.run({array})
        except matinee.InvalidArgument:
            sys.exit(0)
        sys.exit("no error")
        """,
        exported,
    )


def test_after_pip_s_torch_the_module_refuses_instead_of_aborting() -> None:
    out = _passes(
        """
        import torch, matinee
        try:
            import matinee.torchscript
        except matinee.TorchConflict as error:
            print(error)
        """
    )
    assert "pip's torch" in out
    assert "MATINEE_TORCH=python" in out


def test_before_pip_s_torch_the_module_makes_its_import_an_error_instead_of_an_abort() -> None:
    out = _passes(
        """
        import matinee.torchscript
        try:
            import torch
        except ImportError as error:
            print(error)
        """
    )
    assert "second one would abort" in out


def test_the_core_lives_beside_both(exported: Path) -> None:
    _passes("import matinee._core, torch; torch.ones(3) @ torch.ones(3)")
    _passes("import matinee._core, matinee.torchscript, numpy; matinee._core.crc32c(b'x')")
