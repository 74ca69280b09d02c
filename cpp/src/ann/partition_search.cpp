#include "ann/partition_search.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "ann/sketches.h"
#include "ann/tile_kernels.h"
#include "ann/top_rows.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kQueriesPerBlock = 256;  // share the codes of each centre
constexpr std::size_t kRowsPerPart = 4096;     // of picked ones
constexpr std::size_t kPickAhead = 8;          // rows that are fetched ahead while rows are picked
constexpr std::size_t kSiftedShare = 8;        // one row of so many at least is allowed where sketches are compared
constexpr std::size_t kNearestFirst = 32;      // partitions that are looked at in their order
constexpr std::size_t kTilesPerStep = 4;       // their products stay in the first-level cache

// Note [Candidates]: the first look knows a score up to an error. What the low codes hold is spread evenly over one
// step of the high ones, so the error of a sum over the query's codes d is close to normal, of deviation |d| / sqrt(12)
// in units of the sums. A row is worth a second look if its score, made better by four deviations, reaches the k-th
// best score of the first look.
constexpr float kDeviations = 4;
constexpr float kDeviationOfOne = 0.28867513F;  // sqrt(1 / 12)

struct Candidate {
  float score;       // of the first look
  float best_score;  // what it may be
  Place place;
};

bool may_be_better(const Candidate& a, const Candidate& b) {
  return a.best_score > b.best_score || (a.best_score == b.best_score && a.place < b.place);
}

// The rows of one query that are worth a second look.
class Candidates {
 public:
  explicit Candidates(std::size_t k) : k_(k), most_(16 * k + 512), tidy_at_(4 * k + kTileRows) {}

  // What a row's best score must lie above to be worth adding.
  float threshold() const { return threshold_; }
  std::size_t num_seen() const { return num_seen_; }
  void saw(std::size_t num_rows) { num_seen_ += num_rows; }

  void add(const Candidate& candidate) {
    kept_.push_back(candidate);
    note(candidate.score);
    if (kept_.size() >= tidy_at_) tidy();
  }

  const std::vector<Candidate>& take() {
    tidy();
    return kept_;
  }

 private:
  void note(float score) {
    if (best_.size() == k_) {
      if (!(score > best_.front())) return;
      std::pop_heap(best_.begin(), best_.end(), std::greater<>());
      best_.back() = score;
    } else {
      best_.push_back(score);
    }
    std::push_heap(best_.begin(), best_.end(), std::greater<>());
    if (best_.size() == k_) raise_threshold(best_.front());
  }

  void tidy() {
    const auto is_beaten = [this](const Candidate& candidate) { return candidate.best_score <= threshold_; };
    kept_.erase(std::remove_if(kept_.begin(), kept_.end(), is_beaten), kept_.end());
    if (kept_.size() > most_) {
      const auto last = kept_.begin() + static_cast<std::ptrdiff_t>(most_) - 1;
      std::nth_element(kept_.begin(), last, kept_.end(), may_be_better);
      raise_threshold(last->best_score);
      kept_.resize(most_);
    }
    tidy_at_ = 2 * std::max(kept_.size(), 2 * k_ + kTileRows);
  }

  // Rows with just this score stay.
  void raise_threshold(float score) {
    threshold_ = std::max(threshold_, std::nextafter(score, -std::numeric_limits<float>::infinity()));
  }

  std::size_t k_;
  std::size_t most_;
  std::size_t tidy_at_;
  std::vector<float> best_;  // the k best scores, as a heap whose front is the least
  float threshold_ = -std::numeric_limits<float>::infinity();
  std::size_t num_seen_ = 0;
  std::vector<Candidate> kept_;
};

// An index opened with the fast check may hold any row number.
bool allows(const RowFilter& filter, std::uint32_t row) { return row < filter.num_rows() && filter.allows(row); }

// Rows that are compared one after the other: those of a partition, or picked ones.
struct Part {
  std::size_t num_rows = 0;
  const std::uint8_t* high = nullptr;
  const float* steps = nullptr;
  const float* squared_norms = nullptr;  // null where they play no role
  std::uint32_t partition = 0;           // that the rows lie in, row i at slot i, where `places` is null
  const Place* places = nullptr;         // (num_rows,)

  Place place_of(std::uint32_t row) const { return places == nullptr ? Place{partition, row} : places[row]; }
};

// Everything that one thread needs for one group of queries.
class GroupSearch {
 public:
  GroupSearch(const PartitionedView& index, const TwoLevelQueries& queries, std::size_t first, std::size_t count,
              const ProbeOptions& options)
      : index_(index),
        queries_(queries),
        first_(first),
        options_(options),
        kernels_(tile_kernels_for(isa_level())),
        candidates_(count, Candidates(options.k)) {}

  std::size_t count() const { return candidates_.size(); }
  Candidates& candidates(std::size_t query) { return candidates_[query]; }

  Part whole(std::uint32_t partition) const {
    const Partition& rows = index_.table[partition];
    return {rows.num_rows, rows.high, rows.steps, norms_of(rows.squared_norms), partition, nullptr};
  }

  Part part_of(const PickedRows& rows, std::size_t begin, std::size_t count) const {
    return {count,
            rows.high.data() + begin * index_.padded / 2,
            rows.steps.data() + begin,
            norms_of(rows.squared_norms.data() + begin),
            0,
            rows.places.data() + begin};
  }

  // Looks at `part` for one query.
  void look(const Part& part, std::size_t query) {
    dots_.resize((part.num_rows + kTileRows - 1) / kTileRows * kTileRows);
    kernels_.dot_rows(part.high, nullptr, part.num_rows, query_codes(query), index_.padded, dots_.data());
    collect(part, 0, part.num_rows, query, dots_.data(), kTileRows);
    candidates_[query].saw(part.num_rows);
  }

  // Looks at those allowed rows of a partition that may be among the best by their sketches (Note [Sketches]). Their
  // codes are fetched while the sketches of the next call are compared, so look_at_waiting() comes last.
  void sift(std::uint32_t partition, std::uint32_t next, const SketchedQuery& sketched, const RowFilter* filter,
            std::size_t query) {
    const Partition& rows = index_.table[partition];
    const Partition& coming = index_.table[index_.table[next].num_rows > 0 ? next : partition];
    const std::size_t num_tiles = num_sketch_tiles(rows.num_rows);
    for (std::size_t row = 0; row < coming.num_rows; row += kTileRows) {
      __builtin_prefetch(coming.sketch_factors + row);
    }
    dots_.resize(std::max(dots_.size(), num_tiles * kTileRows));
    kernels_.dot_sketches(rows.sketches, num_tiles, sketched.tables.data(), index_.padded, coming.sketches,
                          dots_.data());
    CollectCall call;
    call.dots = dots_.data();
    call.tile_stride = kTileRows;
    call.num_rows = rows.num_rows;
    call.steps = rows.sketch_factors;
    call.squared_norms = norms_of(rows.squared_norms);
    call.factor = (call.squared_norms == nullptr ? 1.0F : 2.0F) * sketched.unit;
    call.shift = sketched.offset - index_.sketch_reach * sketched.length;
    look_at_waiting(query);
    call.threshold = candidates_[query].threshold();
    scores_.resize(std::max(scores_.size(), rows.num_rows));
    waiting_.resize(rows.num_rows);
    waiting_.resize(kernels_.collect(call, scores_.data(), waiting_.data()));
    waiting_in_ = partition;
    std::size_t num_allowed = rows.num_rows;
    if (filter != nullptr) {
      std::erase_if(waiting_, [&](std::uint32_t slot) { return !allows(*filter, rows.rows[slot]); });
      num_allowed = 0;
      for (std::size_t slot = 0; slot < rows.num_rows; ++slot) num_allowed += allows(*filter, rows.rows[slot]) ? 1 : 0;
    }
    const std::size_t half = index_.padded / 2;
    for (const std::uint32_t slot : waiting_) {
      for (std::size_t at = 0; at < half; at += 64) __builtin_prefetch(rows.high + slot * half + at);
      __builtin_prefetch(rows.steps + slot);
    }
    candidates_[query].saw(num_allowed);
  }

  void look_at_waiting(std::size_t query) {
    if (waiting_.empty()) return;
    const Partition& rows = index_.table[waiting_in_];
    picked_dots_.resize((waiting_.size() + kTileRows - 1) / kTileRows * kTileRows);
    kernels_.dot_rows(rows.high, waiting_.data(), waiting_.size(), query_codes(query), index_.padded,
                      picked_dots_.data());
    picked_.places.clear();
    picked_.steps.clear();
    picked_.squared_norms.clear();
    for (const std::uint32_t slot : waiting_) {
      picked_.places.push_back({waiting_in_, slot});
      picked_.steps.push_back(rows.steps[slot]);
      if (index_.metric == Metric::kL2) picked_.squared_norms.push_back(rows.squared_norms[slot]);
    }
    collect(part_of(picked_, 0, waiting_.size()), 0, waiting_.size(), query, picked_dots_.data(), kTileRows);
    waiting_.clear();
  }

  // Looks at `part` for each of `queries`, numbers within the group.
  void look(const Part& part, std::span<const std::uint32_t> queries) {
    if (queries.size() <= kFewQueries) {
      for (const std::uint32_t query : queries) look(part, query);
      return;
    }
    const std::size_t padded = index_.padded;
    const std::size_t room = (queries.size() + 15) / 16 * 16;
    gathered_.resize(room * padded);
    for (std::size_t q = 0; q < queries.size(); ++q) {
      std::copy_n(query_codes(queries[q]), padded, gathered_.data() + q * padded);
    }
    tile_.resize(padded * kTileRows);
    dots_.resize(kTilesPerStep * room * kTileRows);
    for (std::size_t begin = 0; begin < part.num_rows; begin += kTilesPerStep * kTileRows) {
      const std::size_t num_rows = std::min(kTilesPerStep * kTileRows, part.num_rows - begin);
      for (std::size_t t = 0; t * kTileRows < num_rows; ++t) {
        kernels_.make_tile(part.high + (begin + t * kTileRows) * padded / 2,
                           std::min(kTileRows, num_rows - t * kTileRows), padded, tile_.data());
        kernels_.dot_tile(tile_.data(), gathered_.data(), queries.size(), padded, dots_.data() + t * room * kTileRows);
      }
      for (std::size_t q = 0; q < queries.size(); ++q) {
        collect(part, begin, num_rows, queries[q], dots_.data() + q * kTileRows, room * kTileRows);
      }
    }
    for (const std::uint32_t query : queries) candidates_[query].saw(part.num_rows);
  }

  // Scores the candidates again, from both planes.
  std::vector<FoundRow> refine(std::size_t query) {
    const std::size_t padded = index_.padded;
    const std::size_t half = padded / 2;
    const std::vector<Candidate>& kept = candidates_[query].take();
    for (const Candidate& candidate : kept) {
      const Partition& rows = index_.table[candidate.place.partition];
      for (std::size_t at = 0; at < padded; at += 64) __builtin_prefetch(rows.low + candidate.place.slot * padded + at);
      for (std::size_t at = 0; at < half; at += 64) __builtin_prefetch(rows.high + candidate.place.slot * half + at);
    }
    const std::size_t q = first_ + query;
    const std::int8_t* const first = queries_.first.data() + q * padded;
    const std::int8_t* const second = queries_.second.data() + q * padded;
    const RefinedQuery refined = queries_.refined(q);
    std::vector<FoundRow> found;
    found.reserve(kept.size());
    for (const Candidate& candidate : kept) {
      const std::uint32_t slot = candidate.place.slot;
      const Partition& rows = index_.table[candidate.place.partition];
      const PlaneProducts products =
          kernels_.dot_planes(rows.high + slot * half, rows.low + slot * padded, first, second, padded);
      const float* const norm = index_.metric == Metric::kL2 ? rows.squared_norms + slot : nullptr;
      const float score = refined_score(refined, products, rows.steps[slot], norm);
      found.push_back({score, rows.rows[slot], rows.ids[slot], candidate.place.partition});
    }
    const auto is_better = [](const FoundRow& a, const FoundRow& b) {
      return a.score > b.score || (a.score == b.score && a.row < b.row);
    };
    const std::size_t k = std::min(options_.k, found.size());
    std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(k), found.end(), is_better);
    found.resize(k);
    return found;
  }

 private:
  const std::int8_t* query_codes(std::size_t query) const {
    return queries_.first.data() + (first_ + query) * index_.padded;
  }
  const float* norms_of(const float* norms) const { return index_.metric == Metric::kL2 ? norms : nullptr; }

  void collect(const Part& part, std::size_t begin, std::size_t num_rows, std::size_t query, const std::int32_t* dots,
               std::size_t tile_stride) {
    scores_.resize(std::max(scores_.size(), num_rows));
    hits_.resize(std::max(hits_.size(), num_rows));
    CollectCall call;
    call.dots = dots;
    call.tile_stride = tile_stride;
    call.num_rows = num_rows;
    call.steps = part.steps + begin;
    call.squared_norms = part.squared_norms == nullptr ? nullptr : part.squared_norms + begin;
    // Twice the product where the norm goes off it; the query's own norm changes no order.
    call.factor = (part.squared_norms == nullptr ? 256.0F : 512.0F) * queries_.scales[first_ + query];
    const float deviations = kDeviations * kDeviationOfOne * queries_.first_norms[first_ + query];
    call.shift = 7.5F * static_cast<float>(queries_.first_sums[first_ + query]) - deviations;
    Candidates& candidates = candidates_[query];
    call.threshold = candidates.threshold();
    const std::size_t found = kernels_.collect(call, scores_.data(), hits_.data());
    for (std::size_t i = 0; i < found; ++i) {
      if (!(scores_[i] > candidates.threshold())) continue;
      const float margin = deviations * (call.factor * call.steps[hits_[i]]);
      candidates.add({scores_[i] - margin, scores_[i], part.place_of(static_cast<std::uint32_t>(begin) + hits_[i])});
    }
  }

  const PartitionedView& index_;
  const TwoLevelQueries& queries_;
  std::size_t first_;
  const ProbeOptions& options_;
  const TileKernels& kernels_;
  std::vector<Candidates> candidates_;
  std::vector<std::int8_t> gathered_;
  std::vector<std::uint8_t> tile_;
  std::vector<std::int32_t> dots_;
  std::vector<float> scores_;
  std::vector<std::uint32_t> hits_;
  // Rows of one partition that sift() has left over.
  std::uint32_t waiting_in_ = 0;
  std::vector<std::uint32_t> waiting_;
  PickedRows picked_;  // these, without their codes
  std::vector<std::int32_t> picked_dots_;
};

// The partitions with the highest of `scores`, the first `num_in_order` of them best first.
std::vector<std::uint32_t> best_partitions(const TileKernels& kernels, const float* scores, std::size_t num_partitions,
                                           std::size_t count, std::size_t num_in_order) {
  constexpr std::size_t kSampleStep = 16;
  std::vector<std::uint32_t> best(num_partitions);
  std::size_t found = 0;
  if (count < num_partitions / 2) {
    // Most are far: a sample tells above which score about one and a half times as many lie as are wanted.
    std::vector<float> sample;
    for (std::size_t i = 0; i < num_partitions; i += kSampleStep) sample.push_back(scores[i]);
    const std::size_t rank = std::min(sample.size() - 1, count * 3 / 2 / kSampleStep + 2);
    std::nth_element(sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(rank), sample.end(),
                     std::greater<>());
    found = kernels.above(scores, num_partitions, sample[rank], best.data());
  }
  if (found < count) {
    std::iota(best.begin(), best.end(), std::uint32_t{0});
    found = num_partitions;
  }
  std::vector<std::uint64_t> keys(found);
  for (std::size_t i = 0; i < found; ++i) keys[i] = key_of({scores[best[i]], best[i]});
  if (count < found) {
    std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(count), keys.end(), std::greater<>());
    keys.resize(count);
  }
  if (num_in_order < keys.size()) {
    const auto last = keys.begin() + static_cast<std::ptrdiff_t>(num_in_order);
    std::nth_element(keys.begin(), last, keys.end(), std::greater<>());
  }
  std::sort(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(std::min(num_in_order, keys.size())),
            std::greater<>());
  best.resize(keys.size());
  std::transform(keys.begin(), keys.end(), best.begin(), [](std::uint64_t key) { return scored_of(key).row; });
  return best;
}

// The allowed rows of one partition.
void pick_allowed(const PartitionedView& index, std::uint32_t partition, const RowFilter& filter, PickedRows& picked) {
  const Partition& rows = index.table[partition];
  std::vector<Place> places = std::move(picked.places);
  places.clear();
  for (std::uint32_t slot = 0; slot < rows.num_rows; ++slot) {
    if (allows(filter, rows.rows[slot])) places.push_back({partition, slot});
  }
  pick(index, std::move(places), picked);
}

// How many allowed rows a query shall see: the share of them that the probed partitions are of all.
std::size_t rows_wanted(const PartitionedView& index, const RowFilter& filter, const ProbeOptions& options) {
  const std::size_t allowed = filter.num_allowed();
  const std::size_t num_partitions = std::max<std::size_t>(1, index.table.size());
  const std::size_t share = allowed * std::min(options.num_probes, num_partitions) / num_partitions;
  return std::min(allowed, std::max(options.k, share));
}

// Note [Filters against the grain]: where the partitions near a query hold far fewer allowed rows than their share, the
// allowed ones lie elsewhere, and the order of the partitions, made to find near rows, says little about which of the
// far ones are nearest. Then all that are allowed are compared.
bool is_against_the_grain(std::size_t num_seen, std::size_t num_wanted) { return num_seen * 2 < num_wanted; }

// Where so few rows are allowed that most sketches would be compared for nothing, allowed rows are picked instead.
bool is_worth_sifting(const PartitionedView& index, const RowFilter* filter) {
  return is_sketched(index.padded) && (filter == nullptr || filter->num_allowed() * kSiftedShare >= index.num_rows);
}

// Partitions in the order of their nearness, for one query.
void probe_one(GroupSearch& group, const PartitionedView& index, const TwoLevelQueries& queries, std::size_t first,
               std::size_t query, const RowFilter* filter, const ProbeOptions& options) {
  const TileKernels& kernels = tile_kernels_for(isa_level());
  const std::size_t num_partitions = index.table.size();
  const std::size_t num_probes = std::min(options.num_probes, num_partitions);
  std::vector<float> scores(num_partitions);
  score_centers(index.centers, index.padded, index.metric, queries, first + query, 1, scores.data());
  const bool sifted = num_probes < num_partitions && is_worth_sifting(index, filter);
  // The nearest show which scores are worth a look, and the others may come as they are.
  auto order = best_partitions(kernels, scores.data(), num_partitions, num_probes, sifted ? kNearestFirst : num_probes);
  PickedRows picked;
  const auto look_at = [&](std::size_t i) {
    if (i + 1 < order.size()) {
      const Partition& next = index.table[order[i + 1]];
      for (std::size_t at = 0; at < 1024; at += 64) __builtin_prefetch(next.high + at);
    }
    if (filter == nullptr) {
      group.look(group.whole(order[i]), query);
    } else {
      pick_allowed(index, order[i], *filter, picked);
      group.look(group.part_of(picked, 0, picked.places.size()), query);
    }
  };
  if (sifted) {
    const SketchedQuery sketched(queries, first + query);
    for (std::size_t i = 0; i < order.size(); ++i) {
      group.sift(order[i], order[std::min(i + 1, order.size() - 1)], sketched, filter, query);
    }
    group.look_at_waiting(query);
  } else {
    for (std::size_t i = 0; i < order.size(); ++i) look_at(i);
  }
  if (filter == nullptr) return;
  std::size_t wanted = rows_wanted(index, *filter, options);
  const Candidates& candidates = group.candidates(query);
  if (is_against_the_grain(candidates.num_seen(), wanted)) wanted = filter->num_allowed();
  if (candidates.num_seen() >= wanted) return;
  order = best_partitions(kernels, scores.data(), num_partitions, num_partitions, num_partitions);
  for (std::size_t i = num_probes; i < num_partitions && candidates.num_seen() < wanted; ++i) look_at(i);
}

// Many queries: each partition is looked at once, for all the queries that it is near to.
void probe_many(GroupSearch& group, const PartitionedView& index, const TwoLevelQueries& queries, std::size_t first,
                const RowFilter* filter, const ProbeOptions& options) {
  const TileKernels& kernels = tile_kernels_for(isa_level());
  const std::size_t num_partitions = index.table.size();
  const std::size_t num_probes = std::min(options.num_probes, num_partitions);
  std::vector<std::uint32_t> ends(num_partitions + 1);
  std::vector<std::uint32_t> probes;  // (Q, num_probes)
  probes.reserve(group.count() * num_probes);
  std::vector<float> scores(std::min(group.count(), kQueriesPerBlock) * num_partitions);
  for (std::size_t begin = 0; begin < group.count(); begin += kQueriesPerBlock) {
    const std::size_t count = std::min(kQueriesPerBlock, group.count() - begin);
    score_centers(index.centers, index.padded, index.metric, queries, first + begin, count, scores.data());
    for (std::size_t q = 0; q < count; ++q) {
      for (const std::uint32_t p :
           best_partitions(kernels, scores.data() + q * num_partitions, num_partitions, num_probes, 0)) {
        probes.push_back(p);
        ++ends[p + 1];
      }
    }
  }
  for (std::size_t p = 0; p < num_partitions; ++p) ends[p + 1] += ends[p];
  std::vector<std::uint32_t> by_partition(probes.size());
  std::vector<std::uint32_t> next(ends.begin(), ends.end() - 1);
  for (std::size_t i = 0; i < probes.size(); ++i) {
    by_partition[next[probes[i]]++] = static_cast<std::uint32_t>(i / num_probes);
  }
  PickedRows picked;
  for (std::uint32_t p = 0; p < num_partitions; ++p) {
    const std::span<const std::uint32_t> near(by_partition.data() + ends[p], ends[p + 1] - ends[p]);
    if (near.empty()) continue;
    if (filter == nullptr) {
      group.look(group.whole(p), near);
    } else {
      pick_allowed(index, p, *filter, picked);
      group.look(group.part_of(picked, 0, picked.places.size()), near);
    }
  }
}

// Lets those of many queries look everywhere that probing has shown too few allowed rows.
void search_farther(GroupSearch& group, const PartitionedView& index, const RowFilter& filter,
                    const ProbeOptions& options) {
  const std::size_t wanted = rows_wanted(index, filter, options);
  std::vector<std::uint32_t> again;
  for (std::uint32_t q = 0; q < group.count(); ++q) {
    const std::size_t num_seen = group.candidates(q).num_seen();
    if (num_seen >= std::min(options.k, filter.num_allowed()) && !is_against_the_grain(num_seen, wanted)) continue;
    group.candidates(q) = Candidates(options.k);
    again.push_back(q);
  }
  PickedRows picked;
  for (std::uint32_t p = 0; p < index.table.size() && !again.empty(); ++p) {
    pick_allowed(index, p, filter, picked);
    group.look(group.part_of(picked, 0, picked.places.size()), again);
  }
}

// Compares every query with every picked row.
void look_at_picked(GroupSearch& group, const PickedRows& picked) {
  const std::size_t num_rows = picked.places.size();
  std::vector<std::uint32_t> queries;
  for (std::size_t first = 0; first < group.count(); first += kQueriesPerBlock) {
    queries.resize(std::min(kQueriesPerBlock, group.count() - first));
    std::iota(queries.begin(), queries.end(), static_cast<std::uint32_t>(first));
    for (std::size_t begin = 0; begin < num_rows; begin += kRowsPerPart) {
      group.look(group.part_of(picked, begin, std::min(kRowsPerPart, num_rows - begin)), queries);
    }
  }
}

}  // namespace

void pick(const PartitionedView& index, std::vector<Place> places, PickedRows& picked) {
  const std::size_t half = index.padded / 2;
  const std::size_t count = places.size();
  picked.places = std::move(places);
  picked.high.resize(count * half);
  picked.steps.resize(count);
  picked.squared_norms.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kPickAhead < count) {
      const Place& ahead = picked.places[i + kPickAhead];
      const std::uint8_t* const coming = index.table[ahead.partition].high + ahead.slot * half;
      for (std::size_t at = 0; at < half; at += 64) __builtin_prefetch(coming + at);
    }
    const Partition& rows = index.table[picked.places[i].partition];
    const std::size_t slot = picked.places[i].slot;
    std::copy_n(rows.high + slot * half, half, picked.high.data() + i * half);
    picked.steps[i] = rows.steps[slot];
    picked.squared_norms[i] = rows.squared_norms[slot];
  }
}

void search_partitions(const PartitionedView& index, const TwoLevelQueries& queries, std::size_t first,
                       const PartitionFilter& filter, const ProbeOptions& options,
                       std::span<std::vector<FoundRow>> found) {
  GroupSearch group(index, queries, first, found.size(), options);
  if (filter.picked != nullptr) {
    look_at_picked(group, *filter.picked);
  } else if (found.size() <= kFewQueries) {
    for (std::size_t q = 0; q < found.size(); ++q) probe_one(group, index, queries, first, q, filter.bits, options);
  } else {
    probe_many(group, index, queries, first, filter.bits, options);
    if (filter.bits != nullptr) search_farther(group, index, *filter.bits, options);
  }
  for (std::size_t q = 0; q < found.size(); ++q) found[q] = group.refine(q);
}

}  // namespace matinee::ann
