"""From what sources write in their cells to the facts of a film.

Every parser returns None (or nothing) for an empty or unknown value and raises ValueError, saying what was expected,
for one that is there but wrong; sources turn that into a row of the build report.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime

FIRST_FILM_YEAR = 1874  # Passage de Venus, the earliest film in any catalogue
LAST_FILM_YEAR = 2100

SINGLE_GENRES = (
    "Action",
    "Animation",
    "Comedy",
    "Documentary",
    "Drama",
    "Fantasy",
    "Horror",
    "Romance",
    "Science Fiction",
    "Thriller",
)
"""The ten genres of the course data set, the classes of single-label prediction."""

_UNKNOWN = frozenset({"", "n/a", "na", "none", "null", "nan", "\\n", "unknown", "unrated", "not rated", "xx"})
_LONGEST_UNKNOWN = max(map(len, _UNKNOWN))
_GENRE_NAMES = {
    "sci-fi": "Science Fiction",
    "science fiction": "Science Fiction",
    "scifi": "Science Fiction",
    "children's": "Children",
    "family": "Children",
    "music": "Musical",
    "film noir": "Film-Noir",
}
_NOT_GENRES = frozenset({"(no genres listed)", "imax", "tv movie", "foreign"})

# ISO 639-1 codes that catalogues hold -> English names.
_LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "bs": "Bosnian", "ca": "Catalan", "cn": "Cantonese",
    "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian",
    "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "ga": "Irish", "gl": "Galician", "he": "Hebrew",
    "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian", "is": "Icelandic",
    "it": "Italian", "ja": "Japanese", "ka": "Georgian", "ko": "Korean", "la": "Latin", "lt": "Lithuanian",
    "lv": "Latvian", "mk": "Macedonian", "ml": "Malayalam", "mn": "Mongolian", "mr": "Marathi", "ms": "Malay",
    "nb": "Norwegian", "nl": "Dutch", "no": "Norwegian", "pa": "Punjabi", "pl": "Polish", "ps": "Pashto",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sh": "Serbo-Croatian", "sk": "Slovak", "sl": "Slovenian",
    "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog",
    "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "wo": "Wolof", "xh": "Xhosa",
    "zh": "Mandarin", "zu": "Zulu", "af": "Afrikaans", "am": "Amharic", "az": "Azerbaijani", "bo": "Tibetan",
    "br": "Breton", "ce": "Chechen", "co": "Corsican", "cy": "Welsh", "dz": "Dzongkha", "eo": "Esperanto",
    "gd": "Scottish Gaelic", "kk": "Kazakh", "km": "Khmer", "ku": "Kurdish", "ky": "Kyrgyz", "mi": "Maori",
    "ne": "Nepali", "nv": "Navajo", "si": "Sinhala", "so": "Somali", "sw": "Swahili", "yi": "Yiddish",
}  # fmt: skip
_COUNTRIES = {
    "usa": "United States", "us": "United States", "united states of america": "United States",
    "uk": "United Kingdom", "gb": "United Kingdom", "great britain": "United Kingdom",
}  # fmt: skip

_TITLE_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
_ARTICLES = "The|A|An|Le|La|Les|L'|Il|Lo|I|Gli|El|Los|Las|Un|Une|Der|Die|Das|Ein|Eine|Den|Det|De|O|Os|As"
_ARTICLE_LAST = re.compile(rf"^(?P<rest>.+), (?P<article>{_ARTICLES})(?P<tail> \(.+\))?$")


def text(cell: str) -> str | None:
    """Text with white space and control characters tidied; None where there is none."""
    if not cell.isprintable():  # seldom: the test is a hundred times faster than the cure
        cell = "".join(c if c.isprintable() else " " for c in cell)
    return " ".join(cell.split()) or None


def known(cell: str) -> str | None:
    """As text(), and words that mean 'unknown' count as nothing."""
    tidy = text(cell)
    return None if tidy is None or (len(tidy) <= _LONGEST_UNKNOWN and tidy.lower() in _UNKNOWN) else tidy


def title(cell: str) -> str | None:
    """A title without its year and with the article first: 'Matrix, The (1999)' -> 'The Matrix'."""
    tidy = text(cell)
    if tidy is None:
        return None
    if title_year(tidy) is not None:
        tidy = _TITLE_YEAR.sub("", tidy) or tidy
    if match := _ARTICLE_LAST.match(tidy):
        article = match["article"]
        gap = "" if article.endswith("'") else " "
        tidy = f"{article}{gap}{match['rest']}{match['tail'] or ''}"
    return tidy


def title_year(cell: str) -> int | None:
    """The year at the end of a title: 'Matrix, The (1999)' -> 1999. Four digits that are no year are part of it."""
    match = _TITLE_YEAR.search(cell)
    value = int(match[1]) if match else 0
    return value if FIRST_FILM_YEAR <= value <= LAST_FILM_YEAR else None


def year(cell: str) -> int | None:
    """A year of release."""
    tidy = known(cell)
    if tidy is None:
        return None
    match = re.fullmatch(r"(\d{4})(?:\.0)?(?:[-–/].*)?", tidy)
    value = int(match[1]) if match else -1
    if not FIRST_FILM_YEAR <= value <= LAST_FILM_YEAR:
        raise ValueError(f"expected a year from {FIRST_FILM_YEAR} to {LAST_FILM_YEAR}, got {tidy!r}")
    return value


def minutes(cell: str) -> int | None:
    """A runtime: '81 min', '1 h 21 min', '81', '81.0'."""
    tidy = known(cell)
    if tidy is None:
        return None
    lowered = tidy.lower().replace(",", "")
    if match := re.fullmatch(r"(\d+)\s*h(?:ours?|r)?\s*(?:(\d+)\s*m(?:in)?)?", lowered):
        value = int(match[1]) * 60 + int(match[2] or 0)
    elif match := re.fullmatch(r"(\d+)(?:\.\d+)?\s*(?:m|min|mins|minutes)?", lowered):
        value = int(match[1])
    else:
        raise ValueError(f"expected a runtime such as '81 min', got {tidy!r}")
    return value or None


def money(cell: str) -> int | None:
    """Whole US dollars; 0 means unknown in the sources we know."""
    tidy = known(cell)
    if tidy is None:
        return None
    match = re.fullmatch(r"\$?\s*(\d[\d,]*)(?:\.\d+)?", tidy)
    if not match:
        raise ValueError(f"expected US dollars such as '30000000', got {tidy!r}")
    return int(match[1].replace(",", "")) or None


def votes(cell: str) -> int | None:
    """How many people rated a film; 0 means unknown in the sources we know."""
    tidy = known(cell)
    if tidy is None:
        return None
    match = re.fullmatch(r"(\d[\d,]{0,14})(?:\.0)?", tidy)
    if not match:
        raise ValueError(f"expected a number of votes such as '1520', got {tidy!r}")
    return int(match[1].replace(",", "")) or None


def day(cell: str) -> date | None:
    """A date: '1995-10-30', '30 Oct 1995', '10/30/1995'."""
    tidy = known(cell)
    if tidy is None:
        return None
    for form in ("%Y-%m-%d", "%d %b %Y", "%d %B %Y", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S"):
        try:
            return datetime.strptime(tidy, form).date()
        except ValueError:
            continue
    raise ValueError(f"expected a date such as '1995-10-30', got {tidy!r}")


def names(cell: str, split: str | None, item_key: str = "name") -> tuple[str, ...]:
    """A list in one cell: split by a mark, or a JSON list of strings or of objects with an `item_key`."""
    tidy = text(cell)
    if tidy is None:
        return ()
    if tidy.startswith("["):
        try:
            items = json.loads(cell)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"expected a JSON list, got {tidy[:60]!r}") from error
        parts = [str(item.get(item_key) or "") if isinstance(item, dict) else str(item) for item in items]
    else:
        parts = tidy.split(split) if split else [tidy]
    kept = (known(part) for part in parts)
    return tuple(dict.fromkeys(part for part in kept if part))


def genre(name: str) -> str | None:
    """The canonical name of a genre; None for what is none: '(no genres listed)', 'IMAX'."""
    key = name.strip().lower()
    if not key or key in _NOT_GENRES or key in _UNKNOWN:
        return None
    return _GENRE_NAMES.get(key) or "-".join(" ".join(w.capitalize() for w in p.split()) for p in key.split("-"))


def language(name: str) -> str:
    """The English name of a language given by name or ISO 639-1 code."""
    return _LANGUAGES.get(name.strip().lower(), name.strip())


def country(name: str) -> str:
    """One name a country: 'USA' and 'United States of America' are 'United States'."""
    return _COUNTRIES.get(name.strip().lower(), name.strip())
