"""CLIP's tokenizer, from a model folder or from OpenAI's own file."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from matinee import _core
from matinee.errors import FormatError, InvalidArgument, IoError, NotFound

Cleaning = Literal["reference", "huggingface"]

_MAX_MERGES_BYTES = 64 << 20  # OpenAI's file has 3.1 MB; a small .gz may claim any size


class ClipTokenizer:
    """Texts to CLIP's token ids, <|startoftext|> and <|endoftext|> around them, without padding.

    Immutable; any number of threads may call one object.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        cleaning: Cleaning = "reference",
        fix_mojibake: bool = False,
        max_tokens: int = 77,
        split_special_tokens: bool = True,
    ) -> None:
        """Reads a Hugging Face model folder (vocab.json, merges.txt) or OpenAI's bpe_simple_vocab_16e6.txt, also .gz.

        `cleaning` says whose ids these are: "reference" cleans as OpenAI's and open_clip's tokenizers do, which the
        models were trained with (ftfy's fixes, HTML references, straight quotes), "huggingface" as transformers does
        (form NFC and lower case). Of ftfy the core has everything but the guess how mis-decoded text ("dÃ©jÃ  vu") was
        meant; `fix_mojibake` adds that, with the ftfy package, which must be installed, and at its speed.

        `max_tokens` bounds a row, both markers included. With `split_special_tokens` the characters "<|endoftext|>"
        in a text are words that a person typed; without, they become that token, as the references do by default.

        Raises NotFound, IoError; FormatError, naming file and line, where a file is damaged; InvalidArgument.
        """
        self._fix = _ftfy_fix_text() if fix_mojibake else None
        if fix_mojibake and cleaning != "reference":
            raise InvalidArgument(
                f"ClipTokenizer: fix_mojibake: expected cleaning='reference', got {cleaning!r}, which fixes nothing"
            )
        done = "reference_after_ftfy" if fix_mojibake else cleaning
        path = Path(source)
        if path.is_dir():
            self._core = _core.ClipBpe(
                path, cleaning=done, max_tokens=max_tokens, split_special_tokens=split_special_tokens
            )
            return
        merges = _read_merges(path)
        try:
            self._core = _core.ClipBpe.from_openai_merges(
                merges, cleaning=done, max_tokens=max_tokens, split_special_tokens=split_special_tokens
            )
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from None

    def encode(self, text: str) -> list[int]:
        """Token ids of one text. Raises InvalidArgument where it is not a str."""
        return self._core.encode(self._fixed(text))

    def encode_batch(self, texts: Iterable[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """(token_ids (T,), offsets (B+1,)): text b owns token_ids[offsets[b]:offsets[b+1]], a copy."""
        if self._fix is None or isinstance(texts, str):
            return self._core.encode_batch(texts)
        return self._core.encode_batch(map(self._fixed, texts))

    def words(self, text: str) -> list[str]:
        """The cleaned words of a text, before they are cut into pieces."""
        return self._core.words(self._fixed(text))

    @property
    def max_tokens(self) -> int:
        """Longest row, both markers included."""
        return self._core.max_tokens

    @property
    def vocabulary_size(self) -> int:
        """Tokens, the two markers included."""
        return self._core.vocabulary_size

    @property
    def end_token(self) -> int:
        """Id of <|endoftext|>, the last of every row."""
        return self._core.end_token

    def _fixed(self, text: str) -> str:
        return self._fix(text) if self._fix is not None and isinstance(text, str) else text


def _ftfy_fix_text() -> Callable[[str], str]:
    try:
        ftfy = importlib.import_module("ftfy")
    except ImportError:
        raise InvalidArgument(
            "ClipTokenizer: fix_mojibake: expected the ftfy package, got none; pip install ftfy, or leave the flag out"
        ) from None
    return cast("Callable[[str], str]", ftfy.fix_text)


def _read_merges(path: Path) -> bytes:
    """The bytes of OpenAI's file, decompressed."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            merges = file.read(_MAX_MERGES_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file or folder; expected a CLIP model's folder or its merges") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FormatError(f"{path}: expected a whole gzip file: {error}") from None
    except OSError as error:
        raise IoError(f"{path}: {error.strerror}") from None
    if len(merges) > _MAX_MERGES_BYTES:
        raise FormatError(f"{path}: expected at most {_MAX_MERGES_BYTES} bytes of merges, got more")
    return merges
