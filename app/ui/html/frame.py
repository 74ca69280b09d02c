"""What surrounds every tab."""

from __future__ import annotations

from ..client import Json, Problem
from .words import problem_card, text


def header(info: Json | None, problem: Problem | None = None) -> str:
    """The slim bar on top of every page."""
    facts = "<span class='mt-facts'>The catalogue is not reachable just now.</span>"
    if info is not None:
        version, date = str(info["bundle_version"])[:8], str(info["bundle_created"])[:10]
        badge = "<span class='mt-badge'>demo data</span>" if info["demo"] else ""
        facts = (
            f"<span class='mt-facts'><strong>{text(info['name'])}</strong> <span>{info['films']:,} films</span> "
            f"<span>{info['posters']:,} posters</span> "
            f"<span>bundle {text(version)}, {text(date)}</span></span>{badge}"
        )
    return (
        "<div class='mt-header'><a class='mt-brand' href='./'>Matinee</a>"
        f"{facts}<button type='button' class='mt-theme' data-act='theme' aria-label='Switch between dark and light'>"
        "<span aria-hidden='true'>◐</span></button></div>" + (problem_card(problem) if problem else "")
    )


def demo_banner(info: Json | None) -> str:
    """What demo data means, where it is."""
    if info is None or not info["demo"]:
        return ""
    return (
        "<p class='mt-demo'><strong>Demo data.</strong> These models learned from drawn posters and short plots, "
        "to show how the product works. Build a bundle from your own films for answers to rely on.</p>"
    )
