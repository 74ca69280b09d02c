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

struct FoundRow {
  float score;
  std::uint32_t row;
  std::int64_t id;
  std::uint32_t partition;
};

// What a search looks at: one moment of an index.
struct PartitionedView {
  const PartitionTable& table;
  const Centers& centers;
  std::size_t num_rows = 0;
  std::size_t padded = 0;
  Metric metric = Metric::kCosine;
  float sketch_reach = 0;  // Calibration
};

// Allowed rows, picked out of their partitions and put together: to be compared one after the other.
struct PickedRows {
  std::vector<Place> places;  // in order, each once
  std::vector<std::uint8_t> high;
  std::vector<float> steps;
  std::vector<float> squared_norms;
};
void pick(const PartitionedView& index, std::vector<Place> places, PickedRows& picked);

inline constexpr std::size_t kFewQueries = 4;  // that are asked one by one; more go through the index together

// Which rows a query may find: all (neither set), those of a bitmap by row number, or those that were picked.
struct PartitionFilter {
  const RowFilter* bits = nullptr;
  const PickedRows* picked = nullptr;
};

struct ProbeOptions {
  std::size_t k = 10;
  std::size_t num_probes = 1;  // nearest partitions that are looked at
};

// Searches queries [first, first + found.size()) under one filter. Best first, equal scores by lower row.
void search_partitions(const PartitionedView& index, const TwoLevelQueries& queries, std::size_t first,
                       const PartitionFilter& filter, const ProbeOptions& options,
                       std::span<std::vector<FoundRow>> found);

}  // namespace matinee::ann
