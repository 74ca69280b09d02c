"""films.toml: what it may say, what is refused, and what a folder without one is taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from matinee import FormatError, InvalidArgument, NotFound
from matinee.catalog.database import Catalog
from matinee.catalog.report import BuildReport
from matinee.catalog.source_file import load_source_file

TABLE = """
[[source]]
kind = "table"
name = "films"
path = "films.csv"
licence = "ours"
id = { column = "id", prefix = "local:" }
columns = { title = "title", poster = { column = "poster", prefix = "posters/" } }
"""
NEGATIVES = """
[[negatives]]
name = "photographs"
path = "photos"
negative = "photograph"
licence = "ours"
"""


def write(folder: Path, text: str) -> Path:
    (folder / "posters").mkdir(exist_ok=True)
    (folder / "posters" / "a.jpg").write_bytes(b"poster")
    (folder / "photos").mkdir(exist_ok=True)
    (folder / "photos" / "1.jpg").write_bytes(b"photo")
    (folder / "films.csv").write_text("id,title,poster\n1,Alien (1979),a.jpg\n2,Heat,\n")
    path = folder / "films.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("by_folder", [False, True])
def test_sources_and_negatives_start_at_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_folder: bool
) -> None:
    home = tmp_path / "data"
    home.mkdir()
    path = write(home, 'name = "Mine"\ndemo = true\n' + TABLE + NEGATIVES)
    monkeypatch.chdir(tmp_path)
    source_file = load_source_file("data" if by_folder else path)
    assert (source_file.name, source_file.demo) == ("Mine", True)
    report = BuildReport()
    seen: list[str] = []
    with Catalog() as catalog:
        assert source_file.ingest(catalog, report, lambda step, *_: seen.append(step)) == 2
        assert [film.label for film in catalog.films()] == ["Alien (1979)", "Heat"]
        assert list(catalog.posters()) == [("local:1", home / "posters" / "a.jpg")]
        assert [info.name for info in catalog.sources()] == ["films", "photographs"]
    (negative,) = source_file.negatives(report)
    assert isinstance(negative.image, Path)
    assert negative.image.read_bytes() == b"photo"
    assert report.rows == []
    assert seen == ["films"]


def test_variables_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, 'name = "costs $5, not $NAME"\n' + TABLE.replace('"films.csv"', '"${FILMS}/films.csv"'))
    monkeypatch.setenv("FILMS", str(tmp_path))
    assert load_source_file(path).name == "costs $5, not $NAME"
    monkeypatch.delenv("FILMS")
    with pytest.raises(InvalidArgument, match=r"films\.toml: .*environment variable 'FILMS' is not set"):
        load_source_file(path)
    assert load_source_file(path, {"FILMS": "elsewhere"}).sources


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "name: Field required"),
        ('name = "x"', "source: Field required"),
        ('name = "x"\nsource = []', "source"),
        ('name = "x"\ncolour = "red"\n' + TABLE, "colour: Extra inputs are not permitted"),
        ('name = "x"\n' + TABLE + "colour = 1", r"source\.0\.table\.colour: Extra inputs"),
        ('name = "x"\n' + TABLE.replace("title =", "titel ="), "titel"),
        ('name = "x"\n' + TABLE.replace('"table"', '"tables"'), "'tables' found using 'kind' does not match"),
        ('name = "x"\n' + TABLE.replace('licence = "ours"', ""), "licence: Field required"),
        ('name = "x"\n' + TABLE + NEGATIVES.replace('negative = "photograph"', ""), "negatives.photographs"),
    ],
)
def test_what_is_wrong_in_a_source_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        load_source_file(write(tmp_path, text))


def test_what_is_no_source_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.toml"):
        load_source_file(tmp_path / "none.toml")
    for data in (b"name = ", b"\xff\xfe"):
        (tmp_path / "films.toml").write_bytes(data)
        with pytest.raises(FormatError, match=r"films\.toml: expected TOML"):
            load_source_file(tmp_path)


def test_a_folder_laid_out_like_the_courses_set_needs_no_source_file(tmp_path: Path) -> None:
    for name in ("action/1.jpg", "drama/2.jpg"):
        path = tmp_path / "posters" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"poster")
    plots = tmp_path / "plots"
    plots.mkdir()
    (plots / "movie_plots.csv").write_text("movie_poster_path,movie_plot,movie_category\nx/2.jpg,A plot.,drama\n")
    source_file = load_source_file(tmp_path)
    with Catalog() as catalog:
        source_file.ingest(catalog, BuildReport())
        assert [(film.id, film.plot) for film in catalog.films()] == [("movielens:1", None), ("movielens:2", "A plot.")]


def test_any_other_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(InvalidArgument, match=r"expected a films\.toml, or the course's posters"):
        load_source_file(tmp_path)


def test_every_source_file_in_the_guide_is_one(tmp_path: Path, repository: Path) -> None:
    guide = (repository / "docs" / "guides" / "your-own-data.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in guide.split("```toml\n")[1:]]
    assert len(blocks) >= 3
    for block in blocks:
        (tmp_path / "films.toml").write_text(block, encoding="utf-8")
        assert load_source_file(tmp_path).sources
