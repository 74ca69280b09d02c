"""A conversation: what was said, the request as chips that can be changed, the answer, the question back."""

from __future__ import annotations

from collections.abc import Sequence

from ..client import Json, Reply
from .films import card
from .words import call, label, result, text

_SHOWN_SAYINGS = 6
_FILMS_APART = 3  # more films left out than this are folded away


def chat_answer(reply: Reply, base_url: str, said: Sequence[str]) -> str:
    """The answer to a turn; `said` is what the person has said so far, the last thing last.

    `data-off` and `data-part` hold the id of a chip to remove or to change, `data-example` a message to send.
    """
    answer = reply.answer
    look = "mt-notice" if answer["nothing_fits"] else "mt-reply"
    parts = [
        _said(said),
        _request(answer["chips"]),
        f"<p class='{look}' role='status'>{text(answer['reply'])}</p>",
        _question(answer["question"]),
    ]
    if answer["films"]:
        cards = (
            card(film, number=number, after=_turns(film, number)) for number, film in enumerate(answer["films"], 1)
        )
        parts.append(f"<ul class='mt-wall mt-wall-said'>{''.join(cards)}</ul>")
        parts.append(f"<p class='mt-actions'>{_say('More films', 'more')}</p>")
    parts.append(call(reply, base_url))
    return result("".join(parts))


def _said(said: Sequence[str]) -> str:
    shown = "".join(f"<li>{text(words)}</li>" for words in said[-_SHOWN_SAYINGS:])
    return f"<ol class='mt-said' aria-label='You said'>{shown}</ol>" if shown else ""


def _request(chips: Sequence[Json]) -> str:
    if not chips:
        return ""
    films = [chip for chip in chips if chip["kind"] == "excluded"]
    folded = films if len(films) > _FILMS_APART else []
    shown = "".join(_chip(chip) for chip in chips if chip not in folded)
    away = ""
    if folded:
        inner = f"<div class='mt-request'>{''.join(map(_chip, folded))}</div>"
        away = f"<details class='mt-details'><summary>{len(folded)} films left out</summary>{inner}</details>"
    over = "<button type='button' class='mt-over' data-example='start over'>Start over</button>"
    return f"<div class='mt-request' role='group' aria-label='The request as understood'>{shown}{over}</div>{away}"


def _chip(chip: Json) -> str:
    words, key = text(chip["label"]), text(chip["id"])
    return (
        f"<span class='mt-part'><button type='button' class='mt-part-words' data-part='{key}' "
        f"title='Change it'>{words}</button><button type='button' class='mt-part-off' data-off='{key}' "
        f"aria-label='Remove {words}'>✕</button></span>"
    )


def _question(question: Json | None) -> str:
    if question is None:
        return ""
    buttons = []
    for suggestion in question["suggestions"]:
        count = suggestion["films"]
        films = "" if count is None else f" <span class='mt-quiet'>{count:,} film{'s' * (count != 1)}</span>"
        buttons.append(
            f"<button type='button' class='mt-example mt-example-text' data-example='{text(suggestion['message'])}'>"
            f"{text(suggestion['label'])}{films}</button>"
        )
    return (
        f"<div class='mt-question'><p class='mt-examples-label'>{text(question['text'])}</p>"
        f"<div class='mt-examples'>{''.join(buttons)}</div></div>"
    )


def _turns(film: Json, number: int) -> str:
    """What can be said about a film of the wall with a click."""
    named = label(film)
    more = _say("More like it", f"more like number {number}", f"More like {named}")
    return f"<span class='mt-turns'>{more}{_say('Not this', f'not number {number}', f'Not {named}')}</span>"


def _say(words: str, message: str, spoken: str = "") -> str:
    aria = f" aria-label='{text(spoken)}'" if spoken else ""
    return f"<button type='button' data-example='{text(message)}'{aria}>{text(words)}</button>"
