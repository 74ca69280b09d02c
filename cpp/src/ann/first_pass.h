#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "ann/codes.h"
#include "ann/index_file.h"
#include "ann/top_rows.h"
#include "matinee/ann/index.h"

namespace matinee::ann {

// The sections of an exact index, wherever they lie.
struct ExactSections {
  std::size_t num_rows = 0;
  std::size_t dimension = 0;
  Metric metric = Metric::kCosine;
  std::span<std::int64_t> ids;
  std::span<std::uint32_t> rows_by_id;
  std::span<float> vectors;
  std::span<std::uint8_t> codes;
  std::span<float> scales;
  std::span<float> norms;
  std::span<float> error_norms;
};
ExactSections exact_sections(const IndexFile& file);

// The rows of one query that the codes cannot rule out (Note [Exact from codes]).
class Survivors {
 public:
  explicit Survivors(std::size_t k) : k_(k) {}

  // Takes `count` rows from `first` on, with their intervals; rows that `filter` (may be null) forbids are passed over.
  void add(std::size_t first, std::size_t count, const float* lower, const float* upper, const RowFilter* filter);
  // Takes over those of another part of the rows.
  void merge(const Survivors& other);
  // Rows with the upper ends of their intervals, in no order.
  std::vector<ScoredRow> take();

 private:
  void raise_threshold(float lower);
  void drop_beaten();

  std::size_t k_;
  std::vector<float> lowers_;  // the k highest lower ends, as a heap whose front is the lowest
  float threshold_ = -std::numeric_limits<float>::infinity();  // a score that k rows reach
  std::vector<ScoredRow> kept_;
  std::size_t drop_at_ = 4096;  // tidy up when so many are kept
};

// The queries of one call, ready for the first pass.
struct CodedQueries {
  std::size_t padded = 0;          // bytes of one query's codes
  std::vector<float> vectors;      // (Q, D), normalised under cosine
  std::vector<std::int8_t> codes;  // (Q, padded)
  std::vector<std::int32_t> sums;  // (Q,)
  std::vector<QueryFacts> facts;   // (Q,)
};

// Runs queries [first_query, first_query + survivors.size()) over rows [begin, end). `filters` as in SearchOptions.
void scan_codes(const ExactSections& index, const CodedQueries& queries, std::size_t first_query, std::size_t begin,
                std::size_t end, std::span<const RowFilter> filters, std::span<Survivors> survivors);

}  // namespace matinee::ann
