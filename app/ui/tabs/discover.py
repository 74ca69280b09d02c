"""Discover: a request in plain language, answered from one index of plots and posters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from .. import html
from ..client import Call, Reply
from ..client import discover as discover_call
from ..parts import CLICKS, Filters, Pages, filters, given, on

_MISSING = "Say what you would like to see, in your own words."


def build(pages: Pages) -> None:
    """Lays out the tab and connects it."""
    with gr.Row(elem_classes="mt-search"):
        query = gr.Textbox(
            label="What would you like to see?",
            placeholder="a slow heist in the rain, nineties, nobody dies",
            elem_id="discover-query",
            scale=5,
            min_width=280,
            lines=1,
            max_lines=4,
            submit_btn=False,
        )
        button = gr.Button("Discover films", variant="primary", elem_id="discover-run", scale=1, min_width=160)
    chosen = filters(pages, "discover")
    facets = gr.Checkbox(
        True, label="Filter by what the words say: “in French”, “no horror”", elem_id="discover-facets"
    )
    examples = gr.HTML("", elem_id="discover-examples", js_on_load=CLICKS, apply_default_css=False)
    pages.on_load.append((examples, lambda found: html.text_examples(found.requests)))
    result = pages.result("Films appear here, best first, each with the reason it was found.", "discover-result")

    def run(words: str, facets: bool, *filter_values: Any) -> Iterator[str]:
        call = _call(words, facets, filter_values)
        yield from pages.answer("Looking through plots and posters…", call, _show(pages, words), _MISSING)

    def run_example(event: gr.EventData, facets: bool, *filter_values: Any) -> Iterator[tuple[str, str]]:
        for shown in run(event.example, facets, *filter_values):
            yield event.example, shown

    on(button.click, run, [query, facets, *chosen.inputs], result)
    on(query.submit, run, [query, facets, *chosen.inputs], result)
    on(examples.select, run_example, [facets, *chosen.inputs], [query, result])


def _call(words: str, facets: bool, filter_values: tuple[Any, ...]) -> Call | None:
    query = given(words)
    return discover_call(query, k=18, where=Filters.where(*filter_values), facets=facets) if query else None


def _show(pages: Pages, words: str) -> Any:
    def show(reply: Reply) -> str:
        return html.film_list(reply, pages.public_url, heading=f"For “{words.strip()}”")

    return show
