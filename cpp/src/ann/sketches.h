#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ann/partition.h"
#include "ann/tile_kernels.h"
#include "ann/two_level_codes.h"

// Note [Sketches]
// A single query is answered as fast as codes can be read, and of most rows the signs are enough to see that they are
// too far. With s the signs of a row x (+1, -1), f s is the multiple of them with (x - f s) at a right angle to x:
//     f = |x|^2 / (|x_1| + ... + |x_D|),      x.q = f s.q up to an error that knows nothing of the way from q to x
// (as in RaBitQ, Gao and Long 2024, whose turn of the space is left out: the signs of embeddings are even enough).
// Relative to f |q| that error has much the same spread for all rows, about 0.6 where elements are normal. How far it
// goes for the neighbours of real queries is measured when an index is built or calibrated (Calibration), and a row is
// worth a look at its codes if f s.q, made better by so much, reaches the k-th best.
// Signs are looked up four at a time. The sketches of 16 rows make a tile: tile[k * 16 + r] holds of row r the signs of
// elements 4k ... 4k + 3 in its lower bits and those of elements P / 2 + 4k ... in its upper ones.
namespace matinee::ann {

// Sums of products with a query's codes stay within 16 bits up to here; longer rows have no sketches.
inline constexpr std::size_t kMaxSketchedPlane = 2048;
inline constexpr int kSketchQueryCode = 15;                      // largest |code| of an element
inline constexpr int kSketchEntryOffset = 4 * kSketchQueryCode;  // entries of the tables are not negative
// Relative to f |q|: what covers nearly all errors where nothing was measured.
inline constexpr float kUsualSketchReach = 2;

inline bool is_sketched(std::size_t padded) { return padded <= kMaxSketchedPlane; }
inline std::size_t sketch_tile_bytes(std::size_t padded) { return is_sketched(padded) ? 2 * padded : 0; }
// The tiles of a file: those of partition p begin at tile `first slot / 16 + p`, and none overlap.
inline std::size_t first_sketch_tile(std::size_t first_slot, std::size_t partition) {
  return first_slot / kTileRows + partition;
}
inline std::size_t num_sketch_tiles(std::size_t num_rows) { return (num_rows + kTileRows - 1) / kTileRows; }

// Writes the tiles and the factors f (num_rows,) of rows, from their codes.
void make_sketches(const Partition& rows, std::size_t dimension, std::size_t padded, std::uint8_t* tiles,
                   float* factors);

// A query as its products with signs need it, of codes v in -15 … 15: q_i = unit * v_i.
struct SketchedQuery {
  SketchedQuery(const TwoLevelQueries& queries, std::size_t query);

  // (2, P / 8, 16): for the lower and the upper signs k of a tile, the sum of the codes under each of 16 signs, plus
  // the offset.
  std::vector<std::uint8_t> tables;
  float unit;
  float length;  // in units
  // What the offsets add to a sum.
  float offset;
};

}  // namespace matinee::ann
