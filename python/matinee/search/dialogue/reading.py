"""Reads a message: what it changes in the request, by rules that each take the words they understand.

What no rule takes and is more than filler is what the film should be about. Names (titles, people, genres, languages,
countries) are those of the catalogue; a title is turned into a film id here and never seen again.
"""

from __future__ import annotations

import re

from matinee.search.dialogue import read_facets, read_films, read_kinds, read_spans
from matinee.search.dialogue.draft import Draft
from matinee.search.dialogue.scan import Context, Reading, Scan, rule
from matinee.search.dialogue.state import Understood, without_chip
from matinee.search.dialogue.vocabulary import Vocabulary
from matinee.search.discover import Facets

MAX_TERSE_WORDS = 40
"""A longer message is a description: what it says of years and languages is half remembered, so none is a filter."""

_STRAIGHT = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": "-", "—": ",", "¦": " ", "\0": " "}
)
_RESTART = (
    r"^(?:please )?(?:let'?s )?(?:start (?:over|again|afresh)|reset|restart|new search|clear(?: all| everything)?|"
    r"forget (?:it|all|everything|all (?:of )?that)|begin again|from scratch)\b[ ,.;:!]*(?:with |please\b)?"
)
_MORE = (
    r"^(?:(?:please )?(?:show|give)(?: me)? )?(?:(?:some )?more(?: of (?:them|these|those))?|"
    r"(?:the )?next(?: (?:page|ones?))?|(?:some )?others?(?: ones?)?|something else|anything else|what else|"
    r"(?:more|other) (?:films|movies|options|suggestions|results))(?: please)?[ .!?]*$"
)
_FORGET = r"^(?:forget|drop|remove|leave out|ignore)(?: about)?(?: the)? (?P<label>.+?)[.!]?$"
_INSTEAD = r"\b(?:instead|rather|actually|make (?:it|that) an?)\b"

_FACTS = (
    read_spans.some_of_a_kind,
    read_spans.years,
    read_spans.runtime,
    read_facets.certificate,
    read_facets.languages,
    read_facets.people,
)
_FACETS = (*_FACTS, read_kinds.genres, read_kinds.unwanted)
_RULES = (
    read_films.titles,
    read_films.references,
    read_facets.anything,
    *_FACTS,
    read_kinds.tones,
    read_kinds.genres,
    read_kinds.unwanted,
    read_kinds.rest,
)


def read(message: str, asked: Understood, context: Context) -> Reading:
    """What `message` makes of the request `asked`."""
    words = _plain(message)
    reading = Reading(asked)
    if len(words.split()) > MAX_TERSE_WORDS:
        draft = Draft(asked)
        draft.tell(" ".join(message.split()), instead=False)
        return Reading(draft.understood(), changed=True)
    if rule(_MORE).match(words):
        reading.more = True
        return reading
    if _forget_chips(words, reading, context):
        return reading
    if match := rule(_RESTART).match(words):
        reading.restart = True
        words = words[match.end() :]
    before = Understood() if reading.restart else asked
    scan = Scan(words, context, Draft(before), reading, instead=bool(rule(_INSTEAD).search(words)))
    for take in _RULES:
        take(scan)
    reading.understood = scan.draft.understood()
    reading.changed |= reading.understood != before or reading.restart
    return reading


def read_sentence(text: str, vocabulary: Vocabulary) -> Facets:
    """The filters and negations that one request for discovery holds, and what it says besides.

    Only what stands apart from the story is one: "a comedy from Japan", not "a girl from Japan falls in love".
    """
    words = _plain(text)
    if len(words.split()) > MAX_TERSE_WORDS:
        return Facets(text)
    asked = Understood()
    context = Context(vocabulary, (), str, int, ())
    scan = Scan(words, context, Draft(asked), Reading(asked), cautious=True)
    for take in _FACETS:
        take(scan)
    found = scan.draft.understood()
    if found == asked:
        return Facets(text)
    about = ", ".join(read_kinds.left_over(scan))
    return Facets(about, found.where, found.not_about, best_known=vocabulary.by_fame.tolist())


def _plain(message: str) -> str:
    return " ".join(message.translate(_STRAIGHT).split())


def _forget_chips(words: str, reading: Reading, context: Context) -> bool:
    """'forget before 1979', 'forget comedy and forget in French': parts of the request by their labels."""
    chips = []
    for part in re.split(r" and (?=forget )", words):
        match = rule(_FORGET).match(part)
        label = match["label"].strip("\"' ").lower() if match else ""
        chips += [chip for chip in context.chips if chip.label.translate(_STRAIGHT).lower() == label][:1]
    for chip in chips:
        reading.understood = without_chip(reading.understood, chip)
    reading.changed = bool(chips)
    return bool(chips)
