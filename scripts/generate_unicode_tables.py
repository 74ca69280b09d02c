"""Writes cpp/src/text/unicode_tables.h: what the reference tokenizers know of Unicode, frozen.

    python scripts/generate_unicode_tables.py            # rewrites the file (needs the `tokenizers` package)
    python scripts/generate_unicode_tables.py --check    # exit status 1 when the file differs

A model's token ids must not change with the Unicode version of the machine it runs on, and the reference itself mixes
three versions (categories of Unicode 8, decompositions of 12, lower case of its compiler). So the tables are read off
the reference, code point by code point, rather than taken from a library of the system. CLIP's reference is written in
Python: what its pattern calls a letter is read off Hugging Face's port of it (the same, but for letters younger than
that), the contexts of a final sigma and the full-width forms off Python 3.11.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from tokenizers import Regex, normalizers, pre_tokenizers

TARGET = Path(__file__).resolve().parents[1] / "cpp" / "src" / "text" / "unicode_tables.h"
HANGUL = range(0xAC00, 0xD7A4)  # decomposed by arithmetic (Unicode standard, section 3.12)
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

Range = tuple[int, int]


def bert(**steps: bool) -> Callable[[str], str]:
    """The reference normaliser with only the named steps switched on."""
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    normalizer = normalizers.BertNormalizer(**{**off, **steps})
    return lambda text: str(normalizer.normalize_str(text))


def ranges_of(code_points: Iterable[int]) -> list[Range]:
    """Sorted code points as inclusive ranges."""
    found: list[Range] = []
    for _, group in itertools.groupby(enumerate(code_points), key=lambda pair: pair[1] - pair[0]):
        run = [code_point for _, code_point in group]
        found.append((run[0], run[-1]))
    return found


def combining_classes() -> list[tuple[int, int, int]]:
    """(first, last, class) read off the order in which the reference puts two marks after a letter."""
    nfd = normalizers.NFD().normalize_str
    # One well-known mark for each class; characters of Unicode 4 never changed theirs.
    references: dict[int, str] = {}
    for c in CODE_POINTS:
        value = unicodedata.ucd_3_2_0.combining(chr(c))
        if value and value not in references and nfd(chr(c)) == chr(c):
            references[value] = chr(c)
    classes = sorted(references)
    low, high = references[classes[0]], references[classes[-1]]

    def class_of(code_point: int) -> int:
        x = chr(code_point)
        if nfd(x) != x:
            return 0  # decomposed first; its parts have classes of their own
        if nfd("a" + high + x) == "a" + high + x and nfd("a" + x + low) == "a" + x + low:
            return 0  # moves past no mark, and none past it
        # A stable sort moves x before the reference exactly where the reference's class is greater.
        stays = (value for value in classes if nfd("a" + references[value] + x) == "a" + references[value] + x)
        return max(stays)

    by_code_point = [(c, class_of(c)) for c in CODE_POINTS if c >= 0x300 and c not in HANGUL]
    found: list[tuple[int, int, int]] = []
    for code_point, value in by_code_point:
        if not value:
            continue
        if found and found[-1][1] == code_point - 1 and found[-1][2] == value:
            found[-1] = (found[-1][0], code_point, value)
        else:
            found.append((code_point, code_point, value))
    return found


def lowercase_runs() -> list[tuple[int, int, int, int]]:
    """(first, last, step, distance): every step-th code point of a run maps to itself plus the distance."""
    lower = bert(lowercase=True)
    pairs = []
    for c in CODE_POINTS:
        mapped = lower(chr(c))
        if c == 0x130:
            assert mapped == "i\u0307"  # the only one that grows; never looked up, because it is decomposed before
        elif mapped != chr(c):
            pairs.append((c, ord(mapped) - c))
    runs: list[tuple[int, int, int, int]] = []
    for c, distance in pairs:
        if runs:
            first, last, step, known = runs[-1]
            if known == distance and (c - last == step or (first == last and c - last <= 2)):
                runs[-1] = (first, c, c - last, known)
                continue
        runs.append((c, c, 1, distance))
    return runs


def decompositions() -> list[tuple[int, list[int]]]:
    """(code point, its full canonical decomposition), without Hangul."""
    nfd = normalizers.NFD().normalize_str
    return [(c, [ord(x) for x in nfd(chr(c))]) for c in CODE_POINTS if c not in HANGUL and nfd(chr(c)) != chr(c)]


def compositions() -> list[tuple[int, int, int]]:
    """(first, second, what canonical composition makes of them), without Hangul."""
    nfd, nfc = normalizers.NFD().normalize_str, normalizers.NFC().normalize_str
    found = []
    for c in CODE_POINTS:
        parts = nfd(chr(c))
        if c in HANGUL or len(parts) < 2 or nfc(parts) != chr(c):
            continue  # a singleton, or excluded from composition
        first = nfc(parts[:-1])
        assert len(first) == 1
        found.append((ord(first), ord(parts[-1]), c))
    return sorted(found)


def matches(expression: str) -> list[int]:
    """The code points that an expression of the reference's pattern matches."""
    without = normalizers.Replace(Regex(expression), "").normalize_str
    return [c for c in CODE_POINTS if without(chr(c)) == ""]


def ends_word(before_sigma: str) -> bool:
    """Whether Python lower-cases a capital sigma after these characters to the form for the end of a word."""
    return f"{before_sigma}\u03a3".lower().endswith("\u03c2")


def width_forms() -> list[tuple[int, int]]:
    """(full- or half-width form, its plain form): ftfy's table. U+FFE3 is not here: it has two plain characters."""
    plain = [(c, unicodedata.normalize("NFKC", chr(c))) for c in range(0xFF01, 0xFFF0) if c != 0xFFE3]
    return [(0x3000, 0x20), *((c, ord(x)) for c, x in plain if x != chr(c))]


def wrapped(items: Iterable[str]) -> str:
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > 120:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line])


def array(kind: str, name: str, items: list[str], comment: str) -> str:
    return f"// {comment}\ninline constexpr std::array<{kind}, {len(items)}> {name} = {{{{\n{wrapped(items)}\n}}}};\n"


def range_array(name: str, code_points: Iterable[int], comment: str) -> str:
    return array("CodePointRange", name, [f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges_of(code_points)], comment)


def generate() -> str:
    clean, spaced, strip = bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True)
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    decomposed = decompositions()
    starts = list(itertools.accumulate((len(parts) for _, parts in decomposed), initial=0))
    keys = [f"{{0x{c:X}, {start}, {len(parts)}}}" for (c, parts), start in zip(decomposed, starts, strict=False)]
    parts = [f"0x{part:X}" for _, whole in decomposed for part in whole]
    blocks = [
        range_array(
            "kRemoved",
            (c for c in CODE_POINTS if clean(chr(c)) == ""),
            "Dropped by clean_text: NUL, U+FFFD, control, format and private-use characters.",
        ),
        range_array(
            "kSpaces",
            (c for c in CODE_POINTS if clean(chr(c)) == " "),
            "Turned into a space by clean_text.",
        ),
        range_array(
            "kIdeographs",
            (c for c in CODE_POINTS if spaced(chr(c)) != chr(c)),
            "Chinese characters, which get a space on either side.",
        ),
        range_array(
            "kNonspacingMarks",
            (c for c in CODE_POINTS if strip("a" + chr(c)) == "a"),
            "Category Mn: dropped by strip_accents.",
        ),
        range_array(
            "kPunctuation",
            (c for c in CODE_POINTS if len(split("a" + chr(c) + "b")) == 3),
            "ASCII symbols and categories P*: words of their own.",
        ),
        array(
            "CombiningClassRun",
            "kCombiningClasses",
            [f"{{0x{a:X}, 0x{b:X}, {value}}}" for a, b, value in combining_classes()],
            "Canonical combining classes other than 0.",
        ),
        array(
            "LowercaseRun",
            "kLowercase",
            [f"{{0x{a:X}, 0x{b:X}, {step}, {distance}}}" for a, b, step, distance in lowercase_runs()],
            "Lower case, one character to one. U+0130 is not here: it is decomposed before.",
        ),
        array(
            "Decomposition",
            "kDecompositions",
            keys,
            "Full canonical decompositions: where in kDecomposedParts, and how many; Hangul is not here.",
        ),
        array("char32_t", "kDecomposedParts", parts, "The parts, in canonical order."),
        array(
            "Composition",
            "kCompositions",
            [f"{{0x{a:X}, 0x{b:X}, 0x{c:X}}}" for a, b, c in compositions()],
            "Primary composites by their two parts; Hangul is not here.",
        ),
        range_array("kLetters", matches(r"\p{L}"), "\\p{L} of CLIP's pattern."),
        range_array("kNumbers", matches(r"\p{N}"), "\\p{N} of CLIP's pattern."),
        range_array("kWhiteSpace", matches(r"\s"), "\\s of CLIP's pattern."),
        range_array(
            "kCaseIgnorable",
            (c for c in CODE_POINTS if ends_word("A" + chr(c)) and not ends_word(chr(c))),
            "Looked through for the cased letter beside a sigma.",
        ),
        range_array(
            "kCased",
            (c for c in CODE_POINTS if ends_word(chr(c))),
            "The cased letters that are not looked through.",
        ),
        array(
            "WidthForm",
            "kWidthForms",
            [f"{{0x{a:X}, 0x{b:X}}}" for a, b in width_forms()],
            "Full- and half-width forms with one plain character.",
        ),
    ]
    return f"""#pragma once

// Generated by scripts/generate_unicode_tables.py from the reference tokenizer; do not edit.
// clang-format off

#include <array>
#include <cstdint>

namespace matinee::text {{

struct CodePointRange {{
  char32_t first;
  char32_t last;  // inclusive
}};
struct CombiningClassRun {{
  char32_t first;
  char32_t last;  // inclusive
  std::uint8_t value;
}};
struct LowercaseRun {{
  char32_t first;
  char32_t last;  // inclusive
  std::uint8_t step;
  std::int32_t distance;
}};
struct Decomposition {{
  char32_t code_point;
  std::uint16_t start;
  std::uint8_t count;
}};
struct Composition {{
  char32_t first;
  char32_t second;
  char32_t composite;
}};
struct WidthForm {{
  char32_t form;
  char32_t plain;
}};

{chr(10).join(blocks)}
}}  // namespace matinee::text

// clang-format on
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file differs")
    text = generate()
    if parser.parse_args().check:
        return 0 if TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
