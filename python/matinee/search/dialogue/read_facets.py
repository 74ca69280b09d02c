"""Rules about facts of films: certificates, languages, countries, people; and facts that matter no longer."""

from __future__ import annotations

import re

from matinee.catalog.frozen import fold
from matinee.search.dialogue.scan import DISLIKE, NOT, OF_THIS, Scan, rule
from matinee.search.dialogue.words import (
    COUNTRY_WORDS,
    DEMONYMS,
    GENRE_WORD,
    PLAIN_TONES,
)

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
        rf"{no}\b(?:an? |something |some )?(?P<name>{adjective})(?P<thing>{thing})(?: cinema\b|{OF_THIS})?",
        "before",
    ):
        language = scan.names.languages.get(fold(match["name"]))
        country = scan.names.countries.get(fold(DEMONYMS.get(match["name"].lower(), "")))
        speaks = bool(language) and (not country or bool(match["thing"]))
        name = language if speaks else country
        _set_names(scan, "language" if speaks else "country", (name,) if name else (), avoid=bool(match["no"]))
    for _ in scan.take(rf"\bforeign(?:-language)?{OF_THIS}?", "before"):
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
