"""The Catalog: an editable SQL database of films, the input of `matinee build`."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from matinee.catalog.film import Film
from matinee.catalog.report import BuildReport
from matinee.catalog.source import Image, Rating, Source, SourceFilm, SourceInfo
from matinee.errors import InvalidArgument, IoError, NotFound

Progress = Callable[[str, int, int | None], None]
"""Called with (step, done, total or None); raise KeyboardInterrupt in it to stop."""

_T = TypeVar("_T")
_BATCH = 500  # rows a statement: below SQLite's limit on parameters whatever the number of columns

_metadata = sa.MetaData()
_source = sa.Table(
    "source",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("licence", sa.Text, nullable=False),
    sa.Column("train_allowed", sa.Boolean, nullable=False),
    sa.Column("notes", sa.Text, nullable=False, default=""),
)
_film = sa.Table(
    "film",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),  # keeps the order of arrival
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("year", sa.Integer),
    sa.Column("train_allowed", sa.Boolean, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),  # the Film, without its defaults
)
_alias = sa.Table(
    "alias",
    _metadata,
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("film", sa.Text, sa.ForeignKey("film.id", ondelete="CASCADE"), nullable=False, index=True),
)
_poster = sa.Table(
    "poster",
    _metadata,
    sa.Column("film", sa.Text, sa.ForeignKey("film.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("path", sa.Text),
    sa.Column("bytes", sa.LargeBinary),
)
_rating = sa.Table(
    "rating",
    _metadata,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("film", sa.Text, sa.ForeignKey("film.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("time", sa.Integer),
)


class Catalog:
    """Films, their posters, people's ratings and the sources they came from.

    `url` is an SQLAlchemy URL (``sqlite:///films.db``, ``postgresql+psycopg://…``) or a path to an SQLite file. Tables
    are made when missing. Films merge: a second source that knows a film by one of its ids fills in what the first left
    unknown, never overwrites it, and the film keeps the first id with the others as aliases.
    """

    def __init__(self, url: str | Path = "sqlite://") -> None:
        address = f"sqlite:///{url}" if isinstance(url, Path) or "://" not in url else url
        try:
            self._engine = sa.create_engine(address)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _check_references)
            _metadata.create_all(self._engine)
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            raise IoError(f"Catalog: url: cannot open {_without_password(address)}: {error}") from error

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back."""
        self._engine.dispose()

    # -- reading -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(_film)).scalar_one()

    def films(self) -> Iterator[Film]:
        """All films in order of arrival; where no source says how many people rated one, its ratings are counted."""
        with self._engine.connect() as connection:
            posters = {film for (film,) in connection.execute(sa.select(_poster.c.film))}
            ratings = sa.select(_rating.c.film, sa.func.count().label("votes")).group_by(_rating.c.film)
            rated: dict[str, int] = {row.film: row.votes for row in connection.execute(ratings)}
            rows = connection.execution_options(yield_per=1000).execute(
                sa.select(_film.c.facts).order_by(_film.c.number)
            )
            for (facts,) in rows:
                votes = facts.get("votes") or rated.get(facts["id"])
                yield Film.model_validate({**facts, "has_poster": facts["id"] in posters, "votes": votes})

    def film(self, film_id: str) -> Film:
        """One film by id or alias. Raises NotFound."""
        with self._engine.connect() as connection:
            home = self._home(connection, film_id)
            facts = connection.execute(sa.select(_film.c.facts).where(_film.c.id == home)).scalar_one()
            poster = connection.execute(sa.select(_poster.c.film).where(_poster.c.film == home)).first()
            return Film.model_validate({**facts, "has_poster": poster is not None})

    def posters(self) -> Iterator[tuple[str, Image]]:
        """(film id, path or bytes) of every film that has a poster, in order of arrival."""
        query = (
            sa.select(_poster.c.film, _poster.c.path, _poster.c.bytes)
            .join(_film, _film.c.id == _poster.c.film)
            .order_by(_film.c.number)
        )
        with self._engine.connect() as connection:
            for film_id, path, data in connection.execution_options(yield_per=500).execute(query):
                yield film_id, (Path(path) if path is not None else data)

    def ratings(self) -> Iterator[Rating]:
        """All ratings, by person, oldest first."""
        query = sa.select(_rating).order_by(_rating.c.person, _rating.c.time)
        with self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=5000).execute(query):
                yield Rating(row.person, row.film, row.value, row.time)

    def sources(self) -> list[SourceInfo]:
        """The sources ingested so far."""
        with self._engine.connect() as connection:
            return [SourceInfo(*row) for row in connection.execute(sa.select(_source))]

    def trainable(self) -> set[str]:
        """Ids of films that heads may be trained on."""
        with self._engine.connect() as connection:
            return {film for (film,) in connection.execute(sa.select(_film.c.id).where(_film.c.train_allowed))}

    @staticmethod
    def _home(connection: sa.Connection, film_id: str) -> str:
        if connection.execute(sa.select(_film.c.id).where(_film.c.id == film_id)).first():
            return film_id
        home = connection.execute(sa.select(_alias.c.film).where(_alias.c.alias == film_id)).scalar_one_or_none()
        if home is None:
            raise NotFound(f"Catalog: film: expected the id of a film in this catalogue, got {film_id!r}")
        return str(home)

    # -- writing -------------------------------------------------------------------------------------------------

    def ingest(self, source: Source, report: BuildReport, progress: Progress | None = None) -> int:
        """Reads a source in one transaction; returns the number of films it added or filled in.

        A film that a source with `train_allowed=False` brought, or whose facts it filled in, is not trained on. Raises
        InvalidArgument for a source that is there already, IoError where the database refuses; then nothing of the
        source is kept.
        """
        try:
            return self._ingest(source, report, progress)
        except sa.exc.SQLAlchemyError as error:
            raise IoError(f"Catalog.ingest: {source.info.name}: the database refused: {error}") from error

    def _ingest(self, source: Source, report: BuildReport, progress: Progress | None) -> int:
        info = source.info
        count = 0
        with self._engine.begin() as connection:
            if connection.execute(sa.select(_source.c.name).where(_source.c.name == info.name)).first():
                raise InvalidArgument(f"Catalog.ingest: source: expected every source once, got {info.name!r} again")
            connection.execute(_source.insert().values(asdict(info)))
            own: set[str] = set()  # ids of films that this source has brought in
            seen: set[str] = set()
            for batch in _batches(_without_repeats(source.films(report), seen, info.name, report)):
                self._merge(connection, batch, info, own, report)
                count += len(batch)
                if progress:
                    progress(info.name, count, None)
            self._add_ratings(connection, source.ratings(report), info.name, report)
        return count

    def _merge(
        self,
        connection: sa.Connection,
        batch: list[SourceFilm],
        info: SourceInfo,
        brought: set[str],
        report: BuildReport,
    ) -> None:
        keys = [key for item in batch for key in (item.film.id, *item.film.aliases)]
        homes = self._homes(connection, keys)
        existing = self._facts(connection, set(homes.values()))
        fresh: dict[str, Film] = {}
        changed: dict[str, Film] = {}
        filled: set[str] = set()
        posters: list[dict[str, Any]] = []
        for item in batch:
            own = (item.film.id, *item.film.aliases)
            home = next((homes[key] for key in own if key in homes), None)
            if home is None or home in brought:
                # Two ids within one source are two films by that source's word, even where they share a third id.
                shared = [alias for alias in item.film.aliases if alias in homes]
                for alias in shared:
                    detail = f"{alias} names {homes[alias]} already"
                    report.add(info.name, "shared_alias", detail, "left the alias with the first", film=item.film.id)
                kept = tuple(alias for alias in item.film.aliases if alias not in shared)
                home, merged = item.film.id, item.film.model_copy(update={"aliases": kept})
                own = (home, *kept)
                fresh[home] = merged
                brought.add(home)
            else:
                known = fresh.get(home) or changed.get(home) or existing[home]
                merged = merge_films(known, item.film)
                (fresh if home in fresh else changed)[home] = merged
                if merged.provenance != known.provenance:
                    filled.add(home)
            homes.update(dict.fromkeys(own, home))
            if item.poster is not None:
                posters.append({"film": home, **_place(item.poster)})
        if fresh:
            rows = [{**_columns(film), "id": film.id, "train_allowed": info.train_allowed} for film in fresh.values()]
            connection.execute(_film.insert(), rows)
        for home, film in changed.items():
            connection.execute(_film.update().where(_film.c.id == home).values(**_columns(film)))
        if filled and not info.train_allowed:
            connection.execute(_film.update().where(_film.c.id.in_(filled)).values(train_allowed=False))
        aliases = {alias: film.id for film in (*fresh.values(), *changed.values()) for alias in film.aliases}
        self._insert_new(connection, _alias, "alias", [{"alias": a, "film": home} for a, home in aliases.items()])
        self._insert_new(connection, _poster, "film", posters)

    def _homes(self, connection: sa.Connection, keys: Sequence[str]) -> dict[str, str]:
        homes: dict[str, str] = {}
        for part in _batches(keys):
            homes.update((i, i) for (i,) in connection.execute(sa.select(_film.c.id).where(_film.c.id.in_(part))))
            query = sa.select(_alias.c.alias, _alias.c.film).where(_alias.c.alias.in_(part))
            homes.update((alias, film) for alias, film in connection.execute(query))
        return homes

    def _facts(self, connection: sa.Connection, ids: set[str]) -> dict[str, Film]:
        facts: dict[str, Film] = {}
        for part in _batches(sorted(ids)):
            query = sa.select(_film.c.id, _film.c.facts).where(_film.c.id.in_(part))
            facts.update({film_id: Film.model_validate(value) for film_id, value in connection.execute(query)})
        return facts

    @staticmethod
    def _insert_new(connection: sa.Connection, table: sa.Table, key: str, rows: list[dict[str, Any]]) -> None:
        """Inserts the rows whose key is not there yet (the first one of a key wins)."""
        rows = list({row[key]: row for row in reversed(rows)}.values())[::-1]
        for part in _batches(rows):
            taken = connection.execute(sa.select(table.c[key]).where(table.c[key].in_([row[key] for row in part])))
            known = {value for (value,) in taken}
            if new := [row for row in part if row[key] not in known]:
                connection.execute(table.insert(), new)

    def _add_ratings(
        self, connection: sa.Connection, ratings: Iterable[Rating], source: str, report: BuildReport
    ) -> None:
        homes = {film: film for (film,) in connection.execute(sa.select(_film.c.id))}
        homes.update((alias, film) for alias, film in connection.execute(sa.select(_alias.c.alias, _alias.c.film)))
        unknown: Counter[str] = Counter()
        for batch in _batches(ratings):
            rows: dict[tuple[str, str], dict[str, Any]] = {}
            for rating in batch:
                home = homes.get(rating.film)
                if home is None:
                    unknown[rating.film] += 1
                    continue
                person = f"{source}:{rating.person}"
                rows[person, home] = {"person": person, "film": home, "value": rating.value, "time": rating.time}
            if rows:
                connection.execute(_newest_rating(connection), list(rows.values()))
        for film, count in sorted(unknown.items()):
            report.add(source, "rating_of_unknown_film", f"{count} ratings", "left them out", film=film)


def merge_films(known: Film, other: Film) -> Film:
    """`known` with its unknown facts filled from `other`; ids of `other` become aliases; provenance goes along."""
    update: dict[str, Any] = {}
    provenance = dict(known.provenance)
    for name in Film.model_fields:
        if name in ("id", "aliases", "provenance", "has_poster"):
            continue
        theirs = getattr(other, name)
        if name == "title" and name not in known.provenance and name in other.provenance:
            update[name] = theirs  # a title nobody vouches for stands in for one that is not known
            provenance[name] = other.provenance[name]
            continue
        if name == "other_plots":
            continue
        if getattr(known, name) in (None, ()) and theirs not in (None, ()):
            update[name] = theirs
            if name in other.provenance:
                provenance[name] = other.provenance[name]
    plot = update.get("plot", known.plot)
    plots = dict.fromkeys(
        text for text in (*known.other_plots, other.plot, *other.other_plots) if text and text != plot
    )
    if tuple(plots) != known.other_plots:
        update["other_plots"] = tuple(plots)
        origin = (
            known.provenance.get("other_plots"),
            other.provenance.get("plot"),
            other.provenance.get("other_plots"),
        )
        provenance["other_plots"] = ", ".join(dict.fromkeys(name for name in origin if name))
    ids = dict.fromkeys((*known.aliases, other.id, *other.aliases))
    ids.pop(known.id, None)
    return known.model_copy(update={**update, "aliases": tuple(ids), "provenance": provenance})


def _place(poster: Image) -> dict[str, Any]:
    """Columns of the poster table; a path is kept in full, since the next process may start in another folder."""
    if isinstance(poster, Path):
        return {"path": str(poster.absolute()), "bytes": None}
    return {"path": None, "bytes": poster}


def _newest_rating(connection: sa.Connection) -> sa.Insert:
    """Inserts a rating, or replaces the one that the same person gave the same film before."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(_rating)
    return statement.on_conflict_do_update(
        index_elements=[_rating.c.person, _rating.c.film],
        set_={"value": statement.excluded.value, "time": statement.excluded.time},
    )


def _without_password(address: str) -> str:
    try:
        return sa.make_url(address).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return "it, for it is no SQLAlchemy URL"


def _check_references(connection: Any, _: object) -> None:
    """SQLite keeps foreign keys only where asked to, connection by connection."""
    connection.execute("PRAGMA foreign_keys = ON")


def _columns(film: Film) -> dict[str, Any]:
    facts = film.model_dump(mode="json", exclude_defaults=True, exclude={"has_poster"})
    return {"title": film.title, "year": film.year, "facts": facts}


def _without_repeats(
    films: Iterable[SourceFilm], seen: set[str], source: str, report: BuildReport
) -> Iterator[SourceFilm]:
    for item in films:
        if item.film.id in seen:
            report.add(source, "duplicate_id", item.film.label, "kept the first", film=item.film.id)
            continue
        seen.add(item.film.id)
        yield item


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, _BATCH)):
        yield batch
