#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

// Note [Two-level codes]
// A partitioned index keeps 12 bits of every element in two planes. With the step s = largest |x_i| / 2047.5,
//     x_i = s (256 h_i + l_i - 2047.5) + rounding,   h in 0..15, l in 0..255.
// The high plane, half a byte an element, is what a search reads of every row it meets; l is unknown there, and 127.5
// is its mean, so x_i is taken for 256 s (h_i - 7.5). The low plane is read for the few best rows only. A query is two
// 8-bit planes, q_i = t (d_i + e_i / 254) + rounding: d for the first look, both for the second.
// What remains of the error: about 0.003 of a unit vector's product in the first look, 0.00003 in the second.
namespace matinee::ann {

// Elements are padded to a multiple of this; the padding of a query is zero, so that of a row does not matter.
inline constexpr std::size_t kPlaneAlignment = 128;
// Sums of products of codes stay within 32 bits up to here.
inline constexpr std::size_t kMaxCodedDimension = 16384;
// Steps of a query's second plane in one of its first, and the inverse.
inline constexpr int kSecondSteps = 254;
inline constexpr double kSecondStep = 1.0 / kSecondSteps;

inline std::size_t padded_plane(std::size_t dimension) {
  return (dimension + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment;
}

// Writes a row's planes, `padded / 2` bytes of high (element j in the low half of byte j, element padded / 2 + j in its
// high half) and `padded` bytes of low codes; returns the step.
float encode_row(const float* row, std::size_t count, std::size_t padded, std::uint8_t* high, std::uint8_t* low);
// The inverse, up to rounding.
void decode_row(const std::uint8_t* high, const std::uint8_t* low, float step, std::size_t count, std::size_t padded,
                float* row);

// One row, coded.
struct CodedRow {
  std::vector<std::uint8_t> high;
  std::vector<std::uint8_t> low;
  float step = 0;
  float squared_norm = 0;
};

// The four products of the planes of a row with those of a query.
struct PlaneProducts {
  std::int32_t high_first = 0;
  std::int32_t high_second = 0;
  std::int32_t low_first = 0;
  std::int32_t low_second = 0;
};

// What a query adds to the products of its planes.
struct RefinedQuery {
  double first_middle;  // 2047.5 times the sum of d
  double second_middle;
  float scale;
  float squared_norm;

  // x.q from all that is known of both.
  float product(const PlaneProducts& products, float step) const {
    const double in_first = 256.0 * products.high_first + products.low_first - first_middle;
    const double in_second = 256.0 * products.high_second + products.low_second - second_middle;
    return static_cast<float>((in_first + in_second * kSecondStep) * step * scale);
  }
};

// The score of a row from both planes; one that is no number, as a damaged file may give, comes last.
inline float refined_score(const RefinedQuery& query, const PlaneProducts& products, float step,
                           const float* squared_norm) {
  float score = query.product(products, step);
  if (squared_norm != nullptr) score = std::min(2 * score - *squared_norm - query.squared_norm, 0.0F);
  return std::isnan(score) ? -std::numeric_limits<float>::infinity() : score;
}

// Many queries, ready to be compared with rows.
struct TwoLevelQueries {
  TwoLevelQueries() = default;
  TwoLevelQueries(std::size_t num_queries, std::size_t padded_);

  void encode(std::size_t index, const float* query, std::size_t count);
  std::size_t size() const { return scales.size(); }
  RefinedQuery refined(std::size_t query) const;

  std::size_t padded = 0;
  std::vector<std::int8_t> first;         // (Q, padded): d
  std::vector<std::int8_t> second;        // (Q, padded): e
  std::vector<float> scales;              // (Q,): t
  std::vector<std::int32_t> first_sums;   // (Q,): sums of d
  std::vector<std::int32_t> second_sums;  // (Q,): sums of e
  std::vector<float> first_norms;         // (Q,): length of d
  std::vector<float> squared_norms;       // (Q,)
};

}  // namespace matinee::ann
