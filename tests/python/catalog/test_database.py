"""The editable catalogue: merging by shared ids, what may be trained on, posters and ratings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from matinee import InvalidArgument, IoError, NotFound
from matinee.catalog import database
from matinee.catalog.database import Catalog, merge_films
from matinee.catalog.film import Film, Person
from matinee.catalog.report import BuildReport
from matinee.catalog.source import Negative, Rating, SourceFilm, SourceInfo


class Listed:
    """A source of the films it is given."""

    def __init__(
        self, name: str, films: Sequence[SourceFilm | Film], ratings: Sequence[Rating] = (), *, train: bool = True
    ) -> None:
        self.info = SourceInfo(name, f"licence of {name}", train)
        self._films = [film if isinstance(film, SourceFilm) else SourceFilm(film) for film in films]
        self._ratings = ratings

    def films(self, report: BuildReport) -> Iterator[SourceFilm]:
        yield from self._films

    def negatives(self, report: BuildReport) -> Iterator[Negative]:
        return iter(())

    def ratings(self, report: BuildReport) -> Iterator[Rating]:
        yield from self._ratings


ALIEN = Film(
    id="movielens:1214",
    title="Alien",
    year=1979,
    genres=("Horror",),
    people=(Person(name="Ridley Scott", role="director"),),
    aliases=("tmdb:348",),
    provenance={"title": "a", "year": "a", "genres": "a", "people": "a"},
)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "films.db") as opened:
        yield opened


def test_films_come_back_as_they_went_in_and_in_order(catalog: Catalog) -> None:
    films = [Film(id=f"local:{i}", title=f"Film {i}", year=1900 + i % 100) for i in range(1203)]
    films[700] = ALIEN
    report = BuildReport()
    assert catalog.ingest(Listed("a", films), report) == 1203
    assert list(catalog.films()) == films
    assert len(catalog) == 1203
    assert catalog.film("tmdb:348") == catalog.film("movielens:1214") == ALIEN
    assert report.rows == []


def test_a_second_source_fills_in_and_never_overwrites(catalog: Catalog) -> None:
    other = Film(
        id="tmdb:348",
        title="ALIEN",
        year=1980,
        runtime=117,
        genres=("Comedy",),
        aliases=("imdb:tt0078748",),
        provenance={"title": "b", "year": "b", "runtime": "b", "genres": "b"},
    )
    catalog.ingest(Listed("a", [ALIEN]), BuildReport())
    catalog.ingest(Listed("b", [other, Film(id="tmdb:9", title="Heat")]), BuildReport())
    assert [film.id for film in catalog.films()] == ["movielens:1214", "tmdb:9"]
    merged = catalog.film("imdb:tt0078748")
    assert merged == ALIEN.model_copy(
        update={
            "runtime": 117,
            "aliases": ("tmdb:348", "imdb:tt0078748"),
            "provenance": {**ALIEN.provenance, "runtime": "b"},
        }
    )


def test_a_title_nobody_vouches_for_gives_way(catalog: Catalog) -> None:
    catalog.ingest(Listed("course", [Film(id="movielens:1214", title="Film 1214", plot="In space.")]), BuildReport())
    catalog.ingest(Listed("movielens", [ALIEN]), BuildReport())
    film = catalog.film("movielens:1214")
    assert (film.title, film.provenance["title"], film.plot) == ("Alien", "a", "In space.")
    assert merge_films(ALIEN, Film(id="x:1", title="Film 1")).title == "Alien"


def test_two_ids_within_a_source_stay_two_films_and_the_shared_alias_is_reported(catalog: Catalog) -> None:
    report = BuildReport()
    twin = Film(id="movielens:2", title="Alien (copy)", aliases=("tmdb:348", "imdb:tt1"))
    catalog.ingest(Listed("a", [ALIEN, twin]), report)
    assert [film.id for film in catalog.films()] == ["movielens:1214", "movielens:2"]
    assert catalog.film("tmdb:348").id == "movielens:1214"
    assert catalog.film("imdb:tt1").aliases == ("imdb:tt1",)
    assert [(row.problem, row.film) for row in report.rows] == [("shared_alias", "movielens:2")]


def test_a_repeated_id_is_reported_and_the_first_kept(catalog: Catalog) -> None:
    report = BuildReport()
    films = [ALIEN, *(Film(id=f"local:{i}", title="x") for i in range(600)), Film(id=ALIEN.id, title="Again")]
    catalog.ingest(Listed("a", films), report)
    assert catalog.film(ALIEN.id).title == "Alien"
    assert [(row.problem, row.film) for row in report.rows] == [("duplicate_id", ALIEN.id)]


def test_posters_are_paths_in_full_or_bytes(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    films = [
        SourceFilm(Film(id="local:1", title="a"), Path("posters/1.jpg")),
        SourceFilm(Film(id="local:2", title="b")),
        SourceFilm(Film(id="local:3", title="c"), b"\x89PNG"),
    ]
    catalog.ingest(Listed("a", films), BuildReport())
    catalog.ingest(Listed("b", [SourceFilm(Film(id="local:3", title="c"), b"other")]), BuildReport())
    assert list(catalog.posters()) == [("local:1", tmp_path / "posters" / "1.jpg"), ("local:3", b"\x89PNG")]
    assert [film.has_poster for film in catalog.films()] == [True, False, True]
    assert catalog.film("local:1").has_poster


def test_what_may_not_be_trained_on_keeps_its_films_out(catalog: Catalog) -> None:
    first = [Film(id=f"local:{i}", title=f"Film {i}", provenance={"title": "a"}) for i in (1, 2, 3)]
    second = [
        Film(id="local:1", title="Film 1", plot="Not yours.", provenance={"plot": "b"}),
        Film(id="local:2", title="Known already", provenance={"title": "b"}),
        Film(id="local:4", title="Theirs alone"),
    ]
    catalog.ingest(Listed("a", first), BuildReport())
    catalog.ingest(Listed("b", second, train=False), BuildReport())
    assert catalog.trainable() == {"local:2", "local:3"}
    assert [(s.name, s.licence, s.train_allowed) for s in catalog.sources()] == [
        ("a", "licence of a", True),
        ("b", "licence of b", False),
    ]


def test_ratings_follow_aliases_and_the_last_one_counts(catalog: Catalog) -> None:
    ratings = [
        Rating("7", "tmdb:348", 4.0, 20),
        Rating("7", "movielens:1214", 5.0, 30),
        Rating("3", "movielens:1214", 0.5, None),
        Rating("3", "movielens:999", 2.0, 1),
        Rating("7", "movielens:999", 2.0, 1),
    ]
    report = BuildReport()
    catalog.ingest(Listed("ml", [ALIEN], ratings), report)
    assert list(catalog.ratings()) == [
        Rating("ml:3", "movielens:1214", 0.5, None),
        Rating("ml:7", "movielens:1214", 5.0, 30),
    ]
    assert [(row.problem, row.film, row.detail) for row in report.rows] == [
        ("rating_of_unknown_film", "movielens:999", "2 ratings")
    ]


def test_a_later_source_may_replace_a_rating_only_of_its_own_people(catalog: Catalog) -> None:
    for source in ("a", "b"):
        catalog.ingest(Listed(source, [ALIEN], [Rating("1", ALIEN.id, 3.0, 1)]), BuildReport())
    assert [rating.person for rating in catalog.ratings()] == ["a:1", "b:1"]


def test_a_source_comes_once_and_a_failed_one_leaves_nothing(catalog: Catalog) -> None:
    class Failing(Listed):
        def films(self, report: BuildReport) -> Iterator[SourceFilm]:
            yield from super().films(report)
            raise IoError("the disk is gone")

    with pytest.raises(IoError, match="the disk is gone"):
        catalog.ingest(Failing("a", [ALIEN]), BuildReport())
    assert len(catalog) == 0
    catalog.ingest(Listed("a", [ALIEN]), BuildReport())
    with pytest.raises(InvalidArgument, match="expected every source once, got 'a' again"):
        catalog.ingest(Listed("a", []), BuildReport())


def test_progress_counts_films(catalog: Catalog) -> None:
    seen: list[tuple[str, int, int | None]] = []
    films = [Film(id=f"local:{i}", title="x") for i in range(1100)]
    catalog.ingest(Listed("a", films), BuildReport(), progress=lambda *step: seen.append(step))
    assert [done for _, done, _ in seen] == [500, 1000, 1100]


def test_an_unknown_film_is_not_found(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match="'movielens:1'"):
        catalog.film("movielens:1")


def test_a_catalogue_is_found_again(tmp_path: Path) -> None:
    with Catalog(tmp_path / "films.db") as catalog:
        catalog.ingest(Listed("a", [ALIEN]), BuildReport())
    with Catalog(f"sqlite:///{tmp_path}/films.db") as catalog:
        assert catalog.film("tmdb:348") == ALIEN


def test_a_database_that_cannot_be_opened_is_an_io_error_without_the_password(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is not a database, only a text " * 50)
    with pytest.raises(IoError, match="cannot open"):
        Catalog(tmp_path / "text.db")
    for url in ("nosuchdialect://me:secret@host/db", "mysql+nosuchdriver://me:secret@host/db", "://"):
        with pytest.raises(IoError) as caught:
            Catalog(url)
        assert "secret" not in str(caught.value)


def test_the_statements_are_also_postgresql() -> None:
    dialect = postgresql.dialect()

    class Connection:
        pass

    connection = Connection()
    connection.dialect = dialect  # type: ignore[attr-defined]
    statement = database._newest_rating(connection)  # type: ignore[arg-type]
    assert "ON CONFLICT (person, film) DO UPDATE SET value = excluded.value" in str(statement.compile(dialect=dialect))
    for table in database._metadata.sorted_tables:
        assert "CREATE TABLE" in str(sa.schema.CreateTable(table).compile(dialect=dialect))
