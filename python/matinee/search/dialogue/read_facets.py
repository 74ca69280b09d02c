"""Rules about facts of films: years, minutes, certificates, languages, countries, people."""

from __future__ import annotations

import re
from statistics import median_low

import numpy as np
from numpy.typing import NDArray

from matinee.catalog.frozen import fold
from matinee.search.dialogue.scan import DISLIKE, NOT, NUMBER_WORD, REFERENCE, Scan, rule
from matinee.search.dialogue.words import (
    COUNTRY_WORDS,
    DECADES,
    DEMONYMS,
    GENRE_WORD,
    NOUN_GENRES,
    NUMBERS,
    PLAIN_TONES,
)

_RECENT_YEARS, _NOT_OLD_YEARS, _CLASSIC_UNTIL = 5, 20, 1969
_SHORT_MINUTES, _ABOUT_MINUTES = 100, 10
_YEARS_STEP, _MINUTES_STEP = 10, 15  # how far 'older still' goes where nothing shown says it

_YEAR = r"(?:18|19|20)\d\d"
_DECADE = (
    r"(?:(?P<part>early|mid|late)[ -]*)?(?:the )?"
    rf"(?:(?P<century>1[89]|20)?'?(?P<tens>\d)0'?s|(?P<name>{'|'.join(DECADES)}))"
)
_BEFORE, _AFTER = ("before", "older than", "earlier than", "pre"), ("after", "newer than", "later than", "post")
_SIDE = rf"(?P<side>{'|'.join((*_BEFORE, *_AFTER))}|until|up to|since|from)"
_NOUN = rf"(?:{'|'.join(sorted(NOUN_GENRES))})"
_OF_THIS = r"(?: ones?\b| films?\b| movies?\b)"
_SPAN = (
    rf"(?:(?P<hours>\d+(?:[.,]\d)?|{NUMBER_WORD}) ?(?:h|hrs?|hours?)(?![a-z])(?P<half> and a half| and a quarter)?"
    r"(?:(?: and)? ?(?P<extra>\d\d?) ?(?:m|mins?|minutes?)?\b)?"
    rf"|(?P<minutes>\d{{2,3}}|{NUMBER_WORD})[ -]?(?:m|mins?|minutes?)\b)"
)
_MORE_THAN = r"(?<!no )(?<!not )(?<!n't )(?:over|above|more than|longer than)|at least|min(?:imum)?"
_ABOUT = r"about|around|roughly|circa"
_LESS_THAN = r"under|below|less than|shorter than|at most|up to|max(?:imum)?|not? (?:more|longer) than|not over|within"

_ANYTHING = {
    "year": "years?|decades?|time|age|eras?|period",
    "genres": "genres?|kinds? of film",
    "language": "languages?",
    "country": "countr(?:y|ies)",
    "runtime": "lengths?|runtimes?|durations?",
    "people": "actors?|directors?|cast|person",
    "certificate": "certificates?|ratings?",
}


def anything(scan: Scan) -> None:
    """'any year', 'no matter what language': a filter that holds no longer."""
    for kind, nouns in _ANYTHING.items():
        every = r"(?:any|whatever|no matter (?:the |what |which )?|every|all) ?"
        for _ in scan.take(rf"\b(?:from |in |of |with )?{every}(?:{nouns})\b(?: is fine| will do)?"):
            scan.draft.forget(kind)
            scan.reading.changed = True


def years(scan: Scan) -> None:
    """'from the 80s', 'before 1979', 'older'."""
    set_years = scan.draft.set_years
    newest = scan.names.newest_year
    for match in scan.take(
        rf"\b(?:between |from )?(?P<low>{_YEAR}) ?(?:-|and|to|until|till) ?(?P<high>{_YEAR})\b", "either"
    ):
        set_years(*sorted((int(match["low"]), int(match["high"]))))
    for match in scan.take(rf"\b{_SIDE}[ -]+(?:the )?{_DECADE}\b(?P<on> on(?:wards?)?)?{_OF_THIS}?", "either"):
        set_years(*_side_of(match, *_decade(match)))
    for match in scan.take(
        rf"\b(?:in|of|made in|released in|during|set in)?(?: the)? ?{_DECADE}\b{_OF_THIS}?", "aside"
    ):
        set_years(*_decade(match))
    for match in scan.take(rf"\b(?:from )?{_SIDE}[ -]+(?P<year>{_YEAR})\b(?P<on> on(?:wards?)?)?", "either"):
        set_years(*_side_of(match, int(match["year"]), int(match["year"])))
    alone = rf"(?:\b(?:in|of|made in|released in)|(?:^|¦)) ?(?P<year>{_YEAR})(?= *(?:$|[,.;!¦]|films?|movies?|but|and))"
    for match in scan.take(alone, "aside"):
        set_years(int(match["year"]), int(match["year"]))
    past = rf"\b(?:from |in )?(?:the )?(?:last|past) (?P<count>\d{{1,3}}|{NUMBER_WORD}) (?P<unit>year|decade)s?\b"
    for match in scan.take(past, "before"):
        set_years(newest - _count(match["count"]) * (10 if match["unit"] == "decade" else 1) + 1, None)
    side = r"(?:(?:a bit|much|even|somewhat) )?(?P<side>older|earlier|newer|more recent|more modern|later)"
    for match in scan.take(rf"\b{side}{_OF_THIS}?(?: than (?P<than>{REFERENCE}))?(?! than)\b", "never"):
        older = match["side"].lower() in ("older", "earlier")
        _beyond(scan, "year", _values(scan, scan.names.year, match), below=older, step=_YEARS_STEP)
    film = rf"(?:{_OF_THIS}|(?= (?!{_NOUN}\b){GENRE_WORD}\b))" if scan.cautious else rf"{_OF_THIS}?"
    recent = rf"(?:recent|newest|latest|brand[- ]new|modern|contemporary){film}|new{_OF_THIS}|new releases?"
    for _ in scan.take(rf"\b(?:{recent})\b|^(?:something |anything )?new$", "before"):
        set_years(newest - _RECENT_YEARS + 1, None)
    old = r"(?:old|classic|vintage)"
    for _ in scan.take(
        rf"\b{old}{_OF_THIS}|\bclassics\b|^(?:something |an? )?{old}$|\b{old}(?=[- ]{GENRE_WORD}\b)", "before"
    ):
        set_years(None, _CLASSIC_UNTIL)
    for _ in scan.take(r"\bnot (?:too |so |that |very )?old\b"):
        set_years(newest - _NOT_OLD_YEARS + 1, None)


def runtime(scan: Scan) -> None:
    """'under two hours', 'shorter', 'at least 90 minutes'."""
    set_minutes = scan.draft.set_minutes
    for match in scan.take(r"\b(?P<low>\d{2,3}) ?(?:-|to|and) ?(?P<high>\d{2,3}) ?(?:m|mins?|minutes)\b"):
        set_minutes(*sorted((int(match["low"]), int(match["high"]))))
    lead = r"\b(?:(?:runs?|lasts?|that is) )?"
    for match in scan.take(
        rf"{lead}(?:(?P<more>{_MORE_THAN})|(?P<about>{_ABOUT})|(?:{_LESS_THAN}))[ .]+{_SPAN}(?: long)?", "either"
    ):
        minutes = _minutes(match)
        if match["more"]:
            set_minutes(minutes, None)
        elif match["about"]:
            set_minutes(max(1, minutes - _ABOUT_MINUTES), minutes + _ABOUT_MINUTES)
        else:
            set_minutes(None, minutes)
    for match in scan.take(rf"\b{_SPAN} (?:max(?:imum)?|at most|or less|tops)\b", "either"):
        set_minutes(None, _minutes(match))
    side = r"(?:(?:a bit|much|even) )?(?P<side>shorter|longer)"
    for match in scan.take(rf"\b{side}{_OF_THIS}?(?: than (?P<than>{REFERENCE}))?(?! than)\b", "never"):
        groups = _values(scan, scan.names.runtime, match)
        _beyond(scan, "runtime", groups, below=match["side"].lower() == "shorter", step=_MINUTES_STEP)
    short = rf"\b(?:a )?short{_OF_THIS}|^(?:something )?short$"
    for _ in scan.take(rf"\bnot (?:too |so |that |very )?long\b|{short}"):
        set_minutes(None, _SHORT_MINUTES)


def certificate(scan: Scan) -> None:
    """'rated PG-13'."""
    for match in scan.take(r"\b(?P<no>not )?rated (?P<names>[\w-]+(?: or [\w-]+)*)"):
        known = [scan.names.certificates.get(fold(name)) for name in match["names"].split(" or ")]
        _set_names(scan, "certificate", tuple(filter(None, known)), avoid=bool(match["no"]))


def languages(scan: Scan) -> None:
    """'in French', 'not from Italy', 'a Japanese film'."""
    no = r"(?P<no>\b(?:not|no|nothing|never|except) )?"
    for kind, lead in (("language", "(?:in|spoken in)"), ("country", "(?:from|made in|produced in)(?: the)?")):
        place = 0
        while match := rule(rf"{no}\b{lead} (?=\w)").search(scan.left, place):
            place = match.end()
            known = _known_language if kind == "language" else _known_country
            names, end = scan.names_at(match.end(), lambda words, known=known: known(scan, words))  # type: ignore[misc]
            if names and scan.is_apart(match.start(), end, "either" if kind == "language" else "before"):
                _set_names(scan, kind, names, avoid=bool(match["no"]))
                scan.cut(match.start(), end)
                place = match.start()
    words = {*DEMONYMS, *scan.names.languages}
    adjective = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    noun = rf"films?|movies?|cinema|ones?|{GENRE_WORD}|{PLAIN_TONES}"
    alone = "" if scan.cautious else r" ?(?:$|[,.;!?¦])|"
    thing = rf"-language\b|[- ]speaking\b|(?={alone} (?:{noun})\b)"
    for match in scan.take(
        rf"{no}\b(?:an? |something |some )?(?P<name>{adjective})(?P<thing>{thing})(?: cinema\b|{_OF_THIS})?",
        "before",
    ):
        language = scan.names.languages.get(fold(match["name"]))
        country = scan.names.countries.get(fold(DEMONYMS.get(match["name"].lower(), "")))
        speaks = bool(language) and (not country or bool(match["thing"]))
        name = language if speaks else country
        _set_names(scan, "language" if speaks else "country", (name,) if name else (), avoid=bool(match["no"]))
    for _ in scan.take(rf"\bforeign(?:-language)?{_OF_THIS}?", "before"):
        scan.draft.avoid_name("language", scan.names.languages.get("english", "English"))


def people(scan: Scan) -> None:
    """'with Tom Hanks', 'by Spielberg', 'a Tom Hanks comedy'."""
    director = r"starring|featuring|directed by|written by|played by|from (?:the )?director|actor|actress|director"
    with_ = r"(?:something |anything |films? |movies? )?(?:with|by)"
    for lead, avoid, surnames in (
        (rf"(?:{NOT}|{DISLIKE})(?: with| by)?", True, True),
        (rf"(?:{director}|{with_})", False, True),
        (r"(?:of|also|and)", False, False),
    ):
        if scan.cautious and not surnames:
            return  # the search itself knows the names that stand alone
        place = 0
        while match := rule(rf"\b{lead} (?=\w)").search(scan.left, place):
            place = match.end()
            loose = surnames and not scan.cautious
            names, end = scan.names_at(match.end(), lambda words, loose=loose: _person(scan, words, loose=loose))  # type: ignore[misc]
            side = "before" if match[0].lower().startswith(("by", "from", "act", "director")) else "either"
            if names and scan.is_apart(match.start(), end, side):
                _set_people(scan, names, scan.left[match.end() : end], avoid=avoid)
                scan.cut(match.start(), end)
                place = match.start()
    for first in re.finditer(r"[^\s,;!?¦]+", scan.left):
        names, end = scan.names_at(first.start(), lambda words: _person(scan, words, loose=False))
        if names:
            _set_people(scan, names, scan.left[first.start() : end], avoid=False)
            scan.cut(first.start(), end)
            return


def _set_names(scan: Scan, kind: str, names: tuple[str, ...], *, avoid: bool) -> None:
    if avoid:
        for name in names:
            scan.draft.avoid_name(kind, name)
    elif names:
        scan.draft.want_name(kind, names)


def _known_language(scan: Scan, words: str) -> str | None:
    return scan.names.languages.get(fold(words))


def _known_country(scan: Scan, words: str) -> str | None:
    folded = fold(words)
    countries = scan.names.countries
    return countries.get(folded) or countries.get(fold(COUNTRY_WORDS.get(folded, "")))


def _set_people(scan: Scan, names: tuple[str, ...], words: str, *, avoid: bool) -> None:
    if avoid:
        for name in names:
            scan.draft.avoid_person(name)
    else:
        either = len(names) > 1 and bool(rule(r"\bor\b").search(words))
        scan.draft.want_people(names, either=either, instead=scan.instead)


def _person(scan: Scan, words: str, *, loose: bool) -> str | None:
    """A person by the full name; where `loose`, also by a surname that is written as one."""
    bare = re.sub(r"'s?$", "", words)
    if " " in bare:
        return scan.names.person(bare)
    if not loose:
        return None
    return scan.names.person(bare) or (scan.names.surnamed(bare) if bare[:1].isupper() else None)


def _values(scan: Scan, values: NDArray[np.int32], match: re.Match[str]) -> list[list[int]]:
    """What a comparison may be with, best first: the film named, the one to be like, those shown; known values only."""
    if match["than"]:
        groups = [scan.referred(match)]
    else:
        groups = [[scan.context.row_of(film) for film in scan.draft.like[-1:]], list(scan.context.shown)]
    return [[int(values[row]) for row in group if values[row]] for group in groups]


def _beyond(scan: Scan, kind: str, groups: list[list[int]], *, below: bool, step: int) -> None:
    """Older or newer, shorter or longer: beyond the first group that the present limit does not lie beyond already."""
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


def _side_of(match: re.Match[str], low: int, high: int) -> tuple[int | None, int | None]:
    """The years on the side that a match names of those from `low` to `high`."""
    side = match["side"].lower()
    if side in _BEFORE:
        return None, low - 1
    if side in _AFTER:
        return high + 1, None
    if side in ("until", "up to"):
        return None, high
    return (low, None) if side == "since" or match["on"] else (low, high)


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
