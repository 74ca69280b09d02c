"""Whole conversations measured: is every turn understood and kept to, and does a wanted film come nearer?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from matinee.catalog.film import Film
from matinee.evaluation.report import Cell, Figure, Findings, Row, Section, Table, compared
from matinee.evaluation.similar import liked_together
from matinee.evaluation.subject import Subject
from matinee.heads.split import part_of
from matinee.search.dialogue import ChatAnswer

NAME = "chat"
_WORK = "conversation"
_CONVERSATIONS = 200
_SHOWN, _LISTED = 10, 100


@dataclass(frozen=True)
class _Turn:
    """What is said, the chip it should leave, and what it asks of every film from then on."""

    kind: str
    message: str
    chip: str
    keeps: Callable[[Film], bool]


@dataclass(frozen=True)
class _Seen:
    """One turn answered."""

    understood: bool
    kept: float  # share of the first ten that keep to every wish so far; 1 where none is shown
    known: bool  # each film named is the catalogue's, by its own title
    place: int  # of the wanted film; _LISTED: not among those listed
    chance: float  # that the wanted film is among ten drawn from all that pass


def evaluate_chat(subject: Subject) -> Findings:
    """Conversations from a film held back to one that the same people liked, by that film's own facts."""
    pairs = _pairs(subject)
    about = (
        "Each conversation begins with a film held back (“something like …”) and goes on with facts of another that "
        "the same people liked: its genre, its time, its language; then the first film shown is turned down, unless "
        "it is that other one. Kept: of the first ten films after each turn, those that every wish so far lets pass, "
        "by the catalogue's own facts. Wanted film: its place in the list after each turn."
    )
    if not pairs:
        note = "No film held back that people liked together with another: a test source can bring ratings."
        return Findings(rows=(), section=Section(name=NAME, title="Conversations", about=about, notes=(note,)))
    talks = []
    for number, (film, wanted) in enumerate(pairs):
        talks.append(_talk(subject, film, wanted))
        subject.progress("conversations", number + 1, len(pairs))
    kinds = list(dict.fromkeys(kind for talk in talks for kind in talk))
    section = Section(
        name=NAME,
        title="Conversations",
        about=about,
        tables=(
            Table(
                title="conversations, turn by turn",
                columns=("turn", "conversations", "understood", "kept", "wanted film in ten", "in a hundred", "MRR"),
                rows=tuple(_line(kind, [talk[kind] for talk in talks if kind in talk]) for kind in kinds),
                note="A turn is left out of conversations whose wanted film lacks the fact.",
            ),
        ),
    )
    return Findings(rows=tuple(_rows(subject, talks)), section=section)


def _pairs(subject: Subject) -> list[tuple[Film, Film]]:
    """(film held back, the film most liked by those who liked it); at most 200, chosen by the seed."""
    liked = liked_together(subject)
    held = [i for i, film in enumerate(liked.film_ids) if part_of(film) == "test" and liked.together[i].max() > 0]
    chosen = np.random.default_rng(subject.seed).permutation(held)[:_CONVERSATIONS].tolist()
    film = subject.bundle.film
    return [(film(liked.film_ids[i]), film(liked.film_ids[int(liked.together[i].argmax())])) for i in chosen]


def turns_to(wanted: Film) -> list[_Turn]:
    """What a person who wants that film, and has not its name, may say after 'something like …'."""
    turns = []
    if wanted.genres:
        genre = wanted.genres[0]
        turns.append(_Turn("its genre", genre.lower(), genre.lower(), lambda film: genre in film.genres))
    if wanted.year is not None:
        decade = wanted.year // 10 * 10
        turns.append(
            _Turn("not before its decade", f"nothing before {decade}", f"from {decade} on",
                  lambda film: film.year is not None and film.year >= decade)
        )  # fmt: skip
        turns.append(
            _Turn("not the decade after", f"not from the {decade + 10}s", f"not the {decade + 10}s",
                  lambda film: film.year is not None and film.year // 10 * 10 != decade + 10)
        )  # fmt: skip
    if wanted.languages:
        language = wanted.languages[0]
        turns.append(_Turn("its language", f"in {language}", f"in {language}", lambda film: language in film.languages))
    return turns


def _talk(subject: Subject, film: Film, wanted: Film) -> dict[str, _Seen]:
    """Kind of turn -> what came of it."""
    bundle = subject.bundle
    label = f"like {film.label}"
    turns = [_Turn("a film like it", f"something {label}", label, lambda other: other.id != film.id), *turns_to(wanted)]
    answer = bundle.chat(turns[0].message, k=_LISTED)
    seen = {turns[0].kind: _look(subject, answer, turns[:1], wanted)}
    for said, turn in enumerate(turns[1:], start=2):
        answer = bundle.chat(turn.message, answer.state, k=_LISTED)
        seen[turn.kind] = _look(subject, answer, turns[:said], wanted)
    if answer.films and answer.films[0].id != wanted.id:
        gone = bundle.film(answer.films[0].id)
        turns.append(_Turn("not that one", "not that one", f"not {gone.label}", lambda other: other.id != gone.id))
        answer = bundle.chat(turns[-1].message, answer.state, k=_LISTED)
        seen[turns[-1].kind] = _look(subject, answer, turns, wanted)
    return seen


def _look(subject: Subject, answer: ChatAnswer, turns: Sequence[_Turn], wanted: Film) -> _Seen:
    films = [subject.bundle.film(hit.id) for hit in answer.films]
    keeping = [all(turn.keeps(film) for turn in turns) for film in films[:_SHOWN]]
    ids = [film.id for film in films]
    passing = int(subject.bundle.search_store.films.allow(answer.state.understood.where)[0].sum())
    return _Seen(
        understood={chip.label.lower() for chip in answer.chips} == {turn.chip.lower() for turn in turns},
        kept=float(np.mean(keeping)) if keeping else 1.0,
        known=all(hit.title == film.title for hit, film in zip(answer.films, films, strict=True)),
        place=ids.index(wanted.id) if wanted.id in ids else _LISTED,
        chance=min(1.0, _SHOWN / max(passing, 1)),
    )


def _line(kind: str, seen: Sequence[_Seen]) -> tuple[Cell, ...]:
    places = np.array([one.place for one in seen])
    return (
        kind,
        len(seen),
        float(np.mean([one.understood for one in seen])),
        float(np.mean([one.kept for one in seen])),
        float((places < _SHOWN).mean()),
        float((places < _LISTED).mean()),
        _reciprocal(places),
    )


def _reciprocal(places: np.typing.NDArray[np.int64]) -> float:
    return float(np.where(places < _LISTED, 1 / (1 + places), 0).mean())


def _rows(subject: Subject, talks: Sequence[dict[str, _Seen]]) -> list[Row]:
    first, last = ([list(talk.values())[end] for talk in talks] for end in (0, -1))

    def share(values: Sequence[float]) -> Figure:
        found = np.array(values, dtype=np.float64)
        return lambda i: float(found[i].mean())

    def row(metric: str, ours: Sequence[float], **baselines: Sequence[float]) -> Row:
        beside = {name.replace("_", " "): share(values) for name, values in baselines.items()}
        return compared(NAME, _WORK, metric, len(talks), ours=share(ours), baselines=beside, seed=subject.seed)

    def within(seen: Sequence[_Seen]) -> list[float]:
        return [float(one.place < _SHOWN) for one in seen]

    whole = [list(talk.values()) for talk in talks]
    return [
        row("every turn understood", [float(all(one.understood for one in talk)) for talk in whole]),
        row("every wish kept, first ten of each turn", [float(np.mean([one.kept for one in talk])) for talk in whole]),
        row("films named are the catalogue's", [float(all(one.known for one in talk)) for talk in whole]),
        row("wanted film in ten, at the end", within(last), first_turn=within(first), chance=[o.chance for o in last]),
    ]
