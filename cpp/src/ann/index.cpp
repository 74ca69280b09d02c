#include "matinee/ann/index.h"

#include <array>
#include <bit>
#include <string>

#include "ann/exact_index.h"
#include "ann/index_file.h"
#include "ann/partitioned_index.h"
#include "ann/two_level_codes.h"
#include "matinee/core/error.h"

namespace matinee {
namespace {

constexpr std::array<std::string_view, 3> kMetrics = {"cosine", "inner_product", "l2"};
constexpr std::array<std::string_view, 2> kKinds = {"exact", "partitioned"};
// Elements from which on comparing every row takes milliseconds.
constexpr std::size_t kLargeIndex = std::size_t{20000} * 384;

}  // namespace

std::string_view metric_name(Metric metric) { return kMetrics.at(static_cast<std::size_t>(metric)); }

Metric metric_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kMetrics.size(); ++i) {
    if (kMetrics[i] == name) return static_cast<Metric>(i);
  }
  throw InvalidArgument("metric: expected cosine, inner_product or l2, got '" + std::string(name) + "'");
}

std::string_view kind_name(IndexKind kind) { return kKinds.at(static_cast<std::size_t>(kind) - 1); }

IndexKind kind_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (kKinds[i] == name) return static_cast<IndexKind>(i + 1);
  }
  throw InvalidArgument("kind: expected exact or partitioned, got '" + std::string(name) + "'");
}

IndexKind default_kind(std::size_t num_rows, std::size_t dimension) {
  return num_rows * dimension >= kLargeIndex && dimension <= ann::kMaxCodedDimension ? IndexKind::kPartitioned
                                                                                     : IndexKind::kExact;
}

Verify verify_from_name(std::string_view name) {
  if (name == "fast") return Verify::kFast;
  if (name == "full") return Verify::kFull;
  throw InvalidArgument("verify: expected fast or full, got '" + std::string(name) + "'");
}

RowFilter::RowFilter(std::size_t num_rows) : words_((num_rows + 63) / 64), num_rows_(num_rows) {}

RowFilter RowFilter::from_mask(std::span<const std::uint8_t> mask) {
  RowFilter filter(mask.size());
  for (std::size_t row = 0; row < mask.size(); ++row) {
    if (mask[row] != 0) filter.allow(row);
  }
  return filter;
}

void RowFilter::allow(std::size_t row) {
  const std::uint64_t bit = std::uint64_t{1} << (row % 64);
  if ((words_[row / 64] & bit) == 0) ++num_allowed_;
  words_[row / 64] |= bit;
}

std::vector<std::uint32_t> RowFilter::rows() const {
  std::vector<std::uint32_t> rows;
  rows.reserve(num_allowed_);
  for (std::size_t word = 0; word < words_.size(); ++word) {
    for (std::uint64_t bits = words_[word]; bits != 0; bits &= bits - 1) {
      rows.push_back(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
  }
  return rows;
}

bool RowFilter::allows_any(std::size_t begin, std::size_t end) const {
  for (std::size_t row = begin; row < end;) {
    if (row % 64 == 0 && row + 64 <= end) {
      if (words_[row / 64] != 0) return true;
      row += 64;
    } else if (allows(row++)) {
      return true;
    }
  }
  return false;
}

std::unique_ptr<Index> Index::build(MatrixView<const float> vectors, std::span<const std::int64_t> ids,
                                    const IndexOptions& options) {
  if (options.kind == IndexKind::kPartitioned) return ann::PartitionedIndex::build(vectors, ids, options);
  return ann::ExactIndex::build(vectors, ids, options);
}

std::unique_ptr<Index> Index::open(const std::filesystem::path& path, Verify verify) {
  ann::IndexFile file = ann::IndexFile::open(path, verify);
  if (file.shape().kind == IndexKind::kPartitioned) return ann::PartitionedIndex::open(std::move(file), path, verify);
  return ann::ExactIndex::open(std::move(file), path, verify);
}

}  // namespace matinee
