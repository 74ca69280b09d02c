"""Plots in sentences: the pieces that an index stores and that an answer quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Longer pieces are cut: a text encoder reads a limited number of tokens, and nobody reads a quote of 80 words.
_MAX_WORDS = 60
# Shorter ones join their neighbour: "Or do they?" alone matches every thriller.
_MIN_WORDS = 4

# A terminator, closing quotes or brackets, white space, and something that can begin a sentence; or a full-width
# terminator, which no white space follows.
_BOUNDARY = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+(?=[\"'“‘«(\[¿¡]*[^\W_a-z])|[。！？]+[」』”]*\s*|\n\s*\n")
# A full stop after these ends no sentence.
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sgt|Lt|Capt|Cpt|Col|Gen|Maj|Rev|Hon|Gov|Sen|Rep|Jr|Sr|vs|No|Mt|Ft|feat)"
    r"|\b[^\W\d_](?:\.[^\W\d_])*)\.$"
)
_WORD = re.compile(r"\S+")
_SOFT_BREAK = re.compile(r"[,;:–—]\s|\s[-–—]{1,2}\s")


def sentences(text: str) -> list[tuple[int, int]]:
    """The sentences of `text` as (begin, end) character positions, in order, without surrounding white space.

    Very short sentences are joined with the one before (the first with the one after); pieces longer than 60 words are
    cut, at a comma where there is one. Empty for a text of white space.
    """
    spans: list[tuple[int, int]] = []
    for begin, end in _raw_sentences(text):
        if spans and (_num_words(text, begin, end) < _MIN_WORDS or _num_words(text, *spans[-1]) < _MIN_WORDS):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return [piece for span in spans for piece in _pieces(text, *span)]


def best_sentence(text: str, spans: list[tuple[int, int]], max_chars: int = 220) -> str:
    """The first of `spans` as a quote: white space folded, cut at a word with an ellipsis above `max_chars`."""
    if not spans:
        return ""
    quote = " ".join(text[slice(*spans[0])].split())
    if len(quote) <= max_chars:
        return quote
    cut = quote.rfind(" ", 0, max_chars)
    return quote[: cut if cut > 0 else max_chars].rstrip(",;:–— ") + " …"


def _raw_sentences(text: str) -> Iterator[tuple[int, int]]:
    begin = 0
    for boundary in _BOUNDARY.finditer(text):
        before = text[max(begin, boundary.start() - 12) : boundary.start() + 1]
        if text[boundary.start()] == "." and _ABBREVIATION.search(before):
            continue
        yield from _stripped(text, begin, boundary.end())
        begin = boundary.end()
    yield from _stripped(text, begin, len(text))


def _stripped(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    while begin < end and text[begin].isspace():
        begin += 1
    while end > begin and text[end - 1].isspace():
        end -= 1
    if begin < end:
        yield begin, end


def _num_words(text: str, begin: int, end: int) -> int:
    return sum(1 for _ in _WORD.finditer(text, begin, end))


def _pieces(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Cuts a span of more than `_MAX_WORDS` words; each piece but the last has between half of it and all of it."""
    words = [word.span() for word in _WORD.finditer(text, begin, end)]
    first = 0  # of the words not yet in a piece
    while len(words) - first > _MAX_WORDS:
        earliest, latest = words[first + _MAX_WORDS // 2][0], words[first + _MAX_WORDS - 1][1]
        breaks = [m.start() + 1 for m in _SOFT_BREAK.finditer(text, earliest, latest)]
        cut = breaks[-1] if breaks else latest
        yield from _stripped(text, begin, cut)
        begin = cut
        while words[first][0] < cut:
            first += 1
    yield from _stripped(text, begin, end)
