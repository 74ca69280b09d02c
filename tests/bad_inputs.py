"""Inputs that go wrong, or look as if they should, and what each gets: the same in Python and in REST.

One table, walked by tests of the package and by tests of the API. `error` is the class that Python raises (None: the
input is fine); the API's status follows from it by its own table.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from matinee.errors import FormatError, InvalidArgument, MatineeError, TooLarge, UnsupportedFormat


@dataclass(frozen=True)
class BadImage:
    """An upload."""

    name: str
    data: bytes
    error: type[MatineeError] | None


@dataclass(frozen=True)
class BadText:
    """A plot and a request in the same words."""

    name: str
    text: str
    plot: type[MatineeError] | None  # as a plot to predict genres from or to compare with
    request: type[MatineeError] | None  # as a request to discover films


@dataclass(frozen=True)
class BadCall:
    """Arguments of `similar` and `discover` other than texts and images."""

    name: str
    arguments: dict[str, Any]
    error: type[MatineeError] | None


def drawn_poster(width: int = 200, height: int = 300, mode: str = "RGB") -> Image.Image:
    """A picture with enough in it that nothing calls it blank."""
    down, across = np.mgrid[0:height, 0:width]
    pixels = np.stack(
        [255 * down // height, 255 * across // width, 40 + 90 * ((down // 20 + across // 20) % 2)], axis=2
    ).astype(np.uint8)
    pixels[height // 2 : height // 2 + 24, width // 8 : -width // 8] = (250, 240, 200)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image as a file of that kind."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _png_of_claimed_size(width: int, height: int) -> bytes:
    """A small file whose header promises a large image."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" * 4096)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _sixteen_bit_png() -> bytes:
    values = np.arange(200 * 300, dtype=np.uint16).reshape(300, 200)
    return encoded(Image.fromarray(values), "PNG")


def _rotated_jpeg() -> bytes:
    exif = Image.Exif()
    exif[274] = 6  # orientation: shown turned by 90 degrees
    return encoded(drawn_poster(), "JPEG", exif=exif.tobytes())


@cache
def bad_images() -> tuple[BadImage, ...]:
    """Every image of the table."""
    jpeg = encoded(drawn_poster(), "JPEG")
    frames = [drawn_poster(mode="P"), drawn_poster(mode="P").rotate(180)]
    return (
        BadImage("not an image", b"This is not an image. " * 20, UnsupportedFormat),
        BadImage("truncated JPEG", jpeg[: len(jpeg) // 2], FormatError),
        BadImage("0 bytes", b"", FormatError),
        BadImage("200 megapixels", _png_of_claimed_size(20_000, 10_000), TooLarge),
        BadImage("animated GIF", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), UnsupportedFormat),
        BadImage("CMYK JPEG", encoded(drawn_poster(mode="CMYK"), "JPEG"), None),
        BadImage("16-bit PNG", _sixteen_bit_png(), None),
        BadImage("palette PNG", encoded(drawn_poster(mode="P"), "PNG"), None),
        BadImage("PNG with alpha", encoded(drawn_poster(mode="RGBA"), "PNG"), None),
        BadImage("EXIF-rotated JPEG", _rotated_jpeg(), None),
        BadImage("WebP", encoded(drawn_poster(), "WEBP"), None),
        BadImage("grey JPEG", encoded(drawn_poster(mode="L"), "JPEG"), None),
        BadImage("one pixel", encoded(Image.new("RGB", (1, 1)), "PNG"), None),
        BadImage("very long strip", encoded(drawn_poster(3000, 2), "PNG"), None),
    )


@cache
def bad_texts() -> tuple[BadText, ...]:
    """Every text of the table."""
    return (
        BadText("empty", "", InvalidArgument, InvalidArgument),
        BadText("white space", " \n\t ", InvalidArgument, InvalidArgument),
        BadText("only emoji", "😀🎬👻", InvalidArgument, None),
        BadText("only signs", "?!… --- ***", InvalidArgument, None),
        BadText("100,000 words", "a detective hunts a killer through the city " * 12_500, None, None),
        BadText("one word of 100,000 letters", "a" * 100_000, None, None),
        BadText("NUL in the middle", "a detective\0hunts a killer", None, None),
        BadText("only NUL", "\0\0", InvalidArgument, InvalidArgument),
        BadText("control characters", "a \x07detective\x1b[31m hunts\x7f a killer", None, None),
        BadText("Cyrillic", "Детектив преследует убийцу", None, None),
        BadText("Chinese", "侦探追捕凶手。", None, None),
        BadText("Devanagari", "एक बूढ़ा चोर आख़िरी चोरी की योजना बनाता है।", None, None),
        BadText("right to left", "محقق يطارد قاتلا", None, None),
        BadText("combining marks", "Z" + "\u0301" * 500 + "algo detective", None, None),
        BadText("query syntax", 'title:"x" OR NEAR(a b) AND NOT * ^ -"', None, None),
        BadText("SQL", "'; DROP TABLE film; --", None, None),
        BadText("markup", "<script>alert(1)</script> {{7*7}}", None, None),
    )


BAD_CALLS = (
    BadCall("k = 0", {"k": 0}, InvalidArgument),
    BadCall("k below 0", {"k": -3}, InvalidArgument),
    BadCall("k beyond the limit", {"k": 1001}, InvalidArgument),
    BadCall("k above the number of films", {"k": 1000}, None),
    BadCall("an unknown filter", {"where": {"mood": ["dark"]}}, InvalidArgument),
    BadCall("a filter of the wrong kind", {"where": {"year": "nineties"}}, InvalidArgument),
    BadCall("a range the wrong way round", {"where": {"year": {"min": 2000, "max": 1990}}}, InvalidArgument),
    BadCall("an unknown key in a filter", {"where": {"genres": {"some": ["Drama"]}}}, InvalidArgument),
    BadCall("a filter that nothing passes", {"where": {"genres": ["No Such Genre"]}}, None),
)

UNKNOWN_FILM = "local:999999"
UNKNOWN_FILMS = (UNKNOWN_FILM, "", "movielens:1; DROP TABLE film", "\0", "x" * 10_000)
"""Ids that no film has: NotFound."""

BAD_K = (0, -1, 10**9)
BAD_WHERE = ({"colour": "red"}, {"year": {"minimum": 1990}}, {"year": {"min": 2000, "max": 1990}}, {"genres": 5})
