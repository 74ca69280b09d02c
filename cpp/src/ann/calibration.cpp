#include "ann/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "ann/tile_kernels.h"
#include "matinee/core/thread_pool.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kNeighbors = 10;  // of a query, by which an index is measured
constexpr double kWithinReach = 0.995;  // share of the neighbours

// How much better a found row is than its sketch says, relative to |f q|. The error grows with what of the query lies
// across the row, and rows as queries are nearer to their neighbours than other queries will be: it is told for a query
// that lies across. None where there is next to nothing across.
std::optional<float> reach_of(const PartitionedView& index, const TwoLevelQueries& queries, std::size_t q,
                              const SketchedQuery& sketched, const FoundRow& found) {
  constexpr float kLeastAcross = 0.1F;
  const Partition& rows = index.table[found.partition];
  const std::uint32_t* const at = std::find(rows.rows, rows.rows + rows.num_rows, found.row);
  const auto slot = static_cast<std::size_t>(at - rows.rows);
  const float row_squares = rows.squared_norms[slot];
  const float query_squares = queries.squared_norms[q];
  const float product = index.metric == Metric::kL2 ? (found.score + row_squares + query_squares) / 2 : found.score;
  const float cosine = product / std::sqrt(row_squares) / std::sqrt(query_squares);
  const float across = std::sqrt(std::max(1 - cosine * cosine, 0.0F));
  if (!(across > kLeastAcross)) return std::nullopt;
  std::array<std::int32_t, kTileRows> dots{};
  const std::uint8_t* const tile = rows.sketches + slot / kTileRows * sketch_tile_bytes(index.padded);
  tile_kernels_for(isa_level()).dot_sketches(tile, 1, sketched.tables.data(), index.padded, tile, dots.data());
  const float sketched_product = static_cast<float>(dots[slot % kTileRows]) - sketched.offset;
  return (product / (sketched.unit * rows.sketch_factors[slot]) - sketched_product) / (sketched.length * across);
}

// The least value that the share `level` of all is not above.
template <typename T>
std::optional<T> quantile(std::vector<T>& values, double level) {
  if (values.empty()) return std::nullopt;
  const auto at = static_cast<std::size_t>(std::ceil(level * static_cast<double>(values.size())));
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(std::min(at, values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

}  // namespace

Calibration calibrated(const PartitionedView& index, const TwoLevelQueries& queries, bool leave_out_self) {
  const std::size_t num_partitions = index.table.size();
  const std::size_t skipped = leave_out_self ? 1 : 0;
  ProbeOptions options;
  options.k = std::min(index.num_rows, kNeighbors + skipped);
  options.num_probes = num_partitions;
  struct OfQuery {
    std::vector<std::uint32_t> ranks;  // how many partitions lie as near as that of each neighbour
    std::vector<float> reaches;
  };
  std::vector<std::vector<FoundRow>> found(queries.size());
  std::vector<OfQuery> of_queries(queries.size());
  const auto pool = compute_pool();
  const auto workers = static_cast<std::size_t>(pool->size());
  pool->parallel_for(queries.size(), queries.size() / workers + 1, [&](std::size_t begin, std::size_t end) {
    search_partitions(index, queries, begin, {}, options, std::span(found).subspan(begin, end - begin));
    std::vector<float> scores(num_partitions);
    for (std::size_t q = begin; q < end; ++q) {
      score_centers(index.centers, index.padded, index.metric, queries, q, 1, scores.data());
      const SketchedQuery sketched(queries, q);
      for (std::size_t n = std::min(skipped, found[q].size()); n < found[q].size(); ++n) {
        const float own = scores[found[q][n].partition];
        of_queries[q].ranks.push_back(static_cast<std::uint32_t>(
            std::count_if(scores.begin(), scores.end(), [own](float other) { return other >= own; })));
        if (!is_sketched(index.padded)) continue;
        const auto reach = reach_of(index, queries, q, sketched, found[q][n]);
        if (reach && std::isfinite(*reach)) of_queries[q].reaches.push_back(*reach);
      }
    }
  });
  OfQuery all;
  for (const OfQuery& one : of_queries) {
    all.ranks.insert(all.ranks.end(), one.ranks.begin(), one.ranks.end());
    all.reaches.insert(all.reaches.end(), one.reaches.begin(), one.reaches.end());
  }
  Calibration calibration;
  for (std::size_t level = 0; level < kRecallLevels.size(); ++level) {
    const auto rank = quantile(all.ranks, kRecallLevels[level]);
    calibration.shares[level] = rank ? static_cast<float>(*rank) / static_cast<float>(num_partitions) : 1.0F;
  }
  const float reach = quantile(all.reaches, kWithinReach).value_or(kUsualSketchReach);
  calibration.sketch_reach = std::clamp(reach, 0.0F, kLargestSketchReach);
  return calibration;
}

float probe_share(const Calibration& calibration, float recall) {
  if (recall >= 1) return 1;
  const auto& shares = calibration.shares;
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
