"""Reports: figures beside plain systems with paired intervals; the same report as JSON, Markdown, page and cards."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from matinee.errors import FormatError, NotFound
from matinee.evaluation.cards import measured_cards
from matinee.evaluation.metrics import expected_calibration_error, paired_bootstrap, reliability
from matinee.evaluation.render_html import to_html
from matinee.evaluation.render_markdown import to_markdown
from matinee.evaluation.report import (
    Chart,
    Confusion,
    Mistake,
    Reliability,
    Report,
    Section,
    Table,
    compared,
)
from matinee.heads.card import ModelCard

SCRIPT = "<script>alert('x')</script>"


@pytest.fixture
def report() -> Report:
    right = np.arange(300) % 10 != 0
    guessed = np.arange(300) % 2 == 0
    row = compared(
        "genre",
        "plot → genres",
        "accuracy",
        len(right),
        ours=lambda i: float(right[i].mean()),
        baselines={"coin": lambda i: float(guessed[i].mean()), "nothing": lambda i: float("nan")},
        model="genre-plot-multi",
        cost={"ms": 2.5, "MB": 0.1},
    )
    section = Section(
        name="genre",
        title="Genre",
        about="Asked as users ask.",
        tables=(
            Table(
                title="labels", columns=("label", "AP"), rows=(("Drama", 0.5), ("War", None)), model="genre-plot-multi"
            ),
        ),
        reliability=(Reliability.of("plot", np.array([True, False]), np.array([0.9, 0.2])),),
        confusions=(Confusion(title="single", labels=("A", "B"), counts=((3, 1), (0, 4))),),
        charts=(Chart(title="learning", x="films", y="mAP", lines={"ours": ((100, 0.3), (200, 0.4))}),),
        mistakes=(Mistake(title=SCRIPT, said="War 0.99", truth="Drama", image=b"\x89PNG....."),),
        notes=("a | note",),
    )
    return Report(
        rows=(row,),
        sections=(section,),
        data={"films": "300"},
        seed=0,
        bundle="0123456789abcdef",
        version="1",
        created=datetime(2026, 1, 2, tzinfo=UTC),
        machine="a processor",
    )


def test_a_row_holds_ours_the_plain_systems_and_the_paired_gains(report: Report) -> None:
    (row,) = report.rows
    assert row.ours == pytest.approx(0.9) and row.n == 300
    assert row.interval is not None and row.interval[0] < 0.9 < row.interval[1]
    assert row.baselines == {"coin": pytest.approx(0.5), "nothing": None}
    gain = row.gains["coin"]
    assert gain.difference == pytest.approx(0.4) and gain.interval is not None and gain.interval[0] > 0.3
    assert row.gains["nothing"].difference is None and row.gains["nothing"].interval is None


def test_json_has_the_keys_that_scripts_rely_on_and_loads_again(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(report.to_json())
    loaded = Report.load(path)
    assert loaded.rows == report.rows and loaded.bundle == report.bundle
    assert loaded.sections[0].mistakes[0].image is None  # posters are shown in the page and kept nowhere else
    document = report.model_dump(mode="json")
    assert {"rows", "data", "seed", "bundle"} <= set(document)
    assert {"work", "metric", "n", "ours", "interval", "baselines"} <= set(document["rows"][0])


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="matinee evaluate"):
        Report.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"rows": 1}')
    with pytest.raises(FormatError, match=r"bad\.json"):
        Report.load(tmp_path / "bad.json")


def test_markdown_shows_every_part(report: Report) -> None:
    text = to_markdown(report)
    for expected in ("plot → genres", "**0.900**", "coin 0.500, gain +0.400", "2.5 ms", "Drama", "Worst mistakes"):
        assert expected in text
    assert "a | note" in text and "\\|" not in text.split("## Genre")[0]


def test_the_page_is_whole_escaped_and_loads_nothing(report: Report) -> None:
    page = to_html(report)

    class Checker(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.outside: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)
            self.outside += [v for k, v in attrs if k in {"src", "href"} and v and not v.startswith(("data:", "#"))]

    checker = Checker()
    checker.feed(page)
    assert "script" not in checker.tags and checker.outside == []
    assert {"svg", "circle", "polyline", "img", "table"} <= set(checker.tags)
    assert page.startswith("<!doctype html>") and "0.900" in page


def test_cards_take_the_report_s_figures(report: Report) -> None:
    card = ModelCard(
        name="genre-plot-multi", title="t", task="t", demo=False, encoder="e", data={}, split="s", training="t"
    )
    other = card.model_copy(update={"name": "poster-check"})
    (measured,) = measured_cards(report, [card, other])
    assert measured.name == "genre-plot-multi"
    assert measured.metrics[0].value == pytest.approx(0.9) and measured.metrics[0].baselines["coin"] == 0.5
    assert measured.per_label == {"Drama": {"AP": 0.5}, "War": {}}


def test_a_paired_interval_is_narrower_than_that_of_unrelated_differences() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(400)
    ours, theirs = hard + 0.1, hard  # always 0.1 better, whatever the item
    _, gains = paired_bootstrap(lambda i: float(ours[i].mean()), {"b": lambda i: float(theirs[i].mean())}, 400)
    assert gains["b"].value == pytest.approx(0.1)
    assert gains["b"].high - gains["b"].low < 1e-9


def test_the_reliability_bins_are_those_of_the_calibration_error() -> None:
    rng = np.random.default_rng(1)
    stated = rng.random(500)
    truth = rng.random(500) < stated**2
    bins = reliability(truth, stated)
    assert sum(b.count for b in bins) == 500
    gap = sum(b.count * abs(b.stated - b.observed) for b in bins) / 500
    assert gap == pytest.approx(expected_calibration_error(truth, stated))
