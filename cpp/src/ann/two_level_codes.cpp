#include "ann/two_level_codes.h"

#include <algorithm>
#include <cmath>

namespace matinee::ann {
namespace {

constexpr float kMiddle = 2047.5F;
constexpr int kLargestQueryCode = 127;
constexpr double kSecondSteps = 254;  // of the second plane in one of the first

float largest_of(const float* values, std::size_t count) {
  float largest = 0;
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(values[i]));
  return largest;
}

}  // namespace

float encode_row(const float* row, std::size_t count, std::size_t padded, std::uint8_t* high, std::uint8_t* low) {
  const float step = largest_of(row, count) / kMiddle;
  // A step may be too small to divide by: such a row is taken for zero.
  const float steps_per_unit = step > 0 && std::isfinite(1 / step) ? 1 / step : 0;
  const std::size_t half = padded / 2;
  std::fill(high, high + half, std::uint8_t{0});
  std::fill(low + count, low + padded, std::uint8_t{0});
  for (std::size_t i = 0; i < count; ++i) {
    const float position = std::clamp(std::nearbyint(row[i] * steps_per_unit + kMiddle), 0.0F, 4095.0F);
    const auto code = static_cast<unsigned>(position);
    low[i] = static_cast<std::uint8_t>(code & 0xFF);
    high[i % half] = static_cast<std::uint8_t>(high[i % half] | (code >> 8) << (i < half ? 0 : 4));
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
  std::int64_t d_squares = 0;
  float squares = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float position = query[i] * per_unit;
    const float nearest = std::nearbyint(position);
    const auto rest = static_cast<int>(std::nearbyint((position - nearest) * static_cast<float>(kSecondSteps)));
    const int whole = std::clamp(static_cast<int>(nearest), -kLargestQueryCode, kLargestQueryCode);
    d[i] = static_cast<std::int8_t>(whole);
    e[i] = static_cast<std::int8_t>(std::clamp(rest, -kLargestQueryCode, kLargestQueryCode));
    d_sum += d[i];
    e_sum += e[i];
    d_squares += std::int64_t{d[i]} * d[i];
    squares += query[i] * query[i];
  }
  scales[index] = per_unit > 0 ? scale : 0;
  first_sums[index] = d_sum;
  second_sums[index] = e_sum;
  first_norms[index] = std::sqrt(static_cast<float>(d_squares));
  squared_norms[index] = squares;
}

float refined_product(const TwoLevelQueries& queries, std::size_t query, float step, const PlaneProducts& products) {
  const auto plane = [](std::int32_t high, std::int32_t low, std::int32_t sum) {
    return 256.0 * high + low - double{kMiddle} * sum;
  };
  const double steps = plane(products.high_first, products.low_first, queries.first_sums[query]) +
                       plane(products.high_second, products.low_second, queries.second_sums[query]) / kSecondSteps;
  return static_cast<float>(steps * step * queries.scales[query]);
}

}  // namespace matinee::ann
