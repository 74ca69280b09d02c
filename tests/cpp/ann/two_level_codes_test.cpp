#include "ann/two_level_codes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "ann/tile_kernels.h"

namespace matinee::ann {
namespace {

using Vector = std::vector<float>;

Vector unit_vector(std::size_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  Vector vector(count);
  for (float& value : vector) value = normal(random);
  const float norm = std::sqrt(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0F));
  for (float& value : vector) value /= norm;
  return vector;
}

float product_by_codes(const Vector& row, const Vector& query) {
  const std::size_t padded = padded_plane(row.size());
  std::vector<std::uint8_t> high(padded / 2);
  std::vector<std::uint8_t> low(padded);
  const float step = encode_row(row.data(), row.size(), padded, high.data(), low.data());
  TwoLevelQueries queries(2, padded);
  queries.encode(1, query.data(), query.size());
  const TileKernels& kernels = tile_kernels_for(IsaLevel::kScalar);
  const std::int8_t* const first = queries.first.data() + padded;
  const std::int8_t* const second = queries.second.data() + padded;
  const PlaneProducts products = kernels.dot_planes(high.data(), low.data(), first, second, padded);
  return queries.refined(1).product(products, step);
}

TEST(TwoLevelCodes, ARowComesBackUpToHalfAStep) {
  std::mt19937 random(1);
  for (const std::size_t count : {1U, 3U, 64U, 65U, 128U, 384U, 1000U}) {
    const Vector row = unit_vector(count, random);
    const std::size_t padded = padded_plane(count);
    std::vector<std::uint8_t> high(padded / 2);
    std::vector<std::uint8_t> low(padded);
    const float step = encode_row(row.data(), count, padded, high.data(), low.data());
    Vector back(count);
    decode_row(high.data(), low.data(), step, count, padded, back.data());
    for (std::size_t i = 0; i < count; ++i) ASSERT_NEAR(back[i], row[i], 0.502F * step) << count << ' ' << i;
  }
}

TEST(TwoLevelCodes, ProductsOfUnitVectorsAreOffByLessThanATenThousandth) {
  std::mt19937 random(2);
  for (const std::size_t count : {32U, 384U, 2048U}) {
    for (int round = 0; round < 200; ++round) {
      const Vector row = unit_vector(count, random);
      const Vector query = unit_vector(count, random);
      const float exact = std::inner_product(row.begin(), row.end(), query.begin(), 0.0F);
      ASSERT_NEAR(product_by_codes(row, query), exact, 2e-4F) << count;
    }
  }
}

TEST(TwoLevelCodes, VectorsOfAnySizeGiveFiniteProducts) {
  for (const float size : {0.0F, 1e-45F, 1e-38F, 1e-20F, 1e17F}) {
    const Vector row(100, size);
    const float product = product_by_codes(row, row);
    EXPECT_TRUE(std::isfinite(product)) << size;
    if (size >= 1e-15F) {
      EXPECT_NEAR(product / (100 * size * size), 1, 1e-3F) << size;
    }
  }
}

}  // namespace
}  // namespace matinee::ann
