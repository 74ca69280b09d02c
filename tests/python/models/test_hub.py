"""Pulls from a hub-shaped server on this machine, through the real client: what breaks, resumes, and is refused."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_server import PIECE, Hub, serve, sha256

from matinee.errors import FormatError, IoError
from matinee.models import commands, hub, sources, store
from matinee.models.spec import Registry

REPO, REVISION, NAME, WEIGHTS = "somebody/clip-tiny", "c" * 40, "clip-tiny", "model.safetensors"


@pytest.fixture(scope="module")
def clip_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A CLIP of generated weights (2 MiB) as transformers writes it, with a vocabulary of the bytes alone."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(code) for code in range(33, 127)]
    words = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    tower = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
    text = {**tower, "vocab_size": len(words), "eos_token_id": len(words) - 1, "bos_token_id": len(words) - 2}
    vision = {**tower, "image_size": 32, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=32)
    transformers.CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": 32, "crop_size": 32, "resample": 3}))
    names = ("config.json", "preprocessor_config.json", "vocab.json", "merges.txt", WEIGHTS)
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture
def known(clip_files: dict[str, bytes]) -> Registry:
    """A models.toml that names this CLIP the way ours names the real ones."""
    files = [{"name": name, "size": len(data), "sha256": sha256(data)} for name, data in clip_files.items()]
    facts = dict.fromkeys(("title", "licence", "homepage", "about", "data", "limits"), "Made for tests.")
    source = {"type": "hub", "repo": REPO, "revision": REVISION}
    write = {"matinee.json": {"dimension": 32}}
    model = {**facts, "kind": "joint", "family": "clip", "files": files, "sources": [source], "write": write}
    return Registry.model_validate({"format": 1, "models": {NAME: model}})


@pytest.fixture
def server(
    clip_files: dict[str, bytes], known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hub]:
    for module in (store, commands):
        monkeypatch.setattr(module, "registry", lambda: known)
    for name in ("MATINEE_OFFLINE", "HF_HUB_OFFLINE", "MATINEE_MODELS", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(hub, "_FIRST_PAUSE_S", 0.01)
    store._checked.clear()
    with serve(Hub(REPO, REVISION, dict(clip_files), large={WEIGHTS})) as started:
        monkeypatch.setenv("HF_ENDPOINT", started.endpoint)
        yield started


def part() -> Path:
    """Where the weights grow."""
    folder = store.folder_of(NAME)
    (file,) = (file for file in store.registry().find(NAME).files if file.name == WEIGHTS)
    return folder.parent / f".{folder.name}.hub" / f"{WEIGHTS}.{file.sha256[:12]}.part"


def ranges(server: Hub) -> list[str | None]:
    return [request.range for request in server.downloads(WEIGHTS)]


def start_pull(known: Registry, tmp_path: Path, before: str = "") -> subprocess.Popen[str]:
    """Pulls in a process of its own, which prints "pulling" and the folder or the error."""
    (tmp_path / "known.json").write_text(known.model_dump_json(by_alias=True))
    code = """
        import sys
        from matinee.errors import MatineeError
        from matinee.models import hub, store
        from matinee.models.spec import Registry
        known = Registry.model_validate_json(open(sys.argv[1]).read())
        store.registry = lambda: known
        hub._FIRST_PAUSE_S = 0.01
        print("pulling", flush=True)
        try:
            print(store.pull(sys.argv[2]))
        except MatineeError as error:
            print(type(error).__name__, error)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", before + "\n" + textwrap.dedent(code), str(tmp_path / "known.json"), NAME],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "pulling\n"
    return child


def wait_until(reached: Callable[[], bool]) -> None:
    """A generous guard against hanging, not a claim about time."""
    for _ in range(6000):
        if reached():
            return
        time.sleep(0.01)
    raise AssertionError("it never came so far")


def test_clip_needs_nothing_but_its_files_on_a_hub(server: Hub, clip_files: dict[str, bytes]) -> None:
    folder = store.resolve(NAME)
    assert {path.name for path in folder.iterdir()} == {*clip_files, "matinee.json", "files.json"}
    for name, data in clip_files.items():
        assert (folder / name).read_bytes() == data
    facts = json.loads((folder / "matinee.json").read_text())
    assert facts == {"name": NAME, "kind": "joint", "family": "clip", "dimension": 32}
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]  # no scratch is left
    assert server.sent[WEIGHTS] == len(clip_files[WEIGHTS])


def test_clip_needs_nothing_but_its_files_in_a_folder(
    server: Hub, clip_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "stick" / NAME
    own.mkdir(parents=True)
    for name, data in clip_files.items():
        (own / name).write_bytes(data)
    monkeypatch.setenv("MATINEE_MODELS", str(own.parent))
    monkeypatch.setenv("MATINEE_OFFLINE", "1")
    assert (store.resolve(NAME) / WEIGHTS).read_bytes() == clip_files[WEIGHTS]
    assert server.requests == []
    (store.folder_of(NAME) / WEIGHTS).write_bytes(b"")  # the store's copy is its own
    assert (own / WEIGHTS).read_bytes() == clip_files[WEIGHTS]


def test_a_broken_connection_is_resumed_and_only_the_rest_is_sent(server: Hub, clip_files: dict[str, bytes]) -> None:
    server.cut_after[WEIGHTS] = [300_000, 500_000]
    assert (store.pull(NAME) / WEIGHTS).read_bytes() == clip_files[WEIGHTS]
    assert ranges(server) == [None, "bytes=300000-", "bytes=800000-"]
    assert server.sent[WEIGHTS] == len(clip_files[WEIGHTS])


def test_any_number_of_breaks_is_survived_while_bytes_arrive(server: Hub, clip_files: dict[str, bytes]) -> None:
    server.cut_after[WEIGHTS] = [100_000] * 10
    store.pull(NAME)
    assert len(ranges(server)) == 11 > hub._RETRIES
    assert server.sent[WEIGHTS] == len(clip_files[WEIGHTS])


def test_a_connection_that_brings_nothing_is_given_up_and_a_later_pull_goes_on(
    server: Hub, clip_files: dict[str, bytes]
) -> None:
    server.cut_after[WEIGHTS] = [700_000] + [0] * hub._RETRIES
    with pytest.raises(IoError, match=r"model\.safetensors: the connection broke .*what has arrived is kept"):
        store.pull(NAME)
    assert part().stat().st_size == 700_000
    assert store.list_models()[0].state == "absent"
    server.requests.clear()
    assert (store.pull(NAME) / WEIGHTS).read_bytes() == clip_files[WEIGHTS]
    assert ranges(server) == ["bytes=700000-"]
    assert [server.downloads(name) for name in clip_files if name != WEIGHTS] == [[]] * 4  # those were whole


def test_a_killed_process_is_continued_by_the_next(server: Hub, known: Registry, tmp_path: Path) -> None:
    server.stall_after[WEIGHTS] = 5 * PIECE
    child = start_pull(known, tmp_path)
    wait_until(lambda: part().exists() and part().stat().st_size == 5 * PIECE)
    child.send_signal(signal.SIGKILL)
    child.wait()
    server.go_on.set()
    server.requests.clear()
    folder = store.pull(NAME)
    assert ranges(server) == [f"bytes={5 * PIECE}-"]
    assert store.verify(NAME) == folder


def test_two_processes_pull_once(server: Hub, known: Registry, clip_files: dict[str, bytes], tmp_path: Path) -> None:
    server.stall_after[WEIGHTS] = PIECE  # the first is busy until both have begun
    children = [start_pull(known, tmp_path) for _ in range(2)]
    wait_until(lambda: part().exists() and part().stat().st_size == PIECE)
    server.go_on.set()
    answers = [child.communicate()[0].strip() for child in children]
    assert answers == [str(store.folder_of(NAME))] * 2
    assert {name: len(server.downloads(name)) for name in clip_files} == dict.fromkeys(clip_files, 1)


@pytest.mark.parametrize("what_lies_there", ["other bytes", "more than the file has", "the whole file, damaged"])
def test_remains_that_are_no_good_are_replaced(server: Hub, clip_files: dict[str, bytes], what_lies_there: str) -> None:
    data = clip_files[WEIGHTS]
    part().parent.mkdir(parents=True)
    part().write_bytes(
        {
            "other bytes": bytes(1000),
            "more than the file has": data + b"\0",
            "the whole file, damaged": bytes([data[0] ^ 1]) + data[1:],
        }[what_lies_there]
    )
    assert (store.pull(NAME) / WEIGHTS).read_bytes() == data


def test_a_server_without_ranges_sends_all_again(server: Hub, clip_files: dict[str, bytes]) -> None:
    server.cut_after[WEIGHTS] = [300_000]
    server.ignore_range = True
    assert (store.pull(NAME) / WEIGHTS).read_bytes() == clip_files[WEIGHTS]
    assert server.sent[WEIGHTS] == 300_000 + len(clip_files[WEIGHTS])


def test_a_slow_line_is_no_error(server: Hub, clip_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_READ_TIMEOUT_S", 0.3)
    server.pause_s = 0.02  # more than a second in all
    store.pull(NAME)
    assert ranges(server) == [None]


def test_silence_is_a_broken_connection(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_READ_TIMEOUT_S", 0.2)
    server.stall_after[WEIGHTS] = PIECE
    with pytest.raises(IoError, match="the connection broke"):
        store.pull(NAME)
    assert part().stat().st_size == PIECE


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: Hub, status: int) -> None:
    server.statuses[WEIGHTS] = [status, status]
    store.pull(NAME)
    asked = [request.method for request in server.requests if request.name == WEIGHTS]
    assert asked == ["HEAD", "HEAD", "HEAD", "GET"]


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (401, "GatedRepo", r"access is refused \(401\); accept the terms at \S+/somebody/clip-tiny, then set HF_TOKEN"),
        (403, "GatedRepo", r"access is refused \(403\)"),
        (401, "RepoNotFound", r"access is refused \(401\)"),
        (404, "RevisionNotFound", rf"no commit {REVISION} there; if HF_ENDPOINT names a mirror, try without it"),
        (404, "EntryNotFound", rf"no model.safetensors at commit {REVISION}"),
        (404, "RepoNotFound", "no such repository"),
        (404, "", "no such repository"),
        (429, "", "the server answers 429; what has arrived is kept, pull again later, or set HF_TOKEN"),
        (500, "", "the server answers 500; what has arrived is kept"),
        (503, "", "the server answers 503"),
        (418, "", "the server answers 418"),
    ],
)
def test_a_refusal_is_a_typed_error_with_a_remedy(server: Hub, status: int, code: str, says: str) -> None:
    server.statuses[WEIGHTS], server.error_code = [status] * 10, code
    with pytest.raises(IoError, match=rf"{server.endpoint}: {REPO}: .*{says}"):
        store.pull(NAME)


def test_a_server_that_asks_for_a_long_pause_is_not_waited_for(server: Hub) -> None:
    server.statuses[WEIGHTS], server.headers = [429], {"Retry-After": "3600"}
    with pytest.raises(IoError, match="429"):
        store.pull(NAME)
    assert server.statuses[WEIGHTS] == []  # asked once


def test_an_unknown_commit_is_told(server: Hub) -> None:
    server.revision = "d" * 40
    with pytest.raises(IoError, match=f"no commit {REVISION} there"):
        store.pull(NAME)


def test_a_mirror_that_serves_another_commit_is_refused(server: Hub) -> None:
    server.headers = {"X-Repo-Commit": "d" * 40}
    with pytest.raises(FormatError, match=f"expected commit {REVISION}, .* has {'d' * 40}"):
        store.pull(NAME)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_wrong_bytes_are_refused_and_not_kept(server: Hub, clip_files: dict[str, bytes]) -> None:
    server.deliver[WEIGHTS] = flipped(clip_files[WEIGHTS])
    with pytest.raises(FormatError, match=r"model\.safetensors: expected sha256 \w+, got \w+: not the published file"):
        store.pull(NAME)
    assert not part().exists()
    assert server.sent[WEIGHTS] == len(clip_files[WEIGHTS])  # fetched once: wrong bytes are not asked for again
    server.deliver.clear()
    store.pull(NAME)


def test_another_version_is_refused_before_its_bytes_are_fetched(server: Hub, clip_files: dict[str, bytes]) -> None:
    server.files[WEIGHTS] = flipped(clip_files[WEIGHTS])
    with pytest.raises(FormatError, match=r"model\.safetensors: expected sha256 \w+, http\S+ has \w+"):
        store.pull(NAME)
    server.files[WEIGHTS] = clip_files[WEIGHTS] + b"\0"
    with pytest.raises(FormatError, match=r"model\.safetensors: expected \d+ bytes, http\S+ has \d+"):
        store.pull(NAME)
    assert server.downloads(WEIGHTS) == []


def test_a_hub_that_contradicts_itself_is_refused(server: Hub) -> None:
    server.headers = {"ETag": f'"{"0" * 40}"'}  # the small files' own checksum; their bytes are the published ones
    with pytest.raises(FormatError, match=r"config\.json: expected git's id 0{40}, got \w{40}"):
        store.pull(NAME)


def test_a_mirror_with_checksums_of_another_kind_is_held_to_ours(server: Hub) -> None:
    server.headers = {"ETag": '"5d41402abc4b2a76"', "X-Linked-Etag": '"5d41402abc4b2a76"'}
    store.pull(NAME)


@pytest.mark.parametrize("length", [-1000, 1000])
def test_an_answer_of_another_length_is_refused(server: Hub, clip_files: dict[str, bytes], length: int) -> None:
    data = clip_files[WEIGHTS]
    server.deliver[WEIGHTS] = data + bytes(length) if length > 0 else data[:length]
    with pytest.raises(FormatError, match=r"expected \d+ bytes, got (more|\d+: truncated)"):
        store.pull(NAME)
    assert store.list_models()[0].state == "absent"


def test_what_is_no_hub_is_told(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.headers = {"X-Repo-Commit": ""}
    with pytest.raises((IoError, FormatError), match="HF_ENDPOINT"):
        store.pull(NAME)


def test_a_token_goes_to_the_hub_and_no_further(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    store.pull(NAME)
    assert {request.token for request in server.requests} == {"Bearer hf_secret"}


@pytest.mark.parametrize("variable", ["MATINEE_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_the_hub_is_not_asked(server: Hub, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(IoError, match=rf"not tried, {variable} is set; put config\.json.*MATINEE_MODELS=FOLDER"):
        store.pull(NAME)
    assert server.requests == []
    assert sources.forbidden_by("pypi") == (variable if variable == "MATINEE_OFFLINE" else None)


def test_a_process_whose_client_is_offline_says_so(
    server: Hub, known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "1")  # its client obeys this one too
    assert "IoError" in start_pull(known, tmp_path).communicate()[0]


def test_a_disk_that_fills_up_loses_nothing(
    server: Hub, known: Registry, clip_files: dict[str, bytes], tmp_path: Path
) -> None:
    # no file of this child may grow beyond 1 MB: its writes are cut short and then refused, as on a full disk
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))"
    said = start_pull(known, tmp_path, before=limit).communicate()[0]
    assert re.search(r"IoError .*downloading model\.safetensors: File too large", said), said
    assert part().stat().st_size == 1_000_000
    server.requests.clear()
    assert (store.pull(NAME) / WEIGHTS).read_bytes() == clip_files[WEIGHTS]
    assert ranges(server) == ["bytes=1000000-"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_with_errno_and_remedy(server: Hub) -> None:
    part().parent.mkdir(parents=True)
    part().symlink_to("/dev/full")
    with pytest.raises(IoError, match=r"disk full while downloading model\.safetensors; free some space") as caught:
        store.pull(NAME)
    assert os.strerror(caught.value.errno or 0) == "No space left on device"


def test_progress_tells_what_lay_there_already(server: Hub, clip_files: dict[str, bytes]) -> None:
    server.cut_after[WEIGHTS] = [1_000_000] + [0] * hub._RETRIES
    with pytest.raises(IoError):
        store.pull(NAME)
    seen: list[tuple[str, int, int]] = []
    server.pause_s = 0.02
    store.pull(NAME, progress=lambda *step: seen.append(step))
    total = sum(map(len, clip_files.values()))
    assert seen[-1] == (f"downloading {REPO}", total, total)
    assert 1_000_000 <= seen[1][1] <= total


def test_the_command_pulls_by_name_and_verifies(server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    from test_commands import run

    assert run("pull", NAME) == 0
    assert run("verify", NAME) == 0
    assert f"{NAME}: whole, {store.folder_of(NAME)}" in capsys.readouterr().out
