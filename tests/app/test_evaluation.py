"""The evaluation report beside the bundle: told as JSON and as a page, unless it is of another bundle."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import matinee
from matinee.app.api import ApiConfig, create_app
from matinee.app.service import Service
from matinee.errors import NotFound
from matinee.evaluation.report import Report, Section, compared, report_of
from matinee.evaluation.run import save_report


def report_about(identity: str) -> Report:
    row = compared("genre", "plot → genres", "mAP", 5, ours=lambda i: 0.6, baselines={"coin": lambda i: 0.5})
    return Report(
        rows=(row,),
        sections=(Section(name="genre", title="Genre", about="Asked as users ask."),),
        data={"films": "5 drawn films"},
        seed=0,
        bundle=identity,
        version="0",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        machine="a machine",
    )


@pytest.fixture
def bundle(small_bundle: Path, tmp_path: Path) -> Path:
    """A copy, so that what is laid beside it disturbs nobody."""
    copy = tmp_path / "films.bundle"
    shutil.copytree(small_bundle, copy)
    return copy


@pytest.fixture
def service(bundle: Path) -> Service:
    opened = Service(bundle, opener=matinee.open_bundle, watch_seconds=0)
    opened.open_now()
    return opened


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return create_app(service, ApiConfig()).test_client()


def test_a_measured_bundle_shows_its_report_and_its_page(bundle: Path, service: Service, client: FlaskClient) -> None:
    report = report_about(service.facts().bundle_version)
    save_report(report, report_of(bundle))
    answer = client.get("/v1/evaluation")
    assert answer.status_code == 200
    assert Report.model_validate_json(answer.data) == report
    page = client.get("/v1/evaluation/page")
    assert page.status_code == 200 and page.mimetype == "text/html"
    assert "plot → genres" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_a_link_to_a_bundle_shows_the_report_of_what_it_points_at(bundle: Path, service: Service) -> None:
    link = bundle.with_name("current")
    link.symlink_to(bundle)
    save_report(report_about(service.facts().bundle_version), report_of(link))
    assert report_of(link) == report_of(bundle)
    assert service.evaluation().rows[0].ours == 0.6


def of_another(bundle: Path) -> None:
    save_report(report_about("of-another"), report_of(bundle))


def without_a_page(bundle: Path) -> None:
    save_report(report_about(matinee.open_bundle(bundle).manifest.identity), report_of(bundle))
    report_of(bundle).with_suffix(".html").unlink()


@pytest.mark.parametrize(
    ("lay", "expected"),
    [
        (lambda bundle: None, "has not been measured; run matinee evaluate"),
        (of_another, "the report is of bundle of-another"),
        (without_a_page, "found none; run matinee evaluate"),
    ],
)
def test_what_was_not_measured_says_how_to_measure_it(
    bundle: Path, service: Service, client: FlaskClient, lay: Callable[[Path], None], expected: str
) -> None:
    lay(bundle)
    with pytest.raises(NotFound, match=expected):
        service.evaluation_page()
    answer = client.get("/v1/evaluation/page")
    assert answer.status_code == 404 and answer.json is not None
    assert expected in answer.json["detail"]
