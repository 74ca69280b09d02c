#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ann/centers.h"
#include "ann/partition.h"
#include "ann/two_level_codes.h"
#include "matinee/ann/index.h"

namespace matinee::ann {

// Where a row lies.
struct Place {
  std::uint32_t partition;
  std::uint32_t slot;
};
inline bool operator<(const Place& a, const Place& b) {
  return a.partition < b.partition || (a.partition == b.partition && a.slot < b.slot);
}

inline bool operator==(const Place& a, const Place& b) { return a.partition == b.partition && a.slot == b.slot; }

struct FoundRow {
  float score;
  std::uint32_t row;
  std::int64_t id;
  std::uint32_t partition;
};

// Which rows a query may find: all (neither set), those of a bitmap by row number, or those at these places, in order
// and each once.
struct PartitionFilter {
  const RowFilter* bits = nullptr;
  const std::vector<Place>* places = nullptr;
};

// What a search looks at: one moment of an index.
struct PartitionedView {
  const PartitionTable& table;
  const Centers& centers;
  std::size_t num_rows = 0;
  std::size_t padded = 0;
  Metric metric = Metric::kCosine;
};

struct ProbeOptions {
  std::size_t k = 10;
  std::size_t num_probes = 1;       // nearest partitions that are looked at
  std::size_t num_candidates = 60;  // rows that are scored again from both planes; at least k
};
// So many that the high codes' error costs less than a thousandth of recall.
inline std::size_t candidates_for(std::size_t k) { return 2 * k + 40; }

// Searches queries [first, first + found.size()) under one filter. Best first, equal scores by lower row.
void search_partitions(const PartitionedView& index, const TwoLevelQueries& queries, std::size_t first,
                       const PartitionFilter& filter, const ProbeOptions& options,
                       std::span<std::vector<FoundRow>> found);

}  // namespace matinee::ann
