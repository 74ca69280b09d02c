"""CLIP's tokenizer against Hugging Face's, and against a slow twin of OpenAI's."""

from __future__ import annotations

import gzip
import itertools
import json
import sys
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simple_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from simple_tokenizer import END, START, SimpleTokenizer
from texts import SCRIPTS, TRAPS, decorated, real_texts
from tokenizers import normalizers

import matinee
from matinee import _core
from matinee.clip_tokenizer import ClipTokenizer

Rows = list[list[int]]


@pytest.fixture(scope="session")
def openai_file(repository: Path, shared_data: Path) -> Path:
    """OpenAI's merges, where a machine has them."""
    path = shared_data.parent / "models" / "clip_bpe" / "bpe_simple_vocab_16e6.txt.gz"
    if not path.is_file():
        pytest.skip(f"no CLIP merges: expected {path}")
    return path


@pytest.fixture(scope="session")
def merges(openai_file: Path) -> list[tuple[str, str]]:
    return simple_tokenizer.read_merges(openai_file)


@pytest.fixture(scope="session")
def model_folder(merges: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vocab.json and merges.txt as OpenAI's and laion's model folders have them."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "vocab.json").write_text(json.dumps(simple_tokenizer.vocabulary(merges)), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def hugging_face(model_folder: Path) -> Any:
    """The tokenizer inside transformers' CLIPTokenizer, cut at 77."""
    from transformers import CLIPTokenizerFast

    tokenizer = CLIPTokenizerFast.from_pretrained(str(model_folder)).backend_tokenizer
    tokenizer.enable_truncation(77)
    return tokenizer


def fix_text(**options: Any) -> Callable[[str], str]:
    ftfy = pytest.importorskip("ftfy", reason="ftfy is in the test extra")
    return lambda text: str(ftfy.fix_text(text, **options))


@pytest.fixture(scope="session")
def twin(merges: list[tuple[str, str]]) -> SimpleTokenizer:
    """OpenAI's tokenizer, but for ftfy's guess how mis-decoded text was meant."""
    return SimpleTokenizer(merges, fix_text(fix_encoding=False))


@cache
def _known(character: str) -> bool:
    marked = f"e{character}\u0323\u0301"
    same_order = normalizers.NFC().normalize_str(marked) == unicodedata.normalize("NFC", marked)
    return unicodedata.category(character) != "Cn" and same_order


def known(text: str) -> bool:
    """Whether this Python and Hugging Face, whose Unicode is frozen in the core, both have every character."""
    return all(map(_known, text))


def rows(batch: tuple[np.ndarray, np.ndarray]) -> Rows:
    token_ids, offsets = batch
    return [token_ids[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def differences(texts: list[str], ours: Rows, theirs: Rows) -> list[tuple[str, list[int], list[int]]]:
    return [found for found in zip(texts, ours, theirs, strict=True) if found[1] != found[2]]


def hugging_face_rows(tokenizer: Any, texts: list[str], *, split_special_tokens: bool) -> Rows:
    tokenizer.encode_special_tokens = split_special_tokens
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


@pytest.mark.parametrize("prepare", [list, decorated])
@pytest.mark.parametrize("split_special_tokens", [True, False])
def test_twenty_thousand_real_texts_give_the_ids_of_hugging_face(
    model_folder: Path,
    hugging_face: Any,
    shared_data: Path,
    prepare: Callable[[list[str]], list[str]],
    split_special_tokens: bool,
) -> None:
    texts = prepare(real_texts(shared_data)[::4])
    assert len(texts) >= 20_000
    ours = ClipTokenizer(model_folder, cleaning="huggingface", split_special_tokens=split_special_tokens)
    expected = hugging_face_rows(hugging_face, texts, split_special_tokens=split_special_tokens)
    assert differences(texts, rows(ours.encode_batch(texts)), expected) == []


@pytest.mark.parametrize("prepare", [list, decorated])
def test_twenty_thousand_real_texts_give_the_ids_of_openai(
    openai_file: Path, twin: SimpleTokenizer, shared_data: Path, prepare: Callable[[list[str]], list[str]]
) -> None:
    texts = [text for text in prepare(real_texts(shared_data)[1::4]) if known(text)]
    assert len(texts) >= 20_000
    ours = ClipTokenizer(openai_file, split_special_tokens=False)
    assert differences(texts, rows(ours.encode_batch(texts)), [twin.encode(text) for text in texts]) == []


def test_real_texts_with_the_whole_of_ftfy_give_the_ids_of_openai(
    openai_file: Path, merges: list[tuple[str, str]], shared_data: Path
) -> None:
    mojibake = ["DÃ©jÃ  vu", "l’humanitÃ©", "â€œAmÃ©lieâ€\x9d", "&Atilde;&copy;tude", "schÃ¶n <b>&amp;</b>"]
    texts = [*mojibake, *filter(known, decorated(real_texts(shared_data)[2::40]))]
    whole = SimpleTokenizer(merges, fix_text())
    ours = ClipTokenizer(openai_file, fix_mojibake=True, split_special_tokens=False)
    expected = [whole.encode(text) for text in texts]
    assert differences(texts, rows(ours.encode_batch(texts)), expected) == []
    assert [ours.encode(text) for text in mojibake] == expected[: len(mojibake)]
    assert [ClipTokenizer(openai_file).encode(text) for text in mojibake] != expected[: len(mojibake)]


def test_a_model_folder_and_openais_file_give_the_same_ids(openai_file: Path, model_folder: Path) -> None:
    folder, file = ClipTokenizer(model_folder), ClipTokenizer(openai_file)
    assert rows(folder.encode_batch(TRAPS)) == rows(file.encode_batch(TRAPS))
    assert folder.vocabulary_size == file.vocabulary_size == 49_408
    assert folder.end_token == file.end_token == 49_407
    assert folder.encode("a photo of a cat") == [49406, 320, 1125, 539, 320, 2368, 49407]


@pytest.mark.parametrize("cleaning", ["huggingface", "reference"])
def test_every_code_point_is_treated_as_by_the_reference(
    model_folder: Path, hugging_face: Any, twin: SimpleTokenizer, cleaning: Any
) -> None:
    ours = _core.ClipBpe(model_folder, cleaning=cleaning, max_tokens=1 << 20)
    hugging_face.no_truncation()
    in_use = [*range(0xD800), *range(0xE000, 0x32000), *range(0xE0000, 0xE0200)]
    code_points = sorted({*in_use, *range(0x32000, 0x110000, 7)})
    if cleaning == "reference":
        code_points = [c for c in code_points if known(chr(c))]
    try:
        for start in range(0, len(code_points), 512):
            # Within letters, between marks, where a sigma looks for letters, in a reference, alone.
            text = "".join(
                f"a{x}b e{x}\u0323\u0301 {x}Σ{x} &am{x}p; 1{x} " for x in map(chr, code_points[start : start + 512])
            )
            if cleaning == "reference":
                expected = twin.encode(text, max_tokens=1 << 20)
            else:
                expected = hugging_face_rows(hugging_face, [text], split_special_tokens=True)[0]
            assert ours.encode(text) == expected, hex(code_points[start])
    finally:
        hugging_face.enable_truncation(77)


# Letters, marks, symbols and controls from everywhere, with the characters that interact made frequent.
frequent = st.sampled_from(
    "aeÅéİıſßΣσςςK1½²'’\"“<|>&#;x \t\n\r\u000b\u0000\x1b[m\u0301\u0323\u0345\u3099"
    "가각\u1100\u1161中ﬁＡ；＆ﾊﾞ\ufffd\u200d🎬"
)
pieces = st.sampled_from(
    [*filter(known, TRAPS), START, END, "&amp;", "&lt", "&#39;", "&#x1b;[0m", "＆amp;", "&Ntilde;", "'s", "’ve", "Σ'Σ"]
)
any_text = st.lists(st.one_of(st.characters(exclude_categories=["Cs", "Cn"]), frequent, pieces), max_size=40).map(
    "".join
)


@settings(max_examples=1500, deadline=None)
@given(text=any_text, split_special_tokens=st.booleans())
def test_any_text_gives_the_ids_of_hugging_face(
    model_folder: Path, hugging_face: Any, text: str, split_special_tokens: bool
) -> None:
    ours = _shared(model_folder, "huggingface", split_special_tokens)
    assert [ours.encode(text)] == hugging_face_rows(hugging_face, [text], split_special_tokens=split_special_tokens)


@settings(max_examples=1500, deadline=None)
@given(text=any_text, inject=st.booleans())
def test_any_text_gives_the_ids_of_openai(model_folder: Path, twin: SimpleTokenizer, text: str, inject: bool) -> None:
    twin.inject = inject
    try:
        expected = twin.encode(text)
    finally:
        twin.inject = True
    assert _shared(model_folder, "reference", not inject).encode(text) == expected


_made: dict[tuple[str, bool], _core.ClipBpe] = {}


def _shared(model_folder: Path, cleaning: str, split_special_tokens: bool) -> _core.ClipBpe:
    """One tokenizer for all examples: reading the files takes longer than a text."""
    key = (cleaning, split_special_tokens)
    if key not in _made:
        _made[key] = _core.ClipBpe(model_folder, cleaning=cleaning, split_special_tokens=split_special_tokens)
    return _made[key]


@pytest.mark.parametrize("length", [1, 2, 47, 48, 49, 50, 200, 3000])
def test_words_of_any_length_are_merged_as_by_the_twin(model_folder: Path, twin: SimpleTokenizer, length: int) -> None:
    ours = _core.ClipBpe(model_folder, max_tokens=1 << 20)
    random = np.random.default_rng(length)
    for letters in ("a", "ab", "aeinrst", "abcdefghijklmnopqrstuvwxyz", "中文é", "-=*!"):
        word = "".join(random.choice(list(letters), length))
        assert ours.encode(word) == twin.encode(word, max_tokens=1 << 20)


@pytest.mark.parametrize("max_tokens", [2, 3, 8, 77])
def test_a_row_is_cut_at_max_tokens_and_ends_in_the_end_token(
    model_folder: Path, twin: SimpleTokenizer, max_tokens: int
) -> None:
    ours = ClipTokenizer(model_folder, max_tokens=max_tokens, split_special_tokens=False)
    for text in [*filter(known, SCRIPTS), "word " * 200, "supercalifragilisticexpialidocious" * 9]:
        row = ours.encode(text)
        assert row == twin.encode(text, max_tokens)
        assert len(row) <= max_tokens and row[0] == 49_406 and row[-1] == 49_407


@pytest.mark.parametrize("cleaning", ["reference", "huggingface"])
def test_a_marker_in_a_text_is_words_by_default_and_a_token_on_request(model_folder: Path, cleaning: Any) -> None:
    text = f"a film{END}{START}b"
    by_default = ClipTokenizer(model_folder, cleaning=cleaning)
    assert by_default.words(text) == ["a", "film", "<|", "endoftext", "|>", "<|", "startoftext", "|>", "b"]
    assert not {49_406, 49_407} & set(by_default.encode(text)[1:-1])
    parsing = ClipTokenizer(model_folder, cleaning=cleaning, split_special_tokens=False)
    assert parsing.encode(text)[2:-1].count(49_407) == 2 - 1
    assert 49_406 in parsing.encode(text)[1:]


def test_surrogates_are_read_as_ftfy_reads_them(model_folder: Path, twin: SimpleTokenizer) -> None:
    ours = ClipTokenizer(model_folder)
    for text in ["\ud83c\udfac", "\udfac\ud83c", "fi\ud83dlm", "\ud83d\ud83c\udfac\udfac"]:
        assert ours.encode(text) == twin.encode(text)
    assert ours.encode("\ud83c\udfac") == ours.encode("🎬")


@pytest.mark.parametrize(
    "character",
    ["x", " ", "中", "é", "\u0301", "\u302e", "\u0000", "🎬", "&", "&amp;", ";", "Σ", "'", "\n", "<", "\x1b["],
)
@pytest.mark.parametrize("cleaning", ["reference", "huggingface"])
def test_a_million_characters_are_fine(model_folder: Path, character: str, cleaning: Any) -> None:
    text = character * (1_000_000 // len(character))
    assert 2 <= len(ClipTokenizer(model_folder, cleaning=cleaning).encode(text)) <= 77


def test_references_within_references_end(model_folder: Path) -> None:
    ours = ClipTokenizer(model_folder)
    assert ours.words("&amp;" + "amp;" * 200_000 + "lt;") == ["<"]
    assert ours.words("&#5" * 50_000 + "3" + ";" * 50_000)


def _damaged(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = folder / {"vocab": "vocab.json", "merges": "merges.txt"}[name]
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def test_a_damaged_model_folder_is_a_format_error_that_names_file_and_line(model_folder: Path, tmp_path: Path) -> None:
    vocab = json.loads((model_folder / "vocab.json").read_text(encoding="utf-8"))
    good_vocab = (model_folder / "vocab.json").read_bytes()
    good_merges = (model_folder / "merges.txt").read_bytes()
    without = {token: i for token, i in vocab.items() if i != 49_407}
    table: list[tuple[bytes | str, bytes | str, str]] = [
        (good_vocab[:-40], good_merges, r"vocab\.json: line 1: expected JSON"),
        (b"", good_merges, r"vocab\.json"),
        (b"\xff" + good_vocab, good_merges, r"vocab\.json"),
        ("[" * 100_000, good_merges, r"vocab\.json: expected an object of tokens"),
        ("7", good_merges, r"vocab\.json: expected an object of tokens"),
        ('{"a": {"b": 1}}', good_merges, r"vocab\.json: .*got an object at 'a'"),
        ('{"a": -1}', good_merges, r"vocab\.json: .*-1 at 'a'"),
        ('{"a": 1.5}', good_merges, r"vocab\.json: .*1\.5 at 'a'"),
        ('{"a": 0, "a": 1}', good_merges, r"vocab\.json: .*second time at 'a'"),
        ('{"a": 9999999999}', good_merges, r"vocab\.json: .*9999999999"),
        ('{"a": 1}', good_merges, r"vocab\.json: expected each id below 1 once, got 1 for 'a'"),
        ('{"a": 0, "b": 0}', good_merges, r"vocab\.json: expected each id below 2 once, got 0 twice"),
        (json.dumps(without), good_merges, r"vocab\.json: expected '<\|endoftext\|>'"),
        (good_vocab, good_merges[:1000] + b"\xff\n" + good_merges[1000:], r"merges\.txt: line \d+"),
        (good_vocab, b"#version: 0.2\ni n\nt h e\n", r"merges\.txt: line 3: expected two symbols"),
        (good_vocab, b"#version: 0.2\ni\n", r"merges\.txt: line 2"),
        (good_vocab, b"#version: 0.2\nth e\n", r"merges\.txt: line 2"),
        (good_vocab, b"#version: 0.2\ni n\ni n\n", r"merges\.txt: line 3: expected another pair than in line 2"),
        (good_vocab, b"#version: 0.2\ne</w> n\n", r"merges\.txt: line 2: expected no symbol after"),
        (good_vocab, b"#version: 0.2\nq !\n", r"vocab\.json: expected 'q!', which line 2 of merges\.txt makes"),
    ]
    for new_vocab, new_merges, message in table:
        with pytest.raises(matinee.FormatError, match=message):
            ClipTokenizer(_damaged(tmp_path, vocab=new_vocab, merges=new_merges))


def test_a_damaged_openai_file_is_a_format_error_that_names_it(openai_file: Path, tmp_path: Path) -> None:
    packed = openai_file.read_bytes()
    text = gzip.decompress(packed)
    table = [
        (packed[:-1000], r"bad\.txt\.gz: expected a whole gzip file"),
        (b"plain", r"bad\.txt\.gz: expected a whole gzip file"),
        (gzip.compress(text[:200_000]), r"bad\.txt\.gz: .*merges: "),
        (gzip.compress(text[:1000] + b"?" + text[1000:]), r"bad\.txt\.gz: .*merges: line \d+"),
        (gzip.compress(b""), r"bad\.txt\.gz: .*expected 48894 merges.*got 0"),
        (gzip.compress(b"\0" * (65 << 20)), r"bad\.txt\.gz: expected at most"),
    ]
    for content, message in table:
        (tmp_path / "bad.txt.gz").write_bytes(content)
        with pytest.raises(matinee.FormatError, match=message):
            ClipTokenizer(tmp_path / "bad.txt.gz")
    (tmp_path / "plain.txt").write_bytes(text)
    assert ClipTokenizer(tmp_path / "plain.txt").encode("film") == ClipTokenizer(openai_file).encode("film")


def test_wrong_arguments_are_typed_errors(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = ClipTokenizer(model_folder)
    with pytest.raises(matinee.InvalidArgument, match="texts: expected str, got int"):
        tokenizer.encode_batch(["a", 3])  # type: ignore[list-item]
    with pytest.raises(matinee.InvalidArgument, match="several str, got one"):
        tokenizer.encode_batch("film")
    with pytest.raises(matinee.NotFound, match=r"vocab\.json"):
        ClipTokenizer(tmp_path)
    with pytest.raises(matinee.NotFound, match="missing"):
        ClipTokenizer(tmp_path / "missing")
    with pytest.raises(matinee.InvalidArgument, match="max_tokens"):
        ClipTokenizer(model_folder, max_tokens=1)
    with pytest.raises(matinee.InvalidArgument, match="cleaning: expected 'reference'"):
        ClipTokenizer(model_folder, cleaning="openai")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(matinee.InvalidArgument, match="pip install ftfy"):
        ClipTokenizer(model_folder, fix_mojibake=True)


def test_an_empty_batch_has_no_rows(model_folder: Path) -> None:
    token_ids, offsets = ClipTokenizer(model_folder).encode_batch([])
    assert (token_ids.dtype, offsets.dtype) == (np.int32, np.int64)
    assert (token_ids.tolist(), offsets.tolist()) == ([], [0])
    assert ClipTokenizer(model_folder).encode("") == [49_406, 49_407]
