"""Films from tables: CSV, TSV, JSON Lines or Parquet, with a column mapping and further tables joined by key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from matinee.catalog import values
from matinee.catalog.film import Film, Person, Role
from matinee.catalog.report import BuildReport
from matinee.catalog.rows import Row, TableFormat, read_rows
from matinee.catalog.source import Negative, Rating, SourceFilm, SourceInfo

_T = TypeVar("_T")

FieldName = Literal[
    "title", "year", "release_date", "runtime", "genres", "single_genre", "plot", "other_plots", "tagline", "keywords",
    "directors", "cast", "writers", "languages", "countries", "certificate", "budget", "revenue", "votes",
    "poster",
]  # fmt: skip
_ROLES: tuple[tuple[FieldName, Role], ...] = (("directors", "director"), ("cast", "cast"), ("writers", "writer"))


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Strict):
    """Where a value stands in a table."""

    column: str
    split: str | None = Field(default=None, description="The mark between the items of a list, such as '|'.")
    item: str = Field(default="name", description="Where a cell is a JSON list of objects: the key of an item's name.")
    prefix: str = Field(default="", description="Put before an id or a poster's path.")


def _as_columns(value: object) -> object:
    items = value if isinstance(value, list) else [value]
    return [{"column": item} if isinstance(item, str) else item for item in items]


def _as_column(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


Columns = Annotated[list[Column], BeforeValidator(_as_columns)]
"""One column or several; the first one with a known value counts."""


class TableFile(Strict):
    """A file with one row a film, and how to read it."""

    name: str
    path: Path
    format: TableFormat | None = Field(default=None, description="Where the ending of the name does not tell.")
    quoting: bool = Field(default=True, description="False: quotation marks are ordinary characters.")
    delimiter: str | None = Field(default=None, min_length=1, description="Instead of the comma or tab: ';', '::'.")
    header: list[str] | None = Field(default=None, description="Names of the columns, for a file without a header.")

    def rows(self, folder: Path, report: BuildReport, *, required: set[str]) -> Iterator[Row]:
        """The readable rows; relative paths start at `folder`."""
        return read_rows(
            folder / self.path,
            report,
            source=self.name,
            form=self.format,
            quoting=self.quoting,
            delimiter=self.delimiter,
            header=self.header,
            required=required,
        )


class JoinedTable(TableFile):
    """A further table about the same films."""

    key: str = Field(description="Its column that names the film.")
    on: str = Field(description="The column of the main table with the same values.")
    columns: dict[FieldName, Columns]


class TableOptions(TableFile):
    """One `[[source]]` of kind "table" in a source file."""

    kind: Literal["table"] = "table"
    licence: str
    train_allowed: bool = True
    notes: str = ""
    id: Annotated[Column, BeforeValidator(_as_column)]
    aliases: Columns = Field(default_factory=list)
    columns: dict[FieldName, Columns]
    join: list[JoinedTable] = Field(default_factory=list)
    prefer: dict[FieldName, list[str]] = Field(
        default_factory=dict, description="Field -> names of tables in order; default: this table, then the joins."
    )

    @model_validator(mode="after")
    def _names_are_tables(self) -> TableOptions:
        names = [self.name, *(join.name for join in self.join)]
        tables = set(names)
        if len(tables) != len(names):
            raise ValueError(f"join: expected a name of its own for every table, got {names}")
        for field, names in self.prefer.items():
            if unknown := set(names) - tables:
                raise ValueError(f"prefer.{field}: expected names among {sorted(tables)}, got {sorted(unknown)}")
        return self


class TableSource:
    """Reads films from one main table and the tables joined to it."""

    def __init__(self, options: TableOptions, folder: Path = Path()) -> None:
        """`folder` is where relative paths start: the folder of the source file."""
        self._options = options
        self._folder = folder

    @property
    def info(self) -> SourceInfo:
        """Name, licence and what may be done with the data."""
        o = self._options
        return SourceInfo(o.name, o.licence, o.train_allowed, o.notes)

    def negatives(self, report: BuildReport) -> Iterator[Negative]:
        """None: a table lists films."""
        return iter(())

    def ratings(self, report: BuildReport) -> Iterator[Rating]:
        """None: a table lists films."""
        return iter(())

    def films(self, report: BuildReport) -> Iterator[SourceFilm]:
        """All films of the main table, in its order."""
        o = self._options
        joined = {join.name: self._load(join, report) for join in o.join}
        order = {field: self._candidates(field) for field in _fields(o)}
        posters = (self._folder / o.path).parent
        mapped = {column.column for columns in o.columns.values() for column in columns}
        required = mapped | {o.id.column} | {alias.column for alias in o.aliases} | {join.on for join in o.join}
        for number, cells in o.rows(self._folder, report, required=required):
            identifier = values.known(cells.get(o.id.column, ""))
            if identifier is None:
                report.add(o.name, "missing_id", f"column {o.id.column} is empty", "skipped", row=number)
                continue
            tables = {o.name: cells}
            for join in o.join:
                tables[join.name] = joined[join.name].get(_key(cells.get(join.on, "")), {})
            film_id = o.id.prefix + identifier
            reader = _Reader(o, order=order, tables=tables, report=report, number=number, film_id=film_id)
            yield reader.film(posters)

    def _load(self, join: JoinedTable, report: BuildReport) -> dict[str, dict[str, str]]:
        wanted = {column.column for columns in join.columns.values() for column in columns}
        rows: dict[str, dict[str, str]] = {}
        for number, cells in join.rows(self._folder, report, required=wanted | {join.key}):
            key = _key(cells.get(join.key, ""))
            if not key:
                continue
            if key in rows:
                report.add(join.name, "duplicate_key", f"{join.key} {key}", "kept the first", row=number)
                continue
            rows[key] = {name: cells[name] for name in wanted if cells.get(name)}
        return rows

    def _candidates(self, field: FieldName) -> list[tuple[str, Column]]:
        o = self._options
        tables = {o.name: o.columns, **{join.name: join.columns for join in o.join}}
        order = o.prefer.get(field, list(tables))
        return [(name, column) for name in order for column in tables[name].get(field, [])]


class _Reader:
    """Turns the cells about one film into a Film, reporting what is wrong with them."""

    def __init__(
        self,
        options: TableOptions,
        *,
        order: dict[FieldName, list[tuple[str, Column]]],
        tables: dict[str, dict[str, str]],
        report: BuildReport,
        number: int,
        film_id: str,
    ) -> None:
        self._options = options
        self._order = order
        self._tables = tables
        self._report = report
        self._number = number
        self._id = film_id
        self._provenance: dict[str, str] = {}

    def film(self, poster_folder: Path) -> SourceFilm:
        facts: dict[str, Any] = {
            "title": self._first("title", lambda cell, _: values.title(cell)),
            "year": self._first("year", lambda cell, _: values.year(cell)),
            "release_date": self._first("release_date", lambda cell, _: values.day(cell)),
            "runtime": self._first("runtime", lambda cell, _: values.minutes(cell)),
            "genres": self._first("genres", _genres) or (),
            "single_genre": self._first("single_genre", lambda cell, _: values.genre(cell)),
            "plot": self._first("plot", lambda cell, _: values.known(cell)),
            "other_plots": self._others("other_plots"),
            "tagline": self._first("tagline", lambda cell, _: values.known(cell)),
            "keywords": self._first("keywords", _list) or (),
            "languages": _unique(values.language, self._first("languages", _list)),
            "countries": _unique(values.country, self._first("countries", _list)),
            "certificate": self._first("certificate", lambda cell, _: values.known(cell)),
            "budget": self._first("budget", lambda cell, _: values.money(cell)),
            "revenue": self._first("revenue", lambda cell, _: values.money(cell)),
            "votes": self._first("votes", lambda cell, _: values.votes(cell)),
        }
        people = [Person(name=n, role=role) for field, role in _ROLES for n in self._first(field, _list) or ()]
        if people:
            self._provenance["people"] = next(self._provenance[f] for f, _ in _ROLES if f in self._provenance)
        for field, _ in _ROLES:
            self._provenance.pop(field, None)
        if facts["year"] is None and (year := self._year_in_title()) is not None:
            facts["year"] = year
        if facts["title"] is None:
            self._say("missing_title", "no table has one", "named it by its id")
            facts["title"] = self._id
        facts["other_plots"] = tuple(text for text in facts["other_plots"] if text != facts["plot"])
        if not facts["other_plots"]:
            self._provenance.pop("other_plots", None)
        poster = self._poster(poster_folder)
        facts["provenance"] = self._provenance
        return SourceFilm(Film(id=self._id, people=tuple(people), aliases=self._aliases(), **facts), poster)

    def _first(self, field: FieldName, parse: Callable[[str, Column], _T | None]) -> _T | None:
        """The first candidate with a known value; wrong values are reported and the next one is asked."""
        for table, column in self._order.get(field, ()):
            cell = self._tables[table].get(column.column, "")
            if not cell:
                continue
            try:
                value = parse(cell, column)
            except ValueError as error:
                self._say(
                    f"bad_{field}", f"{table}.{column.column}: {error}", "left it unknown or asked the next table"
                )
                continue
            if value:
                self._provenance[field] = table
                return value
        return None

    def _others(self, field: FieldName) -> tuple[str, ...]:
        """The known values of every candidate, each once."""
        found: dict[str, str] = {}
        for table, column in self._order.get(field, ()):
            if value := values.known(self._tables[table].get(column.column, "")):
                found.setdefault(value, table)
        if found:
            self._provenance[field] = ", ".join(dict.fromkeys(found.values()))
        return tuple(found)

    def _year_in_title(self) -> int | None:
        for table, column in self._order.get("title", ()):
            year = values.title_year(self._tables[table].get(column.column, ""))
            if year is not None:
                self._provenance["year"] = table
                return year
        return None

    def _aliases(self) -> tuple[str, ...]:
        own = self._tables[self._options.name]
        found = ((column.prefix, values.known(own.get(column.column, ""))) for column in self._options.aliases)
        return tuple(dict.fromkeys(prefix + value for prefix, value in found if value))

    def _poster(self, folder: Path) -> Path | None:
        name = self._first("poster", lambda cell, column: column.prefix + cell.strip())
        if name is None:
            return None
        path = folder / name
        if not path.is_file():
            del self._provenance["poster"]
            self._say("missing_poster", f"no file {name}", "kept the film without a poster")
            return None
        return path

    def _say(self, problem: str, detail: str, action: str) -> None:
        self._report.add(self._options.name, problem, detail, action, row=self._number, film=self._id)


def _fields(options: TableOptions) -> list[FieldName]:
    every = [options.columns, *(join.columns for join in options.join)]
    return list(dict.fromkeys(field for columns in every for field in columns))


def _list(cell: str, column: Column) -> tuple[str, ...]:
    return values.names(cell, column.split, column.item)


def _genres(cell: str, column: Column) -> tuple[str, ...]:
    found = (values.genre(name) for name in values.names(cell, column.split, column.item))
    return tuple(dict.fromkeys(name for name in found if name))


def _unique(canonical: Callable[[str], str], names: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(canonical(name) for name in names or ()))


def _key(cell: str) -> str:
    """Keys compare as text; '862.0' and '862' are one."""
    key = cell.strip()
    return key[:-2] if key.endswith(".0") else key
