"""What the rules that read a message share: the words that no rule has taken yet, and what they are read against."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from matinee.search.dialogue.draft import Draft
from matinee.search.dialogue.state import Chip, Understood
from matinee.search.dialogue.vocabulary import Vocabulary
from matinee.search.dialogue.words import GENRE_WORD, NUMBERS, ORDINALS, PLAIN_TONES

CUT = " ¦ "
"""Stands where words were taken, so that what was apart does not grow together."""

# Pieces of patterns.
NOT = (
    r"(?:no(?:t|thing)?|without|w/o|never|except(?: for)?|excluding|minus|apart from|other than|anything but|skip|drop|"
    r"hide|remove|avoid(?:ing)?)"
)
DISLIKE = (
    r"(?:(?:i |we )?(?:do not|don't|dont|did not|didn't|didnt|never)(?: really| much)? "
    r"(?:like|liked|love|loved|want|enjoy|enjoyed)|(?:i |we )?(?:hate|hated|dislike|disliked|can't stand|cannot stand))"
)
THING = r"(?:ones?|films?|movies?)"
OF_THIS = rf"(?: {THING}\b)"
NUMBER_WORD = "|".join(sorted(NUMBERS, key=len, reverse=True))
_ORDINAL = rf"(?:{'|'.join(ORDINALS)}|\d{{1,3}}(?:st|nd|rd|th)|last)"
REFERENCE = (
    rf"(?:(?:the )?(?P<ordinal>{_ORDINAL})(?: (?P<several>two|three|four|five))?(?: {THING})?"
    rf"|(?:number|no\.|nr\.?|#) ?(?P<number>\d{{1,3}}|{'|'.join(list(NUMBERS)[2:12])})"
    rf"|(?P<all>(?:any of |all of |all )?(?:those|these|them)(?: {THING})?)"
    rf"|(?P<first>(?:that|this)(?: {THING})?|it(?![\w']))"
    r")(?![\w'])"
)
"""A film last shown; `referred` says which."""
JOINT = re.compile(r"\s*(?:,|\band\b|\bor\b|&|\+|\bmeets\b|\bcrossed with\b|\bmixed with\b)\s*", re.IGNORECASE)
"""Between names of one list."""
_KIND = rf"something|anything|cinema|{THING}|{GENRE_WORD}|{PLAIN_TONES}"
_BEFORE_APART = rf"(?:^|[,.;!?¦]|\b(?:and|but|or|{_KIND}))\s*(?:(?:a|an|the|is)\s+)?$"
_AFTER_APART = r"\s*(?:$|[,.;!?¦]|(?:and|but|or|with|without|in|from|under|no|not)\b)"


@lru_cache(maxsize=256)
def rule(pattern: str) -> re.Pattern[str]:
    """A pattern without regard to case."""
    return re.compile(pattern, re.IGNORECASE)


@dataclass(frozen=True)
class Context:
    """What a message is read against."""

    vocabulary: Vocabulary
    shown: Sequence[int]  # rows of the films last shown, in order
    id_of: Callable[[int], str]
    row_of: Callable[[str], int]
    chips: Sequence[Chip]  # of the request so far


@dataclass
class Reading:
    """A message read."""

    understood: Understood
    changed: bool = False  # it asked for something
    restart: bool = False
    more: bool = False
    meant: list[int] = field(default_factory=list)  # films of an unclear title: the one taken first, then the others
    unknown_title: bool = False
    unclear_reference: bool = False
    only_some: list[str] = field(default_factory=list)  # words that turn down some of a kind, which no filter can say


@dataclass
class Scan:
    """A message while rules take words from it and change the request."""

    left: str
    context: Context
    draft: Draft
    reading: Reading
    instead: bool = False  # what is wished for takes the place of what was, and does not join it
    cautious: bool = False  # what may be part of a story ("in the 1940s, a soldier …") is left to it

    @property
    def names(self) -> Vocabulary:
        """The catalogue's."""
        return self.context.vocabulary

    def cut(self, begin: int, end: int) -> None:
        """Takes the words from `begin` to `end` out."""
        self.left = self.left[:begin] + CUT + self.left[end:]

    def take(self, pattern: str, apart: str = "") -> Iterator[re.Match[str]]:
        """Each match of `pattern`, taken out of what is left. `apart`: see `is_apart`; empty: wherever it stands."""
        place = 0
        while match := rule(pattern).search(self.left, place):
            if apart and not self.is_apart(match.start(), match.end(), apart):
                place = match.end()
                continue
            self.cut(match.start(), match.end())
            place = match.start() + len(CUT)
            yield match

    def is_apart(self, begin: int, end: int, side: str) -> bool:
        """Whether the words from `begin` to `end` stand on their own and not in a story. Always, unless cautious.

        side: 'before': after a sign or what names a kind of film ("a comedy from Japan"); 'aside': so, and not as the
        opening of a story ("In 1944, …"); 'either': after those, or before a sign or another wish ("a heist under two
        hours"); 'never': it is a comparison, and there is nothing to compare with.
        """
        if not self.cautious:
            return True
        if side == "never" or rule(r"\bnot $").search(self.left[:begin]):
            return False
        before = bool(rule(_BEFORE_APART).search(self.left[:begin]))
        if side == "aside":
            opens = not self.left[:begin].strip() and bool(self.left[end:].strip())
            return before and not opens and bool(rule(_AFTER_APART).match(self.left, end))
        return before or (side == "either" and bool(rule(_AFTER_APART).match(self.left, end)))

    def referred(self, match: re.Match[str]) -> list[int]:
        """Rows of the films that a match of `REFERENCE` points at; none where nothing was shown there."""
        shown = list(self.context.shown)
        if match["all"]:
            return shown
        if match["first"]:
            return shown[:1]
        if match["number"]:
            place = NUMBERS.get(match["number"].lower()) or int(match["number"])
            return shown[place - 1 : place] if place else []
        ordinal = match["ordinal"].lower()
        several = NUMBERS[match["several"].lower()] if match["several"] else 1
        if ordinal == "last":
            return shown[-several:]
        place = ORDINALS.get(ordinal) or int(re.sub(r"\D", "", ordinal))
        return shown[place - 1 : place - 1 + several] if place else []

    def names_at(self, begin: int, known: Callable[[str], str | None]) -> tuple[tuple[str, ...], int]:
        """Names that `known` knows from `begin` on, joined by 'and' or 'or', each as long as can be; where they end."""
        names: list[str] = []
        end = begin
        while True:
            words = list(re.finditer(r"[^\s,;!?¦]+", self.left[begin:]))[:_MAX_NAME_WORDS]
            for last in reversed(words):
                text = self.left[begin : begin + last.end()]
                name = known(text.rstrip(".")) if "¦" not in text else None
                if name:
                    names.append(name)
                    end = begin + last.end()
                    break
            else:
                return tuple(names), end
            joint = JOINT.match(self.left, end)
            if not joint:
                return tuple(names), end
            begin = joint.end()


_MAX_NAME_WORDS = 5
