#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "matinee/core/array_view.h"

namespace matinee {

// An 8-bit RGB image that owns its pixels: (H, W, 3) interleaved, rows without gaps. Movable, not copyable.
struct RgbImage {
  int height = 0;
  int width = 0;
  std::unique_ptr<std::uint8_t[]> pixels;  // height * width * 3 bytes

  RgbImage() = default;
  // Pixels are left uninitialised: whoever makes the image writes all of them.
  RgbImage(int height_, int width_)
      : height(height_), width(width_), pixels(std::make_unique_for_overwrite<std::uint8_t[]>(size_bytes())) {}

  std::size_t size_bytes() const { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3; }
  std::ptrdiff_t row_stride() const { return static_cast<std::ptrdiff_t>(width) * 3; }
  std::uint8_t* row(int y) { return pixels.get() + y * row_stride(); }
  ImageView view() const { return {pixels.get(), height, width, 3, row_stride()}; }
};

}  // namespace matinee
