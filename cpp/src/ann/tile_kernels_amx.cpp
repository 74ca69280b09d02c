#if defined(__x86_64__)

#include <immintrin.h>

#include "ann/tile_kernels_avx512.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("amx-tile,amx-int8"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("amx-tile,amx-int8")
#endif

namespace matinee::ann {
namespace {

constexpr std::size_t kFew = 4;  // queries for which setting tiles up is not worth while

// Palette 1: each of the eight tile registers has 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t bytes_a_row[16] = {};
  std::uint8_t rows[16] = {};
};

// 16 queries a group; registers 0..3 hold the sums of up to four groups, 4 and 5 queries, 6 rows.
template <int kGroups>
inline void dot_groups(const std::uint8_t* tile, const std::int8_t* queries, std::size_t padded, std::int32_t* dots) {
  const auto stride = static_cast<long>(padded);
  const std::size_t next = 16 * padded;
  _tile_zero(0);
  if constexpr (kGroups > 1) _tile_zero(1);
  if constexpr (kGroups > 2) _tile_zero(2);
  if constexpr (kGroups > 3) _tile_zero(3);
  for (std::size_t i = 0; i < padded; i += 64) {
    _tile_loadd(6, tile + i * kTileRows, 64);
    _tile_loadd(4, queries + i, stride);
    _tile_dpbsud(0, 4, 6);
    if constexpr (kGroups > 1) {
      _tile_loadd(5, queries + next + i, stride);
      _tile_dpbsud(1, 5, 6);
    }
    if constexpr (kGroups > 2) {
      _tile_loadd(4, queries + 2 * next + i, stride);
      _tile_dpbsud(2, 4, 6);
    }
    if constexpr (kGroups > 3) {
      _tile_loadd(5, queries + 3 * next + i, stride);
      _tile_dpbsud(3, 5, 6);
    }
  }
  _tile_stored(0, dots, 64);
  if constexpr (kGroups > 1) _tile_stored(1, dots + 256, 64);
  if constexpr (kGroups > 2) _tile_stored(2, dots + 512, 64);
  if constexpr (kGroups > 3) _tile_stored(3, dots + 768, 64);
}

void dot_tile_amx(const std::uint8_t* tile, const std::int8_t* queries, std::size_t num_queries, std::size_t padded,
                  std::int32_t* dots) {
  if (num_queries <= kFew) {
    dot_tile_vnni(tile, queries, num_queries, padded, dots);
    return;
  }
  TileConfig config;
  for (std::size_t t = 0; t < 8; ++t) {
    config.bytes_a_row[t] = 64;
    config.rows[t] = 16;
  }
  _tile_loadconfig(&config);
  for (std::size_t q = 0; q < num_queries; q += 64) {
    const std::int8_t* const from = queries + q * padded;
    std::int32_t* const to = dots + q * kTileRows;
    const std::size_t left = num_queries - q;
    if (left > 48) {
      dot_groups<4>(tile, from, padded, to);
    } else if (left > 32) {
      dot_groups<3>(tile, from, padded, to);
    } else if (left > 16) {
      dot_groups<2>(tile, from, padded, to);
    } else {
      dot_groups<1>(tile, from, padded, to);
    }
  }
  _tile_release();
}

}  // namespace

const TileKernels kAmxTileKernels = {dot_rows_vnni,  make_tile_vnni,     dot_tile_amx, dot_tile_amx,
                                     collect_avx512, score_avx512,       above_avx512, dot_planes_vnni,
                                     refine_avx512,  dot_sketches_avx512};

}  // namespace matinee::ann

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__
