"""The pages as a whole: the frame, the tabs in the order people need them, the open film beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import gradio as gr

from . import html
from .client import ApiClient, Problem
from .examples import Examples, find_examples
from .parts import CLICKS, Pages, on
from .tabs import about, catalogue, chat, discover, genres, similar

# Tab id (which is its deep link, /#id) -> what stands on it.
TABS = {
    "discover": "Discover",
    "chat": "Chat",
    "poster": "Poster",
    "plot": "Plot",
    "both": "Poster and plot",
    "similar": "Similar",
    "check": "Poster check",
    "catalogue": "Catalogue",
    "about": "About",
}


def build_pages(api: ApiClient, public_url: str) -> gr.Blocks:
    """All pages, as clients of `api`. Nothing is asked of it before a person opens one."""
    with gr.Blocks(title="Matinee", fill_width=True, analytics_enabled=False, delete_cache=(3600, 86400)) as blocks:
        header = gr.HTML(html.header(None), elem_id="mt-frame", apply_default_css=False)
        banner = gr.HTML("", elem_id="mt-banner", apply_default_css=False)
        film = gr.HTML("", elem_id="mt-film", js_on_load=CLICKS, apply_default_css=False, render=False)
        with gr.Tabs(elem_id="mt-tabs", overflow_behavior="wrap") as tabs:
            pages = Pages(api, public_url, tabs, film)
            built: dict[str, Any] = {}
            for tab_id, name in TABS.items():
                with gr.Tab(name, id=tab_id, elem_id=f"tab-{tab_id}", render_children=True) as tab:
                    built[tab_id] = _BUILDERS[tab_id](pages, tab)
        film.render()  # type: ignore[no-untyped-call]
        _connect_film(pages, built["similar"], built["both"])

        def load() -> Iterator[list[Any]]:
            try:
                info = api.info()
            except Problem as problem:
                yield [html.header(None, problem), "", *[gr.skip() for _ in pages.on_load]]
                return
            frame = [html.header(info), html.demo_banner(info)]
            try:
                found = find_examples(api)
            except Problem:
                found = Examples()  # the pages work without
            yield [*frame, *[fill(found) for _, fill in pages.on_load]]

        on(blocks.load, load, None, [header, banner, *[component for component, _ in pages.on_load]])
    return blocks  # type: ignore[no-any-return]


_BUILDERS: dict[str, Callable[[Pages, gr.Tab], Any]] = {
    "discover": lambda pages, tab: discover.build(pages),
    "chat": lambda pages, tab: chat.build(pages),
    "poster": lambda pages, tab: genres.build_poster(pages),
    "plot": lambda pages, tab: genres.build_plot(pages),
    "both": lambda pages, tab: genres.build_both(pages),
    "similar": lambda pages, tab: similar.build(pages),
    "check": lambda pages, tab: genres.build_check(pages),
    "catalogue": catalogue.build,
    "about": about.build,
}


def _connect_film(pages: Pages, similar_tab: similar.SimilarTab, both_tab: genres.BothTab) -> None:
    """An open film can start the next search; the page has closed it by then, and the search's tab opens."""

    def more_like_it(event: gr.EventData) -> Iterator[list[Any]]:
        try:
            for chooser, shown in similar_tab.run_film(pages.api.film(event.film)):
                yield [gr.Tabs(selected="similar"), gr.skip(), chooser, shown]
        except Problem as problem:
            yield [gr.skip(), html.film_problem(uuid4().hex, problem), gr.skip(), gr.skip()]

    def predict(event: gr.EventData) -> Iterator[list[Any]]:
        try:
            for path, words, shown in both_tab.run_film(pages.api.film(event.film)):
                yield [gr.Tabs(selected="both"), gr.skip(), path, words, shown]
        except Problem as problem:
            yield [gr.skip(), html.film_problem(uuid4().hex, problem), None, gr.skip(), gr.skip()]

    pages.opens_films(pages.film)
    on(pages.film.submit, more_like_it, None, [pages.tabs, pages.film, similar_tab.films, similar_tab.result])
    on(pages.film.input, predict, None, [pages.tabs, pages.film, both_tab.image, both_tab.plot, both_tab.result])
