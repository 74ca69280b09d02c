"""The slow twin of CLIP's tokenizer: OpenAI's simple_tokenizer.py (MIT licence), shortened."""

from __future__ import annotations

import gzip
import html
import itertools
from collections.abc import Callable
from pathlib import Path

import regex

START, END = "<|startoftext|>", "<|endoftext|>"


def bytes_to_unicode() -> dict[int, str]:
    """How the vocabulary writes a byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + n) for n, b in enumerate(others)}


def read_merges(path: Path) -> list[tuple[str, str]]:
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")[1 : 49152 - 256 - 2 + 1]
    return [(left, right) for left, right in (line.split() for line in lines)]


def vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Token to id: bytes, bytes at the end of a word, merges, the two markers."""
    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), START, END]
    return {token: i for i, token in enumerate(tokens)}


class SimpleTokenizer:
    """`fix_text` is ftfy's; `inject` as in the original: markers in a text become their ids."""

    def __init__(self, merges: list[tuple[str, str]], fix_text: Callable[[str], str], *, inject: bool = True) -> None:
        self.fix_text = fix_text
        self.inject = inject
        self.byte_encoder = bytes_to_unicode()
        self.encoder = vocabulary(merges)
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.cache: dict[str, list[str]] = {}
        self.pattern = regex.compile(
            r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
            regex.IGNORECASE,
        )

    def bpe(self, token: str) -> list[str]:
        """One word, written as bytes, in pieces."""
        if token in self.cache:
            return self.cache[token]
        word = [*token[:-1], token[-1] + "</w>"]
        while len(word) > 1:
            best = min(itertools.pairwise(word), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            merged: list[str] = []
            i = 0
            while i < len(word):
                if tuple(word[i : i + 2]) == best:
                    merged.append(word[i] + word[i + 1])
                    i += 2
                else:
                    merged.append(word[i])
                    i += 1
            word = merged
        self.cache[token] = word
        return word

    def words(self, text: str) -> list[str]:
        text = html.unescape(html.unescape(self.fix_text(text))).strip()
        words: list[str] = self.pattern.findall(" ".join(text.split()).strip().lower())
        if self.inject:
            return words
        # What splits here is what the pattern makes of the three parts of a marker.
        parts = {marker: ["<|", marker[2:-2], "|>"] for marker in (START, END)}
        return [part for word in words for part in parts.get(word, [word])]

    def encode(self, text: str, max_tokens: int = 77) -> list[int]:
        ids = [self.encoder[START]]
        for word in self.words(text):
            if self.inject and word in (START, END):
                ids.append(self.encoder[word])
            else:
                spelled = "".join(self.byte_encoder[b] for b in word.encode("utf-8"))
                ids.extend(self.encoder[piece] for piece in self.bpe(spelled))
        return [*ids[: max_tokens - 1], self.encoder[END]]
