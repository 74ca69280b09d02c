#if defined(__x86_64__)

#include <immintrin.h>
#include <cstddef>
#include <cstdint>

#include "nn/gemm.h"
#include "nn/gemm_tables.h"

#if defined(__clang__)
#pragma clang attribute push(                                                                                     \
    __attribute__((                                                                                               \
        target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512vnni,avx512bf16,amx-tile,amx-bf16,amx-int8"))), \
    apply_to = function)
#else
// GCC 12 takes the deliberately undefined operand inside its own intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512vnni,avx512bf16,amx-tile,amx-bf16,amx-int8")
#endif

#define MATINEE_NATIVE_BF16
#include "nn/vector_avx512.h"

#include "nn/gemm_inl.h"

namespace matinee::nn {
namespace {

// Palette 1: each of the eight tile registers has 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t bytes_a_row[16] = {};
  std::uint8_t rows[16] = {};
};

// One step of K for 16 or 32 rows. What the tiles hold: 0..3 sums, 4 and 5 inputs, 6 and 7 weights.
template <bool kInt8, bool kTwo>
inline void multiply(const std::uint8_t* upper, const std::uint8_t* lower, long stride, const std::uint8_t* weights) {
  constexpr long kWeightStride = static_cast<long>(kBlockBytes);
  _tile_loadd(6, weights, kWeightStride);
  _tile_loadd(4, upper, stride);
  _tile_loadd(7, weights + kTileBytes, kWeightStride);
  if constexpr (kTwo) _tile_loadd(5, lower, stride);
  if constexpr (kInt8) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    if constexpr (kTwo) _tile_dpbusd(2, 5, 6);
    if constexpr (kTwo) _tile_dpbusd(3, 5, 7);
  } else {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kTwo) _tile_dpbf16ps(2, 5, 6);
    if constexpr (kTwo) _tile_dpbf16ps(3, 5, 7);
  }
}

struct Slice {
  const std::uint8_t* weights;  // of the panel, where the slice begins
  std::size_t first_block;
  std::size_t num_blocks;
  const std::uint8_t* coming;  // fetched meanwhile, coming_step bytes a block
  std::size_t coming_step;
};

// sums (+)= the rows' product with one slice of a panel.
template <bool kInt8, bool kTwo>
inline void slice_of_tiles(const GemmCall& call, std::size_t row, const Slice& slice, void* sums) {
  constexpr long kSumStride = static_cast<long>(kPanelColumns * 4);
  auto* out = static_cast<std::uint8_t*>(sums);
  auto* out_lower = out + kTileRows * kPanelColumns * 4;
  if (slice.first_block == 0) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kTwo) _tile_zero(2);
    if constexpr (kTwo) _tile_zero(3);
  } else {
    _tile_loadd(0, out, kSumStride);
    _tile_loadd(1, out + kBlockBytes, kSumStride);
    if constexpr (kTwo) _tile_loadd(2, out_lower, kSumStride);
    if constexpr (kTwo) _tile_loadd(3, out_lower + kBlockBytes, kSumStride);
  }
  const std::uint8_t* upper = call.input + row * call.input_stride + slice.first_block * kBlockBytes;
  const std::uint8_t* lower = upper + kTileRows * call.input_stride;
  const std::uint8_t* weights = slice.weights;
  const std::uint8_t* coming = slice.coming;
  const auto stride = static_cast<long>(call.input_stride);
  for (std::size_t block = 0; block < slice.num_blocks; ++block) {
    for (std::size_t at = 0; at < slice.coming_step; at += kBlockBytes) _mm_prefetch(coming + at, _MM_HINT_T1);
    multiply<kInt8, kTwo>(upper, lower, stride, weights);
    coming += slice.coming_step;
    weights += 2 * kTileBytes;
    upper += kBlockBytes;
    lower += kBlockBytes;
  }
  _tile_stored(0, out, kSumStride);
  _tile_stored(1, out + kBlockBytes, kSumStride);
  if constexpr (kTwo) _tile_stored(2, out_lower, kSumStride);
  if constexpr (kTwo) _tile_stored(3, out_lower + kBlockBytes, kSumStride);
}

template <bool kInt8, typename Sum>
void amx_gemm(const GemmCall& call) {
  TileConfig config;
  for (std::size_t tile = 0; tile < 8; ++tile) {
    config.bytes_a_row[tile] = kBlockBytes;
    config.rows[tile] = kTileRows;
  }
  _tile_loadconfig(&config);
  const std::size_t panel_bytes = call.num_blocks * 2 * kTileBytes;
  // The next panel is fetched while this one is computed, evenly over its steps: weights come from far away once a
  // call, and the processor's own prefetching stops at every page. One that lies beyond the last is never read.
  const std::size_t steps = (call.num_rows + kRowStep - 1) / kRowStep * call.num_blocks;
  const std::size_t coming_step = (panel_bytes / kBlockBytes + steps - 1) / steps * kBlockBytes;
  // A slice of a panel stays in the first-level cache while all rows meet it.
  constexpr std::size_t kSliceBlocks = 12;
  constexpr std::size_t kMostRows = 256;
  alignas(64) Sum sums[kMostRows * kPanelColumns];
  for (std::size_t first_row = 0; first_row < call.num_rows; first_row += kMostRows) {
    const std::size_t end_row = gemm_min(call.num_rows, first_row + kMostRows);
    for (std::size_t panel = call.begin_panel; panel < call.end_panel; ++panel) {
      const std::uint8_t* weights = call.weights + panel * panel_bytes;
      const std::uint8_t* coming = weights + panel_bytes;
      for (std::size_t block = 0; block < call.num_blocks; block += kSliceBlocks) {
        const std::size_t num_blocks = gemm_min(kSliceBlocks, call.num_blocks - block);
        const bool last = block + num_blocks == call.num_blocks;
        for (std::size_t row = first_row; row < end_row; row += kRowStep) {
          const std::size_t rows = gemm_min(kRowStep, end_row - row);
          const Slice slice{weights + block * 2 * kTileBytes, block, num_blocks, coming, coming_step};
          Sum* out = sums + (row - first_row) * kPanelColumns;
          if (rows > kTileRows) {
            slice_of_tiles<kInt8, true>(call, row, slice, out);
          } else {
            slice_of_tiles<kInt8, false>(call, row, slice, out);
          }
          coming += coming_step * num_blocks;
          if (last) finish_rows<kInt8>(call, out, row, rows, panel);
        }
      }
    }
  }
  // Back to the initial state: what comes next may have a configuration of its own, and switches of context are
  // cheaper.
  _tile_release();
}

}  // namespace
}  // namespace matinee::nn

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace matinee::nn {
const GemmKernels kAmxGemm = {amx_gemm<false, float>, amx_gemm<true, std::int32_t>, quantize<float>,
                              quantize<std::uint16_t>};
}

#endif  // __x86_64__
