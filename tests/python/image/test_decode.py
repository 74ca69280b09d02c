"""Decoding equals Pillow's ``Image.open(f).convert("RGB")``; bad input gets the right typed error."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from matinee import _core
from matinee.errors import FormatError, InvalidArgument, TooLarge, UnsupportedFormat

JPEG_TOLERANCE = 2  # other releases of libjpeg-turbo and libwebp round differently


def picture(height: int = 61, width: int = 83, seed: int = 7) -> np.ndarray:
    """Smooth shapes with some noise, (H, W, 3) uint8: compresses like a photograph, exercises every value."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + c) * np.cos(y / (5 + c)) * 110 + 128 for c in range(3)]
    noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    return np.clip(np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def pillow_rgb(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def raw_png(
    *, bits: int, color_type: int, rows: bytes, height: int, width: int, extra: bytes = b"", interlaced: bool = False
) -> bytes:
    """A PNG that Pillow cannot write: `rows` holds the scanlines, each after its filter byte."""
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + extra
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def random_rows(height: int, row_bytes: int) -> bytes:
    rng = np.random.default_rng(3)
    return b"".join(b"\0" + rng.bytes(row_bytes) for _ in range(height))


def adobe_jpeg(transform: int) -> bytes:
    """A four-component JPEG with Adobe's marker: transform 0 is CMYK, 2 is YCCK."""
    data = saved(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=90)
    at = data.index(b"Adobe") + 11
    return data[:at] + bytes([transform]) + data[at + 1 :]


RGB = Image.fromarray(picture())
PALETTE = RGB.quantize(200)
ALPHA = RGB.copy()
ALPHA.putalpha(Image.fromarray(picture(seed=9)[:, :, 0]))
EXIF_ROTATED = Image.Exif()
EXIF_ROTATED[0x0112] = 6

JPEGS = {
    "baseline": saved(RGB, "JPEG", quality=90),
    "4:4:4": saved(RGB, "JPEG", quality=95, subsampling=0),
    "4:2:2": saved(RGB, "JPEG", quality=80, subsampling=1),
    "4:2:0": saved(RGB, "JPEG", quality=60, subsampling=2),
    "progressive": saved(RGB, "JPEG", quality=85, progressive=True),
    "restart markers": saved(RGB, "JPEG", restart_marker_blocks=3),
    "gray": saved(RGB.convert("L"), "JPEG"),
    "RGB without conversion": saved(RGB, "JPEG", keep_rgb=True),
    "EXIF orientation 6": saved(RGB, "JPEG", exif=EXIF_ROTATED),
    "CMYK": saved(RGB.convert("CMYK"), "JPEG"),
    "Adobe CMYK": adobe_jpeg(0),
    "Adobe YCCK": adobe_jpeg(2),
    "one pixel": saved(Image.new("RGB", (1, 1), (9, 90, 200)), "JPEG"),
}
PNGS = {
    "RGB": saved(RGB, "PNG"),
    "RGBA": saved(ALPHA, "PNG"),
    "gray": saved(RGB.convert("L"), "PNG"),
    "gray and alpha": saved(ALPHA.convert("LA"), "PNG"),
    "1 bit": saved(RGB.convert("1"), "PNG"),
    "palette": saved(PALETTE, "PNG"),
    "palette of 16": saved(RGB.quantize(16), "PNG"),
    "palette of 4": saved(RGB.quantize(4), "PNG"),
    "palette, one colour transparent": saved(PALETTE, "PNG", transparency=3),
    "palette with alpha": saved(PALETTE, "PNG", transparency=bytes(range(200))),
    "gray, one value transparent": saved(RGB.convert("L"), "PNG", transparency=100),
    "RGB, one colour transparent": saved(RGB, "PNG", transparency=(1, 2, 3)),
    "16-bit gray": saved(Image.fromarray(picture()[:, :, 0].astype(np.uint16) * 2), "PNG"),
    "EXIF orientation 6": saved(RGB, "PNG", exif=EXIF_ROTATED),
    "gray 2 bits": raw_png(bits=2, color_type=0, rows=random_rows(9, 3), height=9, width=11),
    "gray 4 bits": raw_png(bits=4, color_type=0, rows=random_rows(9, 6), height=9, width=11),
    "16-bit RGB": raw_png(bits=16, color_type=2, rows=random_rows(9, 66), height=9, width=11),
    "16-bit RGBA": raw_png(bits=16, color_type=6, rows=random_rows(9, 88), height=9, width=11),
    "16-bit gray and alpha": raw_png(bits=16, color_type=4, rows=random_rows(9, 44), height=9, width=11),
    "gamma, text and a bad profile": raw_png(
        bits=8,
        color_type=2,
        rows=random_rows(9, 33),
        height=9,
        width=11,
        extra=png_chunk(b"gAMA", struct.pack(">I", 100000))
        + png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile"))
        + png_chunk(b"tEXt", b"Title\0a poster"),
    ),
    "palette index out of range": raw_png(
        bits=8, color_type=3, rows=random_rows(9, 11), height=9, width=11, extra=png_chunk(b"PLTE", bytes(range(30)))
    ),
}
LOSSLESS_WEBPS = {
    "RGB": saved(RGB, "WEBP", lossless=True),
    "RGBA": saved(ALPHA, "WEBP", lossless=True, exact=True),
    "gray": saved(RGB.convert("L"), "WEBP", lossless=True),
    "EXIF orientation 6": saved(RGB, "WEBP", lossless=True, exif=EXIF_ROTATED),
}
LOSSY_WEBPS = {"RGB": saved(RGB, "WEBP", quality=80), "RGBA": saved(ALPHA, "WEBP", quality=80)}
STILLS = {
    f"{kind}: {name}": data
    for kind, files in (("JPEG", JPEGS), ("PNG", PNGS), ("WebP", LOSSLESS_WEBPS), ("lossy WebP", LOSSY_WEBPS))
    for name, data in files.items()
}
FRAMES = [RGB, RGB.rotate(90).resize(RGB.size)]
ANIMATED_WEBP = saved(RGB, "WEBP", save_all=True, append_images=FRAMES[1:])
ANIMATED_GIF = saved(PALETTE, "GIF", save_all=True, append_images=[frame.quantize(200) for frame in FRAMES[1:]])
ANIMATED_PNG = saved(RGB, "PNG", save_all=True, append_images=FRAMES[1:])


@pytest.mark.parametrize("name", JPEGS)
def test_jpeg_is_within_two_of_pillow(name: str) -> None:
    got = _core.decode_rgb(JPEGS[name]).astype(int)
    want = pillow_rgb(JPEGS[name])
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= JPEG_TOLERANCE


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("name", PNGS)
def test_png_equals_pillow(name: str) -> None:
    np.testing.assert_array_equal(_core.decode_rgb(PNGS[name]), pillow_rgb(PNGS[name]))


@pytest.mark.parametrize("name", LOSSLESS_WEBPS)
def test_lossless_webp_equals_pillow(name: str) -> None:
    np.testing.assert_array_equal(_core.decode_rgb(LOSSLESS_WEBPS[name]), pillow_rgb(LOSSLESS_WEBPS[name]))


@pytest.mark.parametrize("name", LOSSY_WEBPS)
def test_lossy_webp_is_within_two_of_pillow(name: str) -> None:
    got = _core.decode_rgb(LOSSY_WEBPS[name]).astype(int)
    assert np.abs(got - pillow_rgb(LOSSY_WEBPS[name])).max() <= JPEG_TOLERANCE


def test_cmyk_follows_pillows_formula_and_not_an_ink_profile() -> None:
    data = saved(Image.new("CMYK", (16, 16), (51, 102, 0, 25)), "JPEG", quality=100, subsampling=0)
    white = 255 - 25
    want = [white - 51 * white // 255, white - 102 * white // 255, white]
    assert np.abs(_core.decode_rgb(data)[8, 8].astype(int) - want).max() <= JPEG_TOLERANCE


def test_alpha_is_dropped_not_blended() -> None:
    transparent = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert (_core.decode_rgb(saved(transparent, "PNG")) == (10, 20, 30)).all()


def test_exif_orientation_is_ignored() -> None:
    for files in (JPEGS, PNGS, LOSSLESS_WEBPS):
        assert _core.decode_rgb(files["EXIF orientation 6"]).shape == (61, 83, 3)


def test_of_an_animated_png_the_default_image_is_read() -> None:
    np.testing.assert_array_equal(_core.decode_rgb(ANIMATED_PNG), np.asarray(RGB))


def test_interlaced_png_equals_the_image_it_was_made_of() -> None:
    # Adam7 by construction: (top, left, step down, step right) of the seven passes.
    image = picture(13, 19)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(
        b"\0" + image[y, left::right].tobytes() for top, left, down, right in passes for y in range(top, 13, down)
    )
    data = raw_png(bits=8, color_type=2, rows=rows, height=13, width=19, interlaced=True)
    np.testing.assert_array_equal(pillow_rgb(data), image)
    np.testing.assert_array_equal(_core.decode_rgb(data), image)


@pytest.mark.parametrize("name", STILLS)
def test_the_header_alone_tells_format_and_size(name: str) -> None:
    opened = Image.open(io.BytesIO(STILLS[name]))
    assert _core.sniff_format(STILLS[name]) == (opened.format or "").lower()
    assert _core.image_size(STILLS[name]) == opened.size


def test_other_formats_are_not_sniffed() -> None:
    for data in (b"", b"GIF89a", ANIMATED_GIF, b"\xff\xd8", b"RIFF\0\0\0\0WAVE"):
        assert _core.sniff_format(data) is None


def bomb_png(height: int, width: int) -> bytes:
    """A few hundred bytes that claim to be an image of any size."""
    return raw_png(bits=8, color_type=2, rows=b"\0" * 99, height=height, width=width)


def bomb_jpeg(height: int, width: int) -> bytes:
    data = saved(Image.new("RGB", (16, 16)), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def bomb_webp(height: int, width: int) -> bytes:
    data = saved(Image.new("RGB", (16, 16)), "WEBP", lossless=True)
    bits = struct.unpack("<I", data[21:25])[0] & ~0x0FFFFFFF | (width - 1) | (height - 1) << 14
    return data[:21] + struct.pack("<I", bits) + data[25:]


def jpeg_of_many_scans() -> bytes:
    """A small file that makes a decoder go over its pixels again and again: the last scan repeated."""
    data = JPEGS["progressive"]
    last_scan = data.rindex(b"\xff\xda")
    return data[:-2] + data[last_scan:-2] * 500 + data[-2:]


def flipped_in_pixels(data: bytes) -> bytes:
    """One byte of a PNG's compressed pixels changed; its checksum tells."""
    at = data.index(b"IDAT") + 20
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


BAD_INPUT: dict[str, tuple[bytes, type[Exception]]] = {
    "0 bytes": (b"", FormatError),
    "text": (b"this is no image at all, only words", UnsupportedFormat),
    "NULs": (bytes(100), UnsupportedFormat),
    "animated GIF": (ANIMATED_GIF, UnsupportedFormat),
    "BMP": (saved(RGB, "BMP"), UnsupportedFormat),
    "TIFF": (saved(RGB, "TIFF"), UnsupportedFormat),
    "animated WebP": (ANIMATED_WEBP, UnsupportedFormat),
    "JPEG cut in half": (half(JPEGS["baseline"]), FormatError),
    "progressive JPEG cut in half": (half(JPEGS["progressive"]), FormatError),
    "CMYK JPEG cut in half": (half(JPEGS["CMYK"]), FormatError),
    "JPEG of magic bytes": (b"\xff\xd8\xff", FormatError),
    "progressive JPEG of 500 scans": (jpeg_of_many_scans(), FormatError),
    "PNG cut in half": (half(PNGS["RGB"]), FormatError),
    "PNG of magic bytes": (PNGS["RGB"][:8], FormatError),
    "PNG with a flipped byte": (flipped_in_pixels(PNGS["RGB"]), FormatError),
    "PNG 0 pixels wide": (bomb_png(10, 0), FormatError),
    "PNG with too few rows": (bomb_png(9, 11), FormatError),
    "palette PNG without a palette": (
        raw_png(bits=8, color_type=3, rows=random_rows(9, 11), height=9, width=11),
        FormatError,
    ),
    "WebP cut in half": (half(LOSSLESS_WEBPS["RGB"]), FormatError),
    "lossy WebP cut in half": (half(LOSSY_WEBPS["RGB"]), FormatError),
    "RIFF that is no WebP": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), UnsupportedFormat),
    "WebP without an image": (b"RIFF\x14\0\0\0WEBPJUNK\x08\0\0\0" + bytes(8), FormatError),
    "200-megapixel PNG": (bomb_png(10_000, 20_000), TooLarge),
    "200-megapixel JPEG": (bomb_jpeg(10_000, 20_000), TooLarge),
    "200-megapixel WebP": (bomb_webp(12_500, 16_000), TooLarge),
    "PNG with a side of two thousand million": (bomb_png(2_000_000_000, 1), TooLarge),
    "file above the byte limit": (JPEGS["baseline"] + bytes(20 * 1024 * 1024), TooLarge),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_gets_its_typed_error(name: str) -> None:
    data, error = BAD_INPUT[name]
    with pytest.raises(error, match="decode_rgb: data: expected") as caught:
        _core.decode_rgb(data)
    assert type(caught.value) is error


@pytest.mark.parametrize("name", ["JPEG: baseline", "JPEG: progressive", "PNG: RGB", "WebP: RGB", "lossy WebP: RGBA"])
def test_a_file_cut_anywhere_is_a_format_error(name: str) -> None:
    data = STILLS[name]
    for size in [*range(0, len(data), max(1, len(data) // 97)), *range(len(data) - 30, len(data))]:
        with pytest.raises(FormatError):
            _core.decode_rgb(data[:size])


@pytest.mark.parametrize("name", STILLS)
def test_bytes_after_the_image_do_no_harm(name: str) -> None:
    data = STILLS[name]
    np.testing.assert_array_equal(_core.decode_rgb(data + b"trailing bytes"), _core.decode_rgb(data))


def test_limits_can_be_changed_and_are_inclusive() -> None:
    data = PNGS["RGB"]
    assert _core.decode_rgb(data, max_pixels=61 * 83, max_bytes=len(data)).shape == (61, 83, 3)
    with pytest.raises(TooLarge):
        _core.decode_rgb(data, max_pixels=61 * 83 - 1)
    with pytest.raises(TooLarge):
        _core.decode_rgb(data, max_bytes=len(data) - 1)
    assert issubclass(TooLarge, InvalidArgument)


def test_only_bytes_are_taken() -> None:
    with pytest.raises(TypeError):
        _core.decode_rgb("poster.jpg")  # type: ignore[arg-type]


DECODE_A_FOLDER = """
import pathlib, resource, sys
from matinee import _core
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        _core.decode_rgb(path.read_bytes())
    except Exception as error:
        assert type(error).__module__ == "matinee.errors", error
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_bad_files_are_not_announced_on_stderr_and_bombs_do_not_allocate(tmp_path: Path) -> None:
    for index, (data, _) in enumerate(BAD_INPUT.values()):
        (tmp_path / f"{index}.bin").write_bytes(data)
    (tmp_path / "profile.png").write_bytes(PNGS["gamma, text and a bad profile"])
    (tmp_path / "index.png").write_bytes(PNGS["palette index out of range"])
    done = subprocess.run(
        [sys.executable, "-c", DECODE_A_FOLDER, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert int(done.stdout) < 150, "MiB more at the peak: the largest file is 20, 200 megapixels would be 600"


def test_real_posters_are_within_two_of_pillow(shared_data: Path) -> None:
    posters = sorted((shared_data / "posters").rglob("*.jpg"))
    assert len(posters) > 1000
    for path in posters[:: len(posters) // 60]:
        data = path.read_bytes()
        assert np.abs(_core.decode_rgb(data).astype(int) - pillow_rgb(data)).max() <= JPEG_TOLERANCE
