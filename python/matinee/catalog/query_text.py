"""From what people type to FTS5 queries. User text is data, never query syntax."""

from __future__ import annotations

import re

MAX_QUERY_TERMS = 96
"""Distinct words of a text that are looked up; a plot-length request has fewer."""

_TITLE_OR_NAMES = 6  # telling words; longer texts are descriptions

_SCANNED_CHARACTERS = 20_000
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")

# Words in most plots: they cost time and find nothing. (The common English function words.)
_COMMON = """a about after all also am an and any are as at be because been before being between both but by can could
did do does doing for from get had has have having he her here him his how i if in into is it its just like me more
most my no not of off on or other our out over own she so some such than that the their them then there these they this
those through to too under up very was we were what when where which while who whom why will with would you
your film films movie movies something"""
STOP_WORDS = frozenset(_COMMON.split())
# What people say around a film that they half remember. These words are rare in plots, and so BM25 would think much
# of them; as the few words of a title they count.
_TALK = """able actor actors actress actually advance ago already always american anybody anyone anything appreciated
around ask asked basically began beginning believe bit black bugging cable came cant channel character characters child
childhood clip clue color colour couldnt could couple crazy decade definitely describe description detail details didnt
doesnt dont dvd early edit else end ended ending english exact exactly fairly feel figure find forget forgot forgotten
found google googled guess happened hazy heard hello help hey hi hope idea im imdb isnt ive kid kind kinda know known
late later least live long look looked looking lot main may maybe memories memory mention mid middle might movies
name named names netflix night old older once order part particular parts perhaps please plot plus point possibly
pretty probably quite random rather read real really recall recalled recent recently reddit release released remember
remembered remind reminded rent rented said saw say scene scenes search searched searching seem seemed seems seen set
similar since solved somebody someone somewhere sort sorry start started starts story stuff sure tape television thank
thanks thats theres thing things think though thought time title told tomt tried trying tv type unsure used vague
vaguely version vhs video wanted wasnt watch watched watching went whatever white whole wondering wont wrong year years
yes younger"""
_TALK_WORDS = frozenset(_TALK.split())


def query_terms(text: str) -> list[str]:
    """Distinct words of `text` in order, lower case, common words dropped unless nothing else is left."""
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(text[:_SCANNED_CHARACTERS])))
    telling = [word for word in words if word not in STOP_WORDS]
    return (telling or words)[:MAX_QUERY_TERMS]


def description_terms(text: str) -> list[str] | None:
    """The telling words of a text too long for a title or a name: talk about remembering and watching dropped.

    None for a shorter text, whose every word counts.
    """
    terms = query_terms(text)
    if len(terms) <= _TITLE_OR_NAMES:
        return None
    telling = query_terms(_APOSTROPHE.sub("", text))
    telling = [term for term in telling if term not in _TALK_WORDS and len(term) > 1]
    return telling or terms


def any_term_query(terms: list[str]) -> str | None:
    """FTS5 query for rows holding at least one of the terms; None without terms."""
    return " OR ".join(f'"{term}"' for term in terms) or None


def prefix_query(text: str) -> str | None:
    """FTS5 query for rows holding every word of `text`, the last by its first letters; None without words."""
    words = _WORD.findall(text[:_SCANNED_CHARACTERS])[:MAX_QUERY_TERMS]
    if not words:
        return None
    quoted = [f'"{word}"' for word in words]
    return " ".join([*quoted[:-1], quoted[-1] + "*"])
