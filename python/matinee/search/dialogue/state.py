"""What a conversation has understood so far, as one typed value that travels with every turn.

The deterministic parser of `reading` fills it; anything else that can fill it (a language model, a form) may do so
instead, because all that follows looks only at the state: films are named by catalogue ids, never by title.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from matinee.answers import Answer, FilmHit
from matinee.errors import InvalidArgument
from matinee.where import AnyAllNone, AnyNone, Range, Span, Where

Tone = Literal[
    "funnier", "more serious", "darker", "lighter", "scarier", "less scary", "sadder", "happier", "more violent",
    "less violent", "more romantic", "less romantic", "faster", "slower", "stranger", "more down to earth",
    "for children", "for grown-ups",
]  # fmt: skip
TONES: tuple[Tone, ...] = get_args(Tone)

MAX_MESSAGE = 20_000
"""Characters of a message; a longer one is refused."""

MAX_SEEDS, MAX_TEXTS, MAX_SHOWN, MAX_SKIPPED = 20, 8, 1000, 10_000

Words = Annotated[str, StringConstraints(min_length=1, max_length=MAX_MESSAGE)]
FilmId = Annotated[str, StringConstraints(min_length=1, max_length=300)]
ChipKind = Literal[
    "like", "unlike", "excluded", "genre", "year", "runtime", "language", "country", "certificate", "person", "tone",
    "about", "not_about",
]  # fmt: skip


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Understood(_Strict):
    """A request as understood. Empty: anything goes."""

    like: tuple[FilmId, ...] = Field(default=(), max_length=MAX_SEEDS, description="Ids of films to come near to.")
    unlike: tuple[FilmId, ...] = Field(default=(), max_length=MAX_SEEDS, description="Ids of films to keep away from.")
    where: Where = Field(default=Where(), description="Hard filters; `ids.none` are films seen or turned down.")
    tones: tuple[Tone, ...] = Field(
        default=(), max_length=len(TONES), description="Directions to lean to, none twice, no two opposite."
    )
    about: tuple[Words, ...] = Field(
        default=(), max_length=MAX_TEXTS, description="What the film is about, in the person's own words."
    )
    not_about: tuple[Words, ...] = Field(
        default=(), max_length=MAX_TEXTS, description="Words that title, keywords and plot must not hold."
    )


class ConversationState(_Strict):
    """Everything a turn needs to know of those before. The client keeps it and sends it back, changed or not."""

    understood: Understood = Understood()
    shown: tuple[FilmId, ...] = Field(
        default=(), max_length=MAX_SHOWN, description="Ids of the films last shown, in order: 'the second one'."
    )
    skipped: tuple[FilmId, ...] = Field(
        default=(), max_length=MAX_SKIPPED, description="Ids passed over by asking for more of the same."
    )

    @classmethod
    def parse(cls, value: ConversationState | dict[str, Any] | None) -> ConversationState:
        """Accepts what callers pass as `state=`. Raises InvalidArgument naming the key that is wrong."""
        if value is None:
            return cls()
        if isinstance(value, ConversationState):
            return value
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(["state", *map(str, first["loc"])])
            raise InvalidArgument(f"chat: {key}: {first['msg']}; send the state of the last answer") from error


class Chip(Answer):
    """One part of the request, to be shown, edited, removed.

    To remove it, take out of what stands at `path` of `state.understood` what `value` holds: from a list an item, or
    all items of a list; from a range its keys. To edit it, remove it and send its new words as the message.
    """

    id: str = Field(description="Unique in one answer, and the same from turn to turn.")
    kind: ChipKind
    label: str = Field(description="In words that a message may hold, too: 'before 1979', 'not horror'.")
    path: str = Field(description="Where in `understood` it stands: `where.genres.none`.")
    value: Any = Field(description="What stands there: text, a list of texts, or a range.")


class Suggestion(Answer):
    """An answer to a question, to be sent as the next message."""

    label: str
    message: str
    films: int | None = Field(default=None, description="How many films there would be to choose from, where counted.")


class Question(Answer):
    """The one question of an answer."""

    text: str
    suggestions: list[Suggestion]


class ChatAnswer(Answer):
    """A turn of a conversation answered. Every film named in it is one of the catalogue's."""

    state: ConversationState = Field(description="To be sent back with the next turn.")
    chips: list[Chip] = Field(description="The request as understood.")
    films: list[FilmHit] = Field(description="Best first.")
    reply: str = Field(description="One to three sentences for people.")
    question: Question | None = None
    nothing_fits: bool = Field(description="No film is a good answer; `films` holds the nearest, or nothing.")
    left_out: dict[str, int] = Field(default_factory=dict, description="Fact -> films left out because it is unknown.")


def chips(understood: Understood, label: Callable[[str], str]) -> list[Chip]:
    """The request as chips; `label` names a film id for people."""
    return [
        Chip(id=f"{path}:{_key(value)}", kind=kind, label=words, path=path, value=value)
        for kind, path, value, words in _parts(understood, label)
    ]


def without_chip(understood: Understood, chip: Chip) -> Understood:
    """The request without one of its chips, as a client takes it away."""
    data = understood.model_dump(mode="json")
    *way, last = chip.path.split(".")
    holder = data
    for key in way:
        holder = holder[key]
    held = holder[last]
    if isinstance(held, list):
        gone = chip.value if isinstance(chip.value, list) else [chip.value]
        holder[last] = [value for value in held if value not in gone]
    else:
        holder[last] = {key: value for key, value in held.items() if key not in chip.value}
    return Understood.model_validate(data)


_Part = tuple[ChipKind, str, Any, str]


def _parts(asked: Understood, label: Callable[[str], str]) -> Iterator[_Part]:
    where = asked.where
    for film in asked.like:
        yield "like", "like", film, f"like {label(film)}"
    for film in asked.unlike:
        yield "unlike", "unlike", film, f"not like {label(film)}"
    for tone in asked.tones:
        yield "tone", "tones", tone, tone
    for words in asked.about:
        yield "about", "about", words, words
    for words in asked.not_about:
        yield "not_about", "not_about", words, f"no {words}"
    yield from _names("genre", "genres", where.genres, ("{}", "not {}"), str.lower)
    yield from _range("year", where.year, years_label)
    yield from _range("runtime", where.runtime, _runtime_label)
    yield from _names("language", "language", where.language, ("in {}", "not in {}"))
    yield from _names("country", "country", where.country, ("from {}", "not from {}"))
    yield from _names("certificate", "certificate", where.certificate, ("rated {}", "not rated {}"))
    yield from _names("person", "people", where.people, ("with {}", "without {}"))
    yield from _names("excluded", "ids", where.ids, ("among {}", "not {}"), label)


def _names(
    kind: ChipKind, key: str, names: AnyNone, words: tuple[str, str], shown: Callable[[str], str] = str
) -> Iterator[_Part]:
    """Chips of a filter on names: one for all of `any`, one for each of the others."""
    wanted, unwanted = words
    if names.any:
        yield kind, f"where.{key}.any", list(names.any), wanted.format(" or ".join(map(shown, names.any)))
    for name in names.all if isinstance(names, AnyAllNone) else ():
        yield kind, f"where.{key}.all", name, wanted.format(shown(name))
    for name in names.none:
        yield kind, f"where.{key}.none", name, unwanted.format(shown(name))


def _range(kind: Literal["year", "runtime"], limits: Range, label: Callable[[Span], str]) -> Iterator[_Part]:
    """Chips of a range: one for its ends, one for each span left out."""
    ends = limits.model_dump(include={"min", "max"})
    if ends != Span().model_dump():
        yield kind, f"where.{kind}", ends, label(limits)
    for span in limits.none:
        the = "the " if label(span).endswith("0s") else ""
        yield kind, f"where.{kind}.none", span.model_dump(), f"not {the}{label(span)}"


def years_label(years: Span) -> str:
    """Years in words: '1990s', '1994', '1985–1995', 'before 1979', 'from 1980 on'."""
    low, high = years.min, years.max
    if low is None:
        return f"before {(high or 0) + 1}"
    if high is None:
        return f"from {low} on"
    if low == high:
        return str(low)
    return f"{low}s" if low % 10 == 0 and high == low + 9 else f"{low}–{high}"


def _runtime_label(minutes: Span) -> str:
    if minutes.min is None:
        return f"at most {minutes.max} min"
    if minutes.max is None:
        return f"at least {minutes.min} min"
    return f"{minutes.min}–{minutes.max} min"


def _key(value: Any) -> str:
    if isinstance(value, dict):
        return "-".join("" if end is None else str(end) for end in value.values())
    return "|".join(value) if isinstance(value, list) else str(value)
