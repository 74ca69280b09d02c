"""The request in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matinee.search.dialogue.state import Chip, ChipKind

_LONGEST_QUOTE = 80
# Kinds that follow 'films' without a comma, in this order, and those that follow with one.
_CLOSE: tuple[ChipKind, ...] = ("year", "language", "country", "person")
_APART: tuple[ChipKind, ...] = ("runtime", "certificate")
_FACTS = {"genres": "genre", "people": "cast"}


def describe(parts: Sequence[Chip]) -> str:
    """The request as one phrase: 'comedy films like Alien (1979) from before 1979, funnier, but not horror'."""
    negative = {
        chip.id for chip in parts if chip.label.startswith(("not ", "no ", "without ")) and chip.kind != "about"
    }
    wanted = [chip for chip in parts if chip.id not in negative]
    unwanted = [chip.label for chip in parts if chip.id in negative and chip.kind != "excluded"]

    def labels(kind: ChipKind) -> list[str]:
        return [chip.label for chip in wanted if chip.kind == kind]

    phrase = " ".join([*filter(None, [_listed(labels("genre"))]), "films"])
    if told := labels("about"):
        phrase += " about " + _listed([f"“{_short(words)}”" for words in told])
    if like := labels("like"):
        phrase += (" and" if told else "") + " like " + _listed([words.removeprefix("like ") for words in like])
    for kind in _CLOSE:
        phrase += "".join(f" {_years(words) if kind == 'year' else words}" for words in labels(kind))
    tones = labels("tone")
    for_whom = [tone for tone in tones if tone.startswith("for ")]
    tones = [tone for tone in tones if tone not in for_whom]
    phrase = " ".join([phrase, *for_whom])
    if like:
        phrase = ", ".join([phrase, *tones])
    elif tones:
        phrase += f" that are {_listed(tones)} than most"
    phrase = ", ".join([phrase, *(words for kind in _APART for words in labels(kind))])
    return f"{phrase}, but {_listed(unwanted)}" if unwanted else phrase


def sentence_of(phrase: str, *, num_films: int, fits: bool, more: bool, vague: bool) -> str:
    """What the answer is, honestly."""
    if not num_films:
        return f"The catalogue has no {'more ' if more else ''}{phrase}."
    if not fits:
        return f"Nothing in the catalogue fits {phrase} well; these come nearest."
    if more:
        return f"More {phrase}."
    if vague:
        return f"Well-known {phrase}, to begin with."
    return f"{phrase[:1].upper()}{phrase[1:]}."


def left_out_words(left_out: Mapping[str, int]) -> str:
    """Which films were left out for want of a fact."""
    return (
        "Left out: "
        + ", ".join(f"{n:,} whose {_FACTS.get(fact, fact)} is unknown" for fact, n in left_out.items())
        + "."
    )


def _years(label: str) -> str:
    """The label of a chip of years, after 'films'."""
    if label.startswith("before"):
        return f"from {label}"
    return label if label.startswith("from") else f"of the {label}" if label.endswith("s") else f"of {label}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _short(words: str) -> str:
    return words if len(words) <= _LONGEST_QUOTE else words[:_LONGEST_QUOTE].rsplit(" ", 1)[0] + " …"
