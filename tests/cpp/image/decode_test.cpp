#include "matinee/image/decode.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "fixtures.h"
#include "matinee/core/error.h"

// What Pillow makes of every mode is compared in tests/python/image/test_decode.py; here are sizes, limits and errors.
namespace matinee {
namespace {

using testing::bytes_of;
using testing::kJpeg;
using testing::kWebp;
using testing::pattern;
using testing::png_of;

using Bytes = std::span<const std::uint8_t>;

void expect_flat_fixture(const RgbImage& image) {
  ASSERT_EQ(image.height, 2);
  ASSERT_EQ(image.width, 3);
  const int want[] = {200, 100, 50};
  for (std::size_t i = 0; i < image.size_bytes(); ++i) EXPECT_LE(std::abs(image.pixels[i] - want[i % 3]), 2);
}

TEST(Decode, ReadsEachFormatByItsMagicBytes) {
  expect_flat_fixture(decode_rgb(kJpeg));
  expect_flat_fixture(decode_rgb(kWebp));
  const RgbImage image = pattern(17, 23);
  EXPECT_EQ(bytes_of(decode_rgb(png_of(image))), bytes_of(image));
  EXPECT_EQ(sniff_format(kJpeg), ImageFormat::kJpeg);
  EXPECT_EQ(sniff_format(kWebp), ImageFormat::kWebp);
  EXPECT_EQ(sniff_format(png_of(image)), ImageFormat::kPng);
}

TEST(Decode, TheSizeComesFromTheHeader) {
  for (const Bytes data : {Bytes(kJpeg), Bytes(kWebp)}) {
    EXPECT_EQ(image_size(data).height, 2);
    EXPECT_EQ(image_size(data).width, 3);
  }
}

TEST(Decode, OtherBytesAreUnsupported) {
  const std::vector<std::uint8_t> gif = {'G', 'I', 'F', '8', '9', 'a', 1, 0, 1, 0, 0, 0, 0};
  EXPECT_EQ(sniff_format(gif), std::nullopt);
  EXPECT_THROW(decode_rgb(gif), UnsupportedFormat);
  EXPECT_THROW(image_size(gif), UnsupportedFormat);
}

TEST(Decode, EveryProperPrefixOfAFileIsAFormatError) {
  const std::vector<std::uint8_t> png = png_of(pattern(5, 4));
  for (const Bytes data : {Bytes(kJpeg), Bytes(kWebp), Bytes(png)}) {
    for (std::size_t size = 0; size < data.size(); ++size) {
      EXPECT_THROW(decode_rgb(data.first(size)), FormatError) << size << " of " << data.size();
    }
  }
}

TEST(Decode, AFlippedByteInThePixelsOfAPngIsAFormatError) {
  const std::vector<std::uint8_t> good = png_of(pattern(5, 4));
  for (std::size_t i = 41; i < good.size() - 12; ++i) {  // from the first byte of IDAT to its checksum
    std::vector<std::uint8_t> bad = good;
    bad[i] ^= 0x10;
    EXPECT_THROW(decode_rgb(bad), FormatError) << i;
  }
}

TEST(Decode, AHeaderThatClaimsTooMuchIsRefusedBeforeAnythingIsAllocated) {
  const RgbImage tiny = pattern(1, 1);
  EXPECT_THROW(decode_rgb(png_of(tiny, 10'000, 20'000)), TooLarge);
  EXPECT_THROW(decode_rgb(png_of(tiny, 65'536, 1)), TooLarge);
  EXPECT_THROW(decode_rgb(png_of(tiny, 0, 4)), FormatError);
  EXPECT_THROW(decode_rgb(png_of(tiny), {.max_bytes = 10}), TooLarge);
  EXPECT_THROW(decode_rgb(kJpeg, {.max_pixels = 5}), TooLarge);
  EXPECT_THROW(decode_rgb(kWebp, {.max_pixels = 5}), TooLarge);
  expect_flat_fixture(decode_rgb(kWebp, {.max_pixels = 6}));
}

TEST(Decode, ManyThreadsDecodeAtOnce) {
  const RgbImage image = pattern(40, 30);
  const std::vector<std::uint8_t> png = png_of(image);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 20; ++call) {
        EXPECT_EQ(bytes_of(decode_rgb(png)), bytes_of(image));
        expect_flat_fixture(decode_rgb(kJpeg));
        expect_flat_fixture(decode_rgb(kWebp));
        EXPECT_THROW(decode_rgb(Bytes(png).first(100)), FormatError);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace matinee
