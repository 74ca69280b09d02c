"""About: what is being served, how good its models are, and where the API is described."""

from __future__ import annotations

import gradio as gr

from .. import html
from ..client import NOT_FOUND, Problem
from ..parts import Pages, on


def build(pages: Pages, tab: gr.Tab) -> None:
    """Lays out the tab; the cards are fetched when it is opened."""
    gr.HTML(
        "<h2 class='mt-heading'>About these answers</h2>"
        "<p class='mt-lead'>Every model below was measured on films it never saw, beside what a plain guess reaches. "
        f"All that these pages do is asked of the <a href='{html.text(pages.public_url)}/docs'>REST API</a>, "
        "which you can script.</p>",
        apply_default_css=False,
    )
    measured = gr.HTML("", elem_id="about-evaluation", apply_default_css=False)
    result = gr.HTML(html.hint("The model cards appear here."), elem_id="about-result", apply_default_css=False)

    def show() -> tuple[str, str]:
        try:
            return _evaluation(pages), html.cards(pages.api.cards())
        except Problem as problem:
            return "", html.problem_card(problem)

    on(tab.select, show, None, [measured, result])


def _evaluation(pages: Pages) -> str:
    try:
        return html.evaluation(pages.api.evaluation())
    except Problem as problem:
        if problem.status != NOT_FOUND:
            raise
        return f"<p class='mt-notice'>{html.text(problem.detail)}</p>"
