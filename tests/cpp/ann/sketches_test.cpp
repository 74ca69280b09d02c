#include "ann/sketches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace matinee::ann {
namespace {

// Rows, coded and sketched.
struct Sketched {
  std::size_t padded;
  std::vector<std::uint8_t> high;
  std::vector<std::uint8_t> low;
  std::vector<float> steps;
  std::vector<float> squared_norms;
  std::vector<std::uint8_t> tiles;
  std::vector<float> factors;

  Sketched(const std::vector<float>& rows, std::size_t dimension)
      : padded(padded_plane(dimension)),
        high(rows.size() / dimension * padded / 2),
        low(rows.size() / dimension * padded) {
    const std::size_t count = rows.size() / dimension;
    for (std::size_t r = 0; r < count; ++r) {
      const float* const row = rows.data() + r * dimension;
      steps.push_back(encode_row(row, dimension, padded, high.data() + r * padded / 2, low.data() + r * padded));
      float squares = 0;
      for (std::size_t i = 0; i < dimension; ++i) squares += row[i] * row[i];
      squared_norms.push_back(squares);
    }
    Partition partition;
    partition.num_rows = count;
    partition.high = high.data();
    partition.low = low.data();
    partition.steps = steps.data();
    partition.squared_norms = squared_norms.data();
    tiles.resize(num_sketch_tiles(count) * sketch_tile_bytes(padded));
    factors.resize(count);
    make_sketches(partition, dimension, padded, tiles.data(), factors.data());
  }

  // The product of a row's signs with a query.
  float product(const TwoLevelQueries& queries, std::size_t query, std::size_t row) const {
    const SketchedQuery sketched(queries, query);
    std::vector<std::int32_t> sums(num_sketch_tiles(factors.size()) * kTileRows);
    tile_kernels_for(IsaLevel::kScalar)
        .dot_sketches(tiles.data(), sums.size() / kTileRows, sketched.tables.data(), padded, tiles.data(), sums.data());
    return sketched.unit * (static_cast<float>(sums[row]) - sketched.offset);
  }
};

std::vector<float> normals(std::size_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(Sketches, AreTheProductsOfSignsWithAQuery) {
  std::mt19937 random(1);
  for (const std::size_t dimension : {1U, 5U, 64U, 127U, 384U, 2048U}) {
    const std::vector<float> rows = normals(21 * dimension, random);
    const std::vector<float> query = normals(dimension, random);
    const Sketched sketched(rows, dimension);
    TwoLevelQueries queries(1, sketched.padded);
    queries.encode(0, query.data(), dimension);
    // An element of the query is off by half a step of its codes, and by half a step of those they are made from.
    const float step = queries.scales[0] * 127.0F / kSketchQueryCode;
    const float largest_error = static_cast<float>(dimension) * (step + queries.scales[0]) / 2;
    for (std::size_t r = 0; r < 21; ++r) {
      const float* const row = rows.data() + r * dimension;
      double expected = 0;
      double sizes = 0;
      double squares = 0;
      for (std::size_t i = 0; i < dimension; ++i) {
        expected += row[i] > 0 ? query[i] : -query[i];
        sizes += std::abs(row[i]);
        squares += double{row[i]} * row[i];
      }
      ASSERT_NEAR(sketched.product(queries, 0, r), expected, largest_error) << dimension << ' ' << r;
      ASSERT_NEAR(sketched.factors[r], squares / sizes, 2e-3 * squares / sizes) << dimension << ' ' << r;
    }
  }
}

TEST(Sketches, AreOffByNoMoreThanTheUsualReachForRowsOfNormalElements) {
  std::mt19937 random(2);
  constexpr std::size_t kDimension = 384;
  const std::vector<float> rows = normals(200 * kDimension, random);
  const std::vector<float> query = normals(kDimension, random);
  const Sketched sketched(rows, kDimension);
  TwoLevelQueries queries(1, sketched.padded);
  queries.encode(0, query.data(), kDimension);
  const float length = std::sqrt(queries.squared_norms[0]);
  for (std::size_t r = 0; r < 200; ++r) {
    float exact = 0;
    for (std::size_t i = 0; i < kDimension; ++i) exact += rows[r * kDimension + i] * query[i];
    const float error = exact - sketched.factors[r] * sketched.product(queries, 0, r);
    ASSERT_LT(std::abs(error), kUsualSketchReach * 1.2F * sketched.factors[r] * length) << r;
  }
}

TEST(Sketches, ARowOfZerosScoresZeroAndSizesDoNotMatter) {
  for (const float size : {0.0F, 1e-45F, 1e-20F, 1e17F}) {
    const Sketched sketched(std::vector<float>(100, size), 100);
    EXPECT_TRUE(std::isfinite(sketched.factors[0])) << size;
    EXPECT_GE(sketched.factors[0], 0) << size;
    if (size == 0) EXPECT_EQ(sketched.factors[0], 0);
  }
}

TEST(Sketches, LongRowsHaveNone) {
  EXPECT_EQ(sketch_tile_bytes(padded_plane(2048)), 4096U);
  EXPECT_EQ(sketch_tile_bytes(padded_plane(2049)), 0U);
}

}  // namespace
}  // namespace matinee::ann
