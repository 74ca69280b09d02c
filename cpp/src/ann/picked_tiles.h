#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ann/partition_search.h"
#include "ann/two_level_codes.h"

namespace matinee::ann {

// Few rows that many queries will be compared with: both planes of each turned into tiles beforehand, so that the first
// look is the last and nothing is fetched from the partitions. Takes 2 bytes an element.
struct PickedTiles {
  std::vector<std::uint8_t> tiles;   // (tiles, 2, padded * 16): high codes and low codes
  std::vector<float> steps;          // (tiles * 16,)
  std::vector<float> squared_norms;  // (tiles * 16,)
  std::vector<FoundRow> rows;        // in order of their numbers; without scores
};

// `places` are those of rows in rising order.
PickedTiles pick_tiles(const PartitionedView& index, std::span<const Place> places);

// The k best of the picked rows for queries [first, first + found.size()). Best first, equal scores by lower row.
void search_tiles(const PartitionedView& index, const TwoLevelQueries& queries, std::size_t first,
                  const PickedTiles& picked, std::size_t k, std::span<std::vector<FoundRow>> found);

}  // namespace matinee::ann
