"""Image folders, MovieLens sets and the course's set: as folders and as zips, whole and broken."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from matinee import FormatError, InvalidArgument, NotFound
from matinee.catalog.course import CourseOptions, CourseSource
from matinee.catalog.film import Film
from matinee.catalog.imagefolder import ImageFolderOptions, ImageFolderSource
from matinee.catalog.movielens import MovieLensOptions, MovieLensSource
from matinee.catalog.report import BuildReport
from matinee.catalog.source import Negative, Rating, Source

FORMS = pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def as_zip(folder: Path, zipped: bool) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name)) if zipped else folder


def content(image: Path | bytes | None) -> bytes | None:
    return image.read_bytes() if isinstance(image, Path) else image


def damage(path: Path, member: str) -> None:
    """Flips a byte in a stored member of a zip."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
    data = bytearray(path.read_bytes())
    data[info.header_offset + 30 + len(member) + 1] ^= 0xFF
    path.write_bytes(data)


def stored(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


IMAGES: dict[str, str | bytes] = {
    "Horror/alien_the_(1979).jpg": b"a",
    "horror/2.png": b"b",
    "Odd Label/3.webp": b"c",
    "notes.txt": "no image",
    ".thumbs/4.jpg": b"hidden",
    "__MACOSX/Horror/._2.png": b"hidden",
}


@FORMS
def test_a_folder_of_images_is_films_with_a_poster(tmp_path: Path, zipped: bool) -> None:
    path = as_zip(write(tmp_path / "images", IMAGES), zipped)
    source = ImageFolderSource(ImageFolderOptions(name="scans", path=path, licence="ours"))
    assert isinstance(source, Source)
    report = BuildReport()
    found = {item.film.id: item for item in source.films(report)}
    assert {name: content(item.poster) for name, item in found.items()} == {
        "local:alien_the_(1979)": b"a",
        "local:2": b"b",
        "local:3": b"c",
    }
    assert found["local:2"].film == Film(
        id="local:2",
        title="2",
        genres=("Horror",),
        single_genre="Horror",
        provenance={
            "title": "scans (file name)",
            "poster": "scans",
            "genres": "scans (folder name)",
            "single_genre": "scans (folder name)",
        },
    )
    assert found["local:alien_the_(1979)"].film.label == "alien the (1979)"
    assert found["local:3"].film.single_genre is None
    assert list(source.negatives(report)) == list(source.ratings(report)) == []
    assert report.rows == []


def test_names_that_repeat_from_folder_to_folder_keep_their_folder(tmp_path: Path) -> None:
    write(tmp_path / "images", {"Rock/000.jpg": b"a", "Pop/000.jpg": b"b"})
    report = BuildReport()
    source = ImageFolderSource(ImageFolderOptions(name="s", path=Path("images"), licence="ours"), tmp_path)
    assert {i.film.id: content(i.poster) for i in source.films(report)} == {"local:000": b"b", "local:Rock/000": b"a"}
    assert [(row.problem, row.film) for row in report.rows] == [("duplicate_id", "local:Rock/000")]


@FORMS
def test_a_folder_of_negatives_has_no_films(tmp_path: Path, zipped: bool) -> None:
    path = as_zip(write(tmp_path / "images", {"1.jpg": b"a", "sub/2.jpg": b"b"}), zipped)
    options = ImageFolderOptions(name="photos", path=path, licence="ours", negative="photograph")
    source = ImageFolderSource(options)
    report = BuildReport()
    assert list(source.films(report)) == []
    found = list(source.negatives(report))
    assert {(content(negative.image), negative.kind) for negative in found} == {
        (b"a", "photograph"),
        (b"b", "photograph"),
    }
    assert all(isinstance(negative, Negative) for negative in found)


def test_a_damaged_member_of_a_zip_is_reported_and_left_out(tmp_path: Path) -> None:
    path = stored(tmp_path, {"1.jpg": b"aaaaaaaa", "2.jpg": b"bbbbbbbb"})
    damage(path, "1.jpg")
    for negative in ("photograph", None):
        report = BuildReport()
        options = ImageFolderOptions(name="scans", path=path, licence="ours", negative=negative)
        source = ImageFolderSource(options)
        assert len(list(source.films(report))) + len(list(source.negatives(report))) == 1
        (row,) = report.rows
        assert row.problem == "unreadable_image"
        assert "1.jpg" in row.detail


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
def test_a_file_name_that_is_not_utf8_is_reported_and_the_report_can_be_saved(tmp_path: Path) -> None:
    folder = write(tmp_path / "images", {"good.jpg": b"a"})
    try:
        (folder / os.fsdecode(b"bad\xff.jpg")).write_bytes(b"b")
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")
    report = BuildReport()
    source = ImageFolderSource(ImageFolderOptions(name="scans", path=folder, licence="ours"))
    assert [item.film.id for item in source.films(report)] == ["local:good"]
    assert [(row.problem, row.film) for row in report.rows] == [("broken_utf8", "bad?.jpg")]
    report.save(tmp_path)
    assert "bad?.jpg" in (tmp_path / "build_report.json").read_text(encoding="utf-8")


def test_what_is_neither_folder_nor_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    for name, error in (("none", NotFound), ("text.zip", FormatError)):
        source = ImageFolderSource(ImageFolderOptions(name="s", path=tmp_path / name, licence="ours"))
        with pytest.raises(error, match=name):
            list(source.films(BuildReport()))


MOVIELENS: dict[str, str | bytes] = {
    "movies.csv": "movieId,title,genres\n1,Toy Story (1995),Animation|Children's|IMAX\n"
    '2,"American President, The (1995)",(no genres listed)\n3,Nameless (9999),Drama\n',
    "links.csv": "movieId,imdbId,tmdbId\n1,0114709,862\n2,0112346,\n",
    "tags.csv": "userId,movieId,tag,timestamp\n1,1,Pixar,1\n2,1,pixar,2\n3,1,fun,3\n3,9,lost,4\n",
    "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,2,many,964981247\n2,1,0.5,847117005\n",
}


@FORMS
def test_a_movielens_set(tmp_path: Path, zipped: bool) -> None:
    path = as_zip(write(tmp_path / "ml-tiny", MOVIELENS), zipped)
    source = MovieLensSource(MovieLensOptions(path=path))
    assert isinstance(source, Source)
    report = BuildReport()
    films = [item.film for item in source.films(report)]
    assert films[0] == Film(
        id="movielens:1",
        title="Toy Story",
        year=1995,
        genres=("Animation", "Children"),
        keywords=("pixar", "fun"),
        aliases=("tmdb:862", "imdb:tt0114709"),
        provenance={
            "title": "movielens",
            "year": "movielens",
            "genres": "movielens",
            "keywords": "movielens (people's tags)",
        },
    )
    assert (films[1].title, films[1].genres, films[1].aliases) == (
        "The American President",
        (),
        ("imdb:tt0112346",),
    )
    assert (films[2].title, films[2].year) == ("Nameless (9999)", None)
    assert list(source.ratings(report)) == [
        Rating("1", "movielens:1", 4.0, 964982703),
        Rating("2", "movielens:1", 0.5, 847117005),
    ]
    assert [row.problem for row in report.rows] == ["bad_rating"]


def test_a_movielens_set_without_ratings_or_tags_is_films_only(tmp_path: Path) -> None:
    folder = write(tmp_path / "ml", {"movies.csv": MOVIELENS["movies.csv"]})
    source = MovieLensSource(MovieLensOptions(path=folder))
    assert len(list(source.films(BuildReport()))) == 3
    assert list(source.ratings(BuildReport())) == []
    write(folder, MOVIELENS)
    assert list(MovieLensSource(MovieLensOptions(path=folder, ratings=False)).ratings(BuildReport())) == []


def test_a_folder_that_is_no_movielens_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"movies\.csv"):
        list(MovieLensSource(MovieLensOptions(path=tmp_path)).films(BuildReport()))
    write(tmp_path, {"movies.csv": "film,title\n1,Toy Story\n"})
    with pytest.raises(InvalidArgument, match="expected movieId; the table has film, title"):
        list(MovieLensSource(MovieLensOptions(path=tmp_path)).films(BuildReport()))


COURSE: dict[str, str | bytes] = {
    "posters/action/10.jpg": b"poster 10",
    "posters/drama/9.jpg": b"poster 9",
    "posters/drama/10.jpg": b"again",
    "plots/movie_plots.csv": "movie_poster_path,movie_plot,movie_category\n"
    "posters/action/10.jpg,A spy saves the day.,action\n"
    "posters\\horror\\11.jpg,Something is in the cellar.,horror\n"
    "posters/drama/9.jpg,,drama\n",
    "movies.csv": "movieId,title,genres\n10,GoldenEye (1995),Action|Adventure|Thriller\n12,Elsewhere (1990),Drama\n",
}


@FORMS
def test_the_courses_set_is_films_by_number_and_says_how_sure_its_facts_are(tmp_path: Path, zipped: bool) -> None:
    folder = write(tmp_path, COURSE)
    options = CourseOptions(
        posters=as_zip(folder / "posters", zipped),
        plots=as_zip(folder / "plots", zipped) if zipped else folder / "plots" / "movie_plots.csv",
        titles=folder / "movies.csv",
    )
    source = CourseSource(options)
    assert isinstance(source, Source)
    report = BuildReport()
    nine, ten, eleven = source.films(report)
    assert ten.film == Film(
        id="movielens:10",
        title="GoldenEye",
        year=1995,
        genres=("Action", "Adventure", "Thriller"),
        single_genre="Action",
        plot="A spy saves the day.",
        provenance={
            "title": "MovieLens movies.csv",
            "year": "MovieLens movies.csv",
            "genres": "MovieLens movies.csv",
            "single_genre": "course (one noisy label a film)",
            "plot": "course (machine-written)",
            "poster": "course",
        },
    )
    assert content(ten.poster) == b"poster 10"
    assert (nine.film.title, nine.film.plot, content(nine.poster)) == ("Film 9", None, b"poster 9")
    assert (nine.film.single_genre, nine.film.genres) == ("Drama", ("Drama",))
    assert "title" not in nine.film.provenance
    assert (eleven.film.single_genre, eleven.poster) == ("Horror", None)
    assert {(row.problem, row.film) for row in report.rows} == {
        ("duplicate_id", "movielens:10"),
        ("missing_plot", None),
    }


def test_the_courses_posters_alone_are_enough(tmp_path: Path) -> None:
    write(tmp_path, COURSE)
    found = list(CourseSource(CourseOptions(posters=tmp_path / "posters")).films(BuildReport()))
    assert [item.film.id for item in found] == ["movielens:9", "movielens:10"]
    assert all(item.film.plot is None for item in found)


def test_plots_with_other_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path, COURSE | {"plots/movie_plots.csv": "poster,plot\n1,x\n"})
    source = CourseSource(CourseOptions(posters=tmp_path / "posters", plots=tmp_path / "plots"))
    with pytest.raises(InvalidArgument, match="expected movie_plot, movie_poster_path; the table has poster, plot"):
        list(source.films(BuildReport()))
