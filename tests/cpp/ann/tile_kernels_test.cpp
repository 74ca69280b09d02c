#include "ann/tile_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "ann/tile_kernels_common.h"

namespace matinee::ann {
namespace {

struct Codes {
  std::size_t padded;
  std::size_t num_rows;
  std::vector<std::uint8_t> high;
  std::vector<std::int8_t> queries;  // room for a multiple of 16

  Codes(std::size_t padded_, std::size_t num_rows_, std::size_t num_queries, std::mt19937& random)
      : padded(padded_),
        num_rows(num_rows_),
        high(num_rows_ * padded_ / 2),
        queries((num_queries + 15) / 16 * 16 * padded_) {
    for (auto& code : high) code = static_cast<std::uint8_t>(random());
    for (auto& code : queries) code = static_cast<std::int8_t>(random() % 255 - 127);
    std::fill_n(high.begin(), padded / 2, std::uint8_t{255});  // the largest sums there are
    std::fill_n(queries.begin(), padded, std::int8_t{-127});
  }
};

class TileKernelsTest : public ::testing::TestWithParam<IsaLevel> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa_level()) GTEST_SKIP() << "this processor has no " << isa_level_name(GetParam());
  }
  const TileKernels& kernels() const { return tile_kernels_for(GetParam()); }
  std::mt19937 random_{7};
};

TEST_P(TileKernelsTest, ProductsAreThoseOfTheScalarTwin) {
  for (const std::size_t padded : {128U, 384U, 640U, 16384U}) {
    for (const std::size_t num_rows : {1U, 3U, 4U, 15U, 16U}) {
      for (const std::size_t num_queries : {1U, 4U, 5U, 8U, 17U, 33U, 49U, 65U}) {
        if (padded == 16384 && num_queries > 5) continue;
        const Codes codes(padded, num_rows, num_queries, random_);
        std::vector<std::uint8_t> tile(padded * kTileRows);
        std::vector<std::uint8_t> expected_tile(tile.size());
        kernels().make_tile(codes.high.data(), num_rows, padded, tile.data());
        kScalarTileKernels.make_tile(codes.high.data(), num_rows, padded, expected_tile.data());
        ASSERT_EQ(tile, expected_tile) << padded << ' ' << num_rows;

        std::vector<std::int32_t> dots((num_queries + 15) / 16 * 16 * kTileRows);
        std::vector<std::int32_t> expected(dots.size());
        kernels().dot_tile(tile.data(), codes.queries.data(), num_queries, padded, dots.data());
        kScalarTileKernels.dot_tile(tile.data(), codes.queries.data(), num_queries, padded, expected.data());
        dots.resize(num_queries * kTileRows);
        expected.resize(num_queries * kTileRows);
        ASSERT_EQ(dots, expected) << padded << ' ' << num_rows << ' ' << num_queries;

        std::vector<std::int32_t> by_row(num_rows);
        kernels().dot_rows(codes.high.data(), nullptr, num_rows, codes.queries.data(), padded, by_row.data());
        ASSERT_TRUE(std::equal(by_row.begin(), by_row.end(), expected.begin())) << padded << ' ' << num_rows;
      }
    }
  }
}

TEST_P(TileKernelsTest, ProductsOfRowsPickedByNumber) {
  const Codes codes(256, 20, 1, random_);
  const std::vector<std::uint32_t> rows = {19, 0, 7, 7, 3};
  std::vector<std::int32_t> dots(rows.size());
  std::vector<std::int32_t> expected(rows.size());
  kernels().dot_rows(codes.high.data(), rows.data(), rows.size(), codes.queries.data(), 256, dots.data());
  kScalarTileKernels.dot_rows(codes.high.data(), rows.data(), rows.size(), codes.queries.data(), 256, expected.data());
  EXPECT_EQ(dots, expected);
}

TEST_P(TileKernelsTest, ProductsOfBothPlanes) {
  for (const std::size_t padded : {128U, 384U, 16384U}) {
    for (const bool largest : {false, true}) {
      std::vector<std::uint8_t> high(padded / 2, 255);
      std::vector<std::uint8_t> low(padded, 255);
      std::vector<std::int8_t> first(padded, -127);
      std::vector<std::int8_t> second(padded, -127);
      if (!largest) {
        for (auto& code : high) code = static_cast<std::uint8_t>(random_());
        for (auto& code : low) code = static_cast<std::uint8_t>(random_());
        for (auto& code : first) code = static_cast<std::int8_t>(random_() % 255 - 127);
        for (auto& code : second) code = static_cast<std::int8_t>(random_() % 255 - 127);
      }
      const auto products = kernels().dot_planes(high.data(), low.data(), first.data(), second.data(), padded);
      const auto expected = kScalarTileKernels.dot_planes(high.data(), low.data(), first.data(), second.data(), padded);
      EXPECT_EQ(products.high_first, expected.high_first);
      EXPECT_EQ(products.high_second, expected.high_second);
      EXPECT_EQ(products.low_first, expected.low_first);
      EXPECT_EQ(products.low_second, expected.low_second);
    }
  }
}

TEST_P(TileKernelsTest, ProductsOfTilesOfBytes) {
  for (const std::size_t padded : {128U, 384U, 16384U}) {
    for (const std::size_t num_queries : {1U, 4U, 5U, 17U}) {
      std::vector<std::uint8_t> tile(padded * kTileRows);
      for (auto& code : tile) code = static_cast<std::uint8_t>(random_());
      std::vector<std::int8_t> queries((num_queries + 15) / 16 * 16 * padded);
      for (auto& code : queries) code = static_cast<std::int8_t>(random_() % 255 - 127);
      // The largest sums there are.
      for (std::size_t i = 0; i < padded; i += 4) std::fill_n(tile.data() + i * kTileRows, 4, std::uint8_t{255});
      std::fill_n(queries.begin(), padded, std::int8_t{-127});
      std::vector<std::int32_t> dots(queries.size() / padded * kTileRows);
      std::vector<std::int32_t> expected(dots.size());
      kernels().dot_byte_tile(tile.data(), queries.data(), num_queries, padded, dots.data());
      kScalarTileKernels.dot_byte_tile(tile.data(), queries.data(), num_queries, padded, expected.data());
      dots.resize(num_queries * kTileRows);
      expected.resize(num_queries * kTileRows);
      ASSERT_EQ(dots, expected) << padded << ' ' << num_queries;
    }
  }
}

TEST_P(TileKernelsTest, RefinedScoresAreThoseOfTheScalarTwin) {
  for (const bool with_norms : {false, true}) {
    std::int32_t products[4][kTileRows];
    for (auto& of_plane : products) {
      for (auto& product : of_plane) product = static_cast<std::int32_t>(random_() % 2000000) - 1000000;
    }
    std::vector<float> steps(kTileRows, 7e-5F);
    steps[3] = std::numeric_limits<float>::quiet_NaN();
    steps[4] = std::numeric_limits<float>::infinity();
    steps[5] = 0;
    const std::vector<float> norms(kTileRows, 0.9F);
    RefineCall call;
    call.high_first = products[0];
    call.high_second = products[1];
    call.low_first = products[2];
    call.low_second = products[3];
    call.steps = steps.data();
    call.squared_norms = with_norms ? norms.data() : nullptr;
    call.query = {2047.5 * 131, 2047.5 * -77, 0.0013F, 1.1F};
    std::vector<float> scores(kTileRows);
    std::vector<float> expected(kTileRows);
    kernels().refine(call, scores.data());
    kScalarTileKernels.refine(call, expected.data());
    EXPECT_EQ(scores, expected);
    EXPECT_EQ(scores[3], -std::numeric_limits<float>::infinity());
  }
}

TEST_P(TileKernelsTest, ScoresAndWhatIsAboveAThresholdAreThoseOfTheScalarTwin) {
  std::normal_distribution<float> normal;
  for (const std::size_t num_rows : {1U, 7U, 8U, 16U, 17U, 63U, 64U}) {
    for (const bool with_norms : {false, true}) {
      std::vector<std::int32_t> dots(4 * 32);
      for (auto& dot : dots) dot = static_cast<std::int32_t>(random_() % 20000) - 10000;
      std::vector<float> steps(num_rows);
      std::vector<float> norms(num_rows);
      for (auto& step : steps) step = normal(random_);
      for (auto& norm : norms) norm = normal(random_);
      steps[num_rows / 2] = std::numeric_limits<float>::quiet_NaN();  // is above nothing
      CollectCall call;
      call.dots = dots.data();
      call.tile_stride = 32;
      call.num_rows = num_rows;
      call.steps = steps.data();
      call.squared_norms = with_norms ? norms.data() : nullptr;
      call.factor = 0.001F;
      call.shift = 7.5F * 33;
      call.threshold = 0.25F;
      std::vector<float> scores(num_rows);
      std::vector<float> expected(num_rows);
      std::vector<std::uint32_t> rows(num_rows);
      std::vector<std::uint32_t> expected_rows(num_rows);
      const std::size_t found = kernels().collect(call, scores.data(), rows.data());
      ASSERT_EQ(found, kScalarTileKernels.collect(call, expected.data(), expected_rows.data()));
      for (std::size_t i = 0; i < found; ++i) {
        ASSERT_EQ(scores[i], expected[i]);
        ASSERT_EQ(rows[i], expected_rows[i]);
      }
      steps[num_rows / 2] = 1;
      kernels().score(call, scores.data());
      kScalarTileKernels.score(call, expected.data());
      ASSERT_EQ(scores, expected);
      const std::size_t above = kernels().above(scores.data(), num_rows, 0.25F, rows.data());
      ASSERT_EQ(above, kScalarTileKernels.above(scores.data(), num_rows, 0.25F, expected_rows.data()));
      rows.resize(above);
      expected_rows.resize(above);
      ASSERT_EQ(rows, expected_rows);
    }
  }
}

TEST_P(TileKernelsTest, SumsOfSketchesAreThoseOfTheScalarTwin) {
  for (const std::size_t padded : {128U, 384U, 2048U}) {
    for (const std::size_t num_tiles : {0U, 1U, 3U}) {
      for (const bool largest : {false, true}) {
        std::vector<std::uint8_t> tiles(num_tiles * 2 * padded);
        std::vector<std::uint8_t> tables(4 * padded, 120);
        for (auto& signs : tiles) signs = static_cast<std::uint8_t>(random_());
        if (!largest) {
          for (auto& entry : tables) entry = static_cast<std::uint8_t>(random_() % 121);
        }
        std::vector<std::int32_t> sums(num_tiles * kTileRows);
        std::vector<std::int32_t> expected(sums.size());
        kernels().dot_sketches(tiles.data(), num_tiles, tables.data(), padded, tiles.data(), sums.data());
        kScalarTileKernels.dot_sketches(tiles.data(), num_tiles, tables.data(), padded, tiles.data(), expected.data());
        ASSERT_EQ(sums, expected) << padded << ' ' << num_tiles << ' ' << largest;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, TileKernelsTest,
                         ::testing::Values(IsaLevel::kScalar, IsaLevel::kAvx2, IsaLevel::kAvx512, IsaLevel::kAvx512Vnni,
                                           IsaLevel::kAmx),
                         [](const auto& level) { return std::string(isa_level_name(level.param)); });

}  // namespace
}  // namespace matinee::ann
