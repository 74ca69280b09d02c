"""Networks of one's own, exported by pip's torch in one process and run by the system's libtorch in others.

Every test runs in children, because no process can hold both; `python` runs a script there and gives back what it
printed.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from matinee import _core

if _core.torch_source != "system":
    pytest.skip(f"this build has MATINEE_TORCH={_core.torch_source}", allow_module_level=True)
pytest.importorskip("torch", reason="the test extra's torch writes the TorchScript files")

PIXELS = {
    "do_resize": True, "size": {"height": 32, "width": 32}, "resample": 3, "do_center_crop": False,
    "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}  # fmt: skip
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefgh")]

NETWORKS = """
    import sys, torch
    from matinee import InvalidArgument, IoError, FormatError, MatineeError
    from matinee.models import export_torchscript
    torch.manual_seed(3)

    class Picture(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.BatchNorm2d(8)
            self.drop, self.out = torch.nn.Dropout(), torch.nn.Linear(8, 5)
        def forward(self, x):
            features = torch.relu(self.norm(self.conv(x))).mean((2, 3))
            return self.out(self.drop(features)), features

    class Words(torch.nn.Module):
        def __init__(self, fixed_length=False, vocabulary=38):
            super().__init__()
            self.words, self.fixed_length = torch.nn.Embedding(vocabulary, 12), fixed_length
            self.places = torch.nn.Parameter(torch.randn(16, 12))
        def forward(self, ids):
            mask = ids.ne(0).unsqueeze(-1)
            places = self.places if self.fixed_length else self.places[: ids.shape[1]]
            return ((self.words(ids) + places) * mask).sum(1) / mask.sum(1).clamp(min=1)

    def tries(module, example, folder="bad", **options):
        try:
            print("wrote", export_torchscript(module, example, folder, **options))
        except MatineeError as error:
            print(type(error).__name__, str(error).replace("\\n", " "))
    images, ids = torch.zeros(2, 3, 32, 32), torch.ones(2, 16, dtype=torch.int64)
"""


def python(code: str, *arguments: str | Path, cwd: Path, before: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(before) + textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=cwd,
        env={**os.environ, "MATINEE_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a preprocessor_config.json and a vocab.txt."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "pixels.json").write_text(json.dumps(PIXELS))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return folder


def test_an_exported_image_network_is_an_encoder(place: Path) -> None:
    python(
        """
        import numpy as np
        net = Picture().train()
        print(export_torchscript(net, images, "pictures", preprocessor=Path("pixels.json"), output=1))
        assert net.training  # left as it was
        try:
            matinee.Encoder.load(Path("pictures"))
        except matinee.TorchConflict as error:
            assert "in a process of its own" in str(error)
        else:
            raise SystemExit("two torches in one process")
        x = torch.randn(7, 3, 32, 32)
        with torch.no_grad():
            np.savez("pictures.npz", x=x.numpy(), expected=net.eval()(x)[1].numpy())
        """,
        cwd=place,
        before=NETWORKS + "    from pathlib import Path\n    import matinee\n",
    )
    assert sorted(path.name for path in (place / "pictures").iterdir()) == [
        "matinee.json",
        "model.pt",
        "preprocessor_config.json",
    ]
    python(
        """
        import hashlib, sys
        from pathlib import Path
        import numpy as np
        import matinee
        encoder = matinee.Encoder.load(Path("pictures"))
        assert isinstance(encoder, matinee.ImageEncoder)
        assert (encoder.dimension, encoder.precision, encoder.name) == (8, "fp32", "pictures")
        assert encoder.sha256 == hashlib.sha256(Path("pictures/model.pt").read_bytes()).hexdigest()
        saved = np.load("pictures.npz")
        np.testing.assert_allclose(encoder._network.features(saved["x"]), saved["expected"], atol=1e-5)
        picture = np.random.default_rng(0).integers(0, 256, (70, 50, 3), dtype=np.uint8)
        encoded = encoder.encode([picture, b"no image", picture])
        assert [error is None for error in encoded.errors] == [True, False, True]
        assert np.array_equal(encoded.vectors[0], encoded.vectors[2])
        assert np.allclose(encoded.vectors[0], encoder.encode_one(picture), atol=1e-6)
        assert not encoded.vectors[1].any()
        assert "torch" not in sys.modules
        """,
        cwd=place,
    )


@pytest.mark.parametrize("fixed_length", [False, True])
def test_an_exported_text_network_is_an_encoder(place: Path, fixed_length: bool) -> None:
    folder = f"words_{fixed_length}"
    texts = ["a", "", "a bad cab fed", "zebra", "the quick brown fox " * 9]
    python(
        """
        import json, numpy as np
        from pathlib import Path
        from matinee import _core
        net = Words(fixed_length=sys.argv[2] == "True")
        done = export_torchscript(net, ids, sys.argv[1], vocabulary=Path("vocab.txt"))
        assert done.any_length == (not net.fixed_length), done
        tokenizer = _core.WordPiece(Path("vocab.txt"), lowercase=True, max_tokens=16)
        vectors = []
        for text in json.loads(sys.argv[3]):
            tokens = torch.zeros(1, 16, dtype=torch.int64)
            found = torch.from_numpy(tokenizer.encode_batch([text])[0].astype("int64"))
            tokens[0, : len(found)] = found
            vectors.append(torch.nn.functional.normalize(net(tokens))[0].detach().numpy())
        np.save(sys.argv[1] + ".npy", vectors)
        """,
        folder,
        str(fixed_length),
        json.dumps(texts),
        cwd=place,
        before=NETWORKS,
    )
    python(
        """
        import json, sys
        from pathlib import Path
        import numpy as np
        import matinee
        encoder = matinee.Encoder.load(Path(sys.argv[1]))
        assert isinstance(encoder, matinee.TextEncoder)
        assert (encoder.dimension, encoder.max_tokens) == (12, 16)
        texts = json.loads(sys.argv[2])
        expected = np.load(sys.argv[1] + ".npy")
        np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-5)
        many = encoder.encode(texts * 40)  # several batches, sorted by length and put back
        np.testing.assert_allclose(many, np.tile(expected, (40, 1)), atol=1e-5)
        """,
        folder,
        json.dumps(texts),
        cwd=place,
    )


BAD_MODULES = """
    from pathlib import Path
    pixels, words = Path("pixels.json"), Path("vocab.txt")

    def module(forward):
        made = torch.nn.Module()
        made.forward = forward
        return made
    attention = torch.nn.functional.scaled_dot_product_attention

    def raises(x):
        raise RuntimeError("it does not work")
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
"""
# what is exported to "bad" unless another folder is named, and what is said of it
BAD_EXPORTS = [
    (
        "module(lambda x: attention(x[:, :, 0], x[:, :, 1], x[:, :, 2]).mean(1)), images, preprocessor=pixels",
        "FormatError .*aten::scaled_dot_product_attention, which libtorch 1.*'eager'.*MATINEE_TORCH=python",
    ),
    (
        "module(lambda x: x.mean((2, 3)) - x.mean((0, 2, 3))), images, preprocessor=pixels",
        "FormatError .*vectors of a batch of . differ by .* depend on the batch's size",
    ),
    (
        "module(lambda x: torch.rand_like(x)[:, 0, 0]), images, preprocessor=pixels",
        "FormatError .*differ by .* or on chance",
    ),
    (
        "module(lambda x: x.reshape(2, -1)[:, :4]), images, preprocessor=pixels",
        "FormatError .*cannot run on an input of shape .*with the batch first",
    ),
    ("module(lambda x: x.mean(1)), images, preprocessor=pixels", r"InvalidArgument .*to be a tensor \(B, D\), got"),
    ("module(raises), images, preprocessor=pixels", "FormatError .*cannot be traced on the example: it does not work"),
    ("Picture(), images, preprocessor=pixels, output=2", r"InvalidArgument .*output 2 to be .*\(1, 5\), \(1, 8\)"),
    ("Picture(), images", "InvalidArgument .*preprocessor: expected the preprocessor_config.json"),
    (
        "Picture(), torch.zeros(2, 3, 32, 48), preprocessor=pixels",
        "InvalidArgument .*expected images of 32 x 48 as the example's, got 32 x 32",
    ),
    ("Picture(), images, preprocessor={'size': 'large'}", "InvalidArgument preprocessor_config.json: resample"),
    ("Picture(), images.double(), preprocessor=pixels", r"InvalidArgument .*got \(2, 3, 32, 32\) torch.float64"),
    ("Picture(), 'an image', preprocessor=pixels", r"InvalidArgument .*\(B, 3, H, W\) float32 .*got \(\) str"),
    ("Words(), ids", "InvalidArgument .*vocabulary: expected the vocab.txt"),
    ("Words(), ids, vocabulary=Path('none.txt')", "IoError .*vocabulary: No such file"),
    ("Words(vocabulary=20), ids, vocabulary=words", "InvalidArgument .*the module fails on .*index out of range"),
    ("Picture(), images, 'full', preprocessor=pixels", "IoError .*expected a new or empty folder, got full"),
]


def assert_said(out: str, expected: list[str]) -> None:
    """Each line of `out` matches its pattern."""
    said = out.splitlines()
    assert len(said) == len(expected), said
    for line, pattern in zip(said, expected, strict=True):
        assert re.match(pattern, line), (pattern, line)


def test_bad_exports_are_typed_errors_and_leave_nothing(place: Path) -> None:
    calls = "\n".join(f"tries({arguments})" for arguments, _ in BAD_EXPORTS)
    out = python(calls, cwd=place, before=NETWORKS + BAD_MODULES)
    assert_said(out, [says for _, says in BAD_EXPORTS])
    assert not (place / "bad").exists()
    assert [path.name for path in place.iterdir() if path.name.startswith(".")] == []
    assert [path.name for path in (place / "full").iterdir()] == ["mine.txt"]


LOADS = """
    import json, shutil
    from pathlib import Path
    import matinee

    def tries(kind, facts, precision="auto", file=None):
        folder = Path("loads/changed")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(Path("loads") / kind, folder)
        told = json.loads((folder / "matinee.json").read_text())
        (folder / "matinee.json").write_text(json.dumps(told | facts))
        if file is not None:
            (folder / "model.pt").write_bytes(file)
        try:
            print("loads", matinee.Encoder.load(folder, precision))
        except matinee.MatineeError as error:
            print(type(error).__name__, str(error).replace("\\n", " "))

    def content(name):
        return Path("loads", name).read_bytes()
"""
# the folder, what is changed in it, and what is said of it
BAD_FOLDERS = [
    ("'pictures', {}", "loads ImageEncoder"),
    ("'words', {}", "loads TextEncoder"),
    (
        "'pictures', {'dimension': 6}",
        r"FormatError .*expected output 0 to be a vector of 6 values, got outputs of shapes \[\(5,\), \(8,\)\]",
    ),
    ("'pictures', {'dimension': None}", "FormatError .*dimension: expected a whole number of at least 1, got None"),
    ("'pictures', {'dimension': True}", "FormatError .*dimension: expected a whole number"),
    ("'pictures', {'output': 2}", "FormatError .*expected output 2"),
    ("'pictures', {'output': -1}", "FormatError .*output: expected a whole number of at least 0, got -1"),
    ("'pictures', {'file': '../model.pt'}", "FormatError .*file: expected the name of a file in the folder"),
    ("'pictures', {'file': ''}", "FormatError .*file: expected the name of a file in the folder"),
    ("'pictures', {'file': 7}", "FormatError .*file: expected the name of a file in the folder, got 7"),
    ("'pictures', {'file': 'none.pt'}", "NotFound .*none.pt"),
    ("'pictures', {}, file=content('pictures/model.pt')[:3000]", "FormatError .*expected a TorchScript file"),
    ("'pictures', {}, file=b''", "FormatError .*expected a TorchScript file"),
    ("'pictures', {}, file=content('words/model.pt')", "FormatError .*cannot run on an input of shape"),
    ("'words', {}, file=content('pictures/model.pt')", "FormatError .*cannot run on an input of shape"),
    ("'pictures', {}, 'bf16'", "InvalidArgument .*precision: expected auto or fp32, got bf16"),
    ("'pictures', {'kind': 'sound'}", "FormatError .*kind"),
    ("'words', {'vocabulary': 30}", "FormatError .*vocab.txt: expected at most 30 tokens"),
    ("'words', {'vocabulary': 39}", "FormatError .*the network failed"),
    ("'words', {'max_tokens': 17}", "FormatError .*cannot run on an input of shape"),
    ("'words', {'max_tokens': 1}", "FormatError .*max_tokens: expected a whole number of at least 2"),
    ("'words', {'pad_token': 'x'}", "FormatError .*pad_token"),
    ("'words', {'any_length': 1}", "FormatError .*any_length: expected true or false"),
    ("'words', {}, file=content('nan.pt')", "FormatError .*expected finite vectors"),
    ("'words', {}, file=content('few.pt')", "FormatError .*the network failed"),
]


def test_bad_folders_are_typed_errors_when_loaded(place: Path) -> None:
    python(
        """
        from pathlib import Path
        export_torchscript(Picture(), images, "loads/pictures", preprocessor=Path("pixels.json"))
        export_torchscript(Words(), ids, "loads/words", vocabulary=Path("vocab.txt"))
        broken = Words()
        broken.words.weight.data[-1] = float("nan")
        torch.jit.save(torch.jit.trace(broken, ids), "loads/nan.pt")
        torch.jit.save(torch.jit.trace(Words(vocabulary=20), ids), "loads/few.pt")
        """,
        cwd=place,
        before=NETWORKS,
    )
    calls = "\n".join(f"tries({arguments})" for arguments, _ in BAD_FOLDERS)
    assert_said(python(calls, cwd=place, before=LOADS), [says for _, says in BAD_FOLDERS])


@pytest.mark.parametrize(
    "family", ["bert", *(pytest.param(name, marks=pytest.mark.slow) for name in ("distilbert", "vit"))]
)
def test_a_folder_of_transformers_is_exported_with_eager_attention(place: Path, family: str) -> None:
    pytest.importorskip("transformers")
    python(
        """
        import shutil, sys, numpy as np, torch, transformers
        family = sys.argv[1]
        torch.manual_seed(1)
        bert = dict(vocab_size=38, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
        made = {
            "bert": lambda: transformers.BertModel(transformers.BertConfig(**bert, max_position_embeddings=20)),
            "distilbert": lambda: transformers.DistilBertModel(transformers.DistilBertConfig(
                vocab_size=38, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=20)),
            "vit": lambda: transformers.ViTModel(transformers.ViTConfig(**bert | dict(image_size=32, patch_size=8))),
        }
        model = made[family]().eval()
        model.save_pretrained("hf_" + family)
        shutil.copy("pixels.json", f"hf_{family}/preprocessor_config.json") if family == "vit" else shutil.copy(
            "vocab.txt", f"hf_{family}/vocab.txt")
        with torch.no_grad():
            if family == "vit":
                pixels = torch.randn(3, 3, 32, 32)
                np.savez("hf_vit.npz", x=pixels, expected=model(pixel_values=pixels).pooler_output)
            else:
                ids = torch.tensor([[2, 4, 5, 3], [2, 6, 3, 0]])
                mask = ids.ne(0).long()
                states = model(input_ids=ids, attention_mask=mask).last_hidden_state
                mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
                np.savez(f"hf_{family}.npz", expected=torch.nn.functional.normalize(mean))
        """,
        family,
        cwd=place,
    )
    done = subprocess.run(
        [sys.executable, "-m", "matinee.cli", "models", "export", f"hf_{family}", "--out", f"ours/{family}"],
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    kind = "image, 32-d" if family == "vit" else "text, 32-d, shorter texts computed as such"
    assert f"ours/{family}: {kind}\nchecked on libtorch 1." in done.stdout
    python(
        """
        import os, sys, numpy as np, matinee
        family = sys.argv[1]
        os.environ["MATINEE_MODELS"] = "ours"  # found there by its name, as a model of one's own
        encoder, saved = matinee.Encoder.load(family), np.load(f"hf_{family}.npz")
        got = encoder._network.features(saved["x"]) if family == "vit" else encoder.encode(["a b", "c"])
        np.testing.assert_allclose(got, saved["expected"], atol=2e-5)
        """,
        family,
        cwd=place,
    )


def test_folders_that_cannot_be_exported_are_typed_errors(place: Path) -> None:
    pytest.importorskip("transformers")
    said = python(
        """
        import json
        from pathlib import Path
        import transformers
        from matinee import MatineeError
        from matinee.models import export_transformers
        tower = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1)
        clip = transformers.CLIPConfig(text_config=tower | dict(vocab_size=9), projection_dim=8,
                                       vision_config=tower | dict(image_size=16, patch_size=8))
        transformers.CLIPModel(clip).save_pretrained("hf_clip")
        bert = transformers.BertConfig(vocab_size=9, **tower)
        transformers.BertModel(bert).save_pretrained("hf_bare")
        Path("hf_odd").mkdir()
        Path("hf_odd/config.json").write_text(json.dumps({"model_type": "of another world"}))
        for source in ("hf_none", "hf_odd", "hf_clip", "hf_bare"):
            try:
                export_transformers(source, "bad")
            except MatineeError as error:
                print(type(error).__name__, str(error).replace("\\n", " "))
        """,
        cwd=place,
    ).splitlines()
    assert [line.split()[0] for line in said] == ["NotFound", "FormatError", "FormatError", "NotFound"]
    assert "`matinee models import` takes a CLIP" in said[2]
    assert "expected vocab.txt" in said[3]


def test_the_command_exports_what_a_callable_gives(place: Path) -> None:
    code = textwrap.dedent(NETWORKS) + "\ndef make():\n    return Picture(), images\n\ndef wrong():\n    return 7\n"
    (place / "studio.py").write_text(code)

    def export(source: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "matinee.cli", "models", "export", source, *options]
        return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)

    done = export("studio:make", "--out", "from_command", "--preprocessor", "pixels.json", "--name", "studio-net")
    assert done.returncode == 0, done.stderr
    assert "from_command: image, 5-d\n" in done.stdout
    assert json.loads((place / "from_command" / "matinee.json").read_text())["name"] == "studio-net"
    for source, says in {
        "studio:wrong": "expected it to return (torch.nn.Module, example), got int",
        "studio:absent": "cannot be imported",
        "nothing_there:make": "cannot be imported",
        "nonsense": "expected package.module:callable, or a folder",
    }.items():
        refused = export(source, "--out", "bad")
        assert refused.returncode != 0
        assert says in " ".join(refused.stderr.split()), refused.stderr


def poster(rng: np.random.Generator, genre: int) -> bytes:
    """A synthetic poster: horror is dark with a red blot, comedy bright with round shapes, western brown stripes."""
    pixels = rng.normal((30, 220, 120)[genre], 25, (60, 40, 3))
    y, x = rng.integers(5, 35, 2)
    if genre == 0:
        pixels[y : y + 15, x % 25 : x % 25 + 12] += (180, 0, 0)
    elif genre == 1:
        pixels[(np.hypot(*np.ogrid[-y : 60 - y, -x : 40 - x]) < 8)] -= (0, 60, 160)
    else:
        pixels[:: rng.integers(3, 6)] -= (0, 40, 80)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_genre_network_trained_with_pip_s_torch_is_served_without_it(place: Path) -> None:
    rng = np.random.default_rng(8)
    for split, count in {"train": 180, "test": 60}.items():
        (place / split).mkdir()
        for number in range(count):
            (place / split / f"{number % 3}_{number:03}.png").write_bytes(poster(rng, number % 3))
    python(
        """
        from pathlib import Path
        import numpy as np, torch
        from matinee import _core
        from matinee.models import export_torchscript
        torch.manual_seed(0)
        torch.set_num_threads(2)
        Path("net").mkdir()
        Path("net/preprocessor_config.json").write_text(Path("pixels.json").read_text())
        preprocessor = _core.Preprocessor.from_folder("net")
        def pictures(split):
            paths = sorted(Path(split).iterdir())
            return torch.from_numpy(preprocessor.run([p.read_bytes() for p in paths])[0]), torch.tensor(
                [int(p.name[0]) for p in paths])
        net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 12, 5, stride=2), torch.nn.BatchNorm2d(12), torch.nn.ReLU(),
            torch.nn.Conv2d(12, 16, 3, stride=2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
            torch.nn.Dropout(0.1), torch.nn.Linear(16, 3))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
        x, y = pictures("train")
        for step in range(60):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
        export_torchscript(net, x[:2], "genres", preprocessor=Path("pixels.json"))
        with torch.no_grad():
            np.save("logits.npy", net.eval()(pictures("test")[0]).numpy())
        """,
        cwd=place,
    )
    accuracy = python(
        """
        from pathlib import Path
        import numpy as np, matinee
        paths = sorted(Path("test").iterdir())
        encoder = matinee.Encoder.load(Path("genres"))
        encoded = encoder.encode(paths)
        assert encoded.errors == [None] * len(paths)
        np.testing.assert_allclose(encoded.vectors, np.load("logits.npy"), atol=1e-3)
        print(np.mean(encoded.vectors.argmax(1) == [int(p.name[0]) for p in paths]))
        """,
        cwd=place,
    )
    assert float(accuracy) > 0.9
