#pragma once

#include <cstddef>
#include <cstdint>

#include "ann/tile_kernels.h"

// What the levels share. These files too are compiled with -ffp-contract=off (CMakeLists.txt).
namespace matinee::ann {

extern const TileKernels kScalarTileKernels;
#if defined(__x86_64__)
extern const TileKernels kAvx2TileKernels;
extern const TileKernels kAvx512VnniTileKernels;
extern const TileKernels kAmxTileKernels;
#endif

inline float collected_score(const CollectCall& call, std::size_t row) {
  const std::int32_t dot = call.dots[row / kTileRows * call.tile_stride + row % kTileRows];
  const float score = (static_cast<float>(dot) - call.shift) * (call.factor * call.steps[row]);
  return call.squared_norms == nullptr ? score : score - call.squared_norms[row];
}

inline void refine_each(const RefineCall& call, float* scores) {
  for (std::size_t row = 0; row < kTileRows; ++row) {
    const PlaneProducts products = {call.high_first[row], call.high_second[row], call.low_first[row],
                                    call.low_second[row]};
    const float* const norm = call.squared_norms == nullptr ? nullptr : call.squared_norms + row;
    scores[row] = refined_score(call.query, products, call.steps[row], norm);
  }
}

// Rows [begin, call.num_rows), one at a time.
inline std::size_t collect_tail(const CollectCall& call, std::size_t begin, std::size_t found, float* scores,
                                std::uint32_t* rows) {
  for (std::size_t row = begin; row < call.num_rows; ++row) {
    const float score = collected_score(call, row);
    if (!(score > call.threshold)) continue;
    scores[found] = score;
    rows[found++] = static_cast<std::uint32_t>(row);
  }
  return found;
}

inline void score_tail(const CollectCall& call, std::size_t begin, float* scores) {
  for (std::size_t row = begin; row < call.num_rows; ++row) scores[row] = collected_score(call, row);
}

inline std::size_t above_tail(const float* scores, std::size_t begin, std::size_t count, float threshold,
                              std::size_t found, std::uint32_t* numbers) {
  for (std::size_t i = begin; i < count; ++i) {
    if (scores[i] > threshold) numbers[found++] = static_cast<std::uint32_t>(i);
  }
  return found;
}

}  // namespace matinee::ann
