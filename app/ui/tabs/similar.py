"""Similar films: by plot, by poster, by both; from films of the catalogue, a plot, a poster of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from .. import html
from ..client import Json, Problem, Reply
from ..client import similar as similar_call
from ..parts import Filters, Pages, filters, given, on, poster_input, read_image

_MISSING = {
    "plot": "Choose films or write a plot first, or click one of the examples.",
    "poster": "Choose films or a poster first, or click one of the examples.",
    "both": "Choose films, write a plot or choose a poster first, or click one of the examples.",
}
_WEIGHTS = {"plot": {"plot": 1.0, "poster": 0.0}, "poster": {"plot": 0.0, "poster": 1.0}}


@dataclass(frozen=True)
class SimilarTab:
    """The parts of the tab that a film can be sent to."""

    films: gr.Dropdown
    result: gr.HTML
    run_film: Callable[[Json], Iterator[tuple[Any, str]]]


def build(pages: Pages) -> SimilarTab:
    """Lays out the tab and connects it."""
    with gr.Row(elem_classes="mt-split"):
        with gr.Column(scale=2, min_width=300):
            films = gr.Dropdown(
                [],
                label="Films of the catalogue",
                info="Type a title; choose one or several.",
                multiselect=True,
                filterable=True,
                elem_id="similar-films",
            )
            plot = gr.Textbox(
                label="A plot of your own", lines=3, max_lines=10, elem_id="similar-text", placeholder="Optional"
            )
            with gr.Accordion("A poster of your own", open=False, elem_id="similar-poster-box"):
                image = poster_input("Poster", "similar-image")
            balance = gr.Slider(
                0, 100, 50, step=5, label="For both: how much the poster counts (%)", elem_id="similar-balance"
            )
            with gr.Row(elem_classes="mt-buttons"):
                both = gr.Button("Similar by both", variant="primary", elem_id="similar-both")
                by_plot = gr.Button("Similar by plot", elem_id="similar-plot")
                by_poster = gr.Button("Similar by poster", elem_id="similar-poster")
            chosen = filters(pages, "similar")
            examples = pages.film_examples("similar-examples")
        with gr.Column(scale=3, min_width=320):
            result = pages.result("Films like these appear here, best first.", "similar-result")

    def run(by: str, *values: Any) -> Iterator[str]:
        film_ids, words, path, share, *filter_values = values
        told = given(words) if by != "poster" else None
        content = read_image(path) if by != "plot" else None
        weights = _WEIGHTS.get(by, {"plot": 1 - share / 100, "poster": share / 100})
        call = None
        if film_ids or told or content is not None:
            call = similar_call(
                film_ids=film_ids or (),
                plot=told,
                image=content,
                weights=weights,
                k=15,
                where=Filters.where(*filter_values),
            )
        words_of = {"plot": "Similar by plot", "poster": "Similar by poster", "both": "Similar by plot and poster"}

        def show(reply: Reply) -> str:
            return html.film_list(reply, pages.public_url, heading=words_of[by])

        yield from pages.answer("Looking for films like these…", call, show, _MISSING[by])

    def run_film(film: Json) -> Iterator[tuple[Any, str]]:
        chooser = gr.update(choices=[(html.label(film), film["id"])], value=[film["id"]])
        for shown in run("both", [film["id"]], "", None, 50, [], [], None, None, None, ""):
            yield chooser, shown

    def run_example(event: gr.EventData) -> Iterator[tuple[Any, str]]:
        yield from run_film(pages.api.film(event.example))

    inputs = [films, plot, image, balance, *chosen.inputs]
    on(both.click, lambda *values: (yield from run("both", *values)), inputs, result)
    on(by_plot.click, lambda *values: (yield from run("plot", *values)), inputs, result)
    on(by_poster.click, lambda *values: (yield from run("poster", *values)), inputs, result)
    on(examples.select, run_example, None, [films, result])
    on(films.key_up, _offer(pages), [films], films)
    return SimilarTab(films, result, run_film)


def _offer(pages: Pages) -> Callable[..., Any]:
    """Films whose titles fit what is being typed; those already chosen stay choosable."""

    def offer(chosen: list[str], typed: gr.KeyUpData) -> Any:
        if not given(typed.input_value):
            return gr.skip()
        try:
            found = pages.api.films(typed.input_value, k=12)["films"]
            kept = [pages.api.film(film_id) for film_id in chosen or ()]
        except Problem:
            return gr.skip()
        return gr.update(choices=[(html.label(film), film["id"]) for film in [*kept, *found]])

    return offer
