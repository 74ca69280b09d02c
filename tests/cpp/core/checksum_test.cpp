#include "matinee/core/checksum.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace matinee {
namespace {

TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
  const std::vector<std::uint8_t> zeros(32, 0x00);
  const std::vector<std::uint8_t> ones(32, 0xFF);
  std::vector<std::uint8_t> rising(32);
  std::iota(rising.begin(), rising.end(), std::uint8_t{0});
  EXPECT_EQ(crc32c(zeros.data(), zeros.size()), 0x8A9136AAU);
  EXPECT_EQ(crc32c(ones.data(), ones.size()), 0x62A8AB43U);
  EXPECT_EQ(crc32c(rising.data(), rising.size()), 0x46DD794EU);
}

TEST(Crc32c, FastPathEqualsScalarTwinAtEveryLengthAndOffset) {
  std::vector<std::uint8_t> bytes(300);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37 + 11);
  for (std::size_t offset = 0; offset < 9; ++offset) {
    for (std::size_t size = 0; size + offset <= bytes.size(); ++size) {
      ASSERT_EQ(crc32c(bytes.data() + offset, size), crc32c_scalar(bytes.data() + offset, size));
    }
  }
}

TEST(Crc32c, ContinuesFromASeed) {
  const std::vector<std::uint8_t> bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  EXPECT_EQ(crc32c(bytes.data() + 4, 7, crc32c(bytes.data(), 4)), crc32c(bytes.data(), 11));
}

}  // namespace
}  // namespace matinee
