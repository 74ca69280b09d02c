"""Rules about years and minutes: from, before, not from, under, not under, older, shorter."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from statistics import median_low

import numpy as np
from numpy.typing import NDArray

from matinee.search.dialogue.scan import DISLIKE, NOT, NUMBER_WORD, OF_THIS, REFERENCE, Scan, rule
from matinee.search.dialogue.words import DECADES, DEMONYMS, GENRE_WORD, NOUN_GENRES, NUMBERS

_RECENT_YEARS, _NOT_OLD_YEARS, _CLASSIC_UNTIL = 5, 20, 1969
_SHORT_MINUTES, _ABOUT_MINUTES = 100, 10
_YEARS_STEP, _MINUTES_STEP = 10, 15  # how far 'older still' goes where nothing shown says it

_BETWEEN_NOT = (
    r"(?:anything|something|any|ones?|films?|movies?|that|which|it|is|are|was|were|made|released|either|too|"
    r"in the mood for|interested in|looking for)"
)
_NO = rf"(?P<no>\b(?:{NOT}|{DISLIKE}|neither|nor|(?:is|are|was|were)n't) (?:{_BETWEEN_NOT} )*)?"
_YEAR = r"(?:18|19|20)\d\d"
_DECADE = (
    r"(?:(?P<part>early|mid|late)[ -]*)?(?:the )?"
    rf"(?:(?P<century>1[89]|20)?'?(?P<tens>\d)0'?s|(?P<name>{'|'.join(DECADES)}))"
)
_BEFORE, _AFTER = ("before", "older than", "earlier than", "pre"), ("after", "newer than", "later than", "post")
_SIDES = rf"{'|'.join((*_BEFORE, *_AFTER))}|until|up to|since|from"
_SIDE = rf"(?:from )?(?P<side>{_SIDES})"
_NOUN = rf"(?:{'|'.join(sorted(NOUN_GENRES))})"
_SPAN = (
    rf"(?:(?P<hours>\d+(?:[.,]\d)?|{NUMBER_WORD}) ?(?:h|hrs?|hours?)(?![a-z])(?P<half> and a half| and a quarter)?"
    r"(?:(?: and)? ?(?P<extra>\d\d?) ?(?:m|mins?|minutes?)?\b)?"
    rf"|(?P<minutes>\d{{2,3}}|{NUMBER_WORD})[ -]?(?:m|mins?|minutes?)\b)"
)
_MORE_THAN = r"over|above|more than|longer than|at least|min(?:imum)?"
_ABOUT = r"about|around|roughly|circa"
_LESS_THAN = r"under|below|less than|shorter than|at most|up to|max(?:imum)?|within"


def _unnamed(pattern: str) -> str:
    return re.sub(r"\?P<\w+>", "?:", pattern)


_OR = r"(?:,? (?:and|or|nor) |, ?|/)(?:from |in )?"
_MORE_DECADES = rf"(?:{_OR}{_unnamed(_DECADE)}\b)*"
_MORE_YEARS = rf"(?:{_OR}{_YEAR}\b(?! ?-))*"
_GOES_ON = rf"\s*,? (?:or|nor) (?=(?:{_SIDES}|{_MORE_THAN}|{_LESS_THAN})\b)"  # "nothing before 1950 or after 1970"


def _take(scan: Scan, pattern: str, apart: str) -> Iterator[re.Match[str]]:
    """As `Scan.take`, of the pattern with or without a 'not' (group `no`), which holds for what an 'or' adds, too."""
    for match in scan.take(rf"{_NO}{pattern}", apart):
        yield match
        if match["no"]:
            scan.left = rule(rf"(?<=¦){_GOES_ON}").sub(" not ", scan.left, count=1)


def some_of_a_kind(scan: Scan) -> None:
    """'no horror films from the 50s': no filter can say that, and a half of it would say another thing."""
    origin = "|".join(map(re.escape, sorted({*DEMONYMS, *scan.names.languages}, key=len, reverse=True)))
    dated = rf"(?:from )?(?:{_SIDES}|in|of)[ -]+(?:the )?(?:{_unnamed(_DECADE)}|{_YEAR})"
    when = rf" (?:that (?:is|are) )?(?:made |released )?(?:{dated}|{_unnamed(_DECADE)})\b(?: on(?:wards?)?)?"
    how_long = rf" (?:{_MORE_THAN}|{_LESS_THAN}) {_unnamed(_SPAN)}"
    kinds = rf"(?:(?:{origin}) {GENRE_WORD}\b|(?:{origin}|{GENRE_WORD})\b{OF_THIS}?(?:{when}|{how_long}))"
    for match in scan.take(rf"\b(?:{NOT}|{DISLIKE}) (?:any |the |an? )?{kinds}", "before"):
        scan.reading.only_some.append(match[0])


def years(scan: Scan) -> None:
    """'from the 80s', 'before 1979', 'not from the 50s', 'older'."""
    newest = scan.names.newest_year

    def put(match: re.Match[str], low: int | None, high: int | None) -> None:
        _put(scan, "year", match, low, high)

    to = r" ?(?:-|to|until|till|(?(between)and|-)) ?"
    for match in _take(scan, rf"\b(?P<between>between )?(?:from )?(?P<low>{_YEAR}){to}(?P<high>{_YEAR})\b", "either"):
        put(match, *sorted((int(match["low"]), int(match["high"]))))
    for match in _take(
        scan, rf"\b{_SIDE}[ -]+(?:the )?{_DECADE}\b(?P<on> on(?:wards?)?)?{_MORE_DECADES}{OF_THIS}?", "either"
    ):
        _put_side(scan, match, _decades(match[0]))
    for match in _take(
        scan, rf"\b(?:in|of|made in|released in|during|set in)?(?: the)? ?{_DECADE}\b{_MORE_DECADES}{OF_THIS}?", "aside"
    ):
        _put_each(scan, match, _decades(match[0]))
    for match in _take(scan, rf"\b{_SIDE}[ -]+(?P<year>{_YEAR})\b(?P<on> on(?:wards?)?)?{_MORE_YEARS}", "either"):
        _put_side(scan, match, _years(match[0]))
    lead = r"(?(no)(?:in |of )?|(?:\b(?:in|of|made in|released in)|(?:^|¦)) ?)"
    alone = rf"{lead}(?P<year>{_YEAR}){_MORE_YEARS}(?= *(?:$|[,.;!¦]|films?|movies?|but|and))"
    for match in _take(scan, alone, "aside"):
        _put_each(scan, match, _years(match[0]))
    past = rf"\b(?:from |in )?(?:the )?(?:last|past) (?P<count>\d{{1,3}}|{NUMBER_WORD}) (?P<unit>year|decade)s?\b"
    for match in _take(scan, past, "before"):
        put(match, newest - _count(match["count"]) * (10 if match["unit"] == "decade" else 1) + 1, None)
    side = r"(?:(?:a bit|much|even|somewhat) )?(?P<side>older|earlier|newer|more recent|more modern|later)"
    for match in _take(scan, rf"\b{side}{OF_THIS}?(?: than (?P<than>{REFERENCE}))?(?! than)\b", "never"):
        older = match["side"].lower() in ("older", "earlier")
        _compare(scan, "year", _values(scan, scan.names.year, match), match, below=older, step=_YEARS_STEP)
    for match in scan.take(rf"\b(?:not|nothing) (?:too |so |that |very )?old\b(?!{OF_THIS})"):
        put(match, newest - _NOT_OLD_YEARS + 1, None)
    film = rf"(?:{OF_THIS}|(?= (?!{_NOUN}\b){GENRE_WORD}\b))" if scan.cautious else rf"{OF_THIS}?"
    recent = rf"(?:recent|newest|latest|brand[- ]new|modern|contemporary){film}|new{OF_THIS}|new releases?"
    for match in _take(scan, rf"(?:\b(?:{recent})\b|^(?:something |anything )?new$)", "before"):
        put(match, newest - _RECENT_YEARS + 1, None)
    old = r"(?:old|classic|vintage)"
    for match in _take(
        scan, rf"(?:\b{old}{OF_THIS}|\bclassics\b|^(?:something |an? )?{old}$|\b{old}(?=[- ]{GENRE_WORD}\b))", "before"
    ):
        put(match, None, _CLASSIC_UNTIL)


def runtime(scan: Scan) -> None:
    """'under two hours', 'not over two hours', 'shorter', 'at least 90 minutes'."""

    def put(match: re.Match[str], low: int | None, high: int | None) -> None:
        _put(scan, "runtime", match, low, high)

    for match in _take(scan, r"\b(?P<low>\d{2,3}) ?(?:-|to|and) ?(?P<high>\d{2,3}) ?(?:m|mins?|minutes)\b", ""):
        put(match, *sorted((int(match["low"]), int(match["high"]))))
    lead = r"\b(?:(?:runs?|lasts?|that is) )?"
    for match in _take(
        scan, rf"{lead}(?:(?P<more>{_MORE_THAN})|(?P<about>{_ABOUT})|(?:{_LESS_THAN}))[ .]+{_SPAN}(?: long)?", "either"
    ):
        minutes = _minutes(match)
        if match["about"]:
            put(match, max(1, minutes - _ABOUT_MINUTES), minutes + _ABOUT_MINUTES)
        elif bool(match["more"]) != bool(match["no"]):  # 'not over' lets two hours themselves pass, as 'under' does
            scan.draft.set_range("runtime", minutes, None)
        else:
            scan.draft.set_range("runtime", None, minutes)
    for match in scan.take(rf"\b{_SPAN} (?:max(?:imum)?|at most|or less|tops)\b", "either"):
        scan.draft.set_range("runtime", None, _minutes(match))
    side = r"(?:(?:a bit|much|even) )?(?P<side>shorter|longer)"
    for match in _take(scan, rf"\b{side}{OF_THIS}?(?: than (?P<than>{REFERENCE}))?(?! than)\b", "never"):
        groups = _values(scan, scan.names.runtime, match)
        _compare(scan, "runtime", groups, match, below=match["side"].lower() == "shorter", step=_MINUTES_STEP)
    much = r"(?:too |so |that |very )?"
    for _ in scan.take(rf"\b(?:not {much}short|nothing {much}short|no short{OF_THIS})\b"):
        scan.draft.set_range("runtime", _SHORT_MINUTES, None)
    short = rf"\b(?:a )?short{OF_THIS}|^(?:something )?short$"
    for _ in scan.take(rf"\b(?:not|nothing) {much}long\b|\bno long{OF_THIS}|{short}"):
        scan.draft.set_range("runtime", None, _SHORT_MINUTES)


def _put(scan: Scan, kind: str, match: re.Match[str], low: int | None, high: int | None) -> None:
    """What a match says of a span, wanted or, with its 'not', unwanted."""
    if match.groupdict().get("no"):
        scan.draft.avoid_range(kind, low, high)
    else:
        scan.draft.set_range(kind, low, high)


def _put_each(scan: Scan, match: re.Match[str], spans: list[tuple[int, int]]) -> None:
    """Years of any of the spans, in any order; with its 'not', of none of them."""
    spans = sorted(spans)
    if match["no"]:
        for low, high in spans:
            scan.draft.avoid_range("year", low, high)
        return
    until = max(high for _, high in spans)
    scan.draft.set_range("year", spans[0][0], until)
    for (_, end), (start, _) in itertools.pairwise(spans):
        if start > end + 1:
            scan.draft.avoid_range("year", end + 1, start - 1)


def _put_side(scan: Scan, match: re.Match[str], spans: list[tuple[int, int]]) -> None:
    """The years on the side that a match names of those spans: 'from' names them themselves."""
    side = match["side"].lower()
    low, high = spans[0][0], spans[-1][1]
    if side in _BEFORE:
        _put(scan, "year", match, None, low - 1)
    elif side in _AFTER:
        _put(scan, "year", match, high + 1, None)
    elif side in ("until", "up to"):
        _put(scan, "year", match, None, high)
    elif side == "since" or match["on"]:
        _put(scan, "year", match, low, None)
    else:
        _put_each(scan, match, spans)


def _values(scan: Scan, values: NDArray[np.int32], match: re.Match[str]) -> list[list[int]]:
    """What a comparison may be with, best first: the film named, the one to be like, those shown; known values only."""
    if match["than"]:
        groups = [scan.referred(match)]
    else:
        groups = [[scan.context.row_of(film) for film in scan.draft.like[-1:]], list(scan.context.shown)]
    return [[int(values[row]) for row in group if values[row]] for group in groups]


def _compare(scan: Scan, kind: str, groups: list[list[int]], match: re.Match[str], *, below: bool, step: int) -> None:
    """Older or newer, shorter or longer; with its 'not', as old as the first of the groups or newer, and so on."""
    if not match["no"]:
        _beyond(scan, kind, groups, below=below, step=step)
    elif known := next(filter(None, groups), None):
        limit = median_low(known)
        scan.draft.set_range(kind, limit if below else None, None if below else limit)
    else:
        scan.reading.unclear_reference = True


def _beyond(scan: Scan, kind: str, groups: list[list[int]], *, below: bool, step: int) -> None:
    """Beyond the first group that the present limit does not lie beyond already."""
    scan.reading.changed = True
    now = getattr(scan.draft.where, kind)
    limit, start = (now.max, now.min) if below else (now.min, now.max)
    sign = -1 if below else 1
    beyond = None
    if start is not None:  # older than "the 1990s"
        beyond = start + sign
    else:
        for group in filter(None, groups):
            candidate = median_low(group) + sign
            if limit is None or sign * candidate > sign * limit:
                beyond = candidate
                break
        else:
            beyond = None if limit is None else limit + sign * step
    if beyond is None:
        scan.reading.unclear_reference = True
        return
    scan.draft.forget(kind)
    scan.draft.set_range(kind, None if below else beyond, beyond if below else None)


def _years(words: str) -> list[tuple[int, int]]:
    return [(int(year), int(year)) for year in re.findall(rf"\b{_YEAR}\b", words)]


def _decades(words: str) -> list[tuple[int, int]]:
    """The first and last year of each decade that the words name."""
    return [_decade(match) for match in rule(rf"\b{_DECADE}\b").finditer(words)]


def _decade(match: re.Match[str]) -> tuple[int, int]:
    """The first and last year of a match of a decade."""
    if match["name"]:
        low = DECADES[match["name"].lower()]
    else:
        century = match["century"] or ("20" if match["tens"] in "01" else "19")
        low = int(century) * 100 + int(match["tens"]) * 10
    first, last = {"early": (0, 3), "mid": (3, 6), "late": (6, 9)}.get((match["part"] or "").lower(), (0, 9))
    return low + first, low + last


def _count(word: str) -> int:
    return NUMBERS.get(word.lower()) or int(word)


def _minutes(match: re.Match[str]) -> int:
    """The minutes of a match of a span of time."""
    if match["minutes"]:
        return _count(match["minutes"])
    hours = match["hours"].lower().replace(",", ".")
    minutes = round(60 * (NUMBERS[hours] if hours in NUMBERS else float(hours)))
    half = match["half"] or ""
    return minutes + (30 if "half" in half else 15 if "quarter" in half else 0) + int(match["extra"] or 0)
