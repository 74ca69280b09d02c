"""Genres as bars, and whether an image is a poster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..client import Json, Reply
from .words import call, percent, result, text

_FIRST_BARS = 6

_UNSURE_TOP = 0.4  # a single label below this is called unsure

_FIT_BOUNDS = {"does not fit up to 33 %": 1 / 3, "fits from 67 % on": 2 / 3}  # as the answer has them

_PLOT_INSTEAD = (
    "<p class='mt-lead'>Genres read from something that is no poster mean little. "
    "<button type='button' class='mt-primary' data-act='plot'>Use the plot instead</button></p>"
)


def genre_answer(reply: Reply, base_url: str, *, compare: str = "") -> str:
    """Genres as bars, with what they rest on and how sure the answer is."""
    answer = reply.answer
    check = answer.get("poster")
    parts = []
    rejected = check is not None and check["valid"] is False
    if check and rejected:
        lead = "" if "plot" in answer["used"] else _PLOT_INSTEAD
        parts.append(f"<div class='mt-notice'>{_verdict(check)}{lead}</div>")
    bars = _genre_heading(answer) + _bars(answer["genres"])
    if rejected and "plot" not in answer["used"]:
        parts.append(
            f"<details class='mt-details'><summary>What the model makes of it all the same</summary>{bars}</details>"
        )
    else:
        parts.append(bars)
        if answer.get("note"):
            parts.append(f"<p class='mt-note'>{text(answer['note'])}</p>")
    if check and not rejected:
        parts.append(f"<div class='mt-aside'>{_verdict(check)}</div>")
    if compare:
        parts.append(f"<p class='mt-note'>{text(compare)}</p>")
    parts += [_model_line(answer), call(reply, base_url)]
    return result("".join(parts))


def check_answer(reply: Reply, base_url: str) -> str:
    """Whether an image is a poster, and why."""
    answer = reply.answer
    lead = _PLOT_INSTEAD if answer["valid"] is False else ""
    return result(f"{_verdict(answer)}{lead}{_model_line(answer)}{call(reply, base_url)}")


def fit_answer(reply: Reply, base_url: str) -> str:
    """Whether a poster fits a plot, how likely that is, and how it stands beside other posters."""
    answer = reply.answer
    probability = answer["probability"]
    words, kind = {
        True: ("The poster fits the plot", "yes"),
        False: ("The poster does not fit the plot", "no"),
        None: ("Cannot tell whether they fit", "unsure"),
    }[answer["fits"]]
    parts = [f"<h2 class='mt-heading mt-{kind}'>{words}</h2>"]
    if probability is None:
        parts.append("<p>The catalogue has too few films with poster and plot to say how likely it is.</p>")
    else:
        parts.append(
            f"<p>{percent(probability)} likely to be this plot's own poster and not one drawn at random.</p>"
            + _wide_bar("The poster fits the plot", probability, _FIT_BOUNDS)
        )
        if answer["fits"] is None:
            parts.append("<p>A plot that tells more of its mood and setting may settle it.</p>")
    parts.append(
        f"<p>It fits the plot better than {percent(answer['better_than'])} of a sample of the catalogue's posters "
        "would.</p>"
        "<p class='mt-note'>Mood, setting and kind of film are compared. Names, faces and titles are not: a poster of "
        "another film of the same kind may fit, too.</p>"
    )
    return result("".join(parts) + call(reply, base_url))


def compare_sides(poster_answer: Json, plot_answer: Json) -> str:
    """One sentence, not escaped: whether poster and plot alone agree."""

    def says(answer: Json) -> tuple[str, str]:
        first = answer["genres"][0]
        return str(first["name"]), f"{first['name']} ({percent(first['probability'])})"

    (poster_top, poster_says), (plot_top, plot_says) = says(poster_answer), says(plot_answer)
    if poster_top == plot_top:
        return f"Poster and plot agree: each alone says {poster_says.split(' (')[0]}."
    return f"Poster and plot disagree: the poster alone says {poster_says}, the plot alone {plot_says}."


def _genre_heading(answer: Json) -> str:
    rests = " and ".join(answer["used"])
    genres = answer["genres"]
    predicted = [genre["name"] for genre in genres if genre["predicted"]]
    top = genres[0]
    single = top.get("threshold") is None and len(predicted) == 1
    if not predicted or (single and top["probability"] < _UNSURE_TOP):
        missing = " or ".join(sorted({"poster", "plot"} - set(answer["used"])))
        settle = f"Add the {missing} to settle it." if missing else "A longer plot may settle it."
        return (
            f"<h2 class='mt-heading mt-unsure'>Not sure</h2><p>From the {text(rests)}, the likeliest is "
            f"{text(top['name'])} ({percent(top['probability'])}), which is not enough to say so. {settle}</p>"
        )
    named = text(", ".join(predicted))
    return f"<h2 class='mt-heading'>{named}</h2><p class='mt-quiet'>From the {text(rests)}.</p>"


def _bars(genres: Sequence[Json]) -> str:
    first = max(_FIRST_BARS, sum(genre["predicted"] for genre in genres))
    shown = bar_list(genres[:first])
    rest = genres[first:]
    if not rest:
        return shown
    return f"{shown}<details class='mt-details'><summary>{len(rest)} less likely</summary>{bar_list(rest)}</details>"


def bar_list(genres: Sequence[Json]) -> str:
    rows = []
    for genre in genres:
        share = 100 * genre["probability"]
        threshold = genre.get("threshold")
        mark = told = ""
        if threshold is not None:
            told = f", needs {percent(threshold)}"
            mark = f"<b style='left:{100 * threshold:.1f}%' title='predicted from {percent(threshold)} on'></b>"
        rows.append(
            f"<li class='{'mt-on' if genre['predicted'] else ''}'>"
            f"<span class='mt-bar-name'>{text(genre['name'])}</span>"
            f"<span class='mt-bar' role='meter' aria-valuemin='0' aria-valuemax='100' aria-valuenow='{share:.0f}' "
            f"aria-label='{text(genre['name'])}: {percent(genre['probability'])}{told}'>"
            f"<i style='width:{share:.1f}%'></i>{mark}</span>"
            f"<span class='mt-bar-number'>{percent(genre['probability'])}</span></li>"
        )
    return f"<ol class='mt-bars'>{''.join(rows)}</ol>"


def _verdict(check: Json) -> str:
    words, kind = {
        True: ("A film poster", "yes"),
        False: ("Not a film poster", "no"),
        None: ("Not sure", "unsure"),
    }[check["valid"]]
    reasons = "".join(f"<li>{text(reason['detail'])}{_film_link(reason)}</li>" for reason in check["reasons"])
    score = check["score"]
    return (
        f"<h2 class='mt-heading mt-{kind}'>{words}</h2>"
        f"<p class='mt-quiet'>{percent(score)} likely to be a film poster.</p>"
        + _wide_bar("Film poster", score)
        + (f"<ul class='mt-reasons'>{reasons}</ul>" if reasons else "")
    )


def _wide_bar(name: str, share: float, bounds: Mapping[str, float] = MappingProxyType({})) -> str:
    """A bar of its own; bounds: what each mark on it means, and where it is."""
    marks = "".join(f"<b style='left:{100 * at:.1f}%' title='{text(words)}'></b>" for words, at in bounds.items())
    told = "".join(f"; {text(words)}" for words in bounds)
    return (
        f"<span class='mt-bar mt-bar-wide' role='meter' aria-valuemin='0' aria-valuemax='100' "
        f"aria-valuenow='{100 * share:.0f}' aria-label='{text(name)}: {percent(share)}{told}'>"
        f"<i style='width:{100 * share:.1f}%'></i>{marks}</span>"
    )


def _film_link(reason: Json) -> str:
    """Opens the film that a reason names."""
    if not reason.get("film"):
        return ""
    return f" <button type='button' class='mt-link' data-film='{text(reason['film'])}'>Show the film</button>"


def _model_line(answer: Json) -> str:
    demo = " Trained on demo data." if answer["demo"] else ""
    return f"<p class='mt-quiet mt-model'>Model {text(answer['model'])}.{demo}</p>"
