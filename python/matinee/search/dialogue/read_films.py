"""Rules about films: titles after words such as 'like' and 'seen', and films last shown, such as 'the second one'."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from matinee.catalog.frozen import fold
from matinee.search.dialogue.read_kinds import genres_named
from matinee.search.dialogue.scan import DISLIKE, JOINT, NOT, REFERENCE, Scan, rule
from matinee.search.dialogue.vocabulary import title_key
from matinee.search.dialogue.words import DEMONYMS, FILLER, PLAIN_TONES

_MAX_TITLE_WORDS = 14

_SEEN = r"(?:(?:i|we)(?:'ve|ve| have)? )?(?:already )?(?:seen|saw|watched)(?: already)?"
_LIKE = (
    r"(?:(?:something|anything|a film|films|a movie|movies|a bit|more|stuff|just|kind of|sort of) )?"
    r"(?:like|similar to|along the lines of|in the (?:vein|style|spirit) of|reminiscent of|comparable to|akin to|à la)"
)
_LIKED = (
    r"(?:(?:i|we)(?: really| also)? (?:like|liked|love|loved|enjoyed|enjoy|adore|adored)|(?:a )?(?:big |huge )?fan of|"
    r"in the mood for)"
)
_MEANT = r"(?:no,? )?(?:i |we )?(?:meant|mean)"
_PRAISE = (
    r"(?:looks?|sounds?|seems?|is) (?:very |really |quite )?(?:good|great|nice|interesting|perfect|promising|fun|right)"
)
_NO_LIKENESS_BEFORE = r"(?<!would )(?<!i'd )(?<!we'd )(?<!feel )(?<!looks )(?<!look )"
# What may follow a title.
_CLAUSE = re.compile(
    r"\s*(?:[,;!?¦]|\.(?:\s|$)|\b(?:but|and|or|in|with|from|set|by|only|except|without|not|before|after|since|until|older|"
    r"newer|starring|made|under|over|no|for|please|meets|instead|films?|movies?)\b|$)",
    re.IGNORECASE,
)
_YEAR_AFTER = re.compile(r"\s*(?:\((?:of |from )?(\d{4})\)|,? (?:of|from) (\d{4})\b)")
_YEAR_AT_END = re.compile(r"\s*\((\d{4})\)$")

Act = Callable[[int], None]


def titles(scan: Scan) -> None:
    """'something like Alien', 'I meant …', 'seen Jaws', 'not like Cats': films by their titles."""
    cues: tuple[tuple[str, Act, bool, bool], ...] = (  # the cue, what it does, may titles be guessed, must they be sure
        (rf"\b{_MEANT} ", partial(_mean, scan), True, False),
        (rf"\b(?:{NOT} (?:like|similar to)|unlike|{DISLIKE}) (?!{REFERENCE})", partial(_avoid, scan), False, False),
        (rf"\b(?:{_SEEN}|{NOT}) (?!{REFERENCE})", partial(_reject, scan), False, True),
        (rf"{_NO_LIKENESS_BEFORE}\b{_LIKE} ", partial(_want, scan), True, False),
        (rf"\b{_LIKED} (?!{REFERENCE})", partial(_want, scan), False, False),
    )
    for cue, act, guess, sure in cues:
        place = 0
        while match := rule(cue).search(scan.left, place):
            end, rows = _films_at(scan, match.end(), guess=guess, sure=sure)
            place = match.end()
            if rows:
                for row in rows:
                    act(row)
                scan.cut(match.start(), end)
                place = match.start()


def references(scan: Scan) -> None:
    """'not that one', 'more like the third', 'I have seen the first two': films last shown."""
    for pattern, act in (
        (rf"\b(?:not (?:like|similar to)|unlike|{DISLIKE}) {REFERENCE}", partial(_avoid, scan)),
        (rf"\b(?:{_SEEN}|{NOT}|none of|i (?:do not|don't) want) {REFERENCE}", partial(_reject, scan)),
        (rf"\b(?:{_LIKE}|{_LIKED}) {REFERENCE}", partial(_want, scan)),
        (rf"{REFERENCE},? {_SEEN}", partial(_reject, scan)),
        (rf"\b{REFERENCE} {_PRAISE}\b", partial(_want, scan)),
    ):
        for match in scan.take(pattern):
            rows = scan.referred(match)
            scan.reading.unclear_reference |= not rows
            for row in rows:
                act(row)


def _mean(scan: Scan, row: int) -> None:
    """Corrects the last film that others were to be like."""
    scan.draft.like = scan.draft.like[:-1]
    _want(scan, row)


def _want(scan: Scan, row: int) -> None:
    if scan.instead:
        scan.draft.like = []
    scan.draft.want_film(scan.context.id_of(row))


def _avoid(scan: Scan, row: int) -> None:
    scan.draft.avoid_film(scan.context.id_of(row))


def _reject(scan: Scan, row: int) -> None:
    scan.draft.reject([scan.context.id_of(row)])


def _films_at(scan: Scan, begin: int, *, guess: bool, sure: bool) -> tuple[int, list[int]]:
    """Films named from `begin` on, one or several joined by 'and': where they end, and their rows."""
    rows: list[int] = []
    end = begin
    while True:
        found = _title_at(scan, begin, sure=sure)
        if found is None and guess and not rows:
            found = _guess_at(scan, begin)
        if found is None:
            return end, rows
        end, row = found
        rows.append(row)
        joint = JOINT.match(scan.left, end)
        if not joint:
            return end, rows
        begin = joint.end()


def _title_at(scan: Scan, begin: int, *, sure: bool) -> tuple[int, int] | None:
    """The longest exact title that begins here and ends where a title may end: its end and its film's row.

    A year after it chooses among films of one title; without one the best known is taken.
    """
    tail = scan.left[begin:]
    quoted = len(tail) - len(tail.lstrip(" \"'"))
    for last in reversed(list(re.finditer(r"[^\s¦]+", tail))[:_MAX_TITLE_WORDS]):
        text = tail[quoted : last.end()].rstrip(" \"',;.")
        if not text or "¦" in text:
            continue
        end = quoted + len(text)
        bare = _YEAR_AT_END.sub("", text)
        after = _YEAR_AFTER.match(tail, quoted + len(bare))
        year = int(after[1] or after[2]) if after else None
        rows = scan.names.titled(bare, year) if _may_be_title(scan, bare, sure=sure) else []
        if not rows or not (after or tail[end : end + 1] in ("'", '"') or _CLAUSE.match(tail, end)):
            continue
        if after and scan.names.year[rows[0]] == year:
            end = after.end()
        elif len(rows) > 1:
            scan.reading.meant = rows
        if tail[end : end + 1] in ("'", '"'):
            end += 1
        return begin + end, rows[0]
    return None


def _may_be_title(scan: Scan, text: str, *, sure: bool) -> bool:
    """Whether words after a cue may be meant as a title rather than as a genre, a language, a name."""
    folded = fold(text)
    if genres_named(scan.names, folded) or scan.names.person(text) or folded in scan.names.languages:
        return False
    capital = text[:1].isupper() or text[:1].isdigit()
    if folded in FILLER and not capital:
        return False
    # 'not old', 'no war': after such cues a title of one word is written as one.
    return not sure or capital or len(title_key(text).split()) > 1


def _guess_at(scan: Scan, begin: int) -> tuple[int, int] | None:
    """A film whose title is nearly what stands here up to the end of the clause."""
    stop = _CLAUSE.search(scan.left, begin)
    end = stop.start() if stop else len(scan.left)
    text = scan.left[begin:end].strip(" \"'")
    if not text or rule(rf"(?:{REFERENCE}|an? |some |(?:{PLAIN_TONES})\b)").match(text):
        return None
    first = fold(text.split()[0])
    if first in DEMONYMS or first in scan.names.genres or all(word.lower() in FILLER for word in text.split()):
        return None
    if not _may_be_title(scan, text, sure=False):
        return None
    rows = scan.names.titled_nearly(text)
    if not rows:
        scan.reading.unknown_title |= text[:1].isupper() or text[:1].isdigit()
        return None
    scan.reading.meant = rows
    return end, rows[0]
