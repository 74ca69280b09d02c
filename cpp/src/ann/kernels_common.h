#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ann/kernels.h"

// What the kernels of all levels share. The kernels' files are compiled with -ffp-contract=off (CMakeLists.txt): a
// fused multiply-add, where the compiler is free to make one, would give some levels other bits than the scalar twin.
namespace matinee::ann {

// The sets of kernels, one a level; kernels_for() picks.
extern const Kernels kScalarKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;      // doubles by eight; codes as AVX2
extern const Kernels kAvx512VnniKernels;  // and 64 codes an instruction
void dot_codes_avx2(const CodeBlock& block, std::int32_t* dots);
#endif

// Float sums are kept on this many lanes, element i on lane i % kLanes, and added up as a tree, at every level.
inline constexpr std::size_t kLanes = 32;
using Lanes = std::array<double, kLanes>;

inline double sum_of(Lanes& lanes) {
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

inline void dot_tail(const float* a, const float* b, std::size_t begin, std::size_t count, Lanes& lanes) {
  for (std::size_t i = begin; i < count; ++i) lanes[i % kLanes] += static_cast<double>(a[i]) * b[i];
}

inline void squared_distance_tail(const float* a, const float* b, std::size_t begin, std::size_t count, Lanes& lanes) {
  for (std::size_t i = begin; i < count; ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    lanes[i % kLanes] += difference * difference;
  }
}

// The product of one row and one query from code `begin` on. Not inline on purpose: GCC 12 vectorises this sum for VNNI
// as if the difference were still unsigned, and gets it wrong (tests/cpp/ann/kernels_test.cpp found it).
std::int32_t dot_codes_tail(const std::uint8_t* row, const std::int8_t* query, std::size_t begin, std::size_t count);
// The rows of a block behind the last whole group of four.
void dot_codes_last_rows(const CodeBlock& block, std::int32_t* dots);

// Every whole tile of a block: `many` for that many queries at once, `one` for each that is left.
template <typename Many, typename One>
void for_each_tile(const CodeBlock& block, std::size_t queries_together, Many many, One one) {
  for (std::size_t r = 0; r + 4 <= block.num_rows; r += 4) {
    std::size_t q = 0;
    for (; q + queries_together <= block.num_queries; q += queries_together) many(r, q);
    for (; q < block.num_queries; ++q) one(r, q);
  }
}

}  // namespace matinee::ann
