#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "matinee/image/image.h"

namespace matinee {

enum class ImageFormat { kJpeg, kPng, kWebp };

struct ImageSize {
  int height = 0;
  int width = 0;
};

// What a caller is willing to decode. Both are checked before anything of the image's size is allocated.
struct DecodeLimits {
  std::size_t max_bytes = std::size_t{20} << 20;  // of the file
  std::int64_t max_pixels = 50'000'000;           // height * width, as the header states them
};

// No side of an image may be longer than this, whatever the limits: what JPEG can express.
inline constexpr int kMaxImageSide = 65'535;

// The format by its magic bytes, never by a name or a content type; nullopt for everything that is not read here.
std::optional<ImageFormat> sniff_format(std::span<const std::uint8_t> data) noexcept;
std::string_view image_format_name(ImageFormat format) noexcept;

// Height and width from the header; no pixel is decoded and nothing large allocated.
// Throws UnsupportedFormat, FormatError.
ImageSize image_size(std::span<const std::uint8_t> data);

// The pixels of a JPEG, PNG or WebP file as Pillow's Image.open(f).convert("RGB") gives them: PNG and lossless WebP
// equal, JPEG and lossy WebP within 2 of 255 per channel (other releases of the same libraries round differently).
//
// Note [What convert("RGB") means]: EXIF orientation is ignored, alpha is dropped (not blended), embedded colour
// profiles are ignored, palettes are looked up, gray is repeated, 16-bit colour keeps its high byte, 16-bit gray is
// clipped at 255 (Pillow's mode I;16), CMYK and YCCK become RGB by R = (255 - K)(255 - C) / 255. Of an animated PNG
// the default image is read; an animated WebP is UnsupportedFormat.
//
// Throws TooLarge above `limits`; UnsupportedFormat for other formats; FormatError for a broken stream and for a file
// cut anywhere, were it only its end marker. Bytes after the end do no harm. As in Pillow, a complete JPEG whose
// entropy-coded data is damaged is decoded as well as its markers allow.
// Thread-safe; computes on the calling thread and writes nothing to stderr.
RgbImage decode_rgb(std::span<const std::uint8_t> data, const DecodeLimits& limits = {});

}  // namespace matinee
