#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "ann/admission.h"
#include "ann/partitioned_file.h"
#include "ann/partitioned_index.h"
#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kRowsPerTask = 256;
constexpr std::size_t kRowsPerSlice = 16384;  // bounds the memory of coded rows
constexpr std::size_t kCalibrationQueries = 256;

// Sizes that searched fastest at one recall where they were measured, from 20 thousand to a million rows.
std::size_t default_partitions(std::size_t num_rows) {
  const auto by_root = static_cast<std::size_t>(7 * std::sqrt(static_cast<double>(num_rows)));
  return std::max<std::size_t>(1, std::min(by_root, num_rows / 16));
}

}  // namespace

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
  fill_sketches(file);
  const std::shared_ptr<const Moment> moment = moment_of(std::make_shared<const IndexFile>(file));
  const PartitionedView view{moment->table, moment->centers, num_rows, padded, options.metric};
  fill_calibration(file, calibrated(view, sampled(*moment, dimension), true));
  return std::unique_ptr<PartitionedIndex>(new PartitionedIndex(std::move(file)));
}

}  // namespace matinee::ann
