"""Chat: several turns refine one request, which stands above the answer as chips that can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import gradio as gr

from .. import html
from ..client import Json, Problem
from ..client import chat as chat_call
from ..examples import Examples
from ..parts import CLICKS, Pages, given, on

_MISSING = "Say what you would like to see, in your own words."
_FIRST = "Say what you are in the mood for; then refine it: “but funnier”, “older”, “not that one”, “in French”."

# A chip's ✕ is the event `delete`. Its words become an input; what is typed there is the event `edit`.
_CHIP_CLICKS = """
element.addEventListener('click', (event) => {
  const off = event.target.closest('[data-off]');
  if (off) return trigger('delete', {chip: off.dataset.off});
  const part = event.target.closest('[data-part]');
  if (!part) return;
  const input = document.createElement('input');
  input.value = part.textContent;
  input.size = Math.max(6, input.value.length);
  input.className = 'mt-part-input';
  input.setAttribute('aria-label', `Change ${part.textContent}`);
  let done = false;
  const finish = (keep) => {
    if (done) return;
    done = true;
    const words = input.value.trim();
    input.replaceWith(part);
    if (keep && words && words !== part.textContent) trigger('edit', {chip: part.dataset.part, words});
    else part.focus();
  };
  input.addEventListener('keydown', (pressed) => {
    if (pressed.key === 'Enter') finish(true);
    else if (pressed.key === 'Escape') finish(false);
  });
  input.addEventListener('blur', () => finish(false));
  part.replaceWith(input);
  input.select();
});
"""


def build(pages: Pages) -> None:
    """Lays out the tab and connects it."""
    with gr.Row(elem_classes="mt-search"):
        query = gr.Textbox(
            label="What would you like to see?",
            placeholder="something like Alien, but funnier",
            elem_id="chat-query",
            scale=5,
            min_width=280,
            lines=1,
            max_lines=4,
            submit_btn=False,
        )
        button = gr.Button("Say it", variant="primary", elem_id="chat-run", scale=1, min_width=160)
    examples = gr.HTML("", elem_id="chat-examples", js_on_load=CLICKS, apply_default_css=False)
    pages.on_load.append((examples, lambda found: html.text_examples(_openings(found))))
    result = gr.HTML(
        html.hint(_FIRST),
        elem_id="chat-result",
        js_on_load=CLICKS + _CHIP_CLICKS,
        apply_default_css=False,
        elem_classes="mt-answer",
    )
    pages.opens_films(result)
    # What was said, the state to send back, and the chips last shown.
    talk = gr.State({"said": [], "state": None, "chips": []})
    outputs = [result, talk, query, examples]

    def turn(before: Json, message: str, state: Json | None, said: str) -> Iterator[list[Any]]:
        yield [html.working("Looking through plots and posters…"), gr.skip(), "", ""]
        call = chat_call(message, state=state)
        try:
            reply = pages.api.send(call)
        except Problem as problem:
            yield [html.problem_card(problem), gr.skip(), message, gr.skip()]
            return
        answer = reply.answer
        over = not answer["chips"] and message.lower().startswith("start over")
        after = {
            "said": [] if over else [*before["said"], said],
            "state": answer["state"],
            "chips": answer["chips"],
        }
        yield [html.chat_answer(reply, pages.public_url, after["said"]), after, gr.skip(), gr.skip()]

    def say(words: str, before: Json) -> Iterator[list[Any]]:
        message = given(words)
        if message is None:
            missing = gr.skip() if before["said"] else html.hint(_MISSING)
            yield [missing, gr.skip(), gr.skip(), gr.skip()]
        else:
            yield from turn(before, message, before["state"], message.strip())

    def say_example(event: gr.EventData, before: Json) -> Iterator[list[Any]]:
        yield from turn(before, event.example, before["state"], event.example)

    def remove(event: gr.EventData, before: Json) -> Iterator[list[Any]]:
        chip = _chip(before, event.chip)
        if chip is not None:
            yield from turn(before, "", without(before["state"], chip), f"forget {chip['label']}")

    def edit(event: gr.EventData, before: Json) -> Iterator[list[Any]]:
        chip = _chip(before, event.chip)
        if chip is not None:
            said = f"{event.words} instead of {chip['label']}"
            yield from turn(before, event.words, without(before["state"], chip), said)

    on(button.click, say, [query, talk], outputs)
    on(query.submit, say, [query, talk], outputs)
    on(examples.select, say_example, [talk], outputs)
    on(result.select, say_example, [talk], outputs)
    on(result.delete, remove, [talk], outputs)
    on(result.edit, edit, [talk], outputs)


def without(state: Json, chip: Json) -> Json:
    """The state without a chip."""
    changed = deepcopy(state)
    *way, last = chip["path"].split(".")
    holder = changed["understood"]
    for key in way:
        holder = holder[key]
    held, value = holder[last], chip["value"]
    if isinstance(held, list):
        gone = value if isinstance(value, list) else [value]
        holder[last] = [item for item in held if item not in gone]
    else:
        holder[last] = {key: end for key, end in held.items() if key not in value}
    return changed


def _chip(talk: Json, chip_id: str) -> Json | None:
    """A chip last shown; None for one of an answer that is no longer there."""
    return next((chip for chip in talk["chips"] if chip["id"] == chip_id), None)


def _openings(found: Examples) -> list[str]:
    """A likeness, a kind and time, and nothing in particular."""
    like = [f"something like {html.label(film)}" for film in found.films[:1]]
    return [*like, *found.requests[1:2], "something good"]
