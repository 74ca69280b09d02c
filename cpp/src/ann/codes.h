#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ann/kernels.h"

// Note [Exact from codes]
// A row x is kept as scale * c, c of 8-bit codes, and what that leaves out, e = x - scale * c, is known at build time.
// So is f = q - s * d for a query q. The product of the codes then misses the true one by no more than
//     |x.q - scale * s * c.d| = |(scale * c).f + e.q| <= |scale * c| |f| + |e| |q|        (Cauchy-Schwarz)
// which turns each integer product into an interval that holds the exact score. The k-th best lower end is a score that
// k rows reach; a row whose upper end lies below it cannot be among the k best, whatever its true score. All others are
// re-scored from their float32 vectors. Nothing here is a matter of luck or tuning: a coarse code costs time only.
// Rounding: norms are kept in float32 and the intervals are made in float32, so both ends carry the slack derived at
// bound_scores(). Scores are compared as the float32 they are reported as, and rounding is monotone, so "below"
// survives it; rows that are equal there are ordered by row.
namespace matinee::ann {

// What is known of a row besides its codes; all three are rounded so that the bounds stay bounds.
struct RowFacts {
  float scale = 0;       // value of one code step
  float norm = 0;        // |x|, to nearest
  float error_norm = 0;  // |x - scale * c|, not below the truth
};

// Writes the codes of one row, 128 above their value, and the code of 0 up to `padded`.
RowFacts quantize_row(const float* row, std::size_t count, std::uint8_t* codes, std::size_t padded);

// The facts of many rows, column by column, from some row on.
struct RowFactsView {
  const float* scale = nullptr;
  const float* norm = nullptr;
  const float* error_norm = nullptr;
};

// A query as the first pass sees it.
struct QueryFacts {
  float scale = 0;
  float norm = 0;          // |q|, not below the truth
  float norm_squared = 0;  // to nearest
  float error_norm = 0;    // |q - scale * d|, not below the truth
  std::int32_t code_sum = 0;
};
QueryFacts quantize_query(const float* query, std::size_t count, std::int8_t* codes, std::size_t padded);

// Turns `count` integer products of one query into intervals that hold the exact scores: inner products, or negative
// squared distances where `l2`.
void bound_scores(const RowFactsView& rows, const QueryFacts& query, const std::int32_t* dots, std::size_t count,
                  bool l2, float* lower, float* upper);

}  // namespace matinee::ann
