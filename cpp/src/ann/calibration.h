#pragma once

#include <array>
#include <cstddef>

#include "ann/partition_search.h"
#include "ann/sketches.h"

namespace matinee::ann {

// The recalls at which the cost of a search is known.
inline constexpr std::array<float, 7> kRecallLevels = {0.5F, 0.8F, 0.9F, 0.95F, 0.98F, 0.99F, 0.995F};

// What was measured of an index with queries.
struct Calibration {
  // The share of the partitions, nearest first, that holds as much of the true ten nearest rows, by level.
  std::array<float, kRecallLevels.size()> shares{};
  // How much better than its sketch says a true neighbour may be (Note [Sketches]), relative to the lengths of both:
  // with 995 of 1,000 it is no more.
  float sketch_reach = kUsualSketchReach;
};

// More than this no sketch can be wrong.
inline constexpr float kLargestSketchReach = 128;

// Compares `queries` with every row. Rows that are equal to a query (similarity 1) say nothing and are left out where
// `leave_out_self`, for queries that are rows of the index.
Calibration calibrated(const PartitionedView& index, const TwoLevelQueries& queries, bool leave_out_self);

// The share for any recall up to 1, between the levels in a straight line.
float probe_share(const Calibration& calibration, float recall);

}  // namespace matinee::ann
