#include "ann/partitioned_index.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "ann/admission.h"
#include "ann/picked_tiles.h"
#include "ann/sketches.h"
#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kQueriesPerTask = 64;    // of coding
constexpr std::size_t kQueriesPerRound = 512;  // bounds the memory of their candidates
// What the steps of a filtered search cost, in nanoseconds; only their ratios matter.
constexpr double kCostOfPicking = 60;       // finding an allowed row and putting it with the others
constexpr double kCostOfRow = 4;            // comparing a row or a centre with a query
constexpr double kCostOfScatteredRow = 12;  // comparing one of few allowed rows of a partition
constexpr double kCostOfTest = 2;           // asking a bitmap for a row
constexpr double kCostOfSiftedRow = 5;      // comparing the sketch of one, and of few the codes
// Comparing all allowed rows finds all that there is to find, so it may cost a little more.
constexpr double kPreferencePicking = 1.5;
// Turning rows into tiles takes longer than picking their high codes, and reading them takes more memory.
constexpr double kSharingTiles = 8;
constexpr std::size_t kRowsInTiles = 8192;

}  // namespace

std::shared_ptr<const PartitionedIndex::Moment> PartitionedIndex::moment() const noexcept {
  const std::lock_guard lock(moment_mutex_);
  return moment_;
}

PartitionedView PartitionedIndex::view_of(const Moment& moment) const {
  return {moment.table, moment.centers, moment.num_rows, padded_, metric_, moment.calibration.sketch_reach};
}

std::vector<std::int64_t> PartitionedIndex::ids() const {
  const auto now = moment();
  std::vector<std::int64_t> ids(now->num_rows);
  for (std::size_t p = 0; p < now->table.size(); ++p) {
    const Partition& rows = now->table[p];
    for (std::size_t slot = 0; slot < rows.num_rows; ++slot) {
      if (rows.rows[slot] < ids.size()) ids[rows.rows[slot]] = rows.ids[slot];
    }
  }
  return ids;
}

std::size_t PartitionedIndex::row_of(std::int64_t id) const {
  const std::shared_lock lock(directory_mutex_);
  const auto row = directory_->row_of(id);
  if (!row) throw NotFound("Index: id: expected one of the index, got " + std::to_string(id));
  return *row;
}

RowFilter PartitionedIndex::filter_of(std::span<const std::int64_t> ids) const {
  const std::shared_lock lock(directory_mutex_);
  RowFilter filter(moment()->num_rows);
  for (const std::int64_t id : ids) {
    if (const auto row = directory_->row_of(id)) filter.allow(*row);
  }
  return filter;
}

void PartitionedIndex::vectors(std::span<const std::int64_t> ids, MatrixView<float> out) const {
  std::vector<Place> places;
  std::shared_ptr<const Moment> now;
  {
    const std::shared_lock lock(directory_mutex_);
    now = moment();
    for (const std::int64_t id : ids) {
      const auto row = directory_->row_of(id);
      if (!row) throw NotFound("Index: id: expected one of the index, got " + std::to_string(id));
      places.push_back(directory_->place_of(*row, now->table));
    }
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Partition& rows = now->table[places[i].partition];
    const std::size_t slot = places[i].slot;
    decode_row(rows.high + slot * padded_ / 2, rows.low + slot * padded_, rows.steps[slot], dimension_, padded_,
               out.row(i));
  }
}

void PartitionedIndex::encode(MatrixView<const float> vectors, const char* where, std::size_t first, std::size_t begin,
                              std::size_t end, TwoLevelQueries& coded) const {
  std::vector<float> vector(dimension_);
  for (std::size_t q = begin; q < end; ++q) {
    admit(vectors.row(first + q), dimension_, metric_, where, first + q, vector.data());
    coded.encode(q, vector.data(), dimension_);
  }
}

TwoLevelQueries PartitionedIndex::coded(MatrixView<const float> vectors, const char* where) const {
  TwoLevelQueries coded(vectors.rows, padded_);
  const auto body = [&](std::size_t begin, std::size_t end) { encode(vectors, where, 0, begin, end, coded); };
  if (vectors.rows <= 1) {
    body(0, vectors.rows);
  } else {
    compute_pool()->parallel_for(vectors.rows, kQueriesPerTask, body);
  }
  return coded;
}

// How a search under a filter goes: the allowed rows are compared one after the other, or their bitmap goes along with
// the search for near partitions. A prepared one may have both: rows for many queries together, the bitmap for few.
struct PartitionedIndex::FilterWay {
  std::shared_ptr<const Moment> moment;  // that it is for
  std::optional<PickedTiles> tiles;
  std::optional<PickedRows> picked;
  std::optional<RowFilter> bits;

  PartitionFilter filter(bool prefers_bits) const {
    const RowFilter* const bitmap = bits ? &*bits : nullptr;
    return {bitmap, picked && !(prefers_bits && bitmap != nullptr) ? &*picked : nullptr};
  }
};

// Remembers ids, and the way for the moment at which it was last used.
class PartitionedIndex::Prepared final : public PreparedFilter {
 public:
  Prepared(const PartitionedIndex& index, std::vector<std::int64_t> ids) : index_(index), ids_(std::move(ids)) {}

  bool is_of(const Index& index) const { return &index == &index_; }

  // REQUIRES: no lock of the index is held.
  std::shared_ptr<const FilterWay> way() const {
    const std::lock_guard lock(mutex_);
    const std::shared_lock directory_lock(index_.directory_mutex_);
    const auto now = index_.moment();
    if (way_ != nullptr && way_->moment == now) return way_;
    std::vector<std::uint32_t> rows;
    for (const std::int64_t id : ids_) {
      if (const auto row = index_.directory_->row_of(id)) rows.push_back(*row);
    }
    auto way = std::make_shared<FilterWay>();
    index_.choose_way(*now, std::move(rows), index_.probe_options(*now, {}), kUsesOfPrepared, *way);
    way->moment = now;
    way_ = way;
    return way;
  }

 private:
  static constexpr double kUsesOfPrepared = 1000;

  const PartitionedIndex& index_;
  std::vector<std::int64_t> ids_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const FilterWay> way_;
};

std::shared_ptr<const PreparedFilter> PartitionedIndex::prepare(std::span<const std::int64_t> ids) const {
  auto prepared = std::make_shared<Prepared>(*this, std::vector<std::int64_t>(ids.begin(), ids.end()));
  prepared->way();
  return prepared;
}

std::shared_ptr<const PreparedFilter> PartitionedIndex::prepare(const RowFilter& rows) const {
  const std::vector<std::int64_t> all = ids();
  check_filters({&rows, 1}, all.size());
  std::vector<std::int64_t> allowed;
  for (const std::uint32_t row : rows.rows()) allowed.push_back(all[row]);
  return prepare(allowed);
}

ProbeOptions PartitionedIndex::probe_options(const Moment& moment, const SearchOptions& options) const {
  const std::size_t num_partitions = moment.table.size();
  const float share = probe_share(moment.calibration, options.recall);
  const auto for_recall = static_cast<std::size_t>(std::ceil(share * static_cast<float>(num_partitions)));
  const std::size_t num_probes = options.num_probes > 0 ? options.num_probes : for_recall;
  return {std::max<std::size_t>(1, std::min(options.k, moment.num_rows)),
          std::clamp<std::size_t>(num_probes, 1, num_partitions)};
}

bool PartitionedIndex::is_better_sifted(const Moment& moment, const ProbeOptions& probe,
                                        std::size_t num_allowed) const {
  if (!is_sketched(padded_) || probe.num_probes >= moment.table.size()) return false;
  const auto num_partitions = static_cast<double>(moment.table.size());
  const double share = static_cast<double>(probe.num_probes) / num_partitions;
  const double by_sifting =
      num_partitions * kCostOfRow + share * static_cast<double>(moment.num_rows) * kCostOfSiftedRow;
  return by_sifting < static_cast<double>(num_allowed) * kCostOfRow;
}

void PartitionedIndex::choose_way(const Moment& moment, std::vector<std::uint32_t> rows, const ProbeOptions& probe,
                                  double num_sharing, FilterWay& way) const {
  const auto allowed = static_cast<double>(rows.size());
  const auto num_partitions = static_cast<double>(moment.table.size());
  const double share = static_cast<double>(probe.num_probes) / num_partitions;
  const double by_picking = allowed * (kCostOfPicking / num_sharing + kCostOfRow);
  const double by_probing = num_partitions * kCostOfRow + share * (static_cast<double>(moment.num_rows) * kCostOfTest +
                                                                   allowed * kCostOfScatteredRow);
  const bool is_probed = by_probing * kPreferencePicking < by_picking;
  if (is_probed || is_better_sifted(moment, probe, rows.size())) {
    way.bits.emplace(moment.num_rows);
    for (const std::uint32_t row : rows) way.bits->allow(row);
  }
  if (is_probed) return;
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  std::vector<Place> places;
  places.reserve(rows.size());
  for (const std::uint32_t row : rows) places.push_back(directory_->place_of(row, moment.table));
  if (num_sharing >= kSharingTiles && rows.size() <= kRowsInTiles) {
    way.tiles = pick_tiles(view_of(moment), places);
    return;
  }
  std::sort(places.begin(), places.end());
  pick(view_of(moment), std::move(places), way.picked.emplace());
}

Neighbors PartitionedIndex::search(MatrixView<const float> queries, const SearchOptions& options) const {
  check_search(*this, queries, options);
  const std::size_t num_filters = options.filters.size() + options.id_sets.size();
  std::shared_ptr<const Moment> now;
  std::vector<FilterWay> ways(num_filters);
  const FilterWay everything;
  std::vector<const FilterWay*> filters;
  std::shared_ptr<const FilterWay> prepared;
  if (options.prepared != nullptr) {
    const auto* const of_ours = dynamic_cast<const Prepared*>(options.prepared);
    if (of_ours == nullptr || !of_ours->is_of(*this)) {
      throw InvalidArgument(
          "Index.search: allow: expected a filter that this index prepared, got one of another index");
    }
    prepared = of_ours->way();
    now = prepared->moment;
    filters.push_back(prepared.get());
  } else if (num_filters > 0) {
    const std::shared_lock lock(directory_mutex_);
    now = moment();
    check_filters(options.filters, now->num_rows);
    const ProbeOptions probe = probe_options(*now, options);
    const double num_sharing = num_filters == 1 ? std::max(1.0, static_cast<double>(queries.rows)) : 1;
    for (std::size_t f = 0; f < num_filters; ++f) {
      std::vector<std::uint32_t> rows;
      if (options.id_sets.empty()) {
        rows = options.filters[f].rows();
      } else {
        for (const std::int64_t id : options.id_sets[f]) {
          if (const auto row = directory_->row_of(id)) rows.push_back(*row);
        }
      }
      choose_way(*now, std::move(rows), probe, num_sharing, ways[f]);
      filters.push_back(&ways[f]);
    }
  } else {
    now = moment();
    filters.push_back(&everything);
  }

  const ProbeOptions probe = probe_options(*now, options);
  const PartitionedView view = view_of(*now);
  Neighbors neighbors = no_neighbors(queries.rows, std::min(options.k, now->num_rows));
  const auto pool = compute_pool();
  const auto workers = static_cast<std::size_t>(pool->size());
  for (std::size_t start = 0; start < queries.rows; start += kQueriesPerRound) {
    const std::size_t count = std::min(kQueriesPerRound, queries.rows - start);
    TwoLevelQueries coded(count, padded_);
    const auto search_group = [&](std::size_t begin, std::size_t end) {
      encode(queries, "Index.search: queries", start, begin, end, coded);
      if (neighbors.width == 0) return;
      std::vector<std::vector<FoundRow>> found(end - begin);
      const FilterWay& way = *filters[filters.size() == 1 ? 0 : start + begin];
      if (way.tiles) {
        search_tiles(view, coded, begin, *way.tiles, probe.k, found);
      } else {
        const bool sifted =
            found.size() <= kFewQueries && way.picked && is_better_sifted(*now, probe, way.picked->places.size());
        search_partitions(view, coded, begin, way.filter(sifted), probe, found);
      }
      for (std::size_t q = 0; q < found.size(); ++q) {
        const std::size_t row = start + begin + q;
        neighbors.counts[row] = static_cast<std::int64_t>(found[q].size());
        for (std::size_t i = 0; i < found[q].size(); ++i) {
          neighbors.ids[row * neighbors.width + i] = found[q][i].id;
          neighbors.scores[row * neighbors.width + i] = found[q][i].score;
        }
      }
    };
    // Queries under one filter go through the index together, in as many groups as there are workers. A single query
    // takes less than waking a worker may, and is answered where it was asked.
    if (count == 1) {
      search_group(0, 1);
    } else {
      pool->parallel_for(count, filters.size() > 1 ? 1 : (count + workers - 1) / workers, search_group);
    }
  }
  return neighbors;
}

void PartitionedIndex::calibrate(MatrixView<const float> queries) {
  if (queries.rows == 0 || queries.cols != dimension_) {
    throw InvalidArgument("Index.calibrate: queries: expected (Q, " + std::to_string(dimension_) +
                          "), Q at least 1, got (" + std::to_string(queries.rows) + ", " +
                          std::to_string(queries.cols) + ")");
  }
  const std::lock_guard writing(writing_);
  const auto now = moment();
  auto next = std::make_shared<Moment>(*now);
  next->calibration = calibrated(view_of(*now), coded(queries, "Index.calibrate: queries"), false);
  next->file = nullptr;
  const std::lock_guard lock(moment_mutex_);
  moment_ = std::move(next);
}

}  // namespace matinee::ann
