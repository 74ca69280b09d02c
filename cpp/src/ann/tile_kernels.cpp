#include "ann/tile_kernels.h"

#include <algorithm>

#include "ann/tile_kernels_common.h"

namespace matinee::ann {
namespace {

// The high code of element i of a row.
int nibble(const std::uint8_t* row, std::size_t i, std::size_t padded) {
  return i < padded / 2 ? row[i] & 0xF : row[i - padded / 2] >> 4;
}

void dot_rows_scalar(const std::uint8_t* high, const std::uint32_t* rows, std::size_t num_rows,
                     const std::int8_t* query, std::size_t padded, std::int32_t* dots) {
  for (std::size_t r = 0; r < num_rows; ++r) {
    const std::uint8_t* const row = high + (rows == nullptr ? r : rows[r]) * (padded / 2);
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < padded; ++i) sum += nibble(row, i, padded) * query[i];
    dots[r] = sum;
  }
}

void make_tile_scalar(const std::uint8_t* high, std::size_t num_rows, std::size_t padded, std::uint8_t* tile) {
  std::fill(tile, tile + padded * kTileRows, std::uint8_t{0});
  for (std::size_t r = 0; r < num_rows; ++r) {
    const std::uint8_t* const row = high + r * (padded / 2);
    for (std::size_t i = 0; i < padded; ++i) {
      tile[i / 4 * 64 + r * 4 + i % 4] = static_cast<std::uint8_t>(nibble(row, i, padded));
    }
  }
}

void dot_tile_scalar(const std::uint8_t* tile, const std::int8_t* queries, std::size_t num_queries, std::size_t padded,
                     std::int32_t* dots) {
  for (std::size_t q = 0; q < num_queries; ++q) {
    const std::int8_t* const query = queries + q * padded;
    std::int32_t* const sums = dots + q * kTileRows;
    std::fill(sums, sums + kTileRows, 0);
    for (std::size_t i = 0; i < padded; ++i) {
      for (std::size_t r = 0; r < kTileRows; ++r) sums[r] += int{tile[i / 4 * 64 + r * 4 + i % 4]} * query[i];
    }
  }
}

std::size_t collect_scalar(const CollectCall& call, float* scores, std::uint32_t* rows) {
  return collect_tail(call, 0, 0, scores, rows);
}

void score_scalar(const CollectCall& call, float* scores) { score_tail(call, 0, scores); }

std::size_t above_scalar(const float* scores, std::size_t count, float threshold, std::uint32_t* numbers) {
  return above_tail(scores, 0, count, threshold, 0, numbers);
}

PlaneProducts dot_planes_scalar(const std::uint8_t* high, const std::uint8_t* low, const std::int8_t* first,
                                const std::int8_t* second, std::size_t padded) {
  PlaneProducts products;
  for (std::size_t i = 0; i < padded; ++i) {
    const int of_high = nibble(high, i, padded);
    products.high_first += of_high * first[i];
    products.high_second += of_high * second[i];
    products.low_first += int{low[i]} * first[i];
    products.low_second += int{low[i]} * second[i];
  }
  return products;
}

void dot_sketches_scalar(const std::uint8_t* tiles, std::size_t num_tiles, const std::uint8_t* tables,
                         std::size_t padded, const std::uint8_t* /*ahead*/, std::int32_t* dots) {
  const std::size_t num_signs = padded / 8;  // bytes of a row
  const std::uint8_t* const upper_tables = tables + num_signs * 16;
  std::fill(dots, dots + num_tiles * kTileRows, 0);
  for (std::size_t t = 0; t < num_tiles; ++t) {
    for (std::size_t k = 0; k < num_signs; ++k) {
      for (std::size_t r = 0; r < kTileRows; ++r) {
        const std::uint8_t signs = tiles[(t * num_signs + k) * kTileRows + r];
        dots[t * kTileRows + r] += tables[k * 16 + (signs & 0xF)] + upper_tables[k * 16 + (signs >> 4)];
      }
    }
  }
}

}  // namespace

const TileKernels kScalarTileKernels = {dot_rows_scalar, make_tile_scalar,   dot_tile_scalar, dot_tile_scalar,
                                        collect_scalar,  score_scalar,       above_scalar,    dot_planes_scalar,
                                        refine_each,     dot_sketches_scalar};

const TileKernels& tile_kernels_for(IsaLevel level) {
#if defined(__x86_64__)
  if (level >= IsaLevel::kAmx) return kAmxTileKernels;
  if (level >= IsaLevel::kAvx512Vnni) return kAvx512VnniTileKernels;
  if (level >= IsaLevel::kAvx2) return kAvx2TileKernels;
#endif
  return kScalarTileKernels;
}

}  // namespace matinee::ann
