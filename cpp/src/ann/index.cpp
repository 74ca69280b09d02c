#include "matinee/ann/index.h"

#include <array>
#include <string>

#include "ann/exact_index.h"
#include "ann/index_file.h"
#include "matinee/core/error.h"

namespace matinee {
namespace {

constexpr std::array<std::string_view, 3> kMetrics = {"cosine", "inner_product", "l2"};

}  // namespace

std::string_view metric_name(Metric metric) { return kMetrics.at(static_cast<std::size_t>(metric)); }

Metric metric_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kMetrics.size(); ++i) {
    if (kMetrics[i] == name) return static_cast<Metric>(i);
  }
  throw InvalidArgument("metric: expected cosine, inner_product or l2, got '" + std::string(name) + "'");
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
  return ann::ExactIndex::build(vectors, ids, options);
}

std::unique_ptr<Index> Index::open(const std::filesystem::path& path, Verify verify) {
  return std::make_unique<ann::ExactIndex>(ann::IndexFile::open(path, verify));
}

}  // namespace matinee
