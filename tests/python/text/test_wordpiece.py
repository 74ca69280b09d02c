"""The tokenizer against Hugging Face's own, for the same vocabulary."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import SCRIPTS, decorated, real_texts
from tokenizers import BertWordPieceTokenizer, normalizers, pre_tokenizers

import matinee
from matinee import _core

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="module")
def small_vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every letter of SCRIPTS, normalised, alone and as a continuation, and some longer pieces."""
    normalizer = normalizers.BertNormalizer()
    letters = sorted({c for text in SCRIPTS for c in normalizer.normalize_str(text) if not c.isspace()})
    longer = [
        "the",
        "film",
        "##lm",
        "##ing",
        "quick",
        "qu",
        "##ick",
        "montmartre",
        "##ve",
        "re",
        "##eur",
        "sep",
        "##ep",
    ]
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    lines = [*SPECIAL, *letters, *(f"##{c}" for c in letters), *longer]
    path.write_text("\n".join(dict.fromkeys(lines)) + "\n", encoding="utf-8")
    return path


def reference(vocab: Path, *, lowercase: bool = True, max_tokens: int = 256) -> BertWordPieceTokenizer:
    """Hugging Face's tokenizer as BertTokenizerFast makes it, without padding."""
    tokenizer = BertWordPieceTokenizer(str(vocab), lowercase=lowercase, strip_accents=None)
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def plain_ids(tokenizer: BertWordPieceTokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The reference with special tokens in the text split like words: our default."""
    tokenizer._tokenizer.encode_special_tokens = True
    try:
        return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    finally:
        tokenizer._tokenizer.encode_special_tokens = False


def rows(batch: tuple[np.ndarray, np.ndarray]) -> list[list[int]]:
    token_ids, offsets = batch
    return [token_ids[a:b].tolist() for a, b in itertools.pairwise(offsets)]


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("max_tokens", [2, 3, 8, 256])
def test_every_script_gives_the_ids_of_the_reference(small_vocabulary: Path, lowercase: bool, max_tokens: int) -> None:
    theirs = reference(small_vocabulary, lowercase=lowercase, max_tokens=max_tokens)
    ours = _core.WordPiece(small_vocabulary, lowercase=lowercase, max_tokens=max_tokens)
    parsing = _core.WordPiece(small_vocabulary, lowercase=lowercase, max_tokens=max_tokens, split_special_tokens=False)
    assert rows(ours.encode_batch(SCRIPTS)) == plain_ids(theirs, SCRIPTS)
    assert rows(parsing.encode_batch(SCRIPTS)) == [e.ids for e in theirs.encode_batch(SCRIPTS)]
    assert [ours.encode(text) for text in SCRIPTS] == rows(ours.encode_batch(SCRIPTS))


def test_a_marker_in_a_text_is_split_by_default_and_parsed_on_request(small_vocabulary: Path) -> None:
    text = "film [SEP] film"
    by_default = _core.WordPiece(small_vocabulary).encode(text)
    parsed = _core.WordPiece(small_vocabulary, split_special_tokens=False).encode(text)
    assert by_default.count(SPECIAL.index("[SEP]")) == 1
    assert parsed.count(SPECIAL.index("[SEP]")) == 2


def reference_words(text: str, *, lowercase: bool) -> list[str]:
    normalized = normalizers.BertNormalizer(lowercase=lowercase).normalize_str(text)
    return [word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalized)]


@pytest.mark.parametrize("lowercase", [True, False])
def test_every_code_point_is_treated_as_by_the_reference(small_vocabulary: Path, lowercase: bool) -> None:
    tokenizer = _core.WordPiece(small_vocabulary, lowercase=lowercase)
    # All of the planes in use; every seventh of the empty and private ones, which are two thirds of Unicode.
    in_use = [*range(0xD800), *range(0xE000, 0x32000), *range(0xE0000, 0xE0200)]
    code_points = sorted({*in_use, *range(0x32000, 0x110000, 7)})
    for start in range(0, len(code_points), 512):
        # Between letters, and between marks of classes 224 and 218, which shows its place in canonical order.
        text = "".join(f"a\u302e{chr(c)}\u302ab " for c in code_points[start : start + 512])
        assert tokenizer.words(text) == reference_words(text, lowercase=lowercase), hex(code_points[start])


# Letters, marks, symbols and controls from everywhere, with the characters that interact made frequent.
any_text = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.characters(categories=["Mn", "Mc", "Me", "Cf", "Cc", "Zs"]),
        st.sampled_from("aeÅéİıſßΣς[]#' \t\n\u0000\u0301\u0323\u302e\u302a\u3099가각中豈\ufffd\u200d"),
    ),
    max_size=60,
)


@settings(max_examples=1500, deadline=None)
@given(text=any_text, lowercase=st.booleans())
def test_any_text_is_split_into_the_words_of_the_reference(small_vocabulary: Path, text: str, lowercase: bool) -> None:
    tokenizer = _core.WordPiece(small_vocabulary, lowercase=lowercase)
    assert tokenizer.words(text) == reference_words(text, lowercase=lowercase)


@settings(max_examples=500, deadline=None)
@given(text=st.lists(st.one_of(st.sampled_from([*SPECIAL, *SCRIPTS, " "]), any_text), max_size=5).map("".join))
def test_any_text_gives_the_ids_of_the_reference(small_vocabulary: Path, text: str) -> None:
    theirs = reference(small_vocabulary)
    ours = _core.WordPiece(small_vocabulary, split_special_tokens=False)
    assert ours.encode(text) == theirs.encode(text).ids
    assert [_core.WordPiece(small_vocabulary).encode(text)] == plain_ids(theirs, [text])


@pytest.mark.parametrize("prepare", [list, decorated])
def test_twenty_thousand_real_sentences_give_the_ids_of_the_reference(
    shared_data: Path, prepare: Callable[[list[str]], list[str]]
) -> None:
    texts = prepare(real_texts(shared_data)[::4])
    assert len(texts) >= 20_000
    vocab = real_vocabulary()
    theirs = reference(vocab)
    ours = rows(_core.WordPiece(vocab, split_special_tokens=False).encode_batch(texts))
    expected = [encoding.ids for encoding in theirs.encode_batch(texts)]
    different = [(t, a, b) for t, a, b in zip(texts, ours, expected, strict=True) if a != b]
    assert different == []
    # No real text holds a marker of BERT's, so the default gives the same.
    if prepare is list:
        assert rows(_core.WordPiece(vocab).encode_batch(texts)) == expected


def real_vocabulary() -> Path:
    """vocab.txt of the text model, where the model store has it."""
    from matinee import models

    try:
        return models.resolve("minilm-l6-v2") / "vocab.txt"
    except matinee.MatineeError as error:
        pytest.skip(f"no text model: {error}")


def test_a_lone_surrogate_counts_as_the_replacement_character(small_vocabulary: Path) -> None:
    tokenizer = _core.WordPiece(small_vocabulary)
    assert tokenizer.encode("fi\ud83dlm") == tokenizer.encode("fi\ufffdlm") == tokenizer.encode("film")


@pytest.mark.parametrize("character", ["x", " ", "中", "é", "\u0301", "\u302e", "\u0000", "🎬"])
def test_a_million_characters_are_fine(small_vocabulary: Path, character: str) -> None:
    tokenizer = _core.WordPiece(small_vocabulary)
    assert 2 <= len(tokenizer.encode(character * 1_000_000)) <= 256


def test_wrong_arguments_are_typed_errors(small_vocabulary: Path, tmp_path: Path) -> None:
    tokenizer = _core.WordPiece(small_vocabulary)
    with pytest.raises(matinee.InvalidArgument, match="texts: expected str, got int"):
        tokenizer.encode_batch(["a", 3])  # type: ignore[list-item]
    with pytest.raises(matinee.InvalidArgument, match="several str, got one"):
        tokenizer.encode_batch("film")
    with pytest.raises(matinee.NotFound, match="missing"):
        _core.WordPiece(tmp_path / "missing.txt")
    (tmp_path / "vocab.txt").write_bytes(b"[UNK]\n[CLS]\n")
    with pytest.raises(matinee.FormatError, match=r"vocab\.txt.*\[SEP\]"):
        _core.WordPiece(tmp_path / "vocab.txt")
    with pytest.raises(matinee.InvalidArgument, match="max_tokens"):
        _core.WordPiece(small_vocabulary, max_tokens=1)


def test_an_empty_batch_has_no_rows(small_vocabulary: Path) -> None:
    token_ids, offsets = _core.WordPiece(small_vocabulary).encode_batch([])
    assert (token_ids.dtype, offsets.dtype) == (np.int32, np.int64)
    assert (token_ids.tolist(), offsets.tolist()) == ([], [0])
