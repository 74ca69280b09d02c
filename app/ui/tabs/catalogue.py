"""Catalogue: every film, by title or people."""

from __future__ import annotations

from typing import Any

import gradio as gr

from .. import html
from ..client import Problem
from ..parts import Pages, on

_PAGE = 24


def build(pages: Pages, tab: gr.Tab) -> None:
    """Lays out the tab and connects it."""
    with gr.Row(elem_classes="mt-search"):
        query = gr.Textbox(
            label="Title or people",
            placeholder="Leave empty for all films",
            elem_id="catalogue-query",
            scale=5,
            min_width=280,
            lines=1,
            max_lines=1,
        )
        button = gr.Button("Search", variant="primary", elem_id="catalogue-run", scale=1, min_width=160)
    result = pages.result("The catalogue's films appear here.", "catalogue-result")
    more = gr.Button("Show more", elem_id="catalogue-more", visible=False)
    # What was searched for, the films so far, and where the next page begins.
    shown = gr.State({"query": "", "films": [], "next": None})

    def page(words: str, films: list[Any], offset: int) -> tuple[str, Any, Any]:
        try:
            answer = pages.api.films(words.strip(), k=_PAGE, offset=offset)
        except Problem as problem:
            return html.problem_card(problem), gr.update(visible=False), gr.skip()
        every = [*films, *({**film, "why": _line(film)} for film in answer["films"])]
        if not every:
            content = html.hint(f"No film has “{words.strip()}” in its title or among its people.")
        else:
            content = html.wall(every)
        state = {"query": words, "films": every, "next": answer["next_offset"]}
        return content, gr.update(visible=answer["next_offset"] is not None), state

    def search(words: str) -> tuple[str, Any, Any]:
        return page(words, [], 0)

    def next_page(state: dict[str, Any]) -> tuple[str, Any, Any]:
        return page(state["query"], state["films"], state["next"] or 0)

    def first_page(state: dict[str, Any]) -> tuple[str, Any, Any]:
        return (gr.skip(), gr.skip(), gr.skip()) if state["films"] else search("")

    outputs = [result, more, shown]
    on(button.click, search, [query], outputs)
    on(query.submit, search, [query], outputs)
    on(more.click, next_page, [shown], outputs, trigger_mode="once")  # an impatient double click means one page
    on(tab.select, first_page, [shown], outputs)


def _line(film: dict[str, Any]) -> str:
    directors = [person["name"] for person in film["people"] if person["role"] == "director"]
    parts = [", ".join(film["genres"][:3]), f"by {directors[0]}" if directors else ""]
    return " · ".join(part for part in parts if part)
