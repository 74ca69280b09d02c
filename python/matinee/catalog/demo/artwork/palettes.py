"""Colours and lettering by genre: five palettes and a few hands for each of the ten."""

from __future__ import annotations

import random
from dataclasses import dataclass

from matinee.catalog.demo.artwork.canvas import Colour, rgb
from matinee.catalog.demo.artwork.lettering import Hand


@dataclass(frozen=True)
class Palette:
    """Five colours: the darkest, the lightest, two fields and one that calls."""

    night: Colour
    paper: Colour
    main: Colour
    second: Colour
    accent: Colour


def _palettes(*rows: str) -> tuple[Palette, ...]:
    return tuple(Palette(*(rgb(code) for code in row.split())) for row in rows)


PALETTES: dict[str, tuple[Palette, ...]] = {
    "Action": _palettes(
        "#12161c #f5ecd9 #e4572e #2a5a6b #f3a712",
        "#0d1b22 #f2efe6 #ff7a1a #11566b #ffd166",
        "#1b1a17 #efe0c2 #c1272d #4a5a4c #e8a72a",
        "#17141c #f4efe8 #d7263d #3b3561 #f49d37",
        "#20160f #f2dfb8 #d9822b #6b3a1e #b5261c",
    ),
    "Animation": _palettes(
        "#1d2b53 #fff6e0 #ff6b6b #3fb8af #ffd93d",
        "#22223b #fdf3e1 #f28482 #84a59d #f6bd60",
        "#10375c #fef9ec #f3c623 #2f8f9d #eb5a3c",
        "#2b2148 #fff3e6 #ff9f5a #7a6ff0 #ffe066",
        "#1b3a2f #fbf5dd #7bc950 #2f7f79 #f5a742",
    ),
    "Comedy": _palettes(
        "#1f2041 #fff8e7 #ffc857 #19647e #ef5b5b",
        "#2d2a32 #fdf0d5 #ee6352 #4fb587 #fac05e",
        "#28262c #faf3e3 #f78fb3 #2fa9bb #f5cd79",
        "#1e3231 #f7f0e0 #e9b44c #9b2915 #50a2a7",
        "#3a1f2b #fdf1e3 #f26b5e #f9c5b4 #4f86c6",
    ),
    "Documentary": _palettes(
        "#161616 #f3f0e8 #d62828 #8d8d86 #d62828",
        "#10212b #eef0ea #1f6f8b #7c98a3 #e07a3f",
        "#1f1d1a #f4efe3 #f2b705 #7d7463 #d9480f",
        "#0f2a24 #edf1e6 #2f7d5b #8fa58c #e0a526",
        "#1b1b24 #efeeea #3d5a98 #8a8fa3 #e4572e",
    ),
    "Drama": _palettes(
        "#1c1b22 #efe7d8 #8c3b3b #5a6b6e #d9a05b",
        "#13202b #ece6da #32596e #9aa69c #d2843c",
        "#231a17 #f1e4cf #a5562e #6e6a52 #e0b567",
        "#191d1a #e9e5d6 #4e6b57 #a3a287 #c9703f",
        "#201a2b #efe6e0 #6b4a7a #a08a9a #dd9a6a",
        "#20242b #f2ede2 #3f4e63 #b7b2a3 #b63d34",
    ),
    "Fantasy": _palettes(
        "#141233 #f6ecd2 #5b4bb5 #2a7a8c #f2c14e",
        "#0e2a2f #f3ecd0 #2f8f83 #6b4e8f #f0b94b",
        "#221433 #f8eedd #a4508b #45307a #ffcf73",
        "#12203f #eef0e2 #3d6fb6 #7fb7be #f4d06f",
        "#1d2a16 #f3efd6 #5a8f3c #2e5a4a #e7b63a",
    ),
    "Horror": _palettes(
        "#0c0b0d #eae3d4 #a30f1a #3a3136 #d8d0c0",
        "#0a1410 #e4e3d0 #3f6b4b #22332b #c4202f",
        "#120d17 #e9dfd6 #5b2a5e #2d2138 #d13c2f",
        "#101418 #dfe3e0 #4f6a75 #26343c #c81d25",
        "#170d08 #f0dfc0 #c4501b #4a2413 #e8a02c",
    ),
    "Romance": _palettes(
        "#3b1c32 #fdeee4 #e56b6f #b56576 #f2b5a7",
        "#2a2438 #fbeee6 #d96c8a #6c7fa6 #f3c98b",
        "#4a1e26 #fff1e3 #c8364a #e8a598 #f1c27d",
        "#1f2d3a #f7efe5 #5f8a9d #e59a8c #f5d0a9",
        "#3c2a21 #faf0dc #c97b5a #8fa58c #e9b96e",
    ),
    "Science Fiction": _palettes(
        "#070b1a #e8ecef #2a6fdb #123a6b #ff8c42",
        "#0b0f14 #e6e9e4 #12a19a #1f3b4d #ff5e5b",
        "#120a24 #f2e9f7 #c13fd0 #3a1f78 #29e0e0",
        "#10100e #ece7da #e0622a #394240 #f2c14e",
        "#07161b #e3efe9 #3fa796 #14454f #f5d547",
    ),
    "Thriller": _palettes(
        "#0f1114 #ece7dc #b3202a #3c4650 #e0b04a",
        "#111a22 #e6e6df #2d5d73 #53666e #e2572b",
        "#15130f #efe6cf #d7a625 #4a4538 #c23a22",
        "#0e1512 #e2e5da #3c6652 #2d3a36 #d9b13b",
        "#161320 #e9e4ea #5a4a87 #3a3450 #e0503a",
    ),
}

# Hands by character.
GOTHIC = Hand(width=0.42, stem=0.15, bar=0.125, spacing=0.055, stadium=True)
POSTER = Hand(width=0.56, stem=0.19, bar=0.16, spacing=0.05, stadium=True)
GEOMETRIC = Hand(width=0.84, stem=0.15, bar=0.14, spacing=0.09)
THIN = Hand(width=0.78, stem=0.045, bar=0.045, spacing=0.26, word_space=0.6)
LIGHT = Hand(width=0.66, stem=0.075, bar=0.07, spacing=0.18, word_space=0.5)
DIDONE = Hand(width=0.68, stem=0.155, bar=0.04, spacing=0.15, serif=0.06, serif_bar=0.032)
ELEGANT = Hand(width=0.6, stem=0.09, bar=0.032, spacing=0.2, serif=0.05, serif_bar=0.028, word_space=0.45)
SLAB = Hand(width=0.56, stem=0.15, bar=0.1, spacing=0.16, serif=0.06, serif_bar=0.12, stadium=True, roundness=0.9)
WOODTYPE = Hand(width=0.44, stem=0.13, bar=0.12, spacing=0.15, serif=0.055, serif_bar=0.15, stadium=True)
OCTAGON = Hand(width=0.66, stem=0.16, bar=0.15, roundness=0.5, spacing=0.09, chamfer=True)
WIDE = Hand(width=1.15, stem=0.13, bar=0.12, roundness=0.55, spacing=0.16)
SQUARED = Hand(width=0.7, stem=0.12, bar=0.11, roundness=0.35, spacing=0.12)
RACING = Hand(width=0.62, stem=0.17, bar=0.15, spacing=0.05, slant=0.2, stadium=True)
CHUNKY = Hand(width=0.66, stem=0.24, bar=0.2, spacing=0.035, stadium=True)
SCRATCH = Hand(width=0.46, stem=0.1, bar=0.085, spacing=0.08, roundness=0.25, chamfer=True)

HANDS: dict[str, tuple[Hand, ...]] = {
    "Action": (GOTHIC, POSTER, RACING, OCTAGON, GOTHIC),
    "Animation": (CHUNKY, GEOMETRIC, POSTER, CHUNKY),
    "Comedy": (POSTER, GEOMETRIC, CHUNKY, SLAB, GOTHIC),
    "Documentary": (GOTHIC, GEOMETRIC, LIGHT, SQUARED),
    "Drama": (ELEGANT, GOTHIC, LIGHT, DIDONE, GEOMETRIC, THIN),
    "Fantasy": (DIDONE, ELEGANT, SLAB, DIDONE),
    "Horror": (SCRATCH, GOTHIC, DIDONE, SCRATCH),
    "Romance": (ELEGANT, THIN, DIDONE, LIGHT),
    "Science Fiction": (WIDE, SQUARED, THIN, OCTAGON, WIDE),
    "Thriller": (GOTHIC, POSTER, SQUARED, LIGHT, GOTHIC),
}


def choose_palette(genre: str, rng: random.Random) -> Palette:
    """One of the genre's palettes."""
    return rng.choice(PALETTES[genre])


def choose_hand(genre: str, rng: random.Random) -> Hand:
    """One of the genre's hands."""
    return rng.choice(HANDS[genre])
