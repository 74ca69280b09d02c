#include "ann/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace matinee::ann {
namespace {

class KernelsTest : public ::testing::TestWithParam<IsaLevel> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa_level()) {
      GTEST_SKIP() << "this processor has no " << isa_level_name(GetParam());
    }
  }
  const Kernels& fast() const { return kernels_for(GetParam()); }
  const Kernels& slow() const { return kernels_for(IsaLevel::kScalar); }
};

INSTANTIATE_TEST_SUITE_P(Levels, KernelsTest,
                         ::testing::Values(IsaLevel::kScalar, IsaLevel::kAvx2, IsaLevel::kAvx512, IsaLevel::kAvx512Vnni,
                                           IsaLevel::kAvx512Bf16, IsaLevel::kAmx),
                         [](const auto& param) { return std::string(isa_level_name(param.param)); });

// Rows and queries of codes that start `offset` bytes into their memory, with other bytes behind each.
struct Codes {
  std::vector<std::uint8_t> row_bytes;
  std::vector<std::int8_t> query_bytes;
  std::vector<std::int32_t> sums;
  CodeBlock block;

  Codes(std::size_t num_rows, std::size_t num_queries, std::size_t count, std::size_t offset, bool extreme) {
    std::mt19937 random(static_cast<unsigned>(count * 31 + offset));
    const std::size_t stride = count + 5;
    const auto code = [&] {
      return extreme ? (random() % 2 == 0 ? 127 : -127) : static_cast<int>(random() % 255) - 127;
    };
    row_bytes.resize(offset + num_rows * stride);
    query_bytes.resize(offset + num_queries * stride);
    for (auto& byte : row_bytes) byte = static_cast<std::uint8_t>(code() + kCodeOffset);
    for (auto& byte : query_bytes) byte = static_cast<std::int8_t>(code());
    for (std::size_t q = 0; q < num_queries; ++q) {
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < count; ++i) sum += query_bytes[offset + q * stride + i];
      sums.push_back(sum);
    }
    block = {row_bytes.data() + offset,
             stride,
             num_rows,
             query_bytes.data() + offset,
             stride,
             num_queries,
             sums.data(),
             count};
  }
};

TEST_P(KernelsTest, CodeProductsEqualTheScalarOnesAtEveryLengthAndOffset) {
  for (std::size_t count = 0; count <= 200; ++count) {
    for (const std::size_t offset : {0U, 1U, 7U, 33U}) {
      const Codes codes(9, 7, count, offset, false);
      std::vector<std::int32_t> expected(63, -1);
      std::vector<std::int32_t> got(63, -2);
      slow().dot_codes(codes.block, expected.data());
      fast().dot_codes(codes.block, got.data());
      ASSERT_EQ(got, expected) << "count " << count << ", offset " << offset;
    }
  }
}

TEST_P(KernelsTest, CodeProductsEqualTheScalarOnesForEveryNumberOfRowsAndQueries) {
  for (std::size_t num_rows = 0; num_rows <= 13; ++num_rows) {
    for (std::size_t num_queries = 0; num_queries <= 9; ++num_queries) {
      const Codes codes(num_rows, num_queries, 70, 3, false);
      std::vector<std::int32_t> expected(num_rows * num_queries, -1);
      std::vector<std::int32_t> got(num_rows * num_queries, -2);
      slow().dot_codes(codes.block, expected.data());
      fast().dot_codes(codes.block, got.data());
      ASSERT_EQ(got, expected) << num_rows << " rows, " << num_queries << " queries";
    }
  }
}

TEST_P(KernelsTest, TheLongestRowsOfTheLargestCodesDoNotOverflow) {
  Codes codes(5, 1, 65536, 0, true);
  std::fill(codes.row_bytes.begin(), codes.row_bytes.end(), std::uint8_t{255});
  std::fill(codes.query_bytes.begin(), codes.query_bytes.end(), std::int8_t{127});
  codes.sums[0] = 127 * 65536;
  std::vector<std::int32_t> got(5);
  fast().dot_codes(codes.block, got.data());
  EXPECT_EQ(got, std::vector<std::int32_t>(5, 127 * 127 * 65536));
}

TEST_P(KernelsTest, FloatSumsHaveTheBitsOfTheScalarOnesAtEveryLengthAndOffset) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> a(520);
  std::vector<float> b(520);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = normal(random) * (i % 5 == 0 ? 1e12F : 1e-6F);
    b[i] = normal(random);
  }
  for (std::size_t count = 0; count <= 500; ++count) {
    for (const std::size_t offset : {0U, 1U, 3U, 15U}) {
      const float* x = a.data() + offset;
      const float* y = b.data() + (offset * 5) % 17;
      ASSERT_EQ(std::bit_cast<std::uint64_t>(fast().dot(x, y, count)),
                std::bit_cast<std::uint64_t>(slow().dot(x, y, count)))
          << count;
      ASSERT_EQ(std::bit_cast<std::uint64_t>(fast().squared_distance(x, y, count)),
                std::bit_cast<std::uint64_t>(slow().squared_distance(x, y, count)))
          << count;
    }
  }
}

TEST(ScalarKernels, AreTheSumsTheySayTheyAre) {
  const std::vector<float> a = {1, 2, -3};
  const std::vector<float> b = {4, -5, 6};
  const std::vector<std::uint8_t> row = {kCodeOffset + 1, kCodeOffset + 2, kCodeOffset - 3};
  const std::vector<std::int8_t> query = {4, -5, 6};
  const std::int32_t sum = 5;
  std::int32_t product = 0;
  const Kernels& kernels = kernels_for(IsaLevel::kScalar);
  EXPECT_EQ(kernels.dot(a.data(), b.data(), 3), -24.0);
  EXPECT_EQ(kernels.squared_distance(a.data(), b.data(), 3), 9.0 + 49.0 + 81.0);
  kernels.dot_codes({row.data(), 3, 1, query.data(), 3, 1, &sum, 3}, &product);
  EXPECT_EQ(product, -24);
}

}  // namespace
}  // namespace matinee::ann
