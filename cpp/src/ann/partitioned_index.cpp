#include "ann/partitioned_index.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>

#include "ann/admission.h"
#include "ann/picked_tiles.h"
#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kRowsPerTask = 256;
constexpr std::size_t kRowsPerSlice = 16384;   // of building: bounds the memory of coded rows
constexpr std::size_t kQueriesPerTask = 64;    // of coding
constexpr std::size_t kQueriesPerRound = 512;  // bounds the memory of their candidates
constexpr std::size_t kCalibrationQueries = 256;
// What the steps of a filtered search cost, in nanoseconds; only their ratios matter.
constexpr double kCostOfPicking = 60;       // finding an allowed row and putting it with the others
constexpr double kCostOfRow = 4;            // comparing a row or a centre with a query
constexpr double kCostOfScatteredRow = 12;  // comparing one of few allowed rows of a partition
constexpr double kCostOfTest = 2;           // asking a bitmap for a row
// Comparing all allowed rows finds all that there is to find, so it may cost a little more.
constexpr double kPreferencePicking = 1.5;
// Turning rows into tiles takes longer than picking their high codes, and reading them takes more memory.
constexpr double kSharingTiles = 8;
constexpr std::size_t kRowsInTiles = 8192;

// Sizes that searched fastest at one recall where they were measured, from 20 thousand to a million rows.
std::size_t default_partitions(std::size_t num_rows) {
  const auto by_root = static_cast<std::size_t>(7 * std::sqrt(static_cast<double>(num_rows)));
  return std::max<std::size_t>(1, std::min(by_root, num_rows / 16));
}

// Fills what follows from the ids and numbers of the rows at the slots.
void fill_orders(const IndexFile& file) {
  const auto rows = file.section<std::uint32_t>(SectionName::kSlotRows);
  const auto ids = file.section<std::int64_t>(SectionName::kSlotIds);
  const auto by_row = file.section<std::uint32_t>(SectionName::kSlotsByRow);
  const auto by_id = file.section<std::uint32_t>(SectionName::kSlotsById);
  for (std::size_t slot = 0; slot < rows.size(); ++slot) by_row[rows[slot]] = static_cast<std::uint32_t>(slot);
  std::iota(by_id.begin(), by_id.end(), std::uint32_t{0});
  std::sort(by_id.begin(), by_id.end(), [&](std::uint32_t a, std::uint32_t b) { return ids[a] < ids[b]; });
}

void fill_centers(const IndexFile& file, const Centers& centers) {
  std::copy(centers.high.begin(), centers.high.end(), file.section<std::uint8_t>(SectionName::kCenterHigh).begin());
  std::copy(centers.steps.begin(), centers.steps.end(), file.section<float>(SectionName::kCenterSteps).begin());
  std::copy(centers.squared_norms.begin(), centers.squared_norms.end(),
            file.section<float>(SectionName::kCenterNorms).begin());
}

// What nothing may be searched without: the partitions follow each other and the centres are numbers.
void check_partitions(const IndexFile& file, const std::filesystem::path& path) {
  const auto ends = file.section<std::uint32_t>(SectionName::kPartitionEnds);
  if (ends.front() != 0 || ends.back() != file.shape().num_rows || !std::is_sorted(ends.begin(), ends.end())) {
    IndexFile::refuse(path, "its partitions are not in order");
  }
  const auto is_wrong = [](float value) { return !(value >= 0 && value <= Index::kMaxNorm * Index::kMaxNorm); };
  const auto steps = file.section<float>(SectionName::kCenterSteps);
  const auto norms = file.section<float>(SectionName::kCenterNorms);
  if (std::any_of(steps.begin(), steps.end(), [](float step) { return !(step >= 0 && step <= Index::kMaxNorm); }) ||
      std::any_of(norms.begin(), norms.end(), is_wrong)) {
    IndexFile::refuse(path, "its centres are damaged");
  }
  const auto shares = file.section<float>(SectionName::kProbeShares);
  if (std::any_of(shares.begin(), shares.end(), [](float share) { return !(share >= 0 && share <= 1); })) {
    IndexFile::refuse(path, "its calibration is damaged");
  }
}

// That rows and ids are in order: what the checksums cannot say of a file that somebody made.
void check_orders(const IndexFile& file, const std::filesystem::path& path) {
  const auto rows = file.section<std::uint32_t>(SectionName::kSlotRows);
  const auto ids = file.section<std::int64_t>(SectionName::kSlotIds);
  const auto by_row = file.section<std::uint32_t>(SectionName::kSlotsByRow);
  const auto by_id = file.section<std::uint32_t>(SectionName::kSlotsById);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (by_row[i] >= rows.size() || rows[by_row[i]] != i) IndexFile::refuse(path, "its rows are not in order");
    if (by_id[i] >= rows.size() || ids[by_id[i]] == -1 || (i > 0 && ids[by_id[i - 1]] >= ids[by_id[i]])) {
      IndexFile::refuse(path, "its ids are not in order, or repeated");
    }
  }
}

}  // namespace

PartitionedIndex::PartitionedIndex(IndexFile file)
    : dimension_(file.shape().dimension), padded_(padded_plane(dimension_)), metric_(file.shape().metric) {
  auto shared = std::make_shared<const IndexFile>(std::move(file));
  moment_ = moment_of(shared);
  directory_ = std::make_unique<FiledDirectory>(shared);
}

std::shared_ptr<const PartitionedIndex::Moment> PartitionedIndex::moment_of(std::shared_ptr<const IndexFile> file) {
  const std::size_t padded = padded_plane(file->shape().dimension);
  const auto ends = file->section<std::uint32_t>(SectionName::kPartitionEnds);
  const auto high = file->section<std::uint8_t>(SectionName::kHigh);
  const auto low = file->section<std::uint8_t>(SectionName::kLow);
  const auto steps = file->section<float>(SectionName::kSteps);
  const auto norms = file->section<float>(SectionName::kSquaredNorms);
  const auto ids = file->section<std::int64_t>(SectionName::kSlotIds);
  const auto rows = file->section<std::uint32_t>(SectionName::kSlotRows);
  std::vector<Partition> partitions;
  partitions.reserve(ends.size() - 1);
  for (std::size_t p = 0; p + 1 < ends.size(); ++p) {
    const std::size_t at = ends[p];
    partitions.push_back({ends[p + 1] - at, high.data() + at * padded / 2, low.data() + at * padded, steps.data() + at,
                          norms.data() + at, ids.data() + at, rows.data() + at, file});
  }
  auto moment = std::make_shared<Moment>();
  moment->table = PartitionTable(std::move(partitions));
  moment->centers = {ends.size() - 1, file->section<std::uint8_t>(SectionName::kCenterHigh),
                     file->section<float>(SectionName::kCenterSteps), file->section<float>(SectionName::kCenterNorms),
                     file};
  moment->num_rows = file->shape().num_rows;
  const auto shares = file->section<float>(SectionName::kProbeShares);
  std::copy(shares.begin(), shares.end(), moment->shares.begin());
  moment->file = std::move(file);
  return moment;
}

TwoLevelQueries PartitionedIndex::sampled(const Moment& moment, std::size_t dimension) {
  const std::size_t padded = padded_plane(dimension);
  const std::size_t count = std::min(kCalibrationQueries, moment.num_rows);
  TwoLevelQueries queries(count, padded);
  std::vector<float> vector(dimension);
  std::size_t sampled = 0;
  std::size_t passed = 0;  // rows in the partitions before
  for (std::size_t p = 0; p < moment.table.size(); ++p) {
    const Partition& rows = moment.table[p];
    for (; sampled < count && sampled * moment.num_rows / count < passed + rows.num_rows; ++sampled) {
      const std::size_t slot = sampled * moment.num_rows / count - passed;
      decode_row(rows.high + slot * padded / 2, rows.low + slot * padded, rows.steps[slot], dimension, padded,
                 vector.data());
      queries.encode(sampled, vector.data(), dimension);
    }
    passed += rows.num_rows;
  }
  return queries;
}

std::unique_ptr<PartitionedIndex> PartitionedIndex::build(MatrixView<const float> vectors,
                                                          std::span<const std::int64_t> ids,
                                                          const IndexOptions& options) {
  check_shape(vectors, ids);
  check_ids("Index.build", ids);
  const std::size_t dimension = vectors.cols;
  const std::size_t num_rows = vectors.rows;
  if (dimension > kMaxCodedDimension) {
    throw InvalidArgument("Index.build: vectors: expected up to " + std::to_string(kMaxCodedDimension) +
                          " columns, got " + std::to_string(dimension) + "; use kind exact");
  }
  const std::size_t padded = padded_plane(dimension);
  const RowReader read = [&](std::size_t row, float* out) {
    admit(vectors.row(row), dimension, options.metric, "Index.build: vectors", row, out);
  };
  // Finding the centres counts as as many rows as there are, so do the other two passes over all rows.
  const auto tell = [&](std::size_t done) {
    if (options.progress && num_rows > 0 && !options.progress(done / 3, num_rows)) {
      throw Cancelled("Index.build: stopped on request");
    }
  };
  CenterOptions of_centers;
  of_centers.num_centers = options.num_partitions > 0 ? options.num_partitions : default_partitions(num_rows);
  of_centers.seed = options.seed;
  of_centers.told = [&](std::size_t done, std::size_t total) { tell(num_rows * done / total); };
  const Centers centers = find_centers(num_rows, dimension, options.metric, read, of_centers);

  std::vector<std::uint32_t> partition_of(num_rows);
  for (std::size_t start = 0; start < num_rows; start += kRowsPerSlice) {
    const std::size_t count = std::min(kRowsPerSlice, num_rows - start);
    TwoLevelQueries coded(count, padded);
    compute_pool()->parallel_for(count, kRowsPerTask, [&](std::size_t begin, std::size_t end) {
      std::vector<float> row(dimension);
      for (std::size_t i = begin; i < end; ++i) {
        read(start + i, row.data());
        coded.encode(i, row.data(), dimension);
      }
    });
    const std::vector<std::uint32_t> nearest = nearest_centers(centers, options.metric, coded);
    std::copy(nearest.begin(), nearest.end(), partition_of.begin() + static_cast<std::ptrdiff_t>(start));
    tell(num_rows + start + count);
  }

  IndexFile file = IndexFile::make({IndexKind::kPartitioned, options.metric, num_rows, dimension, centers.num_centers});
  fill_centers(file, centers);
  const auto ends = file.section<std::uint32_t>(SectionName::kPartitionEnds);
  for (const std::uint32_t p : partition_of) ++ends[p + 1];
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<std::uint32_t> slot_of(num_rows);
  std::vector<std::uint32_t> next(ends.begin(), ends.end() - 1);
  for (std::size_t row = 0; row < num_rows; ++row) slot_of[row] = next[partition_of[row]]++;
  const auto high = file.section<std::uint8_t>(SectionName::kHigh);
  const auto low = file.section<std::uint8_t>(SectionName::kLow);
  const auto steps = file.section<float>(SectionName::kSteps);
  const auto norms = file.section<float>(SectionName::kSquaredNorms);
  const auto slot_ids = file.section<std::int64_t>(SectionName::kSlotIds);
  const auto slot_rows = file.section<std::uint32_t>(SectionName::kSlotRows);
  for (std::size_t start = 0; start < num_rows; start += kRowsPerSlice) {
    const std::size_t count = std::min(kRowsPerSlice, num_rows - start);
    compute_pool()->parallel_for(count, kRowsPerTask, [&](std::size_t begin, std::size_t end) {
      std::vector<float> vector(dimension);
      for (std::size_t row = start + begin; row < start + end; ++row) {
        read(row, vector.data());
        const std::size_t slot = slot_of[row];
        steps[slot] =
            encode_row(vector.data(), dimension, padded, high.data() + slot * padded / 2, low.data() + slot * padded);
        norms[slot] = std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0F);
        slot_ids[slot] = ids.empty() ? static_cast<std::int64_t>(row) : ids[row];
        slot_rows[slot] = static_cast<std::uint32_t>(row);
      }
    });
    tell(2 * num_rows + start + count);
  }
  fill_orders(file);

  const auto shares = file.section<float>(SectionName::kProbeShares);
  std::fill(shares.begin(), shares.end(), 1.0F);
  if (num_rows > 0) {
    const std::shared_ptr<const Moment> moment = moment_of(std::make_shared<const IndexFile>(file));
    const PartitionedView view{moment->table, moment->centers, num_rows, padded, options.metric};
    const ProbeShares measured = measure_probe_shares(view, sampled(*moment, dimension), true);
    std::copy(measured.begin(), measured.end(), shares.begin());
  }
  return std::unique_ptr<PartitionedIndex>(new PartitionedIndex(std::move(file)));
}

std::unique_ptr<PartitionedIndex> PartitionedIndex::open(IndexFile file, const std::filesystem::path& path,
                                                         Verify verify) {
  check_partitions(file, path);
  if (verify == Verify::kFull) check_orders(file, path);
  return std::unique_ptr<PartitionedIndex>(new PartitionedIndex(std::move(file)));
}

std::shared_ptr<const PartitionedIndex::Moment> PartitionedIndex::moment() const noexcept {
  const std::lock_guard lock(moment_mutex_);
  return moment_;
}

PartitionedView PartitionedIndex::view_of(const Moment& moment) const {
  return {moment.table, moment.centers, moment.num_rows, padded_, metric_};
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
// the search for near partitions.
struct PartitionedIndex::FilterWay {
  std::shared_ptr<const Moment> moment;  // that it is for
  std::optional<PickedTiles> tiles;
  std::optional<PickedRows> picked;
  std::optional<RowFilter> bits;

  PartitionFilter filter() const { return {bits ? &*bits : nullptr, picked ? &*picked : nullptr}; }
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
  const float share = probe_share(moment.shares, options.recall);
  const auto for_recall = static_cast<std::size_t>(std::ceil(share * static_cast<float>(num_partitions)));
  const std::size_t num_probes = options.num_probes > 0 ? options.num_probes : for_recall;
  return {std::max<std::size_t>(1, std::min(options.k, moment.num_rows)),
          std::clamp<std::size_t>(num_probes, 1, num_partitions)};
}

void PartitionedIndex::choose_way(const Moment& moment, std::vector<std::uint32_t> rows, const ProbeOptions& probe,
                                  double num_sharing, FilterWay& way) const {
  const auto allowed = static_cast<double>(rows.size());
  const auto num_partitions = static_cast<double>(moment.table.size());
  const double share = static_cast<double>(probe.num_probes) / num_partitions;
  const double by_picking = allowed * (kCostOfPicking / num_sharing + kCostOfRow);
  const double by_probing = num_partitions * kCostOfRow + share * (static_cast<double>(moment.num_rows) * kCostOfTest +
                                                                   allowed * kCostOfScatteredRow);
  if (by_probing * kPreferencePicking < by_picking) {
    way.bits.emplace(moment.num_rows);
    for (const std::uint32_t row : rows) way.bits->allow(row);
    return;
  }
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
        search_partitions(view, coded, begin, way.filter(), probe, found);
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
  next->shares = measure_probe_shares(view_of(*now), coded(queries, "Index.calibrate: queries"), false);
  next->file = nullptr;
  const std::lock_guard lock(moment_mutex_);
  moment_ = std::move(next);
}

IndexFile PartitionedIndex::assembled(const Moment& moment) const {
  IndexFile file =
      IndexFile::make({IndexKind::kPartitioned, metric_, moment.num_rows, dimension_, moment.table.size()});
  fill_centers(file, moment.centers);
  std::copy(moment.shares.begin(), moment.shares.end(), file.section<float>(SectionName::kProbeShares).begin());
  const auto ends = file.section<std::uint32_t>(SectionName::kPartitionEnds);
  std::uint32_t at = 0;
  for (std::size_t p = 0; p < moment.table.size(); ++p) {
    const Partition& rows = moment.table[p];
    const std::size_t n = rows.num_rows;
    std::copy_n(rows.high, n * padded_ / 2, file.section<std::uint8_t>(SectionName::kHigh).data() + at * padded_ / 2);
    std::copy_n(rows.low, n * padded_, file.section<std::uint8_t>(SectionName::kLow).data() + at * padded_);
    std::copy_n(rows.steps, n, file.section<float>(SectionName::kSteps).data() + at);
    std::copy_n(rows.squared_norms, n, file.section<float>(SectionName::kSquaredNorms).data() + at);
    std::copy_n(rows.ids, n, file.section<std::int64_t>(SectionName::kSlotIds).data() + at);
    std::copy_n(rows.rows, n, file.section<std::uint32_t>(SectionName::kSlotRows).data() + at);
    at += static_cast<std::uint32_t>(n);
    ends[p + 1] = at;
  }
  fill_orders(file);
  return file;
}

void PartitionedIndex::save(const std::filesystem::path& path) const {
  const auto now = moment();
  if (now->file != nullptr) {
    now->file->save(path);
  } else {
    assembled(*now).save(path);
  }
}

}  // namespace matinee::ann
