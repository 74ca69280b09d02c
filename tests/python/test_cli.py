"""The command line: exit statuses, one line for an error, and what the commands print."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import matinee
from matinee.cli import main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["--version"])
    assert exit_status.value.code == 0
    assert capsys.readouterr().out == f"matinee {matinee.__version__}\n"


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main([])
    assert exit_status.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["bundle", "verify", "{tmp}/nothing"],
        ["bundle", "info", "{tmp}/nothing"],
        ["build", "--source", "{tmp}/none.toml", "--out", "{tmp}/b"],
        ["build", "--source", "{tmp}/broken.toml", "--out", "{tmp}/b"],
        ["tag", "{tmp}/nothing", "--bundle", "{tmp}/b", "--out", "{tmp}/o"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_an_error_is_one_line_and_status_2(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MATINEE_DEBUG", raising=False)
    (tmp_path / "broken.toml").write_text("name = [unclosed")
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("matinee: ") and captured.err.count("\n") == 1
    assert "Traceback" not in captured.err


def test_debugging_shows_where_an_error_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_DEBUG", "1")
    with pytest.raises(matinee.NotFound):
        main(["bundle", "verify", str(tmp_path / "nothing")])


def test_a_folder_that_is_no_bundle_is_never_replaced(
    drawn_films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert main(["build", "--source", str(drawn_films), "--out", str(tmp_path / "mine")]) == 2
    assert "expected a new path or a bundle" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_bundle_commands(small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify", str(small_bundle)]) == 0
    assert "as built" in capsys.readouterr().out
    assert main(["bundle", "info", str(small_bundle)]) == 0
    text = capsys.readouterr().out
    assert "genre-poster-multi" in text and "mAP" in text and "prevalence" in text
    assert main(["bundle", "info", "--json", str(small_bundle)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["counts"]["films"] == 113
    assert {card["name"] for card in document["cards"]} >= {"poster-check", "joint-space"}


def test_tagging_a_folder_and_a_table(
    small_bundle: Path, drawn_films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = tmp_path / "films.csv"
    poster = drawn_films.parent / "posters" / "4.jpg"
    films.write_text(
        f"id,poster,plot\na,{poster},\nb,,A shy florist falls in love.\nc,none.jpg,\nd,,\n", encoding="utf-8"
    )
    out = tmp_path / "tags.jsonl"
    assert main(["tag", str(films), "--bundle", str(small_bundle), "--out", str(out)]) == 0
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["name"] for line in lines] == ["a", "b", "c", "d"]
    assert lines[0]["top"] == "Horror" and lines[0]["poster"]["valid"] is True
    assert lines[1]["top"] == "Romance" and lines[1]["used"] == ["plot"]
    assert lines[2]["error"].startswith("NotFound") and lines[3]["error"].startswith("InvalidArgument")
    assert "4 items, 2 with an error" in capsys.readouterr().out
    assert main(["tag", str(drawn_films.parent / "photos"), "--bundle", str(small_bundle), "--out", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 40


def test_ctrl_c_stops_a_build_with_130_and_says_how_to_go_on(drawn_films: Path, tmp_path: Path, encoders: None) -> None:
    command = [sys.executable, "-m", "matinee.cli", "build", "--source", str(drawn_films), "--out", str(tmp_path / "b")]
    environment = {k: v for k, v in os.environ.items() if k != "MATINEE_DEBUG"}
    build = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        # A shell's background jobs ignore Ctrl-C, and so would their children: these tests may run in one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip
    assert build.stderr is not None
    try:
        for line in build.stderr:
            if line.startswith("encode"):
                break
        build.send_signal(signal.SIGINT)
        _, errors = build.communicate(timeout=60)
    finally:
        build.kill()
    assert build.returncode == 130
    assert "the same command continues" in errors and "Traceback" not in errors
    assert not (tmp_path / "b").exists()


def test_serving_needs_no_training_libraries() -> None:
    heavy = ("sklearn", "scipy", "torch", "pandas")
    code = f"import sys, matinee, matinee.cli; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"


def test_progress_of_a_log_is_plain_lines_with_the_time_left() -> None:
    import io

    from matinee.progress import ProgressDisplay

    stream = io.StringIO()
    with ProgressDisplay(stream) as progress:
        progress("encode posters", 0, 4000)
        time.sleep(0.01)
        progress._last_line -= 10  # as if that line were ten seconds old
        progress("encode posters", 1000, 4000)
        progress("encode posters", 1001, 4000)
        progress("encode posters", 4000, 4000)
        progress("verify", 0, None)
    assert stream.getvalue().startswith("encode posters: 0 of 4,000\n")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("encode posters: 1,000 of 4,000, ") and lines[1].endswith("left")
    assert lines[2:] == ["encode posters: 4,000 of 4,000", "verify"]
