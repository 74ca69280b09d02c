"""What every test may ask for: the real data when it is there, and a machine without a network."""

import os
from pathlib import Path

import bundles
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def find_shared_data() -> Path | None:
    """Folder of the real data: $MATINEE_TEST_DATA, or shared/data beside the repository, or None."""
    named = os.environ.get("MATINEE_TEST_DATA")
    candidates = [Path(named)] if named else [REPOSITORY.parent / "shared" / "data"]
    return next((path for path in candidates if (path / "catalog.tsv").is_file()), None)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the working tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real films, posters and ratings; the test is skipped where a machine has none."""
    found = find_shared_data()
    if found is None:
        pytest.skip(
            "no real data: set MATINEE_TEST_DATA to a folder with catalog.tsv, or put shared/ beside the checkout"
        )
    return found


@pytest.fixture(scope="session")
def real_data() -> Path | None:
    """As shared_data, but None where a machine has none: for tests that have generated data to fall back on."""
    return find_shared_data()


@pytest.fixture(scope="session")
def drawn_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The films.toml of the small catalogue that tests/bundles.py draws. Do not write beside it."""
    return bundles.write_sources(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def encoders() -> None:
    """Skips where the machine has no models: they are never pulled by a test."""
    if missing := bundles.models_missing():
        pytest.skip(missing)


@pytest.fixture(scope="session")
def small_bundle(encoders: None) -> Path:
    """Folder of a bundle of 113 drawn films built with the real encoders; kept under build/ between runs. Read only."""
    return bundles.build_small_bundle(REPOSITORY / "build" / "test-cache")


@pytest.fixture(scope="session")
def demo_bundle(encoders: None) -> Path:
    """Folder of a bundle of 900 real films of the demo, those with plots among them; kept between runs. Read only."""
    if missing := bundles.demo_facts_missing():
        pytest.skip(missing)
    return bundles.build_demo_bundle(REPOSITORY / "build" / "test-cache-demo")
