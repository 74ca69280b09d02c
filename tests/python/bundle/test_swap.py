"""Swapping a finished directory in: the place always names a whole one, and nothing is lost on the way."""

from pathlib import Path

import pytest

from matinee.bundle import swap


def make(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "content").write_text(content)
    return folder


def test_a_first_directory_takes_its_place(tmp_path: Path) -> None:
    new = make(tmp_path / "work" / "new", "new")
    swap.put_in_place(new, tmp_path / "place", tmp_path / "work" / "old")
    assert (tmp_path / "place" / "content").read_text() == "new"
    assert not new.exists() and not (tmp_path / "work" / "old").exists()


@pytest.mark.parametrize("exchange", [True, False])
def test_an_older_one_moves_out_of_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(swap, "_exchange", lambda first, second: False)
    place, old = make(tmp_path / "place", "old"), tmp_path / "work" / "old"
    swap.put_in_place(make(tmp_path / "work" / "new", "new"), place, old)
    assert (place / "content").read_text() == "new"
    assert (old / "content").read_text() == "old"


def test_recovery_after_an_end_between_two_renames(tmp_path: Path) -> None:
    old, place = make(tmp_path / "work" / "old", "old"), tmp_path / "place"
    swap.recover(place, old)
    assert (place / "content").read_text() == "old"
    make(old, "older")
    swap.recover(place, old)
    assert (place / "content").read_text() == "old"
    assert (old / "content").read_text() == "older"


def test_a_failing_exchange_is_an_error_not_a_silent_loss(tmp_path: Path) -> None:
    place = make(tmp_path / "place", "old")
    with pytest.raises(OSError, match="No such file"):
        swap.put_in_place(tmp_path / "never made", place, tmp_path / "old")
    assert (place / "content").read_text() == "old"
