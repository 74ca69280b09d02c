#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "matinee/image/resize.h"

namespace matinee::resize_kernels {

// Fixed-point format of the coefficients: Pillow's PRECISION_BITS, 32 - 8 (pixel) - 2 (overshoot of the filter).
inline constexpr int kFractionBits = 22;
inline constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);

// Coefficients along one axis: output i is the sum over t < count[i] of input[first[i] + t] * weight(i)[t].
struct AxisTaps {
  int in_size = 0;
  int out_size = 0;                   // outputs described here (a crop describes fewer than the axis has)
  int max_taps = 0;                   // a multiple of 4, at least every count
  std::vector<std::int32_t> first;    // (out_size,)
  std::vector<std::int32_t> count;    // (out_size,)
  std::vector<std::int32_t> weights;  // (out_size, max_taps), zero past count

  const std::int32_t* weight(int output) const {
    return weights.data() + static_cast<std::size_t>(output) * static_cast<std::size_t>(max_taps);
  }
};

// Outputs [begin, end) of an axis that goes from `in_size` to `out_size`.
AxisTaps make_axis_taps(int in_size, int out_size, ResizeFilter filter, int begin, int end);

// Bytes that kernels may read and write past the end of a row that they are given.
inline constexpr std::ptrdiff_t kRowPadding = 64;
// Rows a horizontal kernel takes at once.
inline constexpr int kRowBlock = 4;

// One implementation of both passes. All of them give the same bits: integer sums do not depend on their order.
struct Kernels {
  // Up to kRowBlock rows of taps.in_size RGB pixels -> rows of taps.out_size RGB pixels. Every row, in and out, is
  // followed by kRowPadding bytes that may be read or overwritten.
  void (*horizontal)(const std::uint8_t* in, std::ptrdiff_t in_stride, int rows, const AxisTaps& taps,
                     const std::int32_t* packed, std::uint8_t* out, std::ptrdiff_t out_stride);
  // Row `output` of the result from rows of `row_bytes` bytes; nothing past the end of a row is touched.
  void (*vertical)(const std::uint8_t* in, std::ptrdiff_t in_stride, std::ptrdiff_t row_bytes, const AxisTaps& taps,
                   const std::int32_t* packed, int output, std::uint8_t* out);
  // The weights in the form both functions above read them as `packed`.
  std::vector<std::int32_t> (*pack)(const AxisTaps& taps);
};

Kernels scalar_kernels();
Kernels avx2_kernels();  // REQUIRES: isa_level() >= kAvx2
Kernels vnni_kernels();  // REQUIRES: isa_level() >= kAvx512Vnni

inline std::uint8_t clip8(std::int32_t sum) {
  const std::int32_t value = sum >> kFractionBits;
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

}  // namespace matinee::resize_kernels
