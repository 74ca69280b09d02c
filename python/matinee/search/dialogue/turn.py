"""A turn of the conversation: reads the message, searches for what is now understood, words the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers import FilmHit
from matinee.catalog.frozen import fold
from matinee.errors import InvalidArgument, NotFound
from matinee.search.dialogue.leaning import Leaning
from matinee.search.dialogue.reading import read
from matinee.search.dialogue.scan import Context, Reading
from matinee.search.dialogue.state import (
    MAX_MESSAGE,
    MAX_SKIPPED,
    ChatAnswer,
    Chip,
    ConversationState,
    Question,
    Suggestion,
    Tone,
    Understood,
    chips,
    without_chip,
)
from matinee.search.dialogue.vocabulary import Vocabulary
from matinee.search.dialogue.wording import describe, left_out_words, sentence_of
from matinee.search.dialogue.words import TONE_WORDS
from matinee.search.discover import discover, facts_of, has_answer
from matinee.search.rank import rank_films
from matinee.search.request import EncodeTexts, check_k, clean_text, has_words
from matinee.search.similar import hit, rank_alike, similar
from matinee.search.store import SearchStore
from matinee.where import AnyNone, Where

# Films of a ranking that enter the fusion: further down, films are no longer like the others, or about that.
_ALIKE_POOL, _TOLD_POOL = 100, 50
_RANK_OFFSET = 20.0  # as in discovery
_TONE_SHARE, _UNLIKE_SHARE, _FAME_SHARE = 0.7, 0.5, 0.35
_TONE_FROM = 0.5  # standard deviations beyond the average from which a film counts as funny, dark …
_SUGGESTIONS = 3
_MAX_FILTERS_TRIED = 8
_WHICH = "Which of these can you do without?"


@dataclass(frozen=True)
class _Found:
    films: list[FilmHit]
    nothing_fits: bool
    left_out: dict[str, int]


class Dialogue:
    """Answers the turns of conversations over one catalogue. Keeps nothing of them; safe for concurrent threads."""

    def __init__(self, store: SearchStore, encode: EncodeTexts, vocabulary: Vocabulary) -> None:
        self._store = store
        self._films = store.films
        self._encode = encode
        self._vocabulary = vocabulary
        self._leaning = Leaning(store, vocabulary, encode)

    def answer(
        self, message: str = "", state: ConversationState | dict[str, Any] | None = None, *, k: int = 12
    ) -> ChatAnswer:
        """The answer to `message`, said after what led to `state` (None: nothing yet); at most `k` films.

        An empty message answers for the state as it is, which the client may have edited. Ids that the catalogue does
        not know are forgotten among films shown or turned down. Raises InvalidArgument for a message of more than
        20,000 characters, a state that is none, k outside 1 … 1000; NotFound for an unknown film to come near to.
        """
        k = check_k("chat", k)
        if not isinstance(message, str):
            raise InvalidArgument(f"chat: message: expected text, got {type(message).__name__}")
        if len(message) > MAX_MESSAGE:
            raise InvalidArgument(
                f"chat: message: expected at most {MAX_MESSAGE:,} characters, got {len(message):,}; shorten it"
            )
        before = self._known(ConversationState.parse(state))
        old_chips = chips(before.understood, self._label)
        shown = [self._films.row_of(film) for film in before.shown]
        context = Context(self._vocabulary, shown, self._films.id_of, self._films.row_of, old_chips)
        reading = Reading(before.understood)
        if has_words(message):
            reading = read(clean_text("chat", "message", message), before.understood, context)
        skipped = before.skipped
        if reading.more:
            skipped = tuple(dict.fromkeys([*skipped, *before.shown]))
        elif _but_rejected(reading.understood) != _but_rejected(before.understood):
            skipped = ()
        asked = reading.understood
        found = self._search(asked, skipped, k)
        new_chips = chips(asked, self._label)
        question = self._question(asked, new_chips, found, reading)
        reply = self._reply(message, before.understood, new_chips, found, reading)
        after = ConversationState(
            understood=asked, shown=tuple(film.id for film in found.films), skipped=tuple(skipped[-MAX_SKIPPED:])
        )
        return ChatAnswer(
            state=after,
            chips=new_chips,
            films=found.films,
            reply=reply,
            question=question,
            nothing_fits=found.nothing_fits,
            left_out=found.left_out,
        )

    def _known(self, state: ConversationState) -> ConversationState:
        """The state without ids that only another bundle has. Raises NotFound for films to come near to."""
        asked = state.understood
        for name, films in (("like", asked.like), ("unlike", asked.unlike)):
            for film in films:
                if not self._knows(film):
                    raise NotFound(
                        f"chat: state.understood.{name}: expected ids of films in this catalogue, got {film!r}; "
                        "take it out of the state"
                    )
        ids = AnyNone(any=asked.where.ids.any, none=tuple(filter(self._knows, asked.where.ids.none)))
        where = asked.where.model_copy(update={"ids": ids})
        return state.model_copy(
            update={
                "understood": asked.model_copy(update={"where": where}),
                "shown": tuple(filter(self._knows, state.shown)),
                "skipped": tuple(filter(self._knows, state.skipped)),
            }
        )

    def _knows(self, film: str) -> bool:
        try:
            self._films.row_of(film)
        except NotFound:
            return False
        return True

    def _label(self, film: str) -> str:
        return self._films.film(film).label if self._knows(film) else "a film of another catalogue"

    # Search

    def _search(self, asked: Understood, skipped: Sequence[str], k: int) -> _Found:
        allowed, left_out = self._allow(asked, skipped)
        if not allowed.any():
            return _Found([], True, left_out)
        rankings: list[tuple[list[int], float]] = []
        fits = True
        refined = bool(asked.tones or asked.unlike or (asked.like and asked.about))
        least = 3 * k if refined else k
        text = ". ".join(asked.about)
        if asked.like:
            rankings.append((rank_alike(self._store, asked.like, allowed, max(least, _ALIKE_POOL)), 1.0))
        if has_words(text):
            pool = max(least, _TOLD_POOL) if refined else k
            told = rank_films(self._store, text, encode=self._encode, allowed=allowed, k=pool)
            rankings.append(([int(row) for row in told.rows[:pool]], 1.0))
            fits = has_answer(self._store, told)
        near = dict.fromkeys(row for ranking, _ in rankings for row in ranking)
        candidates = sorted(near) if near else np.flatnonzero(allowed).tolist()
        rankings += [(self._leaning_further(tone, asked.like, candidates), _TONE_SHARE) for tone in asked.tones]
        if asked.unlike:
            rankings.append((self._unlike(asked.unlike, candidates), _UNLIKE_SHARE))
        if not near:
            rankings.append((_by_score(candidates, -self._vocabulary.fame_rank), _FAME_SHARE))
        films = self._hits(asked, text, _fused(rankings)[:k])
        return _Found(films, not fits or not films, left_out)

    def _hits(self, asked: Understood, text: str, ranked: Sequence[tuple[int, float]]) -> list[FilmHit]:
        """The films of an answer, each with what likens it to the request."""
        films = self._films.films([row for row, _ in ranked])
        found: dict[str, FilmHit] = {}
        if films:
            only = Where(ids=AnyNone(any=tuple(film.id for film in films)))
            lists = []
            if asked.like:
                lists.append(similar(self._store, films=asked.like, k=len(films), where=only))
            if has_words(text):
                lists.append(discover(self._store, text, encode=self._encode, k=len(films), where=only))
            for one in lists:
                for line in one.films:
                    earlier = found.get(line.id)
                    channels = [*(earlier.channels if earlier else ()), *line.channels]
                    found[line.id] = (earlier or line).model_copy(update={"channels": list(dict.fromkeys(channels))})
        return [
            found[film.id].model_copy(update={"score": score})
            if film.id in found
            else hit(film, score, (), facts_of(film))
            for (_, score), film in zip(ranked, films, strict=True)
        ]

    def _allow(self, asked: Understood, skipped: Sequence[str]) -> tuple[NDArray[np.bool_], dict[str, int]]:
        """Which films may be shown, (N,) by row; and how many are left out because a fact is unknown."""
        allowed, left_out = self._films.allow(self._where(asked, skipped))
        if "for children" in asked.tones:  # a direction alone would let through what no child should see
            fit = {fold(name) for name in TONE_WORDS["for children"].genres}
            if fit & self._vocabulary.genres.keys():
                of_children = [any(fold(name) in fit for name in genres) for genres in self._vocabulary.genres_of]
                allowed = allowed & np.array(of_children, dtype=np.bool_)
        return allowed, left_out

    def _where(self, asked: Understood, skipped: Sequence[str]) -> Where:
        """The hard filters, with all films that must not come back."""
        never = [*asked.where.ids.none, *asked.like, *asked.unlike, *skipped]
        for words in asked.not_about:
            never += map(self._films.id_of, self._films.holding(words))
        ids = AnyNone(any=asked.where.ids.any, none=tuple(dict.fromkeys(never)))
        return asked.where.model_copy(update={"ids": ids})

    def _leaning_further(self, tone: Tone, like: Sequence[str], candidates: Sequence[int]) -> list[int]:
        """The candidates that lean further to a tone than what they are to be like (or than most), furthest first."""
        scores = self._leaning.scores(tone)
        seeds = [self._films.row_of(film) for film in like]
        bound = float(scores[seeds].mean()) if seeds else _TONE_FROM
        return _by_score([row for row in candidates if scores[row] > bound], scores)

    def _unlike(self, films: Sequence[str], candidates: Sequence[int]) -> list[int]:
        """The candidates, those least alike to `films` first."""
        everything = np.ones(len(self._films), dtype=np.bool_)
        alike = {row: place for place, row in enumerate(rank_alike(self._store, films, everything, _ALIKE_POOL))}
        return sorted(candidates, key=lambda row: -alike.get(row, _ALIKE_POOL))

    def _passing(self, asked: Understood) -> int:
        """How many films the hard filters of a request let pass."""
        return int(self._allow(asked, ())[0].sum())

    # The question back

    def _question(self, asked: Understood, parts: Sequence[Chip], found: _Found, reading: Reading) -> Question | None:
        """The one question that helps most now, or none."""
        if not found.films:
            return self._what_to_leave_out(asked, parts)
        if len(reading.meant) > 1:
            others = self._films.films(reading.meant[1 : 1 + _SUGGESTIONS])
            suggestions = [Suggestion(label=film.label, message=f"I meant {film.label}") for film in others]
            return Question(text="Did you mean another film?", suggestions=suggestions)
        if _is_vague(asked):
            return self._what_kind(asked)
        if found.nothing_fits:
            return self._what_would_fit(asked, parts, k=1)
        return None

    def _what_to_leave_out(self, asked: Understood, parts: Sequence[Chip]) -> Question | None:
        """Which filters to drop, one or, where one does not help, two: those that let most films in, counted."""
        filters = [
            chip
            for chip in parts
            if chip.path.startswith("where.") or chip.kind == "not_about" or chip.label == "for children"
        ]
        for together in (1, 2):
            counted = []
            for chosen in combinations(filters[:_MAX_FILTERS_TRIED], together):
                rest = asked
                for chip in chosen:
                    rest = without_chip(rest, chip)
                if count := self._passing(rest):
                    counted.append((count, chosen))
            if counted:
                best = sorted(counted, key=lambda pair: -pair[0])[:_SUGGESTIONS]
                return Question(text=_WHICH, suggestions=[_leave_out(chosen, count) for count, chosen in best])
        return Question(text=_WHICH, suggestions=[Suggestion(label="start over", message="start over")])

    def _what_would_fit(self, asked: Understood, parts: Sequence[Chip], k: int) -> Question:
        """Where nothing fits well: the filters without which something would, or else the kinds there are."""
        filters = [chip for chip in parts if chip.path.startswith("where.") and chip.kind != "excluded"]
        suggestions = []
        for chip in filters[:_MAX_FILTERS_TRIED]:
            rest = without_chip(asked, chip)
            if not self._search(rest, (), k).nothing_fits:
                suggestions.append(_leave_out([chip], self._passing(rest)))
        if suggestions:
            return Question(text=_WHICH, suggestions=suggestions[:_SUGGESTIONS])
        kinds = self._what_kind(asked)
        return kinds.model_copy(update={"text": "Say it in other words, or choose a kind:"})

    def _what_kind(self, asked: Understood) -> Question:
        """What a vague request should come near to: kinds that the films left have, and a film that many know."""
        allowed, _ = self._allow(asked, ())
        rows = np.flatnonzero(allowed)
        genres = Counter(genre for row in rows.tolist() for genre in self._vocabulary.genres_of[row])
        suggestions = [
            Suggestion(label=genre.lower(), message=genre.lower(), films=count)
            for genre, count in sorted(genres.items(), key=lambda pair: (-pair[1], pair[0]))[:_SUGGESTIONS]
        ]
        known = next((row for row in self._vocabulary.by_fame.tolist() if allowed[row]), None)
        if known is not None:
            label = self._films.films([known])[0].label
            suggestions.append(Suggestion(label=f"something like {label}", message=f"something like {label}"))
        return Question(text="What are you in the mood for?", suggestions=suggestions)

    # Words

    def _reply(self, message: str, before: Understood, parts: Sequence[Chip], found: _Found, reading: Reading) -> str:
        sentences = []
        if reading.restart:
            sentences.append("Starting over.")
        if reading.meant:
            sentences.append(f"I take you to mean {self._films.films(reading.meant[:1])[0].label}.")
        if reading.unknown_title:
            sentences.append("No film of that title is in this catalogue, so I go by its words.")
        sentences += [
            f"I cannot leave out only some of a kind (“{words}”): name the kind or the time alone."
            for words in reading.only_some
        ]
        sentences += [
            f"No film here is known by “{words}”, so leaving that out changes nothing."
            for words in reading.understood.not_about
            if words not in before.not_about and not self._films.holding(words)
        ]
        if reading.unclear_reference:
            sentences.append("I cannot tell which film you point at; its number on the wall would do.")
        elif message.strip() and not reading.changed and not reading.more and parts:
            sentences.append("That changed nothing in the request; its parts stand above.")
        sentences.append(
            sentence_of(
                describe(parts),
                num_films=len(found.films),
                fits=not found.nothing_fits,
                more=reading.more,
                vague=_is_vague(reading.understood),
            )
        )
        if found.left_out and found.films:
            sentences.append(left_out_words(found.left_out))
        return " ".join(sentences)


def _leave_out(chosen: Sequence[Chip], count: int) -> Suggestion:
    labels = " and ".join(f"“{chip.label}”" for chip in chosen)
    message = " and ".join(f"forget {chip.label}" for chip in chosen)
    return Suggestion(label=f"without {labels}", message=message, films=count)


def _is_vague(asked: Understood) -> bool:
    """Whether a request says nothing of what the film should be, but at most when and where it was made."""
    where = asked.where
    genres, people = where.genres, where.people
    return not (asked.like or asked.about or asked.tones or genres.any or genres.all or people.any or people.all)


def _but_rejected(asked: Understood) -> Understood:
    """A request without the films turned down: turning some down is no reason to begin again with the first."""
    where = asked.where.model_copy(update={"ids": AnyNone(any=asked.where.ids.any)})
    return asked.model_copy(update={"where": where})


def _by_score(rows: Sequence[int], scores: NDArray[Any]) -> list[int]:
    order = np.argsort(-scores[np.asarray(rows, np.int64)], kind="stable")
    return [rows[place] for place in order.tolist()]


def _fused(rankings: Sequence[tuple[list[int], float]]) -> list[tuple[int, float]]:
    """Rows and scores by reciprocal rank (Cormack et al., 2009), best first."""
    scores: dict[int, float] = {}
    for ranking, share in rankings:
        for rank, row in enumerate(ranking):
            scores[row] = scores.get(row, 0.0) + share / (_RANK_OFFSET + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
