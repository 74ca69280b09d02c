"""From what people type to FTS5 queries. User text is data, never query syntax."""

from __future__ import annotations

import re

MAX_QUERY_TERMS = 48
"""Distinct words of a text that are looked up; a plot-length request has fewer."""

_SCANNED_CHARACTERS = 20_000
_WORD = re.compile(r"[^\W_]+", re.UNICODE)

# Words in most plots: they cost time and find nothing. (The common English function words.)
_COMMON = """a about after all also am an and any are as at be because been before being between both but by can could
did do does doing for from get had has have having he her here him his how i if in into is it its just like me more
most my no not of off on or other our out over own she so some such than that the their them then there these they this
those through to too under up very was we were what when where which while who whom why will with would you
your film films movie movies something"""
STOP_WORDS = frozenset(_COMMON.split())


def query_terms(text: str) -> list[str]:
    """Distinct words of `text` in order, lower case, common words dropped unless nothing else is left."""
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(text[:_SCANNED_CHARACTERS])))
    telling = [word for word in words if word not in STOP_WORDS]
    return (telling or words)[:MAX_QUERY_TERMS]


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
