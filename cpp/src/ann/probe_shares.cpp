#include "ann/probe_shares.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "matinee/core/thread_pool.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kNeighbors = 10;  // whose partitions are looked for

}  // namespace

ProbeShares measure_probe_shares(const PartitionedView& index, const TwoLevelQueries& queries, bool leave_out_self) {
  const std::size_t num_partitions = index.table.size();
  const std::size_t skipped = leave_out_self ? 1 : 0;
  ProbeOptions options;
  options.k = std::min(index.num_rows, kNeighbors + skipped);
  options.num_probes = num_partitions;
  std::vector<std::vector<FoundRow>> found(queries.size());
  // How many partitions lie as near as that of each neighbour, over all queries.
  std::vector<std::vector<std::uint32_t>> ranks(queries.size());
  const auto pool = compute_pool();
  const auto workers = static_cast<std::size_t>(pool->size());
  pool->parallel_for(queries.size(), (queries.size() + workers - 1) / workers, [&](std::size_t begin, std::size_t end) {
    search_partitions(index, queries, begin, {}, options, std::span(found).subspan(begin, end - begin));
    std::vector<float> scores(num_partitions);
    for (std::size_t q = begin; q < end; ++q) {
      score_centers(index.centers, index.padded, index.metric, queries, q, 1, scores.data());
      for (std::size_t n = std::min(skipped, found[q].size()); n < found[q].size(); ++n) {
        const float own = scores[found[q][n].partition];
        ranks[q].push_back(static_cast<std::uint32_t>(
            std::count_if(scores.begin(), scores.end(), [own](float other) { return other >= own; })));
      }
    }
  });
  std::vector<std::uint32_t> all;
  for (const auto& of_query : ranks) all.insert(all.end(), of_query.begin(), of_query.end());
  std::sort(all.begin(), all.end());
  ProbeShares shares{};
  for (std::size_t level = 0; level < shares.size(); ++level) {
    const auto at = static_cast<std::size_t>(std::ceil(kRecallLevels[level] * static_cast<float>(all.size())));
    shares[level] = all.empty() ? 1.0F
                                : static_cast<float>(all[std::min(at, all.size() - 1)]) /
                                      static_cast<float>(std::max<std::size_t>(1, num_partitions));
  }
  return shares;
}

float probe_share(const ProbeShares& shares, float recall) {
  if (recall >= 1) return 1;
  float below = 0;
  float share_below = 0;
  for (std::size_t level = 0; level <= shares.size(); ++level) {
    const float above = level < shares.size() ? kRecallLevels[level] : 1.0F;
    const float share_above = level < shares.size() ? shares[level] : 1.0F;
    if (recall <= above) return share_below + (share_above - share_below) * (recall - below) / (above - below);
    below = above;
    share_below = share_above;
  }
  return 1;
}

}  // namespace matinee::ann
