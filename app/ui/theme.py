"""Colours and type of the pages: warm paper and near-black, one amber accent, the system's own fonts.

static/style.css uses the same colours through the variables that it defines; the contrast of text is AA in both modes.
"""

from __future__ import annotations

import gradio as gr

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """The theme for Gradio's own components."""
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.amber,
        neutral_hue=gr.themes.colors.stone,
        font=list(_SANS),
        font_mono=list(_MONO),
        radius_size=gr.themes.sizes.radius_md,
    )
    both = {
        "body_background_fill": "var(--mt-paper)",
        "background_fill_primary": "var(--mt-paper)",
        "background_fill_secondary": "var(--mt-surface)",
        "body_text_color": "var(--mt-ink)",
        "body_text_color_subdued": "var(--mt-quiet)",
        "block_background_fill": "transparent",
        "block_padding": "0",
        "block_shadow": "none",
        "block_border_width": "0px",
        "block_label_background_fill": "transparent",
        "block_label_text_color": "var(--mt-quiet)",
        "block_title_text_color": "var(--mt-ink)",
        "block_info_text_color": "var(--mt-quiet)",
        "border_color_primary": "var(--mt-line)",
        "border_color_accent": "var(--mt-amber)",
        "input_background_fill": "var(--mt-input)",
        "input_border_width": "1px",
        "input_border_color": "var(--mt-edge)",
        "input_border_color_focus": "var(--mt-amber)",
        "input_placeholder_color": "var(--mt-quiet)",
        "button_primary_background_fill": "var(--mt-amber)",
        "button_primary_background_fill_hover": "var(--mt-amber-bright)",
        "button_primary_text_color": "#1d1408",
        "button_primary_text_color_hover": "#1d1408",
        "button_primary_border_color": "var(--mt-amber)",
        "button_secondary_background_fill": "var(--mt-surface)",
        "button_secondary_background_fill_hover": "var(--mt-line)",
        "button_secondary_text_color": "var(--mt-ink)",
        "button_secondary_text_color_hover": "var(--mt-ink)",
        "button_secondary_border_color": "var(--mt-edge)",
        "slider_color": "var(--mt-amber)",
        "link_text_color": "var(--mt-link)",
        "link_text_color_hover": "var(--mt-link)",
        "link_text_color_visited": "var(--mt-link)",
        "panel_background_fill": "var(--mt-paper)",
        "accordion_text_color": "var(--mt-ink)",
    }
    every = {**both, **{f"{name}_dark": value for name, value in both.items()}}
    settable = base.set.__code__.co_varnames
    return base.set(**{name: value for name, value in every.items() if name in settable})
