#include "matinee/image/decode.h"

#include <algorithm>
#include <array>
#include <string>

#include "codecs.h"
#include "matinee/core/error.h"

namespace matinee {
namespace {

constexpr std::array<std::uint8_t, 3> kJpegMagic = {0xFF, 0xD8, 0xFF};
constexpr std::array<std::uint8_t, 8> kPngMagic = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
constexpr std::array<std::uint8_t, 4> kRiffMagic = {'R', 'I', 'F', 'F'};
constexpr std::array<std::uint8_t, 4> kWebpMagic = {'W', 'E', 'B', 'P'};  // at offset 8 of a RIFF file

template <std::size_t N>
bool starts_with(std::span<const std::uint8_t> data, const std::array<std::uint8_t, N>& magic) {
  return data.size() >= N && std::equal(magic.begin(), magic.end(), data.begin());
}

ImageFormat required_format(std::span<const std::uint8_t> data) {
  if (data.empty()) throw FormatError("decode_rgb: data: expected a JPEG, PNG or WebP file, got 0 bytes");
  if (const auto format = sniff_format(data)) return *format;
  throw UnsupportedFormat(
      "decode_rgb: data: expected a JPEG, PNG or WebP file, got bytes that start like none of them; convert the image");
}

}  // namespace

std::optional<ImageFormat> sniff_format(std::span<const std::uint8_t> data) noexcept {
  if (starts_with(data, kJpegMagic)) return ImageFormat::kJpeg;
  if (starts_with(data, kPngMagic)) return ImageFormat::kPng;
  if (data.size() >= 12 && starts_with(data, kRiffMagic) && starts_with(data.subspan(8), kWebpMagic)) {
    return ImageFormat::kWebp;
  }
  return std::nullopt;
}

std::string_view image_format_name(ImageFormat format) noexcept {
  switch (format) {
    case ImageFormat::kJpeg:
      return "jpeg";
    case ImageFormat::kPng:
      return "png";
    case ImageFormat::kWebp:
      return "webp";
  }
  return "unknown";
}

ImageSize image_size(std::span<const std::uint8_t> data) {
  switch (required_format(data)) {
    case ImageFormat::kJpeg:
      return codecs::jpeg_size(data);
    case ImageFormat::kPng:
      return codecs::png_size(data);
    case ImageFormat::kWebp:
      return codecs::webp_size(data);
  }
  throw InternalError("image_size: unreachable image format");
}

RgbImage decode_rgb(std::span<const std::uint8_t> data, const DecodeLimits& limits) {
  if (data.size() > limits.max_bytes) {
    throw TooLarge("decode_rgb: data: expected at most " + std::to_string(limits.max_bytes) + " bytes, got " +
                   std::to_string(data.size()) + "; send a smaller file or raise max_bytes");
  }
  switch (required_format(data)) {
    case ImageFormat::kJpeg:
      return codecs::decode_jpeg(data, limits.max_pixels);
    case ImageFormat::kPng:
      return codecs::decode_png(data, limits.max_pixels);
    case ImageFormat::kWebp:
      return codecs::decode_webp(data, limits.max_pixels);
  }
  throw InternalError("decode_rgb: unreachable image format");
}

}  // namespace matinee
