"""Model cards: what a model learned from, how well it does, where it ends; and the evaluation of all of them."""

from __future__ import annotations

from collections.abc import Sequence

from ..client import Json
from .words import text


def cards(models: Sequence[Json]) -> str:
    """The model cards."""
    if not models:
        return "<p class='mt-notice'>This bundle carries no model cards.</p>"
    return "".join(_model_card(model) for model in models)


def _model_card(model: Json) -> str:
    badge = "<span class='mt-badge'>demo data</span>" if model.get("demo") else ""
    parts = [f"<h3>{text(model.get('title') or model['name'])} {badge}</h3>", f"<p>{text(model.get('task', ''))}</p>"]
    metrics = [metric for metric in model.get("metrics") or () if metric.get("value") is not None]
    if metrics:
        parts.append(_metrics(metrics))
    limits = model.get("limits") or ()
    if limits:
        parts.append("<h4>Limits</h4><ul>" + "".join(f"<li>{text(limit)}</li>" for limit in limits) + "</ul>")
    rows = [
        ("Name", model["name"]),
        ("Encoder", model.get("encoder", "")),
        ("Split", model.get("split", "")),
        ("Training", model.get("training", "")),
        ("Items", ", ".join(f"{count:,} {part}" for part, count in (model.get("counts") or {}).items())),
        ("Labels", ", ".join(model.get("labels") or ())),
    ]
    rows += [(f"Data: {source}", what) for source, what in (model.get("data") or {}).items()]
    listed = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in rows if value)
    parts.append(
        "<details class='mt-details'><summary>Data, split and training</summary>"
        f"<dl class='mt-card-facts'>{listed}</dl></details>"
    )
    return f"<section class='mt-model-card'>{''.join(parts)}</section>"


def evaluation(report: Json) -> str:
    """The evaluation's figures in short, and the way to the whole report."""
    parts = [
        "<h3>Measured again, through the calls that these pages make</h3>",
        f"<p>{text(report['data'].get('films', ''))}.</p>"
        "<p><a href='evaluation' target='_blank' rel='noopener'>The whole report</a> has every figure, label by label, "
        "reliability, confusion and the worst mistakes.</p>",
    ]
    for section in report["sections"]:
        rows = [row for row in report["rows"] if row["protocol"] == section["name"] and row["ours"] is not None]
        if rows:
            figures = _metrics([_as_metric(row) for row in rows])
            parts.append(
                f"<details class='mt-details'><summary>{text(section['title'])}: {len(rows)} figures</summary>"
                f"{figures}<p class='mt-quiet'>{text(section['about'])}</p></details>"
            )
    return f"<section class='mt-model-card' id='evaluation'>{''.join(parts)}</section>"


def _as_metric(row: Json) -> Json:
    low, high = row["interval"] or (None, None)
    return {
        "name": f"{row['work']}: {row['metric']}",
        "value": row["ours"],
        "low": low,
        "high": high,
        "count": row["n"],
        "unit": "items",
        "baselines": row["baselines"],
        "higher_is_better": row["better"] == "higher",
    }


def _metrics(metrics: Sequence[Json]) -> str:
    """Figures as bands on one scale from 0 to 1, each beside its plain rows."""
    rows = []
    for metric in metrics:
        low, high = metric.get("low"), metric.get("high")
        value = float(metric["value"])
        scale = 1.0 if 0 <= value <= 1 else max(1.0, 1.2 * value)
        band = ""
        if low is not None and high is not None:
            band = (
                f"<i class='mt-band' style='left:{100 * low / scale:.1f}%;width:{100 * (high - low) / scale:.1f}%'></i>"
            )
        baselines = {name: plain for name, plain in (metric.get("baselines") or {}).items() if plain is not None}
        marks = "".join(
            f"<b style='left:{100 * plain / scale:.1f}%' title='{text(name)}: {plain:.2f}'></b>"
            for name, plain in baselines.items()
        )
        beside = "; ".join(f"{name} {plain:.2f}" for name, plain in baselines.items())
        measured_on = ", ".join(
            filter(None, [metric.get("part"), f"{metric['count']:,} {metric.get('unit', 'films')}"])
        )
        direction = "" if metric.get("higher_is_better", True) else ", lower is better"
        rows.append(
            f"<tr><th scope='row'>{text(metric['name'])}<span class='mt-quiet'>{text(measured_on)}{direction}"
            f"</span></th><td><strong>{value:.2f}</strong></td>"
            f"<td><span class='mt-bar mt-figure'>{band}"
            f"<u style='left:{100 * value / scale:.1f}%'></u>{marks}</span></td>"
            f"<td class='mt-quiet'>{text(beside)}</td></tr>"
        )
    return (
        "<table class='mt-metrics'><thead><tr><th scope='col'>Measured on films never trained on</th>"
        "<th scope='col'>Ours</th><th scope='col'>95 % interval, plain rows marked</th>"
        "<th scope='col'>Plain rows</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
