"""The frozen film table: lookups, filters and words, compared with slow obvious twins."""

from __future__ import annotations

import contextlib
import math
import random
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from matinee import FormatError, InvalidArgument, NotFound
from matinee.catalog.film import Film, Person
from matinee.catalog.frozen import FilmTable, PosterSpan, fold, write_films
from matinee.where import Where

FILMS = [
    Film(
        id="movielens:1",
        title="Alien",
        year=1979,
        runtime=117,
        genres=("Horror", "Science Fiction"),
        plot="The crew of a towing ship meets a creature that hunts them one by one.",
        people=(Person(name="Ridley Scott", role="director"), Person(name="Sigourney Weaver", role="cast")),
        languages=("English",),
        countries=("United Kingdom",),
        certificate="R",
        aliases=("tmdb:348", "imdb:tt0078748"),
    ),
    Film(
        id="movielens:2",
        title="Amélie",
        year=2001,
        runtime=122,
        genres=("Comedy", "Romance"),
        plot="A shy waitress decides to change the lives of those around her.",
        people=(Person(name="Jean-Pierre Jeunet", role="director"), Person(name="Audrey Tautou", role="cast")),
        languages=("French",),
        countries=("France",),
        keywords=("paris", "garden gnome"),
    ),
    Film(id="movielens:3", title="The Alienist's Ward", year=None, genres=("Drama",)),
    Film(id="movielens:4", title="Stalker", year=1979, genres=("Science Fiction", "Drama"), languages=("Russian",)),
    Film(id="local:5", title="\N{MAHJONG TILE RED DRAGON} 紅", year=1988, runtime=90),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> FilmTable:
    path = tmp_path_factory.mktemp("films") / "films.sqlite"
    assert write_films(FILMS, path, {"movielens:1": PosterSpan(0, 10, "image/jpeg")}) == len(FILMS)
    return FilmTable(path)


def test_every_film_comes_back_as_written(table: FilmTable) -> None:
    assert len(table) == len(FILMS)
    for row, film in enumerate(FILMS):
        got = table.film(film.id)
        assert got == film.model_copy(update={"has_poster": row == 0})
        assert table.row_of(film.id) == row
        assert table.id_of(row) == film.id
    assert [film.id for film in table.films([3, 1, 3])] == ["movielens:4", "movielens:2", "movielens:4"]


def test_aliases_lead_to_the_film_and_unknown_ids_are_not_found(table: FilmTable) -> None:
    assert table.film("tmdb:348").title == "Alien"
    with pytest.raises(NotFound, match="tmdb:999"):
        table.film("tmdb:999")


def test_poster_spans_are_kept(table: FilmTable) -> None:
    assert table.poster_span("imdb:tt0078748") == PosterSpan(0, 10, "image/jpeg")
    assert table.poster_span("movielens:2") is None
    assert table.has_poster.tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("where", "ids", "left_out"),
    [
        ({}, ["movielens:1", "movielens:2", "movielens:3", "movielens:4", "local:5"], {}),
        ({"genres": "science fiction"}, ["movielens:1", "movielens:4"], {"genres": 1}),
        ({"genres": {"all": ["Drama", "Science Fiction"]}}, ["movielens:4"], {"genres": 1}),
        ({"genres": {"none": ["Horror", "drama"]}}, ["movielens:2"], {"genres": 1}),
        ({"year": {"min": 1979, "max": 1990}}, ["movielens:1", "movielens:4", "local:5"], {"year": 1}),
        ({"year": {"none": [{"min": 1979, "max": 1979}, {"min": 1985, "max": 1999}]}}, ["movielens:2"], {"year": 1}),
        ({"runtime": {"max": 120}}, ["movielens:1", "local:5"], {"runtime": 2}),
        ({"runtime": {"max": 120}, "year": {"max": 1980}}, ["movielens:1"], {"runtime": 1}),
        ({"language": ["french", "russian"]}, ["movielens:2", "movielens:4"], {"language": 2}),
        ({"people": "sigourney weaver"}, ["movielens:1"], {"people": 3}),
        ({"country": {"none": ["France"]}}, ["movielens:1"], {"country": 3}),
        ({"certificate": "R"}, ["movielens:1"], {"certificate": 4}),
        ({"ids": {"none": ["tmdb:348"]}, "year": {"max": 1980}}, ["movielens:4"], {"year": 1}),
        ({"ids": {"any": ["tmdb:348", "nobody:1"]}}, ["movielens:1"], {}),
        ({"genres": ["No Such Genre"]}, [], {"genres": 1}),
    ],
)
def test_filters_let_through_what_is_known_to_fit_and_count_the_unknown(
    table: FilmTable, where: dict[str, object], ids: list[str], left_out: dict[str, int]
) -> None:
    allowed, counted = table.allow(Where.parse(where))
    assert [table.id_of(row) for row in allowed.nonzero()[0]] == ids
    assert counted == left_out


@pytest.mark.parametrize(
    ("text", "film_id", "channel"),
    [
        ("alien", "movielens:1", "title"),
        ("Audrey Tautou", "movielens:2", "people"),
        ("gnomes in paris", "movielens:2", "keywords"),
        ("creature hunting a crew", "movielens:1", "plot"),
        ("amelie", "movielens:2", "title"),
        ("紅", "local:5", "title"),
    ],
)
def test_words_find_films_and_say_which_column_did(table: FilmTable, text: str, film_id: str, channel: str) -> None:
    best = table.match(text, 3)[0]
    assert (table.id_of(best.row), best.channel) == (film_id, channel)
    assert best.score > 0


@pytest.mark.parametrize("text", ["", "   ", "\x00\x07", "😀😀", "?!…", "zzzzqqq"])
def test_texts_without_known_words_match_nothing(table: FilmTable, text: str) -> None:
    assert table.match(text, 5) == []


@pytest.mark.parametrize(
    "text", ['"', "alien OR", "title:alien", "NEAR(a b)", "alien*", "a AND (", "-alien", "'; DROP"]
)
def test_query_syntax_in_user_text_is_only_text(table: FilmTable, text: str) -> None:
    table.match(text, 5)
    table.find(text, 5)


def test_a_hundred_thousand_words_are_cut_not_refused(table: FilmTable) -> None:
    assert table.match("alien " + "lorem ipsum dolor " * 40_000, 5)[0].row == 0


def test_match_respects_the_bitmap_and_k(table: FilmTable) -> None:
    allowed, _ = table.allow(Where.parse({"year": {"max": 1978}}))
    assert table.match("alien", 5, allowed) == []
    assert len(table.match("alien shy crew", 1)) == 1
    with pytest.raises(InvalidArgument):
        table.match("alien", 0)


def test_films_are_found_by_all_words_of_names(table: FilmTable) -> None:
    assert table.naming(["ridley", "scott"], 5) == [0]
    assert table.naming(["alien", "weaver"], 5) == [0]
    assert table.naming(["amelie"], 5) == [1]
    assert table.naming(["alien", "tautou"], 5) == []


def test_find_completes_titles_and_names(table: FilmTable) -> None:
    assert [film.title for film in table.find("ali")] == ["Alien", "The Alienist's Ward"]
    assert [film.title for film in table.find("taut")] == ["Amélie"]
    assert [film.title for film in table.find("", k=2, offset=1)] == ["Amélie", "The Alienist's Ward"]
    assert table.find("ali", k=5, offset=2) == []
    assert table.find("", k=5, offset=99) == []
    with pytest.raises(InvalidArgument):
        table.find("ali", k=0)


def test_many_threads_read_at_once(table: FilmTable) -> None:
    def read(i: int) -> str:
        return table.films([table.match("alien", 1)[0].row])[0].title + table.find("am")[0].title

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(100))) == {"AlienAmélie"}


def test_rows_stay_in_order_over_many_batches(tmp_path: Path) -> None:
    films = [Film(id=f"local:{i}", title=f"Film {i}", genres=("Drama",) if i % 2 else ()) for i in range(4503)]
    write_films(films, tmp_path / "films.sqlite")
    table = FilmTable(tmp_path / "films.sqlite")
    assert len(table) == 4503
    assert [table.id_of(row) for row in (0, 1999, 2000, 4502)] == ["local:0", "local:1999", "local:2000", "local:4502"]
    assert table.films([4501])[0].id == "local:4501"
    allowed, left_out = table.allow(Where.parse({"genres": "Drama"}))
    assert (int(allowed.sum()), left_out) == (2251, {"genres": 2252})


def test_a_repeated_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="once"):
        write_films([FILMS[0], FILMS[0]], tmp_path / "films.sqlite")


def test_damaged_or_foreign_files_are_format_errors(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        FilmTable(tmp_path / "nothing.sqlite")
    (tmp_path / "text.sqlite").write_bytes(b"not a database, only text" * 100)
    with pytest.raises(FormatError, match=r"text\.sqlite"):
        FilmTable(tmp_path / "text.sqlite")
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(FormatError, match="format"):
        FilmTable(tmp_path / "other.sqlite")


def test_names_compare_without_case_and_accents() -> None:
    assert fold(" Amélie ") == fold("AMELIE")


def random_films(count: int, seed: int) -> list[Film]:
    """Films with facts drawn at random, a third of each unknown."""
    draw = random.Random(seed)

    def some(names: str) -> tuple[str, ...]:
        return tuple(draw.sample(names, draw.randint(1, 3))) if draw.random() < 0.67 else ()

    return [
        Film(
            id=f"local:{i}",
            title=f"Film {i}",
            year=draw.choice([None, 1970, 1985, 1999]),
            runtime=draw.choice([None, 80, 100, 140]),
            genres=some("ABCDE"),
            languages=some("FGH"),
            countries=some("IJK"),
            certificate=draw.choice([None, "PG", "R"]),
            people=tuple(Person(name=name, role="cast") for name in some("XYZ")),
            aliases=(f"tmdb:{i}",),
        )
        for i in range(count)
    ]


def passes(film: Film, where: Where) -> tuple[bool, set[str]]:
    """The slow obvious twin of `allow`: (passes where known, the facts that are asked for and unknown)."""
    facts: dict[str, tuple[object, ...]] = {
        "genres": film.genres,
        "language": film.languages,
        "country": film.countries,
        "certificate": (film.certificate,) if film.certificate else (),
        "people": tuple(person.name for person in film.people),
    }
    fits, unknown = True, set()
    for fact, values in facts.items():
        wanted = getattr(where, fact)
        every = getattr(wanted, "all", ())
        if not (wanted.any or wanted.none or every):
            continue
        if not values:
            unknown.add(fact)
            continue
        names = {str(value).casefold() for value in values}
        fits &= not wanted.any or any(name.casefold() in names for name in wanted.any)
        fits &= not any(name.casefold() in names for name in wanted.none)
        fits &= all(name.casefold() in names for name in every)
    for fact in ("year", "runtime"):
        limits, value = getattr(where, fact), getattr(film, fact)
        if limits.min is None and limits.max is None and not limits.none:
            continue
        if value is None:
            unknown.add(fact)
            continue
        fits &= (limits.min is None or value >= limits.min) and (limits.max is None or value <= limits.max)
        for span in limits.none:
            fits &= not ((span.min is None or value >= span.min) and (span.max is None or value <= span.max))
    ids = {film.id, *film.aliases}
    if (where.ids.any and not ids & set(where.ids.any)) or ids & set(where.ids.none):
        return False, set()
    return fits, unknown


def test_random_filters_agree_with_the_slow_twin(tmp_path: Path) -> None:
    films = random_films(400, seed=11)
    write_films(films, tmp_path / "films.sqlite")
    table = FilmTable(tmp_path / "films.sqlite")
    draw = random.Random(12)

    def names(choice: str) -> list[str]:
        return [draw.choice((name, name.lower())) for name in draw.sample(choice, draw.randint(0, min(2, len(choice))))]

    some_left_out = 0
    for _ in range(150):
        document: dict[str, object] = {"genres": {"any": names("ABCDE"), "all": names("ABC"), "none": names("DE")}}
        if draw.random() < 0.5:
            document["language"] = {"any": names("FGH"), "none": names("F")}
        if draw.random() < 0.5:
            document["year"] = {"min": draw.choice([None, 1980]), "max": draw.choice([None, 1990])}
            if draw.random() < 0.5:
                document["year"] |= {"none": [{"min": 1984, "max": draw.choice([None, 1986])}, {"max": 1970}]}
        if draw.random() < 0.3:
            document |= {"runtime": {"max": 120}, "certificate": {"any": ["pg"]}}
        if draw.random() < 0.3:
            document["people"] = {"none": names("XYZ")}
        if draw.random() < 0.3:
            document["ids"] = {"none": [f"tmdb:{i}" for i in range(0, 400, 3)]}
        where = Where.parse(document)
        verdicts = [passes(film, where) for film in films]
        allowed, left_out = table.allow(where)
        assert allowed.tolist() == [fits and not unknown for fits, unknown in verdicts]
        counted = Counter(fact for fits, unknown in verdicts for fact in unknown if fits and len(unknown) == 1)
        assert left_out == dict(counted)
        some_left_out += bool(left_out)
    assert some_left_out > 50


def test_a_film_of_exactly_that_title_comes_first(tmp_path: Path) -> None:
    films = [
        Film(id="local:0", title="Alien Aliens", plot="Aliens."),
        Film(id="local:1", title="Alien (Le huitième passager)", plot="A crew of seven wakes from sleep. " * 40),
        Film(id="local:2", title="ALIEN", plot="Another crew. " * 80),
        Film(id="local:3", title="Crew", plot="An alien."),
    ]
    write_films(films, tmp_path / "films.sqlite")
    table = FilmTable(tmp_path / "films.sqlite")
    matches = table.match("Álien ", 4)
    assert {match.row for match in matches[:2]} == {1, 2}
    assert [match.channel for match in matches[:2]] == ["title", "title"]
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    assert len({match.row for match in matches}) == len(matches) == 4
    assert len(table.match("alien", 1)) == 1
    allowed, _ = table.allow(Where.parse({"ids": {"none": ["local:1", "local:2"]}}))
    assert [match.row for match in table.match("alien", 4, allowed)] == [0, 3]


def test_names_are_counted_by_kind(table: FilmTable) -> None:
    assert table.names("genre") == {"horror": 1, "science fiction": 2, "comedy": 1, "romance": 1, "drama": 2}
    assert table.names("certificate") == {"r": 1}
    assert table.names("planet") == {}


def test_a_fact_that_names_a_row_outside_the_table_is_a_format_error(tmp_path: Path) -> None:
    path = tmp_path / "films.sqlite"
    write_films(FILMS, path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        rows = (99).to_bytes(4, "little")
        connection.execute("UPDATE fact SET rows = ? WHERE kind = 'genre' AND name = 'drama'", (rows,))
    with pytest.raises(FormatError, match="row outside the table"):
        FilmTable(path).allow(Where.parse({"genres": "Drama"}))


def test_a_frozen_table_is_never_written_to(tmp_path: Path) -> None:
    path = tmp_path / "films.sqlite"
    write_films(FILMS, path)
    before = path.read_bytes()
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        table = FilmTable(path)
        table.match("alien", 3)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["films.sqlite"]
    finally:
        tmp_path.chmod(0o755)
    assert path.read_bytes() == before


def slow_bm25f(films: list[Film], terms: set[str], film: Film) -> float:
    """BM25F of a film by the book; the films' words are their own stems."""

    def columns(one: Film) -> list[list[str]]:
        texts = (
            one.title,
            " ".join(p.name for p in one.people),
            " ".join((*one.keywords, *one.genres)),
            one.plot or "",
        )
        return [text.lower().split() for text in texts]

    usual = []
    for column in range(4):
        lengths = [len(columns(one)[column]) for one in films if columns(one)[column]]
        usual.append(sum(lengths) / len(lengths) if lengths else 1)
    total = 0.0
    for term in terms:
        holding = sum(any(term in words for words in columns(one)) for one in films)
        count = sum(
            words.count(term) / (1 - 0.4 + 0.4 * len(words) / usual[column])
            for column, words in enumerate(columns(film))
        )
        rarity = math.log(1 + (len(films) - holding + 0.5) / (holding + 0.5))
        total += rarity * count * 1.9 / (count + 0.9)
    return total


def test_long_requests_are_matched_by_all_columns_together(tmp_path: Path) -> None:
    draw = random.Random(5)
    words = [f"{a}{b}" for a in ("zor", "bim", "kal", "tup", "wok") for b in ("ab", "om", "ux", "ik", "un")]

    def some(count: int) -> str:
        return " ".join(draw.choices(words, k=count))

    films = [
        Film(
            id=f"local:{i}",
            title=f"Film{i}",
            plot=some(draw.randint(5, 30)) if draw.random() < 0.8 else None,
            keywords=tuple(draw.sample(words, draw.randint(0, 4))),
        )
        for i in range(60)
    ]
    write_films(films, tmp_path / "films.sqlite")
    table = FilmTable(tmp_path / "films.sqlite")
    asked = words[3:15]
    scores = {i: slow_bm25f(films, set(asked), film) for i, film in enumerate(films)}
    expected = sorted((i for i in scores if scores[i] > 0), key=lambda i: (-scores[i], i))
    found = table.match(" ".join(asked), 60)
    assert [match.score for match in found] == pytest.approx([scores[i] for i in expected], rel=1e-5)
    assert {match.row for match in found} == set(expected)
    allowed = np.arange(60) % 2 == 0
    even = table.match(" ".join(asked), 5, allowed)
    assert [m.score for m in even] == pytest.approx([scores[i] for i in expected if i % 2 == 0][:5], rel=1e-5)


def test_popularity_is_how_many_rated_a_film_on_one_scale(tmp_path: Path) -> None:
    votes = [10, 1000, None, 100]
    write_films([Film(id=f"local:{i}", title=str(i), votes=n) for i, n in enumerate(votes)], tmp_path / "films.sqlite")
    popularity = FilmTable(tmp_path / "films.sqlite").popularity
    assert popularity[2] == 0
    assert popularity[0] < popularity[3] < popularity[1]
    known = popularity[[0, 1, 3]]
    assert known.mean() == pytest.approx(0) and known.std() == pytest.approx(1)
