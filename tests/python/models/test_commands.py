from __future__ import annotations

import argparse
import json

import pytest
from tiny_model import TinyModel

from matinee.errors import NotFound
from matinee.models import commands, store
from matinee.models.spec import Agreement


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    commands.add(parser.add_subparsers())
    args = parser.parse_args(["models", *words])
    return int(args.run(args))


def test_list_shows_the_state_before_and_after_a_pull(tiny: TinyModel, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--json") == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["name"], line["state"]) == ("tiny", "absent")
    assert run("pull") == 0
    assert str(store.folder_of("tiny")) in capsys.readouterr().err.replace("\n", "")
    assert run("list") == 0
    assert "ready" in capsys.readouterr().out


def test_verify_fails_for_a_damaged_model(tiny: TinyModel, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify") == 0
    assert "no model has been pulled" in capsys.readouterr().out
    folder = store.pull("tiny")
    assert run("verify") == 0
    (folder / "vocab.txt").write_bytes(b"")
    assert run("verify", "tiny") == 1
    assert "expected 17 bytes, got 0" in capsys.readouterr().out


def test_card_tells_licence_limits_and_checksums(tiny: TinyModel, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("card", "tiny", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["licence"] == "CC0-1.0"
    assert facts["limits"] == "Knows one word."
    assert facts["files"][0]["sha256"] == store._sha256(store.pull("tiny") / "vocab.txt")
    assert run("card", "tiny") == 0
    assert "Knows one word." in capsys.readouterr().out


def test_card_tells_what_a_faster_precision_was_measured_to_keep(
    tiny: TinyModel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("card", "tiny") == 0
    assert "not measured" in capsys.readouterr().out
    figure = Agreement(precision="int8", figure="overlap of the ten nearest", value=0.93, on="8,124 posters")
    known = commands.registry()
    model = known.find("tiny").model_copy(update={"agreement": (figure,)})
    measured = known.model_copy(update={"models": {"tiny": model}})
    monkeypatch.setattr(commands, "registry", lambda: measured)
    assert run("card", "tiny") == 0
    assert "int8: overlap of the ten nearest 0.93 (8,124 posters)" in capsys.readouterr().out
    assert run("card", "tiny", "--json") == 0
    assert json.loads(capsys.readouterr().out)["agreement"][0]["value"] == 0.93
    assert model.identity == known.find("tiny").identity  # a figure changes no file


def test_a_pull_of_everything_leaves_out_what_is_pulled_on_demand(
    tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = commands.registry()
    models = {"tiny": known.find("tiny"), "huge": known.find("tiny").model_copy(update={"on_demand": True})}
    monkeypatch.setattr(commands, "registry", lambda: known.model_copy(update={"models": models}))
    assert run("pull") == 0  # the store knows no model called huge
    assert store.list_models()[0].state == "ready"


def test_an_unknown_model_is_not_found(tiny: TinyModel) -> None:
    for words in (("pull", "clip"), ("card", "clip")):
        with pytest.raises(NotFound, match="known models: tiny"):
            run(*words)
