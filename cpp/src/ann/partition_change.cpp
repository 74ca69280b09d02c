#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "ann/admission.h"
#include "ann/partitioned_index.h"
#include "ann/sketches.h"
#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kRowsPerTask = 64;
constexpr std::size_t kSplitRounds = 4;
// Centres are put right when one in so many rows was changed.
constexpr std::size_t kChangesOfRows = 4;

// A partition may grow to so many rows before it is split: a few times what a new index would have on average, as
// partitions of a new index are of very different sizes too.
std::size_t largest_partition(std::size_t num_rows) {
  const auto usual = static_cast<std::size_t>(std::sqrt(static_cast<double>(num_rows)) / 7);
  return 6 * std::max<std::size_t>(16, usual);
}

// A partition that is being changed.
struct OwnPartition {
  std::vector<std::uint8_t> high;
  std::vector<std::uint8_t> low;
  std::vector<float> steps;
  std::vector<float> squared_norms;
  std::vector<std::int64_t> ids;
  std::vector<std::uint32_t> rows;
  // Made when all rows are there.
  std::vector<std::uint8_t> sketches;
  std::vector<float> sketch_factors;

  OwnPartition() = default;
  OwnPartition(const Partition& from, std::size_t padded)
      : high(from.high, from.high + from.num_rows * padded / 2),
        low(from.low, from.low + from.num_rows * padded),
        steps(from.steps, from.steps + from.num_rows),
        squared_norms(from.squared_norms, from.squared_norms + from.num_rows),
        ids(from.ids, from.ids + from.num_rows),
        rows(from.rows, from.rows + from.num_rows) {}

  std::size_t slot_of(std::uint32_t row) const {
    const auto found = std::find(rows.begin(), rows.end(), row);
    if (found == rows.end()) throw FormatError("Index: its rows are damaged; open it with verify='full'");
    return static_cast<std::size_t>(found - rows.begin());
  }

  void append(const CodedRow& coded, std::int64_t id, std::uint32_t row) {
    high.insert(high.end(), coded.high.begin(), coded.high.end());
    low.insert(low.end(), coded.low.begin(), coded.low.end());
    steps.push_back(coded.step);
    squared_norms.push_back(coded.squared_norm);
    ids.push_back(id);
    rows.push_back(row);
  }

  void append(const OwnPartition& other, std::size_t slot, std::size_t padded) {
    const std::uint8_t* const other_high = other.high.data() + slot * padded / 2;
    const std::uint8_t* const other_low = other.low.data() + slot * padded;
    high.insert(high.end(), other_high, other_high + padded / 2);
    low.insert(low.end(), other_low, other_low + padded);
    steps.push_back(other.steps[slot]);
    squared_norms.push_back(other.squared_norms[slot]);
    ids.push_back(other.ids[slot]);
    rows.push_back(other.rows[slot]);
  }

  // The last row takes the place of the one that goes.
  void erase(std::size_t slot, std::size_t padded) {
    const std::size_t last = rows.size() - 1;
    std::copy_n(high.data() + last * padded / 2, padded / 2, high.data() + slot * padded / 2);
    std::copy_n(low.data() + last * padded, padded, low.data() + slot * padded);
    steps[slot] = steps[last];
    squared_norms[slot] = squared_norms[last];
    ids[slot] = ids[last];
    rows[slot] = rows[last];
    high.resize(last * padded / 2);
    low.resize(last * padded);
    steps.pop_back();
    squared_norms.pop_back();
    ids.pop_back();
    rows.pop_back();
  }
};

Partition frozen(OwnPartition changed, std::size_t dimension, std::size_t padded) {
  const auto own = std::make_shared<OwnPartition>(std::move(changed));
  const std::size_t num_rows = own->rows.size();
  Partition partition{num_rows,        own->high.data(), own->low.data(), own->steps.data(), own->squared_norms.data(),
                      own->ids.data(), own->rows.data(), nullptr,         nullptr,           own};
  if (!is_sketched(padded)) return partition;
  own->sketches.resize(num_sketch_tiles(num_rows) * sketch_tile_bytes(padded));
  own->sketch_factors.resize(num_rows);
  make_sketches(partition, dimension, padded, own->sketches.data(), own->sketch_factors.data());
  partition.sketches = own->sketches.data();
  partition.sketch_factors = own->sketch_factors.data();
  return partition;
}

// Two centres among the rows, and which of them each row is nearer to; empty where all rows are the same.
struct Halves {
  std::vector<float> means;  // (2, D)
  std::vector<bool> is_second;
};

Halves halved(const OwnPartition& own, std::size_t dimension, std::size_t padded, Metric metric) {
  const std::size_t count = own.rows.size();
  std::vector<float> vectors(count * dimension);
  for (std::size_t i = 0; i < count; ++i) {
    decode_row(own.high.data() + i * padded / 2, own.low.data() + i * padded, own.steps[i], dimension, padded,
               vectors.data() + i * dimension);
  }
  const auto squared_distance = [&](const float* a, const float* b) {
    float sum = 0;
    for (std::size_t d = 0; d < dimension; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
  };
  const auto farthest = [&](const float* from) {
    std::size_t best = 0;
    float distance = -1;
    for (std::size_t i = 0; i < count; ++i) {
      const float other = squared_distance(from, vectors.data() + i * dimension);
      if (other > distance) {
        distance = other;
        best = i;
      }
    }
    return vectors.data() + best * dimension;
  };
  const float* const one = farthest(vectors.data());
  const float* const other = farthest(one);
  Halves halves;
  halves.means.assign(one, one + dimension);
  halves.means.insert(halves.means.end(), other, other + dimension);
  halves.is_second.resize(count);
  for (std::size_t round = 0; round < kSplitRounds; ++round) {
    std::array<std::size_t, 2> sizes{};
    std::vector<double> sums(2 * dimension);
    for (std::size_t i = 0; i < count; ++i) {
      const float* const vector = vectors.data() + i * dimension;
      halves.is_second[i] =
          squared_distance(vector, halves.means.data() + dimension) < squared_distance(vector, halves.means.data());
      const std::size_t side = halves.is_second[i] ? 1 : 0;
      ++sizes[side];
      for (std::size_t d = 0; d < dimension; ++d) sums[side * dimension + d] += vector[d];
    }
    if (sizes[0] == 0 || sizes[1] == 0) return {};
    for (std::size_t side = 0; side < 2; ++side) {
      double scale = 1.0 / static_cast<double>(sizes[side]);
      if (metric == Metric::kCosine) {
        const auto begin = sums.begin() + static_cast<std::ptrdiff_t>(side * dimension);
        const double squares = std::inner_product(begin, begin + static_cast<std::ptrdiff_t>(dimension), begin, 0.0);
        scale = squares > 0 ? 1.0 / std::sqrt(squares) : 0.0;
      }
      for (std::size_t d = 0; d < dimension; ++d) {
        halves.means[side * dimension + d] = static_cast<float>(sums[side * dimension + d] * scale);
      }
    }
  }
  return halves;
}

}  // namespace

// The next Moment in the making.
class PartitionedIndex::Change {
 public:
  Change(const PartitionedIndex& index, const Moment& from)
      : index_(index), live_(*index.live_), next_(std::make_shared<Moment>(from)) {
    next_->file = nullptr;
  }

  std::optional<std::uint32_t> row_of(std::int64_t id) const {
    const auto found = rows_by_id_.find(id);
    return found == rows_by_id_.end() ? live_.row_of(id) : found->second;
  }

  void add(const CodedRow& coded, std::int64_t id, std::uint32_t partition) {
    const auto row = static_cast<std::uint32_t>(next_->num_rows++);
    own(partition).append(coded, id, row);
    note(row, id, partition);
  }

  void move(const CodedRow& coded, std::int64_t id, std::uint32_t partition) {
    const std::uint32_t row = *row_of(id);
    OwnPartition& from = own(facts_of(row).partition);
    from.erase(from.slot_of(row), index_.padded_);
    own(partition).append(coded, id, row);
    note(row, id, partition);
  }

  // The last row takes the number of the one that goes, so that they stay 0 … N-1.
  void remove(std::int64_t id) {
    const std::uint32_t row = *row_of(id);
    OwnPartition& from = own(facts_of(row).partition);
    from.erase(from.slot_of(row), index_.padded_);
    rows_by_id_[id] = std::nullopt;
    const auto last = static_cast<std::uint32_t>(--next_->num_rows);
    if (row != last) {
      const Facts moved = facts_of(last);
      OwnPartition& partition = own(moved.partition);
      partition.rows[partition.slot_of(last)] = row;
      note(row, moved.id, moved.partition);
    }
    facts_.erase(last);
  }

  // Partitions that have become too large are split; puts what was changed into the next Moment.
  std::shared_ptr<const Moment> finish() {
    const std::size_t largest = largest_partition(next_->num_rows);
    for (auto& [partition, own] : own_) {
      // Rows that are all the same cannot be split: tried again when there are as many more.
      if (own.rows.size() / largest > next_->table[partition].num_rows / largest) split(partition, own);
      next_->table.set(partition, frozen(std::move(own), index_.dimension_, index_.padded_));
    }
    return next_;
  }

  // Brings the directory up to the next Moment. REQUIRES: finish() was called, and nobody reads the directory.
  void bring_up(LiveDirectory& directory) const {
    for (const auto& [id, row] : rows_by_id_) {
      if (!row) directory.forget_id(id);
    }
    for (const auto& [row, facts] : facts_) directory.set(row, facts.id, facts.partition);
    while (directory.size() > next_->num_rows) directory.drop_last_row();
  }

 private:
  struct Facts {
    std::int64_t id;
    std::uint32_t partition;
  };

  Facts facts_of(std::uint32_t row) const {
    const auto found = facts_.find(row);
    return found == facts_.end() ? Facts{live_.id_of(row), live_.partition_of(row)} : found->second;
  }

  void note(std::uint32_t row, std::int64_t id, std::uint32_t partition) {
    facts_[row] = {id, partition};
    rows_by_id_[id] = row;
  }

  OwnPartition& own(std::uint32_t partition) {
    const auto found = own_.find(partition);
    if (found != own_.end()) return found->second;
    return own_.emplace(partition, OwnPartition(next_->table[partition], index_.padded_)).first->second;
  }

  void split(std::uint32_t partition, OwnPartition& own) {
    const Halves halves = halved(own, index_.dimension_, index_.padded_, index_.metric_);
    if (halves.means.empty()) return;
    const auto behind = static_cast<std::uint32_t>(next_->table.size());
    OwnPartition first;
    OwnPartition second;
    for (std::size_t slot = 0; slot < own.rows.size(); ++slot) {
      (halves.is_second[slot] ? second : first).append(own, slot, index_.padded_);
      if (halves.is_second[slot]) note(own.rows[slot], own.ids[slot], behind);
    }
    own = std::move(first);
    next_->table.append(frozen(std::move(second), index_.dimension_, index_.padded_));
    next_->centers = with_split(next_->centers, index_.dimension_, partition, halves.means);
  }

  const PartitionedIndex& index_;
  const LiveDirectory& live_;
  std::shared_ptr<Moment> next_;
  std::map<std::uint32_t, OwnPartition> own_;  // what is changed, by partition
  std::map<std::uint32_t, Facts> facts_;       // by row, in order: new rows come last
  std::unordered_map<std::int64_t, std::optional<std::uint32_t>> rows_by_id_;
};

void PartitionedIndex::go_live() {
  if (live_ != nullptr) return;
  auto live = std::make_unique<LiveDirectory>();
  const auto now = moment();
  live->reserve(now->num_rows);
  // By row, as set() wants them.
  std::vector<std::pair<std::int64_t, std::uint32_t>> facts(now->num_rows);
  for (std::size_t p = 0; p < now->table.size(); ++p) {
    const Partition& rows = now->table[p];
    for (std::size_t slot = 0; slot < rows.num_rows; ++slot) {
      if (rows.rows[slot] >= facts.size()) {
        throw FormatError("Index: its rows are damaged; open it with verify='full'");
      }
      facts[rows.rows[slot]] = {rows.ids[slot], static_cast<std::uint32_t>(p)};
    }
  }
  for (std::size_t row = 0; row < facts.size(); ++row) {
    live->set(static_cast<std::uint32_t>(row), facts[row].first, facts[row].second);
  }
  const std::unique_lock lock(directory_mutex_);
  live_ = live.get();
  directory_ = std::move(live);
}

void PartitionedIndex::publish(Change& change, std::size_t num_changes) {
  const std::shared_ptr<const Moment> next = change.finish();
  {
    const std::unique_lock directory_lock(directory_mutex_);
    change.bring_up(*live_);
    const std::lock_guard lock(moment_mutex_);
    moment_ = next;
  }
  num_changes_ += num_changes;
  if (num_changes_ * kChangesOfRows > next->num_rows) refresh();
}

// Moves the centres to the middle of what lies around them now, and measures again what a recall takes. Never less than
// before: somebody may have measured with queries that need more.
void PartitionedIndex::refresh() {
  num_changes_ = 0;
  auto next = std::make_shared<Moment>(*moment());
  if (next->num_rows == 0) return;
  const std::size_t num_partitions = next->table.size();
  std::vector<float> means(num_partitions * dimension_);
  compute_pool()->parallel_for(num_partitions, 16, [&](std::size_t begin, std::size_t end) {
    std::vector<float> vector(dimension_);
    for (std::size_t p = begin; p < end; ++p) {
      const Partition& rows = next->table[p];
      float* const mean = means.data() + p * dimension_;
      for (std::size_t slot = 0; slot < rows.num_rows; ++slot) {
        decode_row(rows.high + slot * padded_ / 2, rows.low + slot * padded_, rows.steps[slot], dimension_, padded_,
                   vector.data());
        for (std::size_t d = 0; d < dimension_; ++d) mean[d] += vector[d] / static_cast<float>(rows.num_rows);
      }
      // Rows were finite when they came; a file that was opened with the fast check may have been damaged since.
      if (!std::all_of(mean, mean + dimension_, [](float value) { return std::isfinite(value); })) {
        throw FormatError("Index: its rows are damaged; open it with verify='full'");
      }
      if (metric_ != Metric::kCosine) continue;
      const float squares = std::inner_product(mean, mean + dimension_, mean, 0.0F);
      for (std::size_t d = 0; d < dimension_ && squares > 0; ++d) mean[d] /= std::sqrt(squares);
    }
  });
  next->centers = code_centers(means, dimension_);
  const Calibration measured = calibrated(view_of(*next), sampled(*next, dimension_), true);
  Calibration& known = next->calibration;
  for (std::size_t level = 0; level < measured.shares.size(); ++level) {
    known.shares[level] = std::max(known.shares[level], measured.shares[level]);
  }
  known.sketch_reach = std::max(known.sketch_reach, measured.sketch_reach);
  next->file = nullptr;
  const std::lock_guard lock(moment_mutex_);
  moment_ = std::move(next);
}

std::vector<PartitionedIndex::Arrival> PartitionedIndex::arrivals(MatrixView<const float> vectors,
                                                                  std::span<const std::int64_t> ids, const char* where,
                                                                  const Moment& now) const {
  if (vectors.cols != dimension_) {
    throw InvalidArgument(std::string(where) + ": vectors: expected (n, " + std::to_string(dimension_) + "), got (" +
                          std::to_string(vectors.rows) + ", " + std::to_string(vectors.cols) + ")");
  }
  if (ids.size() != vectors.rows) {
    throw InvalidArgument(std::string(where) + ": ids: expected " + std::to_string(vectors.rows) +
                          ", one for each vector, got " + std::to_string(ids.size()));
  }
  check_ids(where, ids);
  const std::string parameter = std::string(where) + ": vectors";
  const std::vector<std::uint32_t> nearest = nearest_centers(now.centers, metric_, coded(vectors, parameter.c_str()));
  std::vector<Arrival> arrivals(vectors.rows);
  compute_pool()->parallel_for(vectors.rows, kRowsPerTask, [&](std::size_t begin, std::size_t end) {
    std::vector<float> vector(dimension_);
    for (std::size_t i = begin; i < end; ++i) {
      admit(vectors.row(i), dimension_, metric_, parameter.c_str(), i, vector.data());
      CodedRow& row = arrivals[i].row;
      row.high.resize(padded_ / 2);
      row.low.resize(padded_);
      row.step = encode_row(vector.data(), dimension_, padded_, row.high.data(), row.low.data());
      row.squared_norm = std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0F);
      arrivals[i].partition = nearest[i];
    }
  });
  return arrivals;
}

void PartitionedIndex::add(MatrixView<const float> vectors, std::span<const std::int64_t> ids) {
  const std::lock_guard writing(writing_);
  go_live();
  const auto now = moment();
  if (vectors.rows > kMaxRows - now->num_rows) {
    throw InvalidArgument("Index.add: vectors: expected fewer than 2^31 rows in all; build several indexes");
  }
  const std::vector<Arrival> arriving = arrivals(vectors, ids, "Index.add", *now);
  Change change(*this, *now);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (change.row_of(ids[i])) {
      throw InvalidArgument("Index.add: ids: expected ids that the index does not hold, got " + std::to_string(ids[i]) +
                            "; use update");
    }
    change.add(arriving[i].row, ids[i], arriving[i].partition);
  }
  publish(change, ids.size());
}

void PartitionedIndex::update(MatrixView<const float> vectors, std::span<const std::int64_t> ids) {
  const std::lock_guard writing(writing_);
  go_live();
  const auto now = moment();
  const std::vector<Arrival> arriving = arrivals(vectors, ids, "Index.update", *now);
  Change change(*this, *now);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!change.row_of(ids[i])) {
      throw NotFound("Index.update: ids: expected ids of the index, got " + std::to_string(ids[i]) + "; use add");
    }
    change.move(arriving[i].row, ids[i], arriving[i].partition);
  }
  publish(change, ids.size());
}

void PartitionedIndex::remove(std::span<const std::int64_t> ids) {
  check_ids("Index.delete", ids);
  const std::lock_guard writing(writing_);
  go_live();
  Change change(*this, *moment());
  for (const std::int64_t id : ids) {
    if (!change.row_of(id)) {
      throw NotFound("Index.delete: ids: expected ids of the index, got " + std::to_string(id));
    }
    change.remove(id);
  }
  publish(change, ids.size());
}

}  // namespace matinee::ann
