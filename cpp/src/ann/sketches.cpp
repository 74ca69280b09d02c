#include "ann/sketches.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace matinee::ann {
namespace {

constexpr int kFirstCode = 127;  // largest |code| of TwoLevelQueries::first
constexpr float kCodesOfFirst = static_cast<float>(kSketchQueryCode) / static_cast<float>(kFirstCode);

// A code of TwoLevelQueries::first in the coarser steps of a sketch, to nearest.
inline int coarse(int code) {
  return (2 * kSketchQueryCode * code + (code < 0 ? -kFirstCode : kFirstCode)) / (2 * kFirstCode);
}

// The sum of |x_i| in half steps.
std::int64_t sum_of_sizes(const std::uint8_t* high, const std::uint8_t* low, std::size_t dimension,
                          std::size_t padded) {
  const std::size_t half = padded / 2;
  std::int32_t sum = 0;  // at most 2048 * 4095
  for (std::size_t i = 0; i < std::min(dimension, half); ++i) {
    sum += std::abs(2 * ((high[i] & 0xF) * 256 + low[i]) - 4095);
  }
  for (std::size_t i = half; i < dimension; ++i) sum += std::abs(2 * ((high[i - half] >> 4) * 256 + low[i]) - 4095);
  return sum;
}

// The top bits of the eight half bytes of four bytes: those of the lower halves, then those of the upper ones.
inline std::uint8_t signs_of(const std::uint8_t* high) {
  constexpr std::uint32_t kGather = 0x10204080;  // byte b of the lowest bits goes to bit 28 + b
  std::uint32_t four = 0;
  std::memcpy(&four, high, 4);
  const std::uint32_t lower = (four >> 3 & 0x01010101U) * kGather >> 28;
  const std::uint32_t upper = (four >> 7 & 0x01010101U) * kGather >> 28;
  return static_cast<std::uint8_t>(lower | upper << 4);
}

}  // namespace

void make_sketches(const Partition& rows, std::size_t dimension, std::size_t padded, std::uint8_t* tiles,
                   float* factors) {
  if (!is_sketched(padded)) return;
  const std::size_t half = padded / 2;
  for (std::size_t row = 0; row < rows.num_rows; ++row) {
    const std::uint8_t* const high = rows.high + row * half;
    std::uint8_t* const out = tiles + row / kTileRows * sketch_tile_bytes(padded) + row % kTileRows;
    for (std::size_t k = 0; k < padded / 8; ++k) out[k * kTileRows] = signs_of(high + 4 * k);
    const auto sizes = static_cast<float>(sum_of_sizes(high, rows.low + row * padded, dimension, padded));
    // A row of zeros has step 0; its products are 0, as they should be.
    factors[row] = rows.steps[row] > 0 ? rows.squared_norms[row] / (0.5F * rows.steps[row] * sizes) : 0;
  }
}

SketchedQuery::SketchedQuery(const TwoLevelQueries& queries, std::size_t query)
    : tables(4 * queries.padded),
      unit(queries.scales[query] / kCodesOfFirst),
      length(queries.first_norms[query] * kCodesOfFirst),
      offset(static_cast<float>(kSketchEntryOffset) / 4 * static_cast<float>(queries.padded)) {
  const std::int8_t* const codes = queries.first.data() + query * queries.padded;
  for (std::size_t group = 0; group < queries.padded / 4; ++group) {
    std::uint8_t* const table = tables.data() + group * kTileRows;
    int sum = kSketchEntryOffset;
    int twice[4];
    for (std::size_t i = 0; i < 4; ++i) {
      const int code = coarse(codes[4 * group + i]);
      twice[i] = 2 * code;
      sum -= code;
    }
    table[0] = static_cast<std::uint8_t>(sum);
    for (std::size_t i = 0; i < 4; ++i) {
      const std::size_t known = std::size_t{1} << i;
      for (std::size_t n = 0; n < known; ++n) table[known + n] = static_cast<std::uint8_t>(table[n] + twice[i]);
    }
  }
}

}  // namespace matinee::ann
