"""Text made safe, numbers made readable, and what a page says while it works or when it cannot."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from ..client import Problem, Reply
from ..snippets import as_curl, as_python

_PLACE = re.compile(r"^(?:[a-z_.0-9]+: )+(?=expected )")


def text(value: object) -> str:
    """Escaped for HTML text and attributes. Braces too: the page's templates must not find theirs in a plot."""
    return escape(str(value), quote=True).replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;")


def label(film: Mapping[str, Any]) -> str:
    """Title and year, not escaped: Alien (1979)."""
    return f"{film['title']} ({film['year']})" if film.get("year") else str(film["title"])


def percent(value: float) -> str:
    """A probability for people, who need no more than two digits: 7 %, <1 %."""
    if 0 < value < 0.01:
        return "<1 %"
    if 0.99 < value < 1:
        return ">99 %"
    return f"{100 * value:.0f} %"


def hint(words: str) -> str:
    """What to do first, where nothing has been done yet or something is missing."""
    return f"<p class='mt-hint' role='status'>{text(words)}</p>"


def working(words: str) -> str:
    """An action was heard."""
    return f"<p class='mt-hint mt-working' role='status' aria-live='polite'>{text(words)}</p>"


def problem_card(problem: Problem) -> str:
    """An error in words, with the id to quote."""
    quoted = f"<p class='mt-quiet'>Request id {text(problem.request_id)}</p>" if problem.request_id else ""
    return (
        f"<div class='mt-problem' role='alert'><strong>{text(problem.title)}</strong>"
        f"<p>{text(plain(problem.detail))}</p>{quoted}</div>"
    )


def call(reply: Reply, base_url: str) -> str:
    """The call and its raw answer, one click away."""
    curl, python = as_curl(reply.call, base_url), as_python(reply.call, base_url)
    raw = json.dumps(reply.answer, indent=2, ensure_ascii=False)
    buttons = "".join(
        f"<button type='button' data-copy='{text(source)}'>Copy as {name}</button>"
        for name, source in (("curl", curl), ("Python", python), ("JSON", raw))
    )
    return (
        "<details class='mt-details mt-call'><summary>The call and its raw answer</summary>"
        f"<p class='mt-actions'>{buttons}</p><pre>{text(curl)}</pre><pre class='mt-json'>{text(raw)}</pre></details>"
    )


def plain(message: str) -> str:
    """A message of ours without the function and parameter it begins with: for people, not for callers.

    "decode_rgb: data: expected JPEG, got nothing" becomes "Expected JPEG, got nothing".
    """
    words = _PLACE.sub("", message)
    return words[:1].upper() + words[1:]


def result(inner: str) -> str:
    """The frame of an answer; tests and screen readers wait for it."""
    return f"<div class='mt-result' aria-live='polite'>{inner}</div>"
