#pragma once

#include <array>
#include <cstddef>

#include "ann/partition_search.h"

namespace matinee::ann {

// The recalls at which the cost of a search is known.
inline constexpr std::array<float, 7> kRecallLevels = {0.5F, 0.8F, 0.9F, 0.95F, 0.98F, 0.99F, 0.995F};

// The share of the partitions, nearest first, that holds as much of the true ten nearest rows, by level.
using ProbeShares = std::array<float, kRecallLevels.size()>;

// Measures them: compares `queries` with every row. Rows that are equal to a query (similarity 1) say nothing and are
// left out where `leave_out_self`, for queries that are rows of the index.
ProbeShares measure_probe_shares(const PartitionedView& index, const TwoLevelQueries& queries, bool leave_out_self);

// The share for any recall up to 1, between the levels in a straight line.
float probe_share(const ProbeShares& shares, float recall);

}  // namespace matinee::ann
