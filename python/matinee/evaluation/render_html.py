"""A report as one HTML page: tables, plots drawn as SVG, posters of the worst mistakes. Loads nothing from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from matinee.evaluation.render_markdown import gain_text, number
from matinee.evaluation.report import Chart, Confusion, Mistake, Reliability, Report, Row, Section, Table

_SIZE, _LEFT, _BOTTOM = 300, 44, 36  # of a plot's inner square, and the margins that hold its scales, in pixels
_COLOURS = ("#c77f12", "#2f6f9f", "#3c8a4d", "#8a4fa3", "#7a6a2f", "#555")


def to_html(report: Report) -> str:
    """The whole page."""
    body = [f"<h1>Evaluation of bundle {escape(report.bundle)}</h1>"]
    if report.demo:
        body.append("<p class=demo>Demo data: figures of drawn posters and few films say little about real ones.</p>")
    facts = {**report.data, "made": f"{report.created:%Y-%m-%d %H:%M} UTC by matinee {report.version}"}
    facts |= {"on": report.machine, "seed": str(report.seed)}
    body.append("<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items()) + "</dl>")
    links = (f"<a href='#{escape(s.name, quote=True)}'>{escape(s.title)}</a>" for s in report.sections)
    body.append(f"<nav>{''.join(links)}</nav>")
    for section in report.sections:
        body.append(f"<h2 id={escape(section.name, quote=True)}>{escape(section.title)}</h2>")
        body.append(f"<p>{escape(section.about)}</p>")
        body.append(_rows([row for row in report.rows if row.protocol == section.name]))
        body += _section(section)
    title = f"Evaluation of bundle {escape(report.bundle)}"
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{title}</title>"
    return (
        f"<!doctype html><html lang=en><head>{head}<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _rows(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        interval = "" if row.interval is None else f"{number(row.interval[0])} – {number(row.interval[1])}"
        arrow = "↓" if row.better == "lower" else "↑"
        beside = "<br>".join(escape(f"{name} {gain_text(row, name)}") for name in row.baselines)
        cost = "<br>".join(escape(f"{value:,.3g} {unit}") for unit, value in row.cost.items())
        cells = (escape(row.work), f"{escape(row.metric)} {arrow}", f"<b>{number(row.ours)}</b>", interval)
        lines.append(_tr("td", [*cells, number(row.n), beside, cost]))
    head = _tr("th", ["work", "metric", "ours", "95 %", "n", "plain systems on the same items", "cost"])
    return f"<div class=wide><table>{head}{''.join(lines)}</table></div>" if rows else ""


def _section(section: Section) -> Iterable[str]:
    plots = [_reliability(diagram) for diagram in section.reliability] + [_chart(chart) for chart in section.charts]
    if plots:
        yield f"<div class=plots>{''.join(plots)}</div>"
    yield from (_confusion(confusion) for confusion in section.confusions)
    yield from (_table(table) for table in section.tables)
    if section.mistakes:
        yield "<h3>Worst mistakes</h3><div class=mistakes>" + "".join(map(_mistake, section.mistakes)) + "</div>"
    if section.notes:
        yield "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in section.notes) + "</ul>"


def _table(table: Table) -> str:
    head = _tr("th", [escape(column) for column in table.columns])
    rows = "".join(_tr("td", [escape(number(cell)) for cell in row]) for row in table.rows)
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    return f"<h3>{escape(table.title)}</h3><div class=wide><table>{head}{rows}</table></div>{note}"


def _confusion(confusion: Confusion) -> str:
    head = _tr("th", ["truth \\ answer", *(escape(label) for label in confusion.labels)])
    lines = []
    for label, counts in zip(confusion.labels, confusion.counts, strict=True):
        total = max(1, sum(counts))
        shades = "".join(f"<td style='background:rgba(237,161,44,{n / total:.2f})'>{n}</td>" for n in counts)
        lines.append(f"<tr><th>{escape(label)}</th>{shades}</tr>")
    table = f"<table class=confusion>{head}{''.join(lines)}</table>"
    return f"<h3>{escape(confusion.title)}</h3><div class=wide>{table}</div>"


def _mistake(mistake: Mistake) -> str:
    picture = ""
    if mistake.image is not None:
        kind = "png" if mistake.image[:4] == b"\x89PNG" else "webp" if mistake.image[:4] == b"RIFF" else "jpeg"
        data = base64.b64encode(mistake.image).decode()
        picture = f"<img alt='' src='data:image/{kind};base64,{data}'>"
    said, truth = escape(mistake.said), escape(mistake.truth)
    caption = f"<figcaption><b>{escape(mistake.title)}</b><br>said {said}<br>truth {truth}</figcaption>"
    return f"<figure>{picture}{caption}</figure>"


def _reliability(diagram: Reliability) -> str:
    """Dots on the diagonal are honest probabilities; the area of a dot grows with the decisions behind it."""
    most = max((point.count for point in diagram.points), default=1)
    marks = [f"<line x1={_LEFT} y1={_SIZE} x2={_LEFT + _SIZE} y2=0 stroke='#999' stroke-dasharray='4 4'/>"]
    for point in diagram.points:
        x, y = _LEFT + point.stated * _SIZE, (1 - point.observed) * _SIZE
        radius = 3 + 9 * (point.count / most) ** 0.5
        told = f"stated {point.stated:.3f}, observed {point.observed:.3f}, {point.count:,} decisions"
        look = f"r={radius:.1f} fill='{_COLOURS[0]}' fill-opacity=.7"
        marks.append(f"<circle cx={x:.1f} cy={y:.1f} {look}><title>{told}</title></circle>")
    return _plot(diagram.title, _Axis("stated probability"), _Axis("observed share"), "".join(marks))


def _chart(chart: Chart) -> str:
    xs = [x for points in chart.lines.values() for x, _ in points]
    ys = [y for points in chart.lines.values() for _, y in points]
    if not xs:
        return ""
    (x_low, x_high), (y_low, y_high) = _span(xs), _span(ys)
    marks = []
    for number_of_line, (name, points) in enumerate(chart.lines.items()):
        colour = _COLOURS[number_of_line % len(_COLOURS)]
        places = [
            (_LEFT + (x - x_low) / (x_high - x_low) * _SIZE, (y_high - y) / (y_high - y_low) * _SIZE) for x, y in points
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        marks.append(f"<polyline points='{path}' fill=none stroke='{colour}' stroke-width=2 />")
        marks += [f"<circle cx={x:.1f} cy={y:.1f} r=3 fill='{colour}'/>" for x, y in places]
        marks.append(f"<text x={_LEFT + 8} y={16 + 15 * number_of_line} fill='{colour}'>{escape(name)}</text>")
    return _plot(chart.title, _Axis(chart.x, x_low, x_high), _Axis(chart.y, y_low, y_high), "".join(marks))


def _span(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


@dataclass(frozen=True)
class _Axis:
    name: str
    low: float = 0.0
    high: float = 1.0


def _plot(title: str, x: _Axis, y: _Axis, marks: str) -> str:
    ticks = []
    for step in range(5):
        share = step / 4
        at_x, at_y = x.low + share * (x.high - x.low), y.low + share * (y.high - y.low)
        left, top = _LEFT + share * _SIZE, (1 - share) * _SIZE
        ticks.append(f"<text x={left:.0f} y={_SIZE + 14} text-anchor=middle>{at_x:.3g}</text>")
        ticks.append(f"<text x={_LEFT - 4} y={top + 4:.0f} text-anchor=end>{at_y:.3g}</text>")
    frame = f"<rect x={_LEFT} y=0 width={_SIZE} height={_SIZE} fill=none stroke='#888'/>"
    names = (
        f"<text x={_LEFT + _SIZE / 2} y={_SIZE + 30} text-anchor=middle>{escape(x.name)}</text>"
        f"<text x=10 y={_SIZE / 2} text-anchor=middle transform='rotate(-90 10 {_SIZE / 2})'>{escape(y.name)}</text>"
    )
    box = f"0 -6 {_LEFT + _SIZE + 12} {_SIZE + _BOTTOM + 6}"
    drawing = f"<svg viewBox='{box}' width=380 role=img aria-label='{escape(title, quote=True)}'>"
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>{drawing}{frame}{''.join(ticks)}{names}{marks}</svg></figure>"
    )


def _tr(tag: str, cells: list[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


_STYLE = """
:root{--paper:#faf7f1;--surface:#f2ede3;--ink:#1d1a15;--quiet:#655d50;--line:#e3dbcc;--amber:#eda12c;--link:#8a4b06}
@media(prefers-color-scheme:dark){:root{--paper:#12110f;--surface:#1c1a17;--ink:#f2ede4;--quiet:#aca394;--line:#2e2a25;
--link:#f3b75a}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1140px;margin:2rem auto;padding:0 1rem;
color:var(--ink);background:var(--paper)}
h1{font-size:1.6rem}h2{margin-top:2.4rem;padding-top:1rem;border-top:2px solid var(--amber)}
nav a{color:var(--link);margin-right:1.2rem}.wide{overflow-x:auto}
table{border-collapse:collapse;margin:1rem 0;font-size:13px}
td,th{border-bottom:1px solid var(--line);padding:5px 12px 5px 0;text-align:left;vertical-align:top}
th{color:var(--quiet);font-weight:600}dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;font-size:14px}
dt{color:var(--quiet)}dd{margin:0}.demo{border-left:3px solid var(--amber);background:var(--surface);padding:8px 14px}
.plots,.mistakes{display:flex;flex-wrap:wrap;gap:1.2rem}figure{margin:0;max-width:380px;font-size:12px}
figcaption{color:var(--quiet)}figcaption b{color:var(--ink)}svg{max-width:100%}
svg text{font-size:11px;fill:var(--quiet)}
.mistakes figure{width:150px}.mistakes img{width:150px;border-radius:6px}
.confusion td{text-align:right;padding:5px 10px}.confusion th{padding-right:10px}
@media(max-width:600px){dl{display:block}dd{margin-bottom:.4rem}}
"""
