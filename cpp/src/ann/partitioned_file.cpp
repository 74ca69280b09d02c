#include <algorithm>
#include <numeric>

#include "ann/partitioned_file.h"
#include "ann/partitioned_index.h"
#include "ann/sketches.h"
#include "matinee/core/thread_pool.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kPartitionsPerTask = 16;

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
  if (file.shape().version < kSketchedSince) return;
  const auto reach = file.section<float>(SectionName::kSketchReach);
  if (!(reach[0] >= 0 && reach[0] <= kLargestSketchReach)) IndexFile::refuse(path, "its calibration is damaged");
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

// A file of a version before sketches, with them. Its codes are read once; saving it writes the new version.
IndexFile with_sketches(const IndexFile& old) {
  FileShape shape = old.shape();
  shape.version = kFormatVersion;
  IndexFile file = IndexFile::make(shape);
  for (auto name = static_cast<std::uint32_t>(SectionName::kSlotIds);
       name <= static_cast<std::uint32_t>(SectionName::kProbeShares); ++name) {
    const auto from = old.section<std::uint8_t>(static_cast<SectionName>(name));
    std::copy(from.begin(), from.end(), file.section<std::uint8_t>(static_cast<SectionName>(name)).begin());
  }
  file.section<float>(SectionName::kSketchReach)[0] = kUsualSketchReach;
  fill_sketches(file);
  return file;
}

}  // namespace

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

void fill_calibration(const IndexFile& file, const Calibration& calibration) {
  std::copy(calibration.shares.begin(), calibration.shares.end(),
            file.section<float>(SectionName::kProbeShares).begin());
  file.section<float>(SectionName::kSketchReach)[0] = calibration.sketch_reach;
}

void fill_sketches(const IndexFile& file) {
  const std::vector<Partition> partitions = partitions_of(std::make_shared<const IndexFile>(file));
  const std::size_t padded = padded_plane(file.shape().dimension);
  const auto tiles = file.section<std::uint8_t>(SectionName::kSketches);
  const auto factors = file.section<float>(SectionName::kSketchFactors);
  const auto ends = file.section<std::uint32_t>(SectionName::kPartitionEnds);
  compute_pool()->parallel_for(partitions.size(), kPartitionsPerTask, [&](std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p) {
      make_sketches(partitions[p], file.shape().dimension, padded,
                    tiles.data() + first_sketch_tile(ends[p], p) * sketch_tile_bytes(padded), factors.data() + ends[p]);
    }
  });
}

std::vector<Partition> partitions_of(const std::shared_ptr<const IndexFile>& file) {
  const std::size_t padded = padded_plane(file->shape().dimension);
  const auto ends = file->section<std::uint32_t>(SectionName::kPartitionEnds);
  const auto high = file->section<std::uint8_t>(SectionName::kHigh);
  const auto low = file->section<std::uint8_t>(SectionName::kLow);
  const auto steps = file->section<float>(SectionName::kSteps);
  const auto norms = file->section<float>(SectionName::kSquaredNorms);
  const auto ids = file->section<std::int64_t>(SectionName::kSlotIds);
  const auto rows = file->section<std::uint32_t>(SectionName::kSlotRows);
  const auto sketches = file->section<std::uint8_t>(SectionName::kSketches);
  const auto factors = file->section<float>(SectionName::kSketchFactors);
  std::vector<Partition> partitions;
  partitions.reserve(ends.size() - 1);
  for (std::size_t p = 0; p + 1 < ends.size(); ++p) {
    const std::size_t at = ends[p];
    partitions.push_back({ends[p + 1] - at, high.data() + at * padded / 2, low.data() + at * padded, steps.data() + at,
                          norms.data() + at, ids.data() + at, rows.data() + at,
                          sketches.data() + first_sketch_tile(at, p) * sketch_tile_bytes(padded), factors.data() + at,
                          file});
  }
  return partitions;
}

PartitionedIndex::PartitionedIndex(IndexFile file)
    : dimension_(file.shape().dimension), padded_(padded_plane(dimension_)), metric_(file.shape().metric) {
  auto shared = std::make_shared<const IndexFile>(std::move(file));
  moment_ = moment_of(shared);
  directory_ = std::make_unique<FiledDirectory>(shared);
}

std::shared_ptr<const PartitionedIndex::Moment> PartitionedIndex::moment_of(std::shared_ptr<const IndexFile> file) {
  auto moment = std::make_shared<Moment>();
  moment->table = PartitionTable(partitions_of(file));
  moment->centers = {file->shape().num_partitions, file->section<std::uint8_t>(SectionName::kCenterHigh),
                     file->section<float>(SectionName::kCenterSteps), file->section<float>(SectionName::kCenterNorms),
                     file};
  moment->num_rows = file->shape().num_rows;
  const auto shares = file->section<float>(SectionName::kProbeShares);
  std::copy(shares.begin(), shares.end(), moment->calibration.shares.begin());
  moment->calibration.sketch_reach = file->section<float>(SectionName::kSketchReach)[0];
  moment->file = std::move(file);
  return moment;
}

std::unique_ptr<PartitionedIndex> PartitionedIndex::open(IndexFile file, const std::filesystem::path& path,
                                                         Verify verify) {
  check_partitions(file, path);
  if (verify == Verify::kFull) check_orders(file, path);
  if (file.shape().version < kSketchedSince) file = with_sketches(file);
  return std::unique_ptr<PartitionedIndex>(new PartitionedIndex(std::move(file)));
}

IndexFile PartitionedIndex::assembled(const Moment& moment) const {
  IndexFile file =
      IndexFile::make({IndexKind::kPartitioned, metric_, moment.num_rows, dimension_, moment.table.size()});
  fill_centers(file, moment.centers);
  fill_calibration(file, moment.calibration);
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
  fill_sketches(file);
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
