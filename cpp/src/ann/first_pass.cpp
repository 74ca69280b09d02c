#include "ann/first_pass.h"

#include <algorithm>
#include <array>
#include <functional>

namespace matinee::ann {
namespace {

constexpr std::size_t kRowsPerBlock = 128;  // their codes and products stay in the first-level cache

const RowFilter* filter_of_query(std::span<const RowFilter> filters, std::size_t query) {
  if (filters.empty()) return nullptr;
  return filters.size() == 1 ? filters.data() : &filters[query];
}

}  // namespace

ExactSections exact_sections(const IndexFile& file) {
  return {file.shape().num_rows,
          file.shape().dimension,
          file.shape().metric,
          file.section<std::int64_t>(SectionName::kIds),
          file.section<std::uint32_t>(SectionName::kRowsById),
          file.section<float>(SectionName::kVectors),
          file.section<std::uint8_t>(SectionName::kCodes),
          file.section<float>(SectionName::kScales),
          file.section<float>(SectionName::kNorms),
          file.section<float>(SectionName::kErrorNorms)};
}

void Survivors::add(std::size_t first, std::size_t count, const float* lower, const float* upper,
                    const RowFilter* filter) {
  for (std::size_t r = 0; r < count; ++r) {
    if (upper[r] < threshold_) continue;
    if (filter != nullptr && !filter->allows(first + r)) continue;
    kept_.push_back({upper[r], static_cast<std::uint32_t>(first + r)});
    raise_threshold(lower[r]);
  }
  if (kept_.size() >= drop_at_) drop_beaten();
}

void Survivors::merge(const Survivors& other) {
  for (const float lower : other.lowers_) raise_threshold(lower);
  kept_.insert(kept_.end(), other.kept_.begin(), other.kept_.end());
}

std::vector<ScoredRow> Survivors::take() {
  drop_beaten();
  return std::move(kept_);
}

void Survivors::raise_threshold(float lower) {
  if (lowers_.size() == k_) {
    if (!(lower > lowers_.front())) return;
    std::pop_heap(lowers_.begin(), lowers_.end(), std::greater<>());
    lowers_.back() = lower;
  } else {
    lowers_.push_back(lower);
  }
  std::push_heap(lowers_.begin(), lowers_.end(), std::greater<>());
  if (lowers_.size() == k_) threshold_ = lowers_.front();
}

void Survivors::drop_beaten() {
  const auto beaten = [this](const ScoredRow& row) { return row.score < threshold_; };
  kept_.erase(std::remove_if(kept_.begin(), kept_.end(), beaten), kept_.end());
  drop_at_ = std::max<std::size_t>(4096, 2 * kept_.size());
}

void scan_codes(const ExactSections& index, const CodedQueries& queries, std::size_t first_query, std::size_t begin,
                std::size_t end, std::span<const RowFilter> filters, std::span<Survivors> survivors) {
  const Kernels& kernels = kernels_for(isa_level());
  std::vector<std::int32_t> dots(survivors.size() * kRowsPerBlock);
  std::array<float, kRowsPerBlock> lower{};
  std::array<float, kRowsPerBlock> upper{};
  CodeBlock block;
  block.row_stride = queries.padded;
  block.queries = queries.codes.data() + first_query * queries.padded;
  block.query_stride = queries.padded;
  block.num_queries = survivors.size();
  block.query_sums = queries.sums.data() + first_query;
  block.count = queries.padded;
  for (std::size_t first = begin; first < end; first += kRowsPerBlock) {
    const std::size_t count = std::min(kRowsPerBlock, end - first);
    if (filters.size() == 1 && !filters[0].allows_any(first, first + count)) continue;
    block.rows = index.codes.data() + first * queries.padded;
    block.num_rows = count;
    kernels.dot_codes(block, dots.data());
    const RowFactsView facts = {index.scales.data() + first, index.norms.data() + first,
                                index.error_norms.data() + first};
    for (std::size_t q = 0; q < survivors.size(); ++q) {
      bound_scores(facts, queries.facts[first_query + q], dots.data() + q * count, count, index.metric == Metric::kL2,
                   lower.data(), upper.data());
      survivors[q].add(first, count, lower.data(), upper.data(), filter_of_query(filters, first_query + q));
    }
  }
}

}  // namespace matinee::ann
