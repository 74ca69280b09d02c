"""The application over the real small bundle."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import matinee
from matinee.app.api import ApiConfig, create_app
from matinee.app.service import Service


@pytest.fixture(scope="session")
def service(small_bundle: Path) -> Iterator[Service]:
    """A service with the small bundle open."""
    opened = Service(small_bundle, opener=matinee.open_bundle, watch_seconds=0)
    opened.open_now()
    yield opened
    opened.stop()


@pytest.fixture(scope="session")
def client(service: Service) -> FlaskClient:
    """A client of the API."""
    return create_app(service, ApiConfig()).test_client()


@pytest.fixture(scope="session")
def film_id(service: Service) -> str:
    """A film with a poster and a plot."""
    found, _ = service.films(k=1000)
    return next(film.id for film in found if film.has_poster and film.plot)
