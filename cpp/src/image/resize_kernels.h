#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
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

// Up to kRowBlock rows of taps.in_size RGB pixels -> rows of taps.out_size RGB pixels. Every row, in and out, is
// followed by kRowPadding bytes that may be read or overwritten. `packed`: the weights as the kernel reads them.
using Horizontal = void (*)(const std::uint8_t* in, std::ptrdiff_t in_stride, int rows, const AxisTaps& taps,
                            const std::int32_t* packed, std::uint8_t* out, std::ptrdiff_t out_stride);

// One implementation of both passes. All of them give the same bits: integer sums do not depend on their order.
struct Kernels {
  Horizontal horizontal;
  // Row `output` of the result from rows of `row_bytes` bytes; nothing past the end of a row is touched.
  void (*vertical)(const std::uint8_t* in, std::ptrdiff_t in_stride, std::ptrdiff_t row_bytes, const AxisTaps& taps,
                   const std::int32_t* packed, int output, std::uint8_t* out);
  // The weights in the form both functions above read them as `packed`.
  std::vector<std::int32_t> (*pack)(const AxisTaps& taps);
};

Kernels scalar_kernels();
Kernels avx2_kernels();  // REQUIRES: isa_level() >= kAvx2
Kernels vnni_kernels();  // REQUIRES: isa_level() >= kAvx512Vnni

// A horizontal kernel with its weights.
struct ColumnKernel {
  Horizontal horizontal;
  std::vector<std::int32_t> packed;
};
// Nothing where the image shrinks too much for it (about five times). REQUIRES: has_vbmi()
std::optional<ColumnKernel> vbmi_columns(const AxisTaps& taps);

// Note [Split weights]: a weight has 24 bits, the multipliers that sum as they multiply take 16 (pmaddwd) or 8
// (vpdpbusd). A weight is therefore split into digits, sums of products are kept for each digit, and the digits are
// put together at the end. Additions are modulo 2^32 and the full sum fits, so the result is exact whatever overflowed
// on the way.

// For vpdpbusd: w = d2 * 2^16 + d1 * 2^8 + d0 with each digit in -128..127, those of four weights side by side. A
// normalised filter weight is below 1.98 * 2^22 (the filter's peak over the sum of what is left of it at a border), so
// d2 fits.
struct QuadDigits {
  std::int32_t digit[3];
};

inline QuadDigits split_weights(const std::int32_t* four) {
  std::uint32_t digits[3] = {0, 0, 0};
  const auto signed_byte = [](std::int32_t value) { return ((value + 128) & 0xFF) - 128; };
  for (unsigned t = 0; t < 4; ++t) {
    const std::int32_t d0 = signed_byte(four[t]);
    const std::int32_t d1 = signed_byte((four[t] - d0) / 256);
    const std::int32_t d2 = (four[t] - d0 - d1 * 256) / 65536;
    digits[0] |= (static_cast<std::uint32_t>(d0) & 0xFF) << (8 * t);
    digits[1] |= (static_cast<std::uint32_t>(d1) & 0xFF) << (8 * t);
    digits[2] |= (static_cast<std::uint32_t>(d2) & 0xFF) << (8 * t);
  }
  return {{static_cast<std::int32_t>(digits[0]), static_cast<std::int32_t>(digits[1]),
           static_cast<std::int32_t>(digits[2])}};
}

inline std::uint8_t clip8(std::int32_t sum) {
  const std::int32_t value = sum >> kFractionBits;
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

}  // namespace matinee::resize_kernels
