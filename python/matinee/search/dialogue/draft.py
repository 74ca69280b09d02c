"""A request while a turn changes it: later wishes win over earlier ones that they contradict."""

from __future__ import annotations

from collections.abc import Iterable

from matinee.search.dialogue.state import MAX_SEEDS, MAX_TEXTS, Tone, Understood
from matinee.search.dialogue.words import TONE_WORDS
from matinee.where import AnyAllNone, AnyNone, Range, Span, Where


class Draft:
    """The parts of an `Understood`, open to change."""

    def __init__(self, asked: Understood) -> None:
        self.like = list(asked.like)
        self.unlike = list(asked.unlike)
        self.tones = list(asked.tones)
        self.about = list(asked.about)
        self.not_about = list(asked.not_about)
        self.where = asked.where

    def understood(self) -> Understood:
        """As a value. What is too much for one request drops off at its old end."""
        return Understood(
            like=tuple(self.like[-MAX_SEEDS:]),
            unlike=tuple(self.unlike[-MAX_SEEDS:]),
            where=self.where,
            tones=tuple(self.tones),
            about=tuple(self.about[-MAX_TEXTS:]),
            not_about=tuple(self.not_about[-MAX_TEXTS:]),
        )

    def want_film(self, film: str) -> None:
        """Films like this one."""
        self.like = [*(other for other in self.like if other != film), film]
        self.unlike = [other for other in self.unlike if other != film]
        self._ids([other for other in self.where.ids.none if other != film])

    def avoid_film(self, film: str) -> None:
        """Films unlike this one."""
        self.unlike = [*(other for other in self.unlike if other != film), film]
        self.like = [other for other in self.like if other != film]

    def reject(self, films: Iterable[str]) -> None:
        """Never these films. One that others were to be like stays what they are to be like: it is not shown anyway."""
        new = [film for film in films if film not in self.like]
        self._ids(list(dict.fromkeys([*self.where.ids.none, *new])))

    def lean(self, tone: Tone) -> None:
        """In this direction, not in the opposite one."""
        self.tones = [*(t for t in self.tones if t not in (tone, TONE_WORDS[tone].opposite)), tone]

    def tell(self, words: str, *, instead: bool) -> None:
        """About this, too; or instead of what it was about."""
        self.about = [words] if instead else [*(text for text in self.about if text != words), words]
        self.not_about = [text for text in self.not_about if text.lower() != words.lower()]

    def untell(self, words: str) -> None:
        """Without this."""
        self.not_about = [*(text for text in self.not_about if text.lower() != words.lower()), words]
        self.about = [text for text in self.about if text.lower() != words.lower()]

    def want_genres(self, names: tuple[str, ...], *, either: bool, instead: bool) -> None:
        """These genres, all or any of them, beside the earlier ones or instead."""
        now = AnyAllNone() if instead else self.where.genres
        none = tuple(name for name in self.where.genres.none if name not in names)
        if either:
            self._set("genres", AnyAllNone(any=names, none=none))
        else:
            kept = tuple(name for name in now.all if name not in names)
            self._set("genres", AnyAllNone(any=() if instead else now.any, all=(*kept, *names), none=none))

    def avoid_genre(self, name: str) -> None:
        """Not this genre."""
        now = self.where.genres
        self._set("genres", AnyAllNone(any=_less(now.any, name), all=_less(now.all, name), none=_more(now.none, name)))

    def want_people(self, names: tuple[str, ...], *, either: bool, instead: bool) -> None:
        """With these people, all or any of them."""
        now = self.where.people
        none = tuple(name for name in now.none if name not in names)
        kept = () if instead else tuple(name for name in now.all if name not in names)
        if either:
            self._set("people", AnyAllNone(any=names, none=none))
        else:
            self._set("people", AnyAllNone(any=() if instead else now.any, all=(*kept, *names), none=none))

    def avoid_person(self, name: str) -> None:
        """Without this person."""
        now = self.where.people
        self._set("people", AnyAllNone(any=_less(now.any, name), all=_less(now.all, name), none=_more(now.none, name)))

    def want_name(self, kind: str, names: tuple[str, ...]) -> None:
        """In this language, from this country, with this certificate; not in the one before."""
        none = tuple(name for name in getattr(self.where, kind).none if name not in names)
        self._set(kind, AnyNone(any=names, none=none))

    def avoid_name(self, kind: str, name: str) -> None:
        """Not in this language, and so on."""
        now = getattr(self.where, kind)
        self._set(kind, AnyNone(any=_less(now.any, name), none=_more(now.none, name)))

    def set_range(self, kind: str, low: int | None, high: int | None) -> None:
        """Years or minutes from now on; an open end stays where it was, if that is possible."""
        now = getattr(self.where, kind)
        if low is None and now.min is not None and now.min <= (high or 0):
            low = now.min
        elif high is None and now.max is not None and now.max >= (low or 0):
            high = now.max
        none = tuple(span for span in now.none if not _holds(span, low, high))
        self._set(kind, Range(min=low, max=high, none=none))

    def avoid_range(self, kind: str, low: int | None, high: int | None) -> None:
        """Not these years or minutes: what lies beyond an open span, or all but a closed one."""
        now = getattr(self.where, kind)
        if low is None or high is None:
            self.set_range(kind, None if high is None else high + 1, None if low is None else low - 1)
            return
        new = Span(min=low, max=high)
        none = (*(span for span in now.none if not _holds(new, span.min, span.max)), new)
        ends = {} if _holds(new, now.min, now.max) else {"min": now.min, "max": now.max}
        self._set(kind, Range(**ends, none=none))

    def forget(self, kind: str) -> None:
        """Any genre, any year, and so on, again."""
        self._set(kind, type(getattr(self.where, kind))())

    def _ids(self, none: list[str]) -> None:
        self._set("ids", AnyNone(any=self.where.ids.any, none=tuple(none)))

    def _set(self, kind: str, value: AnyNone | Range) -> None:
        self.where = Where.model_validate(
            {**{key: getattr(self.where, key) for key in Where.model_fields}, kind: value}
        )


def _holds(span: Span, low: int | None, high: int | None) -> bool:
    """Whether all from `low` to `high` lies in a span; None: an open end."""
    return (span.min is None or (low is not None and span.min <= low)) and (
        span.max is None or (high is not None and high <= span.max)
    )


def _less(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)


def _more(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return (*_less(names, name), name)
