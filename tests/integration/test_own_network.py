"""A network of one's own, from the process that holds pip's torch to a bundle that `matinee serve` answers from."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import httpx
import pytest

from matinee import _core

pytestmark = pytest.mark.slow

EXPORT = """
    import json, torch
    from pathlib import Path
    from matinee.models import export_torchscript
    torch.manual_seed(4)
    net = torch.nn.Sequential(  # of random filters: even those see colour and shape
        torch.nn.Conv2d(3, 24, 7, stride=4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    pixels = {"do_resize": True, "size": {"shortest_edge": 64}, "resample": 3, "do_center_crop": True,
              "crop_size": {"height": 64, "width": 64}, "do_rescale": True, "rescale_factor": 1 / 255,
              "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    print(export_torchscript(net, torch.zeros(2, 3, 64, 64), "models/my-posters", preprocessor=pixels))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_bundle_is_built_and_served_with_a_network_of_one_s_own(
    encoders: None, drawn_films: Path, tmp_path: Path
) -> None:
    if _core.torch_source != "system":
        pytest.skip(f"this build has MATINEE_TORCH={_core.torch_source}")
    pytest.importorskip("torch")
    environment = {**os.environ, "MATINEE_MODELS": str(tmp_path / "models")}

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    python("-c", textwrap.dedent(EXPORT))
    command = ["build", "--source", str(drawn_films), "--out", "mine.bundle", "--image-model", "my-posters"]
    python("-m", "matinee.cli", *command)
    told = json.loads(python("-m", "matinee.cli", "bundle", "info", "--json", "mine.bundle"))
    assert (told["models"]["image"]["name"], told["models"]["image"]["dimension"]) == ("my-posters", 96)

    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "matinee.cli", "serve", "--bundle", "mine.bundle", "--port", str(port)],
        cwd=tmp_path,
        env=environment,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for _ in range(600):
                try:
                    if client.get("/health/ready").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                assert server.poll() is None
                time.sleep(0.1)
            poster = next((drawn_films.parent / "posters").glob("*.jpg")).read_bytes()
            answer = client.post("/v1/genres/poster", files={"image": ("poster.jpg", poster, "image/jpeg")})
            assert answer.status_code == 200, answer.text
            assert answer.json()["used"] == ["poster"]
            assert answer.json()["genres"]
    finally:
        server.terminate()
        server.wait()
