"""Rules about what a film is like: tones, genres, what it must not hold, and whatever is left as what it is about."""

from __future__ import annotations

import re

from matinee.catalog.frozen import fold
from matinee.search.dialogue.scan import CUT, DISLIKE, NOT, Scan, rule
from matinee.search.dialogue.state import TONES
from matinee.search.dialogue.vocabulary import Vocabulary
from matinee.search.dialogue.words import (
    FILLER,
    FILLER_AFTER,
    FILLER_BEFORE,
    GENRE_WORD,
    GENRE_WORDS,
    NOUN_GENRES,
    TONE_WORDS,
)

_DEGREE = r"(?:a (?:bit|little|lot)|much|even|slightly|somewhat|something|way|make it|but)"
_FILM = r"(?:[- ](?:films?|movies?|flicks?|stor(?:y|ies)|ones?)\b)?"
_GENRE_MAY_END = r"\s*(?:$|[,;.!?¦\0]|\b(?:about|but|and|set|from|with|like|that|in)\b)"
_OF_STORIES = (
    "(?:an?|the|one|his|hers?|theirs?|its?|my|our|him|them|being|ever|only|longer|more|other)"  # 'without a past'
)
_NOUN_BEFORE = rule(r"\b(?:the|of|during|in|about|his|her|their|at)$")


def tones(scan: Scan) -> None:
    """'funnier', 'less violent', 'not too dark'."""
    for tone in TONES:
        comparatives = TONE_WORDS[tone].comparatives
        for _ in scan.take(rf"\b(?:{_DEGREE} )?(?:{comparatives})(?: (?:ones?|films?|movies?)\b)?(?!\w)"):
            scan.draft.lean(tone)
    for tone in TONES:
        if plain := TONE_WORDS[tone].plain:
            for _ in scan.take(rf"\b(?:(?:not|nothing)(?: too| so| that| very| really)?|too|no) (?:{plain})\b"):
                scan.draft.lean(TONE_WORDS[tone].opposite)


def genres_named(names: Vocabulary, words: str) -> tuple[str, ...]:
    """The genres that these words name, as the catalogue writes them; nothing where it has not all of them."""
    folded = fold(words)
    if folded in names.genres:
        return (names.genres[folded],)
    for pattern, canonical in GENRE_WORDS.items():
        if rule(pattern).fullmatch(folded):
            known = tuple(names.genres[fold(name)] for name in canonical if fold(name) in names.genres)
            return known if len(known) == len(canonical) else ()
    return ()


def genres(scan: Scan) -> None:
    """'a comedy', 'horror or thriller', 'no musicals'."""
    own = "|".join(map(re.escape, sorted(scan.names.genres, key=len, reverse=True)))
    word = rf"(?:{GENRE_WORD}|{own})" if own else GENRE_WORD
    no = rf"\b(?:{NOT}|{DISLIKE}|less|too much)(?: an?| another| any| too much| more| into)? "
    more = rf"(?:(?:,| or| and|, or|, and| nor) (?:no )?{word}{_FILM})*"
    for match in scan.take(rf"{no}(?P<genres>{word}{_FILM}{more})(?!\w)"):
        for part in _parts(match["genres"], word):
            for genre in genres_named(scan.names, part):
                scan.draft.avoid_genre(genre)
    pattern = rule(
        rf"(?<![\w-])(?:(?:an?|some|more|any|pure) )?(?P<genres>{word}(?:(?:/|, ?| or | and |-| ){word})*)"
        rf"(?P<noun>{_FILM})(?![\w-])"
    )
    wanted: list[str] = []
    either = False
    for match in list(pattern.finditer(scan.left)):
        named = [genres_named(scan.names, part) for part in _parts(match["genres"], word)]
        if all(named) and _stands_as_genre(scan, match, len(named)):
            wanted += [name for group in named for name in group]
            either |= bool(rule(r"\bor\b").search(match["genres"]))
            # The same length, for the matches still to come.
            scan.left = scan.left[: match.start()] + "\0" * len(match[0]) + scan.left[match.end() :]
    scan.left = re.sub("\0+", CUT, scan.left)
    if wanted:
        scan.draft.want_genres(tuple(dict.fromkeys(wanted)), either=either, instead=scan.instead)


def _parts(words: str, word: str) -> list[str]:
    return [match[0] for match in rule(rf"(?<![\w-]){word}(?!\w)").finditer(words)]


def _stands_as_genre(scan: Scan, match: re.Match[str], count: int) -> bool:
    """Whether a genre that is an ordinary noun, too, stands as one: 'a war film', 'war', not 'during the war'."""
    if match["noun"] or (count > 1 and not scan.cautious):
        return True
    nouns = {part.strip() for part in rule(r"/|,|-|\bor\b|\band\b").split(match["genres"].lower())} & NOUN_GENRES
    if scan.cautious and nouns and not scan.is_apart(match.start(), match.end(), "before"):
        return False
    if not nouns:
        ends = rule(_GENRE_MAY_END).match(scan.left, match.end())
        return not scan.cautious or (bool(ends) and not _NOUN_BEFORE.search(scan.left[: match.start()].rstrip()))
    before = scan.left[: match.start()].rstrip()
    alone = not before or before[-1] in "¦,;." or fold(before.split()[-1].strip(",")) in FILLER
    return alone and bool(rule(_GENRE_MAY_END).match(scan.left, match.end())) and not _NOUN_BEFORE.search(before)


def unwanted(scan: Scan) -> None:
    """'no zombies': words that title, keywords and plot must not hold."""
    word = r"[^\W_][\w'-]*"
    cue = rf"\b(?:{NOT}|{DISLIKE})(?: any| too much| too many| about| with| an?| another| the)?"
    if scan.cautious:  # "a man without a past" and "he is not alone" are stories
        cue = r"\b(?:no|not about|not with|nothing about|nothing with|without)(?: any| too much| too many)?"
        cue += rf"(?! {_OF_STORIES}\b)"
    wish = rf"{cue} (?P<words>{word}(?: {word}){{0,2}})(?= *(?:$|[,;.!?¦]| and\b| but\b))"
    for match in scan.take(wish, "before"):
        words = rule(r"(?: please| anymore| at all)+$").sub("", match["words"])
        if any(fold(part) not in FILLER for part in words.split()):
            scan.draft.untell(words)


def left_over(scan: Scan) -> list[str]:
    """What no rule has taken and is more than filler, part by part."""
    parts = re.split(r"\s*(?:¦|[,;!?]|\.(?=\s|$))\s*", scan.left)
    return [part for part in map(_trimmed, parts) if part]


def rest(scan: Scan) -> None:
    """What no rule has taken: tones where a part is nothing else ('something funny'), else what the film is about."""
    told = []
    for part in left_over(scan):
        words = [word for word in part.split() if _bare(word) not in FILLER]
        leaning = [tone for word in words for tone in TONES if _is_plain(tone, word)]
        if words and len(leaning) == len(words):
            for tone in leaning:
                scan.draft.lean(tone)
        else:
            told.append(part)
    if told:
        scan.draft.tell(", ".join(told), instead=scan.instead)


def _is_plain(tone: str, word: str) -> bool:
    plain = next(words.plain for name, words in TONE_WORDS.items() if name == tone)
    return bool(plain) and bool(rule(plain).fullmatch(word))


def _trimmed(part: str) -> str:
    """A segment without filler at its ends; empty where it is filler and nothing else, or has no letter or digit."""
    words = part.split()
    bare = [_bare(word) for word in words]
    if all(word in FILLER or not any(map(str.isalnum, word)) for word in bare):
        return ""
    first = next(number for number, word in enumerate(bare) if word not in FILLER_BEFORE)
    last = max(number for number, word in enumerate(bare) if word not in FILLER_AFTER)
    return " ".join(words[first : last + 1]).strip(" -\"'")


def _bare(word: str) -> str:
    return word.lower().strip("'\"-().:").replace("'", "")
