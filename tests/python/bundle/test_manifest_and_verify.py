"""A bundle with any byte changed or any file cut, missing or replaced is refused, and the file is named."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from matinee.bundle import Manifest, verify
from matinee.bundle.manifest import FORMAT, ModelEntry
from matinee.bundle.verify import entry_of
from matinee.errors import FormatError, InvalidArgument, NotFound


def write_bundle(folder: Path, **changes: object) -> Manifest:
    """Three files and their manifest: what verification looks at."""
    (folder / "heads").mkdir(parents=True, exist_ok=True)
    (folder / "films.sqlite").write_bytes(bytes(range(200)))
    (folder / "posters.bin").write_bytes(b"")
    (folder / "heads" / "one.safetensors").write_bytes(b"weights" * 30)
    files = ["films.sqlite", "posters.bin", "heads/one.safetensors"]
    facts: dict[str, object] = {
        "format": FORMAT,
        "name": "Über films “and” more",
        "version": "0.1.0",
        "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "demo": False,
        "counts": {"films": 3},
        "models": {"text": ModelEntry(name="t", sha256="0" * 64, dimension=4, precision="fp32")},
        "heads": ("one",),
        "missing_heads": {"two": "3 films; 40 are needed"},
        "files": {name: entry_of(folder / name) for name in files},
    }
    manifest = Manifest.model_validate({**facts, **changes})
    (folder / "manifest.json").write_bytes(manifest.to_bytes())
    return manifest


def test_an_untouched_bundle_is_accepted(tmp_path: Path) -> None:
    manifest = write_bundle(tmp_path)
    for mode in ("fast", "full"):
        assert verify(tmp_path, mode) == manifest


@pytest.mark.parametrize("name", ["films.sqlite", "heads/one.safetensors", "manifest.json"])
def test_every_flipped_byte_is_noticed(tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path)
    path = tmp_path / name
    data = path.read_bytes()
    for place in range(len(data)):
        for flip in (0x01, 0x20, 0xFF):
            path.write_bytes(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])
            with pytest.raises(FormatError, match=path.name):
                verify(tmp_path)
    path.write_bytes(data)
    verify(tmp_path)


@pytest.mark.parametrize("name", ["films.sqlite", "heads/one.safetensors", "manifest.json"])
def test_a_file_cut_at_any_length_is_noticed_even_by_the_fast_check(tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path)
    path = tmp_path / name
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError, match=path.name):
            verify(tmp_path, "fast")
    path.write_bytes(data + b"\n")
    with pytest.raises(FormatError, match=path.name):
        verify(tmp_path, "fast")


def test_missing_files_and_folders_in_their_place(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    (tmp_path / "posters.bin").unlink()
    with pytest.raises(FormatError, match=r"posters\.bin: the file is missing"):
        verify(tmp_path, "fast")
    (tmp_path / "posters.bin").mkdir()
    with pytest.raises(FormatError, match=r"posters\.bin"):
        verify(tmp_path, "fast")


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="found none"):
        verify(tmp_path)
    with pytest.raises(NotFound):
        verify(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FormatError):
        verify(tmp_path / "file")
    write_bundle(tmp_path)
    with pytest.raises(InvalidArgument, match="mode"):
        verify(tmp_path, "slow")  # type: ignore[arg-type]


def test_another_format_is_named_as_such(tmp_path: Path) -> None:
    write_bundle(tmp_path, format=FORMAT + 1)
    with pytest.raises(FormatError, match=f"expected a bundle of format {FORMAT}, got {FORMAT + 1}"):
        verify(tmp_path)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "heads//one", "manifest.json"])
def test_a_manifest_cannot_point_outside_the_bundle(tmp_path: Path, name: str) -> None:
    manifest = write_bundle(tmp_path).model_dump(mode="json")
    manifest["files"][name] = {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}
    with pytest.raises(ValueError, match="inside the bundle"):
        Manifest.model_validate(manifest)
    # Written by hand with a right checksum, it is refused all the same.
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    document = json.dumps({"sha256": digest, **manifest}, indent=1, ensure_ascii=False) + "\n"
    (tmp_path / "manifest.json").write_text(document, encoding="utf-8")
    with pytest.raises(FormatError, match=r"manifest\.json"):
        verify(tmp_path, "fast")


def test_the_identity_is_that_of_the_content(tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "a")
    later = write_bundle(tmp_path / "b", created=datetime(2027, 1, 1, tzinfo=UTC))
    assert first.identity == later.identity
    (tmp_path / "b" / "films.sqlite").write_bytes(b"other")
    changed = {**later.files, "films.sqlite": entry_of(tmp_path / "b" / "films.sqlite")}
    assert later.model_copy(update={"files": changed}).identity != first.identity
