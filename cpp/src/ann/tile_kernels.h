#pragma once

#include <cstddef>
#include <cstdint>

#include "ann/two_level_codes.h"
#include "matinee/core/cpu.h"

// The inner loops over two-level codes (Note [Two-level codes]), one set for each instruction level. Every set gives
// the same bits as the scalar one: integer sums are exact, floats are made by the same operations in the same order.
namespace matinee::ann {

// Rows that are compared with many queries are turned first: a tile holds 16 rows' high codes, a byte each, four
// elements of every row side by side: tile[(i / 4) * 64 + r * 4 + i % 4]. Both AMX and the dot products of
// AVX-512 take it so, the latter without adding up across a register.
inline constexpr std::size_t kTileRows = 16;

// The rows of a tile, as they were coded; missing ones are taken for zero.
struct CollectCall {
  const std::int32_t* dots = nullptr;  // (tiles, 16), `tile_stride` numbers from one tile to the next
  std::size_t tile_stride = 0;
  std::size_t num_rows = 0;
  const float* steps = nullptr;          // (num_rows,)
  const float* squared_norms = nullptr;  // (num_rows,), or null where they play no role
  float factor = 0;
  float shift = 0;
  float threshold = 0;
};

// The four products of 16 rows with one query (PlaneProducts), and what makes scores of them.
struct RefineCall {
  const std::int32_t* high_first = nullptr;
  const std::int32_t* high_second = nullptr;
  const std::int32_t* low_first = nullptr;
  const std::int32_t* low_second = nullptr;
  const float* steps = nullptr;          // (16,)
  const float* squared_norms = nullptr;  // (16,); null where scores are products, else they are negative distances
  RefinedQuery query{};
};

struct TileKernels {
  // dots[i] = sum over the elements of (high code of row rows[i]) * query; rows null: 0, 1, 2 …
  void (*dot_rows)(const std::uint8_t* high, const std::uint32_t* rows, std::size_t num_rows, const std::int8_t* query,
                   std::size_t padded, std::int32_t* dots);
  // Turns `num_rows` <= 16 rows into a tile of padded * 16 bytes.
  void (*make_tile)(const std::uint8_t* high, std::size_t num_rows, std::size_t padded, std::uint8_t* tile);
  // dots[q * 16 + r]. Queries lie `padded` bytes apart. REQUIRES: queries and dots have room for a number of queries
  // that is a multiple of 16; what is written there behind the last query means nothing.
  void (*dot_tile)(const std::uint8_t* tile, const std::int8_t* queries, std::size_t num_queries, std::size_t padded,
                   std::int32_t* dots);
  // As dot_tile, of a tile of any bytes.
  void (*dot_byte_tile)(const std::uint8_t* tile, const std::int8_t* queries, std::size_t num_queries,
                        std::size_t padded, std::int32_t* dots);
  // Writes score and row of each row with score = (dot - shift) * factor * step - squared norm > threshold, in order;
  // returns how many. `scores` and `rows` have room for num_rows.
  std::size_t (*collect)(const CollectCall& call, float* scores, std::uint32_t* rows);
  // Writes that score of every row.
  void (*score)(const CollectCall& call, float* scores);
  // Writes the numbers of the scores above the threshold, in order; returns how many.
  std::size_t (*above)(const float* scores, std::size_t count, float threshold, std::uint32_t* numbers);
  // The products of both planes of one row with both planes of one query.
  PlaneProducts (*dot_planes)(const std::uint8_t* high, const std::uint8_t* low, const std::int8_t* first,
                              const std::int8_t* second, std::size_t padded);
  // Writes the scores of 16 rows from both planes; minus infinity for what is no number.
  void (*refine)(const RefineCall& call, float* scores);
  // dots[t * 16 + r] = sum of what a query's tables say of the signs of row r of tile t (Note [Sketches]); `ahead`, of
  // as many tiles, is fetched meanwhile. REQUIRES: entries up to 120, padded up to 2048.
  void (*dot_sketches)(const std::uint8_t* tiles, std::size_t num_tiles, const std::uint8_t* tables, std::size_t padded,
                       const std::uint8_t* ahead, std::int32_t* dots);
};

// The set for a level; a level without one of its own gets the next lower.
const TileKernels& tile_kernels_for(IsaLevel level);

}  // namespace matinee::ann
