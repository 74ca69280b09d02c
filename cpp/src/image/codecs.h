#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "matinee/core/error.h"
#include "matinee/image/decode.h"

// One pair of functions a format. Each reads the header, checks it against the limit, and only then allocates.
namespace matinee::codecs {

using Bytes = std::span<const std::uint8_t>;

ImageSize jpeg_size(Bytes data);
RgbImage decode_jpeg(Bytes data, std::int64_t max_pixels);

ImageSize png_size(Bytes data);
RgbImage decode_png(Bytes data, std::int64_t max_pixels);

ImageSize webp_size(Bytes data);
RgbImage decode_webp(Bytes data, std::int64_t max_pixels);

// `what` is the library's own description of the fault.
[[noreturn]] inline void throw_format_error(const char* format, const std::string& what) {
  throw FormatError(std::string("decode_rgb: data: expected a complete ") + format + " file, got one that is " + what);
}

// Sizes come from untrusted headers: 64-bit, before any narrowing.
inline ImageSize checked_size(const char* format, std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1) throw_format_error(format, "without pixels (a side of 0)");
  if (height > kMaxImageSide || width > kMaxImageSide) {
    throw TooLarge("decode_rgb: data: expected sides of at most " + std::to_string(kMaxImageSide) + " pixels, got " +
                   std::to_string(width) + " x " + std::to_string(height) + "; send a smaller image");
  }
  return {static_cast<int>(height), static_cast<int>(width)};
}

inline void check_pixels(ImageSize size, std::int64_t max_pixels) {
  if (std::int64_t{size.height} * size.width > max_pixels) {
    throw TooLarge("decode_rgb: data: expected at most " + std::to_string(max_pixels) + " pixels, got " +
                   std::to_string(size.width) + " x " + std::to_string(size.height) +
                   "; send a smaller image or raise max_pixels");
  }
}

}  // namespace matinee::codecs
