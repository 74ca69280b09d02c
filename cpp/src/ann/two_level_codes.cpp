#include "ann/two_level_codes.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace matinee::ann {
namespace {

constexpr float kMiddle = 2047.5F;
constexpr int kLargestQueryCode = 127;
constexpr std::size_t kLanes = 8;  // sums side by side, which a compiler may not make of one sum

// Note [Loops for vectors]: a query is coded in some hundred nanoseconds because compilers turn these loops into vector
// instructions of any level: nothing is called, nothing is skipped, and no float is added to the one before.

// The largest |value|: floats without their sign are in the order of their bits.
float largest_of(const float* values, std::size_t count) {
  std::int32_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::bit_cast<std::int32_t>(values[i]) & std::int32_t{0x7FFFFFFF});
  }
  return std::bit_cast<float>(largest);
}

// The nearest whole number, the even one of two. REQUIRES: |value| < 2^22.
inline float nearest_whole(float value) {
  constexpr float kShift = 12582912;  // 1.5 * 2^23, where floats are whole numbers
  return (value + kShift) - kShift;
}

float squares_of(const float* values, std::size_t count) {
  float sums[kLanes] = {};
  const std::size_t whole = count / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += values[i + lane] * values[i + lane];
  }
  for (std::size_t i = whole; i < count; ++i) sums[i - whole] += values[i] * values[i];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

}  // namespace

float encode_row(const float* row, std::size_t count, std::size_t padded, std::uint8_t* high, std::uint8_t* low) {
  const float step = largest_of(row, count) / kMiddle;
  // A step may be too small to divide by: such a row is taken for zero.
  const float steps_per_unit = step > 0 && std::isfinite(1 / step) ? 1 / step : 0;
  const std::size_t half = padded / 2;
  std::fill(high, high + half, std::uint8_t{0});
  std::fill(low + count, low + padded, std::uint8_t{0});
  const auto code_of = [&](std::size_t i) {
    const float value = steps_per_unit > 0 ? row[i] * steps_per_unit : 0;
    const float position = std::clamp(nearest_whole(value + kMiddle), 0.0F, 4095.0F);
    return static_cast<unsigned>(static_cast<int>(position));
  };
  for (std::size_t i = 0; i < count; ++i) low[i] = static_cast<std::uint8_t>(code_of(i) & 0xFF);
  for (std::size_t i = 0; i < std::min(count, half); ++i) high[i] = static_cast<std::uint8_t>(code_of(i) >> 8);
  for (std::size_t i = half; i < count; ++i) {
    high[i - half] = static_cast<std::uint8_t>(high[i - half] | code_of(i) >> 8 << 4);
  }
  return steps_per_unit > 0 ? step : 0;
}

void decode_row(const std::uint8_t* high, const std::uint8_t* low, float step, std::size_t count, std::size_t padded,
                float* row) {
  const std::size_t half = padded / 2;
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned nibble = i < half ? high[i] & 0xFU : high[i - half] >> 4U;
    row[i] = step * (static_cast<float>(nibble * 256 + low[i]) - kMiddle);
  }
}

TwoLevelQueries::TwoLevelQueries(std::size_t num_queries, std::size_t padded_)
    : padded(padded_),
      first(num_queries * padded_),
      second(num_queries * padded_),
      scales(num_queries),
      first_sums(num_queries),
      second_sums(num_queries),
      first_norms(num_queries),
      squared_norms(num_queries) {}

void TwoLevelQueries::encode(std::size_t index, const float* query, std::size_t count) {
  const float scale = largest_of(query, count) / static_cast<float>(kLargestQueryCode);
  const float per_unit = scale > 0 && std::isfinite(1 / scale) ? 1 / scale : 0;
  std::int8_t* const d = first.data() + index * padded;
  std::int8_t* const e = second.data() + index * padded;
  std::int32_t d_sum = 0;
  std::int32_t e_sum = 0;
  std::int32_t d_squares = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float position = per_unit > 0 ? query[i] * per_unit : 0;
    const float nearest = nearest_whole(position);
    // Within -127 … 127 both: the largest value is 127 scales, up to rounding, and the rest of any half a scale.
    const auto whole = static_cast<std::int32_t>(nearest);
    const auto rest = static_cast<std::int32_t>(nearest_whole((position - nearest) * kSecondSteps));
    d[i] = static_cast<std::int8_t>(whole);
    e[i] = static_cast<std::int8_t>(rest);
    d_sum += whole;
    e_sum += rest;
    d_squares += whole * whole;
  }
  scales[index] = per_unit > 0 ? scale : 0;
  first_sums[index] = d_sum;
  second_sums[index] = e_sum;
  first_norms[index] = std::sqrt(static_cast<float>(d_squares));
  squared_norms[index] = squares_of(query, count);
}

RefinedQuery TwoLevelQueries::refined(std::size_t query) const {
  return {double{kMiddle} * first_sums[query], double{kMiddle} * second_sums[query], scales[query],
          squared_norms[query]};
}

}  // namespace matinee::ann
