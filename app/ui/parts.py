"""The parts that tabs are made of: inputs, results that answer to clicks, and the pages as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr
from gradio.utils import get_upload_folder

from . import html
from .client import ApiClient, Call, Json, Problem, Reply, genres
from .examples import Examples

# Clicks in our HTML become Gradio events with the data of the element clicked.
CLICKS = """
element.addEventListener('click', (event) => {
  const on = event.target.closest('[data-film],[data-example],[data-act="similar"],[data-act="genres"]');
  if (!on || !element.contains(on)) return;
  if (on.dataset.film !== undefined) trigger('click', {film: on.dataset.film});
  else if (on.dataset.example !== undefined) trigger('select', {example: on.dataset.example});
  else trigger(on.dataset.act === 'similar' ? 'submit' : 'input', {film: on.dataset.id});
});
"""


@dataclass
class Pages:
    """What the tabs share: the API, the open film, and what is filled in when a page is loaded."""

    api: ApiClient
    public_url: str  # the API's address as people reach it
    tabs: gr.Tabs
    film: gr.HTML
    on_load: list[tuple[gr.components.Component, Callable[[Examples], Any]]] = field(default_factory=list)

    def result(self, words: str, elem_id: str) -> gr.HTML:
        """Where answers of a tab appear; films in it open on a click."""
        component = gr.HTML(
            html.hint(words), elem_id=elem_id, js_on_load=CLICKS, apply_default_css=False, elem_classes="mt-answer"
        )
        self.opens_films(component)
        return component

    def opens_films(self, component: gr.HTML) -> None:
        """Makes the films in a component open on a click."""
        on(component.click, self.open_film, None, self.film)

    def film_examples(self, elem_id: str, *, with_poster: bool = True) -> gr.HTML:
        """Three films to try, filled in when a page is loaded; a click is the event `select`."""
        component = gr.HTML("", elem_id=elem_id, js_on_load=CLICKS, apply_default_css=False)
        self.on_load.append((component, lambda found: html.film_examples(found.films, with_poster=with_poster)))
        return component

    def open_film(self, event: gr.EventData) -> Iterator[str]:
        """The panel of the film that was clicked: its facts at once, then what has to be computed."""
        opening = uuid4().hex
        try:
            film = self.api.film(event.film)
            yield html.film_panel(opening, film, None, None)
            similar = self.api.send(Call("POST", "/v1/similar", body={"film_ids": [film["id"]], "k": 6})).answer[
                "films"
            ]
            yield html.film_panel(opening, film, self.predict_for(film), similar)
        except Problem as problem:
            yield html.film_problem(opening, problem)

    def predict_for(self, film: Json) -> Json:
        """Genres predicted from all that is known of a film; empty where that is neither plot nor poster."""
        image = self.poster_bytes(film)
        if image is None and not film["plot"]:
            return {}
        return self.api.send(genres(image=image, plot=film["plot"])).answer

    def poster_bytes(self, film: Json) -> bytes | None:
        """A film's poster, if it has one."""
        if not film["has_poster"]:
            return None
        response = self.api.poster(film["id"])
        return response.content if response.is_success else None

    def answer(self, words: str, call: Call | None, show: Callable[[Reply], str], missing: str) -> Iterator[str]:
        """Says that it was heard, asks, shows the answer or the problem. `call` is None where an input is missing."""
        if call is None:
            yield html.hint(missing)
            return
        yield html.working(words)
        try:
            yield show(self.api.send(call))
        except Problem as problem:
            yield html.problem_card(problem)


def poster_input(label: str, elem_id: str) -> gr.Image:
    """A place to drop a poster. What arrives is handed on as it came: judging its bytes is for the API, in its words.

    Not a subclass of gr.Image, because Gradio writes a stub file beside the source of every one. Do not answer with
    `gr.update` or `gr.skip` to it: Gradio makes a new component for those, which would open the file itself.
    """
    image = gr.Image(
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        label=label,
        elem_id=elem_id,
        height=280,
        buttons=[],
        placeholder="Drop a poster here, or click to choose one\nJPEG, PNG or WebP",
    )
    image.preprocess = _as_uploaded  # type: ignore[method-assign]
    return image


def _as_uploaded(payload: Any) -> str | None:
    return payload.path if payload is not None else None


def keep_image(content: bytes) -> str:
    """Writes an image where Gradio serves from and later cleans up; returns its path."""
    folder = Path(get_upload_folder()) / hashlib.sha256(content).hexdigest()[:32]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "poster"
    path.write_bytes(content)
    return str(path)


@dataclass(frozen=True)
class Filters:
    """The hard filters, folded away until they are wanted."""

    inputs: Sequence[gr.components.Component]

    @staticmethod
    def where(*values: Any) -> Json:
        """The values of `inputs`, in their order, as `where`; empty where nothing is filtered."""
        wanted, unwanted, year_from, year_to, longest, language = values
        where: Json = {}
        if wanted or unwanted:
            where["genres"] = {"all": list(wanted or ()), "none": list(unwanted or ())}
        if year_from or year_to:
            where["year"] = {"min": int(year_from) if year_from else None, "max": int(year_to) if year_to else None}
        if longest:
            where["runtime"] = {"max": int(longest)}
        if given(language):
            where["language"] = [part.strip() for part in language.split(",") if part.strip()]
        return where


def filters(pages: Pages, prefix: str) -> Filters:
    """The inputs of `Filters`; the genres come with the page."""
    with gr.Accordion("Narrow it down", open=False, elem_id=f"{prefix}-filters"), gr.Row(elem_classes="mt-filters"):
        wanted = gr.Dropdown([], label="Genres it must have", multiselect=True, elem_id=f"{prefix}-wanted")
        unwanted = gr.Dropdown([], label="Genres it must not have", multiselect=True, elem_id=f"{prefix}-unwanted")
        year_from = gr.Number(None, label="From year", precision=0, elem_id=f"{prefix}-from", min_width=100)
        year_to = gr.Number(None, label="Until year", precision=0, elem_id=f"{prefix}-until", min_width=100)
        longest = gr.Number(None, label="At most minutes", precision=0, elem_id=f"{prefix}-longest", min_width=100)
        language = gr.Textbox("", label="Language", placeholder="French", elem_id=f"{prefix}-language", min_width=120)
    for chooser in (wanted, unwanted):
        pages.on_load.append((chooser, lambda found: gr.update(choices=list(found.genres))))
    return Filters([wanted, unwanted, year_from, year_to, longest, language])


def on(
    event: Callable[..., Any],
    run: Callable[..., Any],
    inputs: Sequence[Any] | Any | None,
    outputs: Sequence[Any] | Any | None,
    **options: Any,
) -> Any:
    """Connects an event. Our handlers say for themselves that they are working, and are no API of their own.

    A click while an earlier one is answered is kept, and answered next: Gradio would drop it.
    """
    options.setdefault("trigger_mode", "always_last")
    return event(run, inputs, outputs, show_progress="hidden", api_visibility="private", **options)


def read_image(path: str | None) -> bytes | None:
    """The bytes of an upload."""
    return Path(path).read_bytes() if path else None


def given(words: str | None) -> str | None:
    """A text, or None where only blanks were typed."""
    return words if words and words.strip() else None


__all__ = ["CLICKS", "Filters", "Pages", "filters", "given", "keep_image", "on", "poster_input", "read_image"]
