#include "ann/codes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "ann/kernels.h"

namespace matinee::ann {
namespace {

using Vector = std::vector<float>;

struct Interval {
  float lower;
  float upper;
};

// The interval that the codes of `row` and `query` give.
Interval interval_of(const Vector& row, const Vector& query, bool l2) {
  const std::size_t count = row.size();
  const std::size_t padded = (count + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment;
  std::vector<std::uint8_t> row_codes(padded);
  std::vector<std::int8_t> query_codes(padded);
  const RowFacts row_facts = quantize_row(row.data(), count, row_codes.data(), padded);
  const QueryFacts query_facts = quantize_query(query.data(), count, query_codes.data(), padded);
  std::int32_t product = 0;
  kernels_for(IsaLevel::kScalar)
      .dot_codes({row_codes.data(), padded, 1, query_codes.data(), padded, 1, &query_facts.code_sum, padded}, &product);
  Interval interval{};
  bound_scores({&row_facts.scale, &row_facts.norm, &row_facts.error_norm}, query_facts, &product, 1, l2,
               &interval.lower, &interval.upper);
  return interval;
}

float exact_score(const Vector& row, const Vector& query, bool l2) {
  const Kernels& kernels = kernels_for(IsaLevel::kScalar);
  return static_cast<float>(l2 ? -kernels.squared_distance(row.data(), query.data(), row.size())
                               : kernels.dot(row.data(), query.data(), row.size()));
}

// Vectors of many kinds: plain, sparse, one huge value among small ones, constant, tiny, enormous, denormal, zero.
Vector made(std::size_t kind, std::size_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  Vector vector(count);
  for (std::size_t i = 0; i < count; ++i) {
    switch (kind) {
      case 0:
        vector[i] = normal(random);
        break;
      case 1:
        vector[i] = random() % 16 == 0 ? normal(random) : 0.0F;
        break;
      case 2:
        vector[i] = i == count / 2 ? 1e6F : normal(random);
        break;
      case 3:
        vector[i] = 0.25F;
        break;
      case 4:
        vector[i] = normal(random) * 1e-30F;
        break;
      case 5:
        vector[i] = normal(random) * 1e16F;
        break;
      case 6:
        vector[i] = normal(random) * 1e-42F;
        break;
      case 7:
        vector[i] = std::exp2(static_cast<float>(static_cast<int>(random() % 40) - 20)) * (random() % 2 == 0 ? 1 : -1);
        break;
      default:
        vector[i] = 0.0F;
    }
  }
  return vector;
}

TEST(BoundScores, EveryIntervalHoldsTheExactScore) {
  std::mt19937 random(3);
  for (int round = 0; round < 40; ++round) {
    for (std::size_t row_kind = 0; row_kind < 9; ++row_kind) {
      for (std::size_t query_kind = 0; query_kind < 9; ++query_kind) {
        const std::size_t count = 1 + random() % 200;
        const Vector row = made(row_kind, count, random);
        const Vector query = made(query_kind, count, random);
        for (const bool l2 : {false, true}) {
          const Interval interval = interval_of(row, query, l2);
          const float exact = exact_score(row, query, l2);
          ASSERT_LE(interval.lower, exact) << row_kind << ' ' << query_kind << ' ' << l2;
          ASSERT_GE(interval.upper, exact) << row_kind << ' ' << query_kind << ' ' << l2;
        }
      }
    }
  }
}

// The worst case of the bound: the error of the row's codes points along the query. A bound without that term fails.
TEST(BoundScores, HoldsWhereTheErrorOfTheCodesPointsAlongTheQuery) {
  const std::size_t count = 64;
  Vector row(count, 0.49F);
  row[0] = 127.0F;  // one step is 1, so every other element loses 0.49
  Vector query(count, 1.0F);
  query[0] = 0.0F;
  const Interval interval = interval_of(row, query, false);
  EXPECT_LE(interval.lower, exact_score(row, query, false));
  EXPECT_GE(interval.upper, exact_score(row, query, false));
  EXPECT_LT(interval.upper, 2 * exact_score(row, query, false) + 1);  // and it is no empty promise
}

TEST(BoundScores, IsTightForUnitVectors) {
  std::mt19937 random(5);
  Vector row = made(0, 384, random);
  const float norm = std::sqrt(exact_score(row, row, false));
  for (float& value : row) value /= norm;
  const Interval interval = interval_of(row, row, false);
  EXPECT_LT(interval.upper - interval.lower, 0.06F);
}

TEST(QuantizeRow, StoresTheNearestCodesAboveTheOffsetAndPadsWithZero) {
  const Vector row = {-127, 0.4F, 63.6F};
  std::vector<std::uint8_t> codes(64);
  const RowFacts facts = quantize_row(row.data(), 3, codes.data(), 64);
  EXPECT_EQ(facts.scale, 1.0F);
  EXPECT_EQ(codes[0], 1);
  EXPECT_EQ(codes[1], 128);
  EXPECT_EQ(codes[2], 192);
  EXPECT_TRUE(std::all_of(codes.begin() + 3, codes.end(), [](auto code) { return code == 128; }));
  EXPECT_GE(facts.error_norm, 0.5656854F);
  EXPECT_LT(facts.error_norm, 0.566F);
}

TEST(QuantizeRow, AZeroRowHasNoErrorWorthMentioning) {
  const Vector row(10, 0.0F);
  std::vector<std::uint8_t> codes(64);
  const RowFacts facts = quantize_row(row.data(), 10, codes.data(), 64);
  EXPECT_EQ(facts.scale, 0.0F);
  EXPECT_LT(facts.error_norm, 1e-40F);
}

}  // namespace
}  // namespace matinee::ann
