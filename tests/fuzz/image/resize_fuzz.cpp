#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "matinee/core/cpu.h"
#include "matinee/image/resize.h"

// Sizes, filter and pixels from the bytes: every kernel gives what its scalar twin gives.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  const int in_height = 1 + data[0];
  const int in_width = 1 + data[1];
  const int height = 1 + data[2];
  const int width = 1 + data[3];
  const auto filter = data[4] % 2 == 0 ? matinee::ResizeFilter::kBicubic : matinee::ResizeFilter::kBilinear;
  matinee::RgbImage image(in_height, in_width);
  for (std::size_t i = 0; i < image.size_bytes(); ++i) image.pixels[i] = data[5 + i % (size - 5)];

  matinee::set_isa_level(matinee::IsaLevel::kScalar);
  const matinee::RgbImage want = matinee::resize(image.view(), height, width, filter);
  for (const auto level : {matinee::IsaLevel::kAvx2, matinee::IsaLevel::kAvx512Vnni}) {
    if (level > matinee::detected_isa_level()) continue;
    matinee::set_isa_level(level);
    const matinee::RgbImage got = matinee::resize(image.view(), height, width, filter);
    if (!std::equal(got.pixels.get(), got.pixels.get() + got.size_bytes(), want.pixels.get())) std::abort();
  }
  return 0;
}
