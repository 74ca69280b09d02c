#include "ann/centers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "ann/tile_kernels.h"
#include "matinee/core/thread_pool.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kRowsPerCenter = 48;  // of the sample
constexpr std::size_t kRounds = 8;
constexpr std::size_t kQueriesPerBlock = 128;  // share each tile while it is in the first-level cache
constexpr std::size_t kTilesPerStep = 4;       // their products stay in the second-level cache

struct OwnCenters {
  std::vector<std::uint8_t> high;
  std::vector<float> steps;
  std::vector<float> squared_norms;
};

// Compares queries with every centre, a few at a time: visit(query, first centre, call) for each of `count` queries
// from `first` on, whose numbers in the call to visit begin at 0.
template <typename Visit>
void for_each_comparison(const Centers& centers, std::size_t padded, bool by_distance, const TwoLevelQueries& queries,
                         std::size_t first, std::size_t count, Visit visit) {
  const TileKernels& kernels = tile_kernels_for(isa_level());
  const auto call_of = [&](std::size_t q, std::size_t begin, std::size_t num_rows, const std::int32_t* dots,
                           std::size_t tile_stride) {
    CollectCall call;
    call.dots = dots;
    call.tile_stride = tile_stride;
    call.num_rows = num_rows;
    call.steps = centers.steps.data() + begin;
    call.squared_norms = by_distance ? centers.squared_norms.data() + begin : nullptr;
    call.factor = (by_distance ? 512.0F : 256.0F) * queries.scales[first + q];
    call.shift = 7.5F * static_cast<float>(queries.first_sums[first + q]);
    return call;
  };
  const std::size_t num_centers = centers.num_centers;
  const std::int8_t* const codes = queries.first.data() + first * padded;
  if (count == 1) {
    std::vector<std::int32_t> dots((num_centers + kTileRows - 1) / kTileRows * kTileRows);
    kernels.dot_rows(centers.high.data(), nullptr, num_centers, codes, padded, dots.data());
    visit(0, 0, call_of(0, 0, num_centers, dots.data(), kTileRows));
    return;
  }
  const std::size_t room = (count + 15) / 16 * 16;
  std::vector<std::int8_t> gathered(room * padded);
  std::copy(codes, codes + count * padded, gathered.begin());
  std::vector<std::uint8_t> tile(padded * kTileRows);
  std::vector<std::int32_t> dots(kTilesPerStep * room * kTileRows);
  for (std::size_t begin = 0; begin < num_centers; begin += kTilesPerStep * kTileRows) {
    const std::size_t num_rows = std::min(kTilesPerStep * kTileRows, num_centers - begin);
    for (std::size_t t = 0; t * kTileRows < num_rows; ++t) {
      kernels.make_tile(centers.high.data() + (begin + t * kTileRows) * padded / 2,
                        std::min(kTileRows, num_rows - t * kTileRows), padded, tile.data());
      kernels.dot_tile(tile.data(), gathered.data(), count, padded, dots.data() + t * room * kTileRows);
    }
    for (std::size_t q = 0; q < count; ++q) {
      visit(q, begin, call_of(q, begin, num_rows, dots.data() + q * kTileRows, room * kTileRows));
    }
  }
}

}  // namespace

Centers code_centers(const std::vector<float>& means, std::size_t dimension) {
  const std::size_t count = means.size() / dimension;
  const std::size_t padded = padded_plane(dimension);
  auto own = std::make_shared<OwnCenters>();
  own->high.resize(count * padded / 2);
  own->steps.resize(count);
  own->squared_norms.resize(count);
  std::vector<std::uint8_t> low(padded);
  for (std::size_t c = 0; c < count; ++c) {
    const float* const mean = means.data() + c * dimension;
    own->steps[c] = encode_row(mean, dimension, padded, own->high.data() + c * padded / 2, low.data());
    own->squared_norms[c] = std::inner_product(mean, mean + dimension, mean, 0.0F);
  }
  Centers centers{count, own->high, own->steps, own->squared_norms, nullptr};
  centers.owner = std::move(own);
  return centers;
}

void score_centers(const Centers& centers, std::size_t padded, Metric metric, const TwoLevelQueries& queries,
                   std::size_t first, std::size_t count, float* scores) {
  const TileKernels& kernels = tile_kernels_for(isa_level());
  for_each_comparison(centers, padded, metric == Metric::kL2, queries, first, count,
                      [&](std::size_t q, std::size_t begin, const CollectCall& call) {
                        kernels.score(call, scores + q * centers.num_centers + begin);
                      });
}

std::vector<std::uint32_t> nearest_centers(const Centers& centers, Metric metric, const TwoLevelQueries& queries) {
  const TileKernels& kernels = tile_kernels_for(isa_level());
  std::vector<std::uint32_t> nearest(queries.size());
  compute_pool()->parallel_for(queries.size(), kQueriesPerBlock, [&](std::size_t begin, std::size_t end) {
    std::vector<float> best(end - begin, -std::numeric_limits<float>::infinity());
    std::vector<float> scores(centers.num_centers);
    std::vector<std::uint32_t> better(centers.num_centers);
    for_each_comparison(centers, queries.padded, metric != Metric::kCosine, queries, begin, end - begin,
                        [&](std::size_t q, std::size_t first, CollectCall call) {
                          call.threshold = best[q];
                          const std::size_t found = kernels.collect(call, scores.data(), better.data());
                          for (std::size_t i = 0; i < found; ++i) {
                            if (!(scores[i] > best[q])) continue;
                            best[q] = scores[i];
                            nearest[begin + q] = static_cast<std::uint32_t>(first) + better[i];
                          }
                        });
  });
  return nearest;
}

Centers find_centers(std::size_t num_rows, std::size_t dimension, Metric metric, const RowReader& row,
                     const CenterOptions& options) {
  if (num_rows == 0) return code_centers(std::vector<float>(dimension), dimension);  // something to add rows to
  const std::size_t num_centers = std::min(options.num_centers, num_rows);
  std::vector<std::uint32_t> sample(num_rows);
  std::iota(sample.begin(), sample.end(), std::uint32_t{0});
  std::mt19937_64 random(options.seed);
  const std::size_t sample_size = std::min(num_rows, kRowsPerCenter * num_centers);
  for (std::size_t i = 0; i < sample_size; ++i) std::swap(sample[i], sample[i + random() % (num_rows - i)]);
  sample.resize(sample_size);

  const std::size_t padded = padded_plane(dimension);
  std::vector<float> vectors(sample_size * dimension);
  TwoLevelQueries queries(sample_size, padded);
  compute_pool()->parallel_for(sample_size, kQueriesPerBlock, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      row(sample[i], vectors.data() + i * dimension);
      queries.encode(i, vectors.data() + i * dimension, dimension);
    }
  });
  std::vector<float> means(vectors.begin(), vectors.begin() + static_cast<std::ptrdiff_t>(num_centers * dimension));
  Centers centers = code_centers(means, dimension);
  for (std::size_t round = 0; round < kRounds; ++round) {
    const std::vector<std::uint32_t> nearest = nearest_centers(centers, metric, queries);
    // Rows in the order of their centres, so that every mean is summed in one order.
    std::vector<std::uint32_t> ends(num_centers + 1);
    for (const std::uint32_t c : nearest) ++ends[c + 1];
    std::partial_sum(ends.begin(), ends.end(), ends.begin());
    std::vector<std::uint32_t> order(sample_size);
    std::vector<std::uint32_t> next(ends.begin(), ends.end() - 1);
    for (std::size_t i = 0; i < sample_size; ++i) order[next[nearest[i]]++] = static_cast<std::uint32_t>(i);
    compute_pool()->parallel_for(num_centers, 16, [&](std::size_t begin, std::size_t end) {
      std::vector<double> sum(dimension);
      for (std::size_t c = begin; c < end; ++c) {
        // A centre that no row is near to moves to a row picked by its number: some crowded place, most likely.
        const std::size_t first = ends[c];
        const std::size_t count = ends[c + 1] - first;
        float* const mean = means.data() + c * dimension;
        if (count == 0) {
          const float* const other = vectors.data() + (c * 7919 + round * 104729) % sample_size * dimension;
          std::copy(other, other + dimension, mean);
          continue;
        }
        std::fill(sum.begin(), sum.end(), 0.0);
        for (std::size_t i = first; i < first + count; ++i) {
          const float* const vector = vectors.data() + order[i] * dimension;
          for (std::size_t d = 0; d < dimension; ++d) sum[d] += vector[d];
        }
        double scale = 1.0 / static_cast<double>(count);
        if (metric == Metric::kCosine) {
          const double squares = std::inner_product(sum.begin(), sum.end(), sum.begin(), 0.0);
          scale = squares > 0 ? 1.0 / std::sqrt(squares) : 0.0;
        }
        for (std::size_t d = 0; d < dimension; ++d) mean[d] = static_cast<float>(sum[d] * scale);
      }
    });
    centers = code_centers(means, dimension);
    if (options.told) options.told(round + 1, kRounds);
  }
  return centers;
}

Centers with_split(const Centers& centers, std::size_t dimension, std::size_t split, const std::vector<float>& two) {
  const Centers coded = code_centers(two, dimension);
  auto own = std::make_shared<OwnCenters>();
  own->high.assign(centers.high.begin(), centers.high.end());
  own->steps.assign(centers.steps.begin(), centers.steps.end());
  own->squared_norms.assign(centers.squared_norms.begin(), centers.squared_norms.end());
  const std::size_t half = padded_plane(dimension) / 2;
  std::copy_n(coded.high.data(), half, own->high.data() + split * half);
  own->steps[split] = coded.steps[0];
  own->squared_norms[split] = coded.squared_norms[0];
  own->high.insert(own->high.end(), coded.high.begin() + static_cast<std::ptrdiff_t>(half), coded.high.end());
  own->steps.push_back(coded.steps[1]);
  own->squared_norms.push_back(coded.squared_norms[1]);
  Centers grown{centers.num_centers + 1, own->high, own->steps, own->squared_norms, nullptr};
  grown.owner = std::move(own);
  return grown;
}

}  // namespace matinee::ann
