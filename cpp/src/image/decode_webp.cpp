#include <cstring>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "codecs.h"

// WebP by OpenCV. The container is read here first, so that nothing large or animated reaches it
// (RFC 9649; https://developers.google.com/speed/webp/docs/riff_container).
namespace matinee::codecs {
namespace {

constexpr std::size_t kRiffHeader = 12;                   // "RIFF", size, "WEBP"
constexpr std::size_t kChunkHeader = 8;                   // four characters, size
constexpr std::size_t kMaxBytes = std::size_t{64} << 20;  // OpenCV's own limit, which it reports as a corrupt file
constexpr std::uint8_t kAnimation = 0x02;                 // flag in the first byte of VP8X

std::uint32_t little_endian(const std::uint8_t* bytes, int count) {
  std::uint32_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = (value << 8) | bytes[i];
  return value;
}

}  // namespace

ImageSize webp_size(Bytes data) {
  if (data.size() < kRiffHeader + kChunkHeader) throw_format_error("WebP", "truncated");
  const std::uint64_t riff_size = std::uint64_t{little_endian(data.data() + 4, 4)} + 8;
  if (riff_size > data.size()) throw_format_error("WebP", "truncated");
  const std::uint8_t* chunk = data.data() + kRiffHeader;
  const Bytes body = data.subspan(kRiffHeader + kChunkHeader);
  const auto named = [chunk](const char* name) { return std::memcmp(chunk, name, 4) == 0; };
  if (named("VP8X") && body.size() >= 10) {
    if ((body[0] & kAnimation) != 0) {
      throw UnsupportedFormat("decode_rgb: data: expected a still image, got an animated WebP; send one frame of it");
    }
    return checked_size("WebP", 1 + little_endian(body.data() + 7, 3), 1 + little_endian(body.data() + 4, 3));
  }
  if (named("VP8L") && body.size() >= 5 && body[0] == 0x2F) {
    const std::uint32_t bits = little_endian(body.data() + 1, 4);
    return checked_size("WebP", 1 + ((bits >> 14) & 0x3FFF), 1 + (bits & 0x3FFF));
  }
  if (named("VP8 ") && body.size() >= 10 && body[3] == 0x9D && body[4] == 0x01 && body[5] == 0x2A) {
    return checked_size("WebP", little_endian(body.data() + 8, 2) & 0x3FFF, little_endian(body.data() + 6, 2) & 0x3FFF);
  }
  throw_format_error("WebP", "corrupt: no image header");
}

RgbImage decode_webp(Bytes data, std::int64_t max_pixels) {
  const ImageSize size = webp_size(data);
  check_pixels(size, max_pixels);
  if (data.size() > kMaxBytes) {
    throw TooLarge("decode_rgb: data: expected a WebP file of at most 64 MiB, got " + std::to_string(data.size()) +
                   " bytes; send a smaller file");
  }
  // The core has its own threads (Note [Compute threads]); OpenCV must not add some.
  static std::once_flag once;
  std::call_once(once, [] { cv::setNumThreads(1); });
  cv::Mat bgr;
  try {
    const cv::Mat encoded(1, static_cast<int>(data.size()), CV_8UC1, const_cast<std::uint8_t*>(data.data()));
    bgr = cv::imdecode(encoded, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const cv::Exception& error) {
    throw_format_error("WebP", "corrupt: " + error.err);
  }
  if (bgr.empty() || bgr.type() != CV_8UC3) throw_format_error("WebP", "corrupt");
  if (bgr.rows != size.height || bgr.cols != size.width) throw_format_error("WebP", "corrupt: two different sizes");
  RgbImage image(size.height, size.width);
  for (int y = 0; y < size.height; ++y) {
    const std::uint8_t* in = bgr.ptr(y);
    std::uint8_t* out = image.row(y);
    for (int x = 0; x < size.width; ++x) {
      out[3 * x] = in[3 * x + 2];
      out[3 * x + 1] = in[3 * x + 1];
      out[3 * x + 2] = in[3 * x];
    }
  }
  return image;
}

}  // namespace matinee::codecs
