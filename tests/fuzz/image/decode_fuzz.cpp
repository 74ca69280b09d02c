#include <cstdint>
#include <cstdlib>
#include <span>

#include "matinee/core/error.h"
#include "matinee/image/decode.h"

// Any bytes: an image of the size that its header states, or one of our errors. Nothing else may leave the decoder.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  try {
    const matinee::RgbImage image = matinee::decode_rgb(bytes, {.max_bytes = 1 << 20, .max_pixels = 1 << 18});
    const matinee::ImageSize stated = matinee::image_size(bytes);
    if (!matinee::sniff_format(bytes) || stated.height != image.height || stated.width != image.width) std::abort();
    unsigned sum = 0;  // reads every pixel: the address sanitizer sees a short buffer
    for (std::size_t i = 0; i < image.size_bytes(); ++i) sum += image.pixels[i];
    if (sum > 255U * image.size_bytes()) std::abort();
  } catch (const matinee::InternalError&) {
    std::abort();
  } catch (const matinee::Error&) {
    return 0;
  }
  return 0;
}
