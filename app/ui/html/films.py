"""Films as posters on a wall, one film opened, and films to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..client import Json, Problem, Reply
from .answers import bar_list
from .words import call, label, problem_card, result, text

_SOURCES = "<details class='mt-details'><summary>Where these facts are from</summary>"
_TRY_ONE = "<p class='mt-examples-label'>Or try one of the catalogue's</p>"
_WHERE_WORDS = {
    "genres": "",
    "language": "in ",
    "country": "from ",
    "certificate": "rated ",
    "people": "with ",
    "ids": "among ",
}


def poster(film: Mapping[str, Any]) -> str:
    """The poster over a typeset card with the title, which is what stays where there is none."""
    year = f"<span class='mt-typeset-year'>{text(film['year'])}</span>" if film.get("year") else ""
    typeset = f"<span class='mt-typeset' aria-hidden='true'><span>{text(film['title'])}</span>{year}</span>"
    image = ""
    if film.get("has_poster"):
        source = text(f"posters/{quote(film['id'], safe=':')}")
        image = (
            f"<img class='mt-img' src='{source}' alt='Poster of {text(label(film))}' loading='lazy' decoding='async'>"
        )
    return f"<span class='mt-poster'>{typeset}{image}</span>"


def card(film: Mapping[str, Any], *, number: int | None = None, after: str = "") -> str:
    """One film of a wall; a click opens it. `number`: its place; `after`: HTML for what else can be done with it."""
    year = f" <span class='mt-year'>({text(film['year'])})</span>" if film.get("year") else ""
    chips = "".join(f"<span class='mt-chip mt-chip-{text(c)}'>{text(c)}</span>" for c in film.get("channels", ()))
    place = f"<span class='mt-number'>{number}</span> " if number is not None else ""
    why = f"<span class='mt-why'>{text(film['why'])}</span>" if film.get("why") else ""
    return (
        f"<li><button type='button' class='mt-card' data-film='{text(film['id'])}' "
        f"aria-label='Open {text(label(film))}'>{poster(film)}"
        f"<span class='mt-title'>{place}{text(film['title'])}{year}</span>{why}"
        f"<span class='mt-chips'>{chips}</span></button>{after}</li>"
    )


def wall(films: Sequence[Mapping[str, Any]]) -> str:
    """Films as a wall of posters."""
    return f"<ul class='mt-wall'>{''.join(card(film) for film in films)}</ul>"


def film_list(reply: Reply, base_url: str, *, heading: str) -> str:
    """The answer of a search: what was understood, how well it fits, the wall, the call."""
    answer = reply.answer
    films = answer["films"]
    parts = [f"<h2 class='mt-heading'>{text(heading)}</h2>", _understood(answer)]
    if answer["nothing_fits"]:
        nearest = " These are the nearest." if films else ""
        parts.append(
            f"<p class='mt-notice'><strong>Nothing in the catalogue fits this well.</strong>{nearest} "
            "Try fewer words or fewer filters.</p>"
        )
    elif not films:
        parts.append("<p class='mt-notice'><strong>No film is left.</strong> Widen or remove a filter.</p>")
    if films:
        parts.append(wall(films))
    parts.append(call(reply, base_url))
    return result("".join(parts))


def film_problem(opening: str, problem: Problem) -> str:
    """The panel of a film that cannot be shown."""
    return f"{_panel_start(opening)}{problem_card(problem)}</article>"


def _panel_start(opening: str) -> str:
    return (
        f"<article class='mt-film' role='dialog' aria-label='Film' data-opening='{text(opening)}'>"
        "<button type='button' class='mt-close' data-act='close' aria-label='Close the film'>✕</button>"
    )


def film_panel(opening: str, film: Json, predicted: Json | None, similar: Sequence[Json] | None) -> str:
    """One film: facts, plot, recorded and predicted genres, films like it, and what can be done with it.

    `predicted` and `similar` are None while they are being asked for. `opening` is the same for all panels of one
    click, so that one which comes after the film was closed is not shown (static/page.js).
    """
    parts = [
        _panel_start(opening),
        f"<div class='mt-film-head'>{poster(film)}<div><h2>{text(label(film))}</h2>{_facts(film)}</div></div>",
    ]
    if film.get("tagline"):
        parts.append(f"<p class='mt-tagline'>{text(film['tagline'])}</p>")
    if film.get("plot"):
        parts.append(f"<p class='mt-plot'>{text(film['plot'])}</p>")
    else:
        parts.append("<p class='mt-quiet'>No plot is recorded; this film is found by its title and people.</p>")
    film_id = text(film["id"])
    parts.append(
        "<p class='mt-actions'>"
        f"<button type='button' data-act='similar' data-id='{film_id}'>More like this</button>"
        f"<button type='button' data-act='genres' data-id='{film_id}'>Predict its genres</button></p>"
    )
    parts.append(_recorded_and_predicted(film, predicted))
    if similar is None:
        parts.append("<h3>Films like it</h3><p class='mt-quiet mt-working'>Looking…</p>")
    elif similar:
        parts.append(f"<h3>Films like it</h3>{wall(similar)}")
    sources = film.get("provenance") or {}
    if sources:
        listed = "; ".join(f"{text(name)} from {text(source)}" for name, source in sources.items())
        parts.append(f"{_SOURCES}<p>{listed}</p></details>")
    parts.append(f"<p class='mt-quiet mt-id'>{film_id}</p></article>")
    return "".join(parts)


def film_examples(films: Sequence[Mapping[str, Any]], *, with_poster: bool = True) -> str:
    """Films to click on, for want of an input of one's own."""
    if not films:
        return ""
    cards = []
    for film in films:
        picture = poster(film) if with_poster else ""
        line = "" if with_poster else f"<span class='mt-why'>{text(_first_words(film.get('plot') or '', 90))}</span>"
        cards.append(
            f"<button type='button' class='mt-example' data-example='{text(film['id'])}'>{picture}"
            f"<span><span class='mt-title'>{text(label(film))}</span>{line}</span></button>"
        )
    return f"{_TRY_ONE}<div class='mt-examples'>{''.join(cards)}</div>"


def text_examples(lines: Sequence[str]) -> str:
    """Texts to click on."""
    if not lines:
        return ""
    chips = "".join(
        f"<button type='button' class='mt-example mt-example-text' data-example='{text(line)}'>{text(line)}</button>"
        for line in lines
    )
    return f"<p class='mt-examples-label'>For example</p><div class='mt-examples'>{chips}</div>"


def _first_words(words: str, most: int) -> str:
    if len(words) <= most:
        return words
    return words[:most].rsplit(" ", 1)[0].rstrip(" ,;:.") + "…"


def _facts(film: Json) -> str:
    people = film.get("people") or []
    rows = [
        ("Directed by", ", ".join(p["name"] for p in people if p["role"] == "director")),
        ("Written by", ", ".join(p["name"] for p in people if p["role"] == "writer")),
        ("With", ", ".join([p["name"] for p in people if p["role"] == "cast"][:5])),
        ("Runs", f"{film['runtime']} minutes" if film.get("runtime") else ""),
        ("Language", ", ".join(film.get("languages") or ())),
        ("Country", ", ".join(film.get("countries") or ())),
        ("Rated", film.get("certificate") or ""),
        ("Keywords", ", ".join((film.get("keywords") or ())[:6])),
    ]
    listed = "".join(f"<div><dt>{name}</dt><dd>{text(value)}</dd></div>" for name, value in rows if value)
    return f"<dl class='mt-film-facts'>{listed}</dl>"


def _recorded_and_predicted(film: Json, predicted: Json | None) -> str:
    recorded = list(film.get("genres") or ())
    chips = "".join(f"<span class='mt-chip'>{text(genre)}</span>" for genre in recorded)
    parts = [f"<h3>Genres</h3><p class='mt-chips'>Recorded: {chips or 'none'}</p>"]
    if predicted is None:
        return "".join(parts)
    if not predicted:
        parts.append("<p class='mt-quiet'>Neither a plot nor a poster to predict from.</p>")
        return "".join(parts)
    used = " and ".join(predicted["used"])
    likeliest = predicted["genres"][:5]
    marked = [
        {**genre, "name": f"{genre['name']} ✓" if genre["name"] in recorded else genre["name"]} for genre in likeliest
    ]
    parts.append(f"<p class='mt-quiet'>Predicted from its {text(used)}; ✓ is recorded too.</p>{bar_list(marked)}")
    return "".join(parts)


def _understood(answer: Json) -> str:
    request = answer.get("request", {})
    chips = [*_where_chips(request.get("where") or {}), *(f"no {words}" for words in request.get("without") or ())]
    left_out = {fact: count for fact, count in (answer.get("left_out") or {}).items() if count}
    parts = []
    if chips:
        listed = "".join(f"<span class='mt-chip mt-chip-filter'>{text(chip)}</span>" for chip in chips)
        parts.append(f"<p class='mt-chips'>Only films {listed}</p>")
    if left_out:
        listed = ", ".join(f"{count:,} whose {fact} is unknown" for fact, count in left_out.items())
        parts.append(f"<p class='mt-quiet'>Left out: {text(listed)}.</p>")
    return "".join(parts)


def _where_chips(where: Json) -> list[str]:
    chips = []
    for name, unit in (("year", ""), ("runtime", " minutes")):
        bounds = where.get(name) or {}
        if words := _span(bounds, unit):
            chips.append(words)
        chips += [f"not {words}" for words in (_span(span, unit) for span in bounds.get("none") or ()) if words]
    for name, before in _WHERE_WORDS.items():
        wanted = where.get(name) or {}
        if wanted.get("any"):
            chips.append(before + " or ".join(wanted["any"]))
        if wanted.get("all"):
            chips.append(before + " and ".join(wanted["all"]))
        chips += [f"not {before}{value}" for value in wanted.get("none") or ()]
    return chips


def _span(bounds: Json, unit: str) -> str:
    """A span of years (without a unit) or of something else, in words; empty where it has no end."""
    low, high = bounds.get("min"), bounds.get("max")
    if low is not None and high is not None:
        return f"{low}–{high}{unit}" if low != high else f"{low}{unit}"
    if low is not None:
        return f"{low}{unit} or more" if unit else f"from {low}"
    if high is not None:
        return f"{high}{unit} or less" if unit else f"until {high}"
    return ""
