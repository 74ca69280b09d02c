#include "ann/picked_tiles.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "ann/tile_kernels.h"
#include "ann/top_rows.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kQueriesPerBlock = 128;
constexpr std::size_t kRowsPerChunk = 1024;  // whose scores with a block of queries stay in the second-level cache
constexpr float kNoScore = -std::numeric_limits<float>::infinity();

// Note [A first threshold]: of scores dealt out to lanes, the k-th best of the lanes' best is not above the k-th best
// of all, as at least k scores reach it. With more lanes than k it is near it, too, and few scores are ever put in
// order.
constexpr std::size_t kLanes = 32;

float first_threshold(std::span<const float> scores, std::size_t k) {
  if (k > kLanes || scores.size() < 2 * kLanes) return kNoScore;
  float best[kLanes];
  std::copy_n(scores.begin(), kLanes, best);
  for (std::size_t i = kLanes; i + kLanes <= scores.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      best[lane] = scores[i + lane] > best[lane] ? scores[i + lane] : best[lane];
    }
  }
  std::nth_element(best, best + k - 1, best + kLanes, std::greater<>());
  return std::nextafter(best[k - 1], kNoScore);
}

// The k best of what is added.
class BestRows {
 public:
  explicit BestRows(std::size_t k) : k_(k) {}

  // What a score must lie above to be worth adding. REQUIRES of rows added later: higher numbers.
  float threshold() const { return threshold_; }
  void set_threshold(float score) { threshold_ = score; }

  void add(float score, std::uint32_t row) { kept_.push_back(key_of({score, row})); }

  void tidy() {
    if (kept_.size() < 2 * k_) return;
    keep_best();
    threshold_ = scored_of(kept_[k_ - 1]).score;
  }

  // Writes the best, best first.
  void take(const std::vector<FoundRow>& rows, std::vector<FoundRow>& found) {
    if (kept_.size() > k_) keep_best();
    std::sort(kept_.begin(), kept_.end(), std::greater<>());
    found.reserve(kept_.size());
    for (const std::uint64_t key : kept_) {
      const ScoredRow scored = scored_of(key);
      found.push_back(rows[scored.row]);
      found.back().score = scored.score;
    }
  }

 private:
  void keep_best() {
    std::nth_element(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(k_) - 1, kept_.end(), std::greater<>());
    kept_.resize(k_);
  }

  std::size_t k_;
  float threshold_ = kNoScore;
  std::vector<std::uint64_t> kept_;
};

// Compares blocks of queries with all tiles, a chunk of rows at a time.
class TileSearch {
 public:
  // The arrays are written before they are read, and clearing them would cost a tenth of a small search.
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
  TileSearch(const PartitionedView& index, const TwoLevelQueries& queries, const PickedTiles& picked, std::size_t k)
      : index_(index),
        queries_(queries),
        picked_(picked),
        k_(k),
        kernels_(tile_kernels_for(isa_level())),
        room_(std::min(picked.steps.size(), kRowsPerChunk)) {}

  void search(std::size_t first, std::span<std::vector<FoundRow>> found) {
    std::vector<BestRows> best(found.size(), BestRows(k_));
    scores_.resize(found.size() * room_);
    gather(first, found.size());
    for (std::size_t begin = 0; begin < picked_.rows.size(); begin += kRowsPerChunk) {
      const std::size_t num_rows = std::min(kRowsPerChunk, picked_.rows.size() - begin);
      score(begin, num_rows, first, found.size());
      for (std::size_t q = 0; q < found.size(); ++q) choose(begin, num_rows, q, best[q]);
    }
    for (std::size_t q = 0; q < found.size(); ++q) best[q].take(picked_.rows, found[q]);
  }

 private:
  // Puts the two planes of each query side by side, so that every tile is read once for both.
  void gather(std::size_t first, std::size_t num_queries) {
    const std::size_t padded = index_.padded;
    planes_.resize((2 * num_queries + kTileRows - 1) / kTileRows * kTileRows * padded);
    for (std::size_t q = 0; q < num_queries; ++q) {
      std::copy_n(queries_.first.data() + (first + q) * padded, padded, planes_.data() + 2 * q * padded);
      std::copy_n(queries_.second.data() + (first + q) * padded, padded, planes_.data() + (2 * q + 1) * padded);
    }
  }

  // Fills scores_ (query, row of the chunk).
  void score(std::size_t begin, std::size_t num_rows, std::size_t first, std::size_t num_queries) {
    const std::size_t padded = index_.padded;
    for (std::size_t row = 0; row < num_rows; row += kTileRows) {
      const std::uint8_t* const high = picked_.tiles.data() + (begin + row) * 2 * padded;
      const std::uint8_t* const low = high + padded * kTileRows;
      kernels_.dot_tile(high, planes_.data(), 2 * num_queries, padded, of_high_);
      kernels_.dot_byte_tile(low, planes_.data(), 2 * num_queries, padded, of_low_);
      RefineCall call;
      call.steps = picked_.steps.data() + begin + row;
      if (index_.metric == Metric::kL2) call.squared_norms = picked_.squared_norms.data() + begin + row;
      for (std::size_t q = 0; q < num_queries; ++q) {
        call.high_first = of_high_ + 2 * q * kTileRows;
        call.high_second = call.high_first + kTileRows;
        call.low_first = of_low_ + 2 * q * kTileRows;
        call.low_second = call.low_first + kTileRows;
        call.query = queries_.refined(first + q);
        kernels_.refine(call, scores_of(q) + row);
      }
    }
  }

  // Adds the rows of a chunk that may be among the best of a query.
  void choose(std::size_t begin, std::size_t num_rows, std::size_t query, BestRows& best) {
    const float* const scores = scores_of(query);
    if (begin == 0) best.set_threshold(first_threshold({scores, num_rows}, k_));
    if (best.threshold() == kNoScore) {
      for (std::size_t i = 0; i < num_rows; ++i) best.add(scores[i], static_cast<std::uint32_t>(begin + i));
    } else {
      const std::size_t num_better = kernels_.above(scores, num_rows, best.threshold(), better_);
      for (std::size_t i = 0; i < num_better; ++i) {
        best.add(scores[better_[i]], static_cast<std::uint32_t>(begin) + better_[i]);
      }
    }
    best.tidy();
  }

  float* scores_of(std::size_t query) { return scores_.data() + query * room_; }

  const PartitionedView& index_;
  const TwoLevelQueries& queries_;
  const PickedTiles& picked_;
  std::size_t k_;
  const TileKernels& kernels_;
  std::size_t room_;  // for the scores of a query: whole tiles
  std::vector<float> scores_;
  std::uint32_t better_[kRowsPerChunk];
  std::vector<std::int8_t> planes_;  // (2 queries, padded), room for a multiple of 16
  alignas(64) std::int32_t of_high_[2 * kQueriesPerBlock * kTileRows];
  alignas(64) std::int32_t of_low_[2 * kQueriesPerBlock * kTileRows];
};

}  // namespace

PickedTiles pick_tiles(const PartitionedView& index, std::span<const Place> places) {
  const std::size_t padded = index.padded;
  const std::size_t half = padded / 2;
  const std::size_t num_tiles = (places.size() + kTileRows - 1) / kTileRows;
  PickedTiles picked;
  picked.tiles.resize(num_tiles * 2 * padded * kTileRows);
  picked.steps.resize(num_tiles * kTileRows);
  picked.squared_norms.resize(num_tiles * kTileRows);
  picked.rows.reserve(places.size());
  const TileKernels& kernels = tile_kernels_for(isa_level());
  std::vector<std::uint8_t> high(kTileRows * half);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Partition& from = index.table[places[i].partition];
    const std::size_t slot = places[i].slot;
    const std::size_t in_tile = i % kTileRows;
    std::uint8_t* const tile = picked.tiles.data() + i / kTileRows * 2 * padded * kTileRows;
    std::uint8_t* const low_tile = tile + padded * kTileRows;
    for (std::size_t e = 0; e < padded; e += 4) {
      std::memcpy(low_tile + e * kTileRows + in_tile * 4, from.low + slot * padded + e, 4);
    }
    std::copy_n(from.high + slot * half, half, high.data() + in_tile * half);
    if (in_tile + 1 == kTileRows || i + 1 == places.size()) {
      kernels.make_tile(high.data(), in_tile + 1, padded, tile);
    }
    picked.steps[i] = from.steps[slot];
    picked.squared_norms[i] = from.squared_norms[slot];
    picked.rows.push_back({0, from.rows[slot], from.ids[slot], places[i].partition});
  }
  return picked;
}

void search_tiles(const PartitionedView& index, const TwoLevelQueries& queries, std::size_t first,
                  const PickedTiles& picked, std::size_t k, std::span<std::vector<FoundRow>> found) {
  TileSearch search(index, queries, picked, k);
  for (std::size_t begin = 0; begin < found.size(); begin += kQueriesPerBlock) {
    search.search(first + begin, found.subspan(begin, std::min(kQueriesPerBlock, found.size() - begin)));
  }
}

}  // namespace matinee::ann
