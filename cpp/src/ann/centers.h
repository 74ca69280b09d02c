#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ann/two_level_codes.h"
#include "matinee/ann/index.h"

namespace matinee::ann {

// The centres of the partitions: their high codes, as rows have them.
struct Centers {
  std::size_t num_centers = 0;
  std::span<const std::uint8_t> high;    // (C, padded / 2)
  std::span<const float> steps;          // (C,)
  std::span<const float> squared_norms;  // (C,)
  std::shared_ptr<const void> owner;
};

// Writes how near each of queries [first, first + count) is to every centre, higher is nearer, as (count, C).
void score_centers(const Centers& centers, std::size_t padded, Metric metric, const TwoLevelQueries& queries,
                   std::size_t first, std::size_t count, float* scores);

// The nearest centre of each row, given as a query: by angle under cosine, else by distance, whatever rows are searched
// by, because rows of one partition shall be near each other.
std::vector<std::uint32_t> nearest_centers(const Centers& centers, Metric metric, const TwoLevelQueries& queries);

// k-means over the rows that `row(i, out)` gives, i < num_rows, at most 48 rows a centre and `kRounds` rounds. The same
// seed gives the same centres on any number of threads. `told` is asked after every round whether to go on.
struct CenterOptions {
  std::size_t num_centers = 1;
  std::uint64_t seed = 0;
  std::function<void(std::size_t done, std::size_t total)> told;
};
using RowReader = std::function<void(std::size_t row, float* out)>;
// Codes centres that are given as (C, D).
Centers code_centers(const std::vector<float>& means, std::size_t dimension);
Centers find_centers(std::size_t num_rows, std::size_t dimension, Metric metric, const RowReader& row,
                     const CenterOptions& options);

// Centre `split` replaced by the first of two, (2, D), the second behind the last.
Centers with_split(const Centers& centers, std::size_t dimension, std::size_t split, const std::vector<float>& two);

}  // namespace matinee::ann
