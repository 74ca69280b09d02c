#pragma once

#include <string_view>

#include "matinee/core/array_view.h"
#include "matinee/image/image.h"

namespace matinee {

enum class ResizeFilter { kBilinear, kBicubic };

// "bilinear" or "bicubic"; another word is an InvalidArgument.
ResizeFilter resize_filter_from_name(std::string_view name);

// A rectangle in the coordinates of the resized image.
struct CropBox {
  int top = 0;
  int left = 0;
  int height = 0;
  int width = 0;
};

// The image at another size, bit for bit as Pillow's Image.resize((width, height), filter) gives it: the filter's
// support grows with the reduction (antialiasing), coefficients have 22 fractional bits, columns are resampled first
// and rounded to 8 bits, then rows; where Pillow swaps the passes (very tall images) so do we.
// REQUIRES: image is (H, W, 3); height and width in 1..65535. Throws InvalidArgument, TooLarge above 2^28 pixels.
// Thread-safe; computes on the calling thread.
RgbImage resize(const ImageView& image, int height, int width, ResizeFilter filter);

// The same pixels as cropping resize(image, height, width, filter) to `crop`, computing only those.
// REQUIRES: crop lies within (height, width).
RgbImage resize_and_crop(const ImageView& image, int height, int width, ResizeFilter filter, const CropBox& crop);

}  // namespace matinee
