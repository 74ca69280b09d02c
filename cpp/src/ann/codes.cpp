#include "ann/codes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace matinee::ann {
namespace {

// The next float up, so that a value rounded to float is not below what was meant.
float rounded_up(double value) {
  return std::nextafter(static_cast<float>(value), std::numeric_limits<float>::infinity());
}

struct Quantized {
  float scale = 0;
  double squared_norm = 0;
  double squared_error = 0;
};

// Calls store(i, code) for each element. The error is measured on the codes that are stored, whatever rounding did.
template <typename Store>
Quantized quantize(const float* values, std::size_t count, Store store) {
  float largest = 0;
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(values[i]));
  Quantized result;
  result.scale = largest / static_cast<float>(kMaxCode);
  const double steps_per_unit = result.scale > 0 ? 1.0 / static_cast<double>(result.scale) : 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(values[i]);
    const double step = std::clamp(std::nearbyint(value * steps_per_unit), -double{kMaxCode}, double{kMaxCode});
    const double error = value - static_cast<double>(result.scale) * step;
    result.squared_norm += value * value;
    result.squared_error += error * error;
    store(i, static_cast<int>(step));
  }
  return result;
}

}  // namespace

RowFacts quantize_row(const float* row, std::size_t count, std::uint8_t* codes, std::size_t padded) {
  const Quantized q =
      quantize(row, count, [&](std::size_t i, int code) { codes[i] = static_cast<std::uint8_t>(code + kCodeOffset); });
  std::fill(codes + count, codes + padded, static_cast<std::uint8_t>(kCodeOffset));
  return {q.scale, static_cast<float>(std::sqrt(q.squared_norm)), rounded_up(std::sqrt(q.squared_error))};
}

QueryFacts quantize_query(const float* query, std::size_t count, std::int8_t* codes, std::size_t padded) {
  QueryFacts facts;
  const Quantized q = quantize(query, count, [&](std::size_t i, int code) {
    codes[i] = static_cast<std::int8_t>(code);
    facts.code_sum += code;
  });
  std::fill(codes + count, codes + padded, std::int8_t{0});
  facts.scale = q.scale;
  facts.norm = rounded_up(std::sqrt(q.squared_norm));
  facts.norm_squared = static_cast<float>(q.squared_norm);
  facts.error_norm = rounded_up(std::sqrt(q.squared_error));
  return facts;
}

// The slack. With u = 2^-24, the unit of float32 rounding, and |scale * c| <= |x| + |e|, |s * d| <= 2 |q|:
//   the estimate is rounded three times: 3u (|x| + |e|) 2|q|;
//   |x| itself is within u, the sum of estimate and error is rounded once more, relative to both;
//   the exact score is a sum of D <= 2^16 doubles, off by at most 2^-37 |x| |q|.
// Together below 2^-20 (|x| + |e|) |q|, beside a factor of 1 + 2^-20 on the error itself. Under l2 the terms are of the
// size of |x|^2 + |q|^2 >= 2 |x.q| and rounded a few times each: 2^-20 of that sum covers them. Where values are so
// small that float32 rounds by absolute steps (2^-149), the smallest normal number covers those.
void bound_scores(const RowFactsView& rows, const QueryFacts& query, const std::int32_t* dots, std::size_t count,
                  bool l2, float* lower, float* upper) {
  constexpr float kSlack = 0x1p-20F;
  const float of_norm = (query.error_norm + kSlack * query.norm) * (1 + kSlack);
  const float of_error = of_norm + query.norm * (1 + kSlack);
  for (std::size_t r = 0; r < count; ++r) {
    const float estimate = rows.scale[r] * static_cast<float>(dots[r]) * query.scale;
    const float error = rows.norm[r] * of_norm + rows.error_norm[r] * of_error + std::numeric_limits<float>::min();
    lower[r] = estimate - error;
    upper[r] = estimate + error;
  }
  if (!l2) return;
  for (std::size_t r = 0; r < count; ++r) {
    const float squares = rows.norm[r] * rows.norm[r] + query.norm_squared;
    lower[r] = 2 * lower[r] - squares * (1 + kSlack);
    upper[r] = 2 * upper[r] - squares * (1 - kSlack);
  }
}

}  // namespace matinee::ann
