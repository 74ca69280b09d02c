#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "matinee/core/cpu.h"

// The inner loops, one set for each instruction level. Every set gives the same bits as the scalar one: integer sums
// are exact, and float sums are made in the same order on the same number of lanes.
namespace matinee::ann {

// Codes of rows are stored as unsigned bytes, 128 above their value, because VNNI multiplies unsigned by signed.
inline constexpr int kCodeOffset = 128;
inline constexpr int kMaxCode = 127;
// Bytes of a row's codes are padded to a multiple of this, with the code of 0.
inline constexpr std::size_t kCodeAlignment = 64;

struct CodeBlock {
  const std::uint8_t* rows = nullptr;
  std::size_t row_stride = 0;  // bytes
  std::size_t num_rows = 0;
  const std::int8_t* queries = nullptr;
  std::size_t query_stride = 0;  // bytes
  std::size_t num_queries = 0;
  // Sum of each query's codes: 128 times it is what the offset of the rows' bytes adds to a product.
  const std::int32_t* query_sums = nullptr;
  std::size_t count = 0;  // codes to multiply in each row, <= 65536 so that no sum overflows
};

struct Kernels {
  // dots[q * num_rows + r] = sum over i of (rows[r][i] - 128) * queries[q][i].
  void (*dot_codes)(const CodeBlock& block, std::int32_t* dots);
  // Sum of a[i] * b[i], of (a[i] - b[i])^2, in double. A product of two floats is exact in double, so the first differs
  // from the true sum by the rounding of `count` additions only.
  double (*dot)(const float* a, const float* b, std::size_t count);
  double (*squared_distance)(const float* a, const float* b, std::size_t count);
};

// The set for a level; a level without one of its own gets the next lower.
const Kernels& kernels_for(IsaLevel level);

}  // namespace matinee::ann
