"""Genres: from a poster, from a plot, from both, and whether the two fit. One button a task of the course."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from .. import html
from ..client import Call, Json, Problem, Reply, check, fit
from ..client import genres as genres_call
from ..parts import Pages, given, keep_image, on, poster_input, read_image

_NO_POSTER = "Choose a poster first, or click one of the examples."
_NO_PLOT = "Write or paste a plot first, or click one of the examples."
_NO_PAIR = "Give a poster and a plot, to see whether they fit; or click one of the examples first."
_NO_INPUT = "Give a poster, a plot, or both; or click one of the examples."


@dataclass(frozen=True)
class BothTab:
    """The parts of the tab that a film can be sent to."""

    image: gr.Image
    plot: gr.Textbox
    result: gr.HTML
    run_film: Callable[[Json], Iterator[tuple[Any, Any, str]]]


def build_poster(pages: Pages) -> None:
    """The tab that predicts from a poster."""
    with gr.Row(elem_classes="mt-split"):
        with gr.Column(scale=2, min_width=300):
            image = poster_input("Poster", "poster-image")
            with gr.Row(elem_classes="mt-buttons"):
                multi = gr.Button("All genres that fit", variant="primary", elem_id="poster-multi")
                single = gr.Button("The one genre", elem_id="poster-single")
                validate = gr.Button("Is it a poster?", elem_id="poster-validate")
            examples = pages.film_examples("poster-examples")
        with gr.Column(scale=3, min_width=320):
            result = pages.result(
                "The genres a poster suggests appear here, each with its probability.", "poster-result"
            )

    def run(path: str | None, labels: str) -> Iterator[str]:
        content = read_image(path)
        call = genres_call(image=content, labels=labels) if content is not None else None
        yield from pages.answer("Looking at the poster…", call, _show(pages), _NO_POSTER)

    def run_check(path: str | None) -> Iterator[str]:
        content = read_image(path)
        call = check(content) if content is not None else None
        yield from pages.answer("Checking the image…", call, _show_check(pages), _NO_POSTER)

    def run_example(event: gr.EventData) -> Iterator[tuple[Any, str]]:
        path = _example_poster(pages, event.example)
        for shown in run(path, "multi"):
            yield path, shown

    on(multi.click, lambda path: (yield from run(path, "multi")), [image], result)
    on(single.click, lambda path: (yield from run(path, "single")), [image], result)
    on(validate.click, run_check, [image], result)
    on(examples.select, run_example, None, [image, result])


def build_plot(pages: Pages) -> None:
    """The tab that predicts from a plot."""
    with gr.Row(elem_classes="mt-split"):
        with gr.Column(scale=2, min_width=300):
            plot = gr.Textbox(
                label="Plot",
                lines=8,
                max_lines=20,
                placeholder="What happens in the film, in a few sentences.",
                elem_id="plot-text",
            )
            with gr.Row(elem_classes="mt-buttons"):
                multi = gr.Button("All genres that fit", variant="primary", elem_id="plot-multi")
                single = gr.Button("The one genre", elem_id="plot-single")
            examples = pages.film_examples("plot-examples", with_poster=False)
        with gr.Column(scale=3, min_width=320):
            result = pages.result("The genres a plot suggests appear here, with how sure the model is.", "plot-result")

    def run(words: str, labels: str) -> Iterator[str]:
        told = given(words)
        call = genres_call(plot=told, labels=labels) if told else None
        yield from pages.answer("Reading the plot…", call, _show(pages), _NO_PLOT)

    def run_example(event: gr.EventData) -> Iterator[tuple[str, str]]:
        words = pages.api.film(event.example)["plot"]
        for shown in run(words, "multi"):
            yield words, shown

    on(multi.click, lambda words: (yield from run(words, "multi")), [plot], result)
    on(single.click, lambda words: (yield from run(words, "single")), [plot], result)
    on(examples.select, run_example, None, [plot, result])


def build_both(pages: Pages) -> BothTab:
    """The tab that predicts from a poster and a plot together, and says whether they agree."""
    with gr.Row(elem_classes="mt-split"):
        with gr.Column(scale=2, min_width=300):
            image = poster_input("Poster", "both-image")
            plot = gr.Textbox(
                label="Plot",
                lines=5,
                max_lines=14,
                placeholder="What happens in the film, in a few sentences.",
                elem_id="both-text",
            )
            with gr.Row(elem_classes="mt-buttons"):
                multi = gr.Button("All genres that fit", variant="primary", elem_id="both-multi")
                single = gr.Button("The one genre", elem_id="both-single")
                fits = gr.Button("Do they fit?", elem_id="both-fit")
            examples = pages.film_examples("both-examples")
        with gr.Column(scale=3, min_width=320):
            result = pages.result("What poster and plot say together appears here.", "both-result")

    def run(path: str | None, words: str, labels: str) -> Iterator[str]:
        content, told = read_image(path), given(words)
        call = genres_call(image=content, plot=told, labels=labels) if content is not None or told else None
        show = _show(pages, compare=lambda reply: _compare(pages, reply, content, told, labels))
        yield from pages.answer("Reading the plot, looking at the poster…", call, show, _NO_INPUT)

    def run_fit(path: str | None, words: str) -> Iterator[str]:
        content, told = read_image(path), given(words)
        call = fit(content, told) if content is not None and told else None
        yield from pages.answer(
            "Comparing poster and plot…", call, lambda reply: html.fit_answer(reply, pages.public_url), _NO_PAIR
        )

    def run_film(film: Json) -> Iterator[tuple[Any, Any, str]]:
        content, words = pages.poster_bytes(film), film["plot"] or ""
        path = keep_image(content) if content is not None else None
        for shown in run(path, words, "multi"):
            yield path, words, shown

    def run_example(event: gr.EventData) -> Iterator[tuple[Any, Any, str]]:
        yield from run_film(pages.api.film(event.example))

    on(multi.click, lambda path, words: (yield from run(path, words, "multi")), [image, plot], result)
    on(single.click, lambda path, words: (yield from run(path, words, "single")), [image, plot], result)
    on(fits.click, run_fit, [image, plot], result)
    on(examples.select, run_example, None, [image, plot, result])
    return BothTab(image, plot, result, run_film)


def build_check(pages: Pages) -> None:
    """The tab that says whether an image is a film poster."""
    with gr.Row(elem_classes="mt-split"):
        with gr.Column(scale=2, min_width=300):
            image = poster_input("Image", "check-image")
            with gr.Row(elem_classes="mt-buttons"):
                button = gr.Button("Check this image", variant="primary", elem_id="check-run")
            examples = pages.film_examples("check-examples")
        with gr.Column(scale=3, min_width=320):
            result = pages.result("Whether the image is a film poster appears here, with the reasons.", "check-result")

    def run(path: str | None) -> Iterator[str]:
        content = read_image(path)
        call = check(content) if content is not None else None
        yield from pages.answer("Checking the image…", call, _show_check(pages), _NO_POSTER)

    def run_example(event: gr.EventData) -> Iterator[tuple[Any, str]]:
        path = _example_poster(pages, event.example)
        for shown in run(path):
            yield path, shown

    on(button.click, run, [image], result)
    on(examples.select, run_example, None, [image, result])


def _example_poster(pages: Pages, film_id: str) -> str | None:
    content = pages.poster_bytes(pages.api.film(film_id))
    return keep_image(content) if content is not None else None


def _show(pages: Pages, compare: Callable[[Reply], str] = lambda _: "") -> Callable[[Reply], str]:
    return lambda reply: html.genre_answer(reply, pages.public_url, compare=compare(reply))


def _show_check(pages: Pages) -> Callable[[Reply], str]:
    return lambda reply: html.check_answer(reply, pages.public_url)


def _compare(pages: Pages, reply: Reply, image: bytes | None, plot: str | None, labels: str) -> str:
    """Whether the two sides agree, where both were used."""
    if image is None or plot is None or len(reply.answer["used"]) < 2:
        return ""
    calls: tuple[Call, Call] = (genres_call(image=image, labels=labels), genres_call(plot=plot, labels=labels))
    try:
        by_poster, by_plot = (pages.api.send(call).answer for call in calls)
    except Problem:
        return ""  # the answer stands without the comparison
    return html.compare_sides(by_poster, by_plot)
