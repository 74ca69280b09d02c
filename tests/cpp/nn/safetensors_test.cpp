#include "matinee/nn/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "matinee/core/error.h"
#include "nn/half.h"
#include "tiny_models.h"

namespace matinee {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::safetensors;

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

template <typename T>
std::string raw(std::initializer_list<T> values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

TEST(Safetensors, ReadsEveryTypeAndTheMetadata) {
  const std::string file = safetensors(
      R"({"__metadata__": {"format": "pt"},
          "f": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
          "h": {"dtype": "F16", "shape": [3], "data_offsets": [8, 14]},
          "b": {"dtype": "BF16", "shape": [1], "data_offsets": [14, 16]},
          "i": {"dtype": "I64", "shape": [], "data_offsets": [16, 24]},
          "empty": {"dtype": "F32", "shape": [0, 5], "data_offsets": [24, 24]}}   )",
      raw<float>({1.5F, -2.0F}) + raw<std::uint16_t>({0x3C00, 0xC000, 0x0001}) + raw<std::uint16_t>({0x3FC0}) +
          raw<std::int64_t>({-7}));
  const SafetensorsFile tensors(bytes_of(file), "file");
  EXPECT_EQ(tensors.tensors().size(), 5U);
  EXPECT_EQ(tensors.metadata().at("format"), "pt");
  const std::size_t f_shape[] = {2, 1};
  const std::size_t h_shape[] = {3};
  const std::size_t b_shape[] = {1};
  const std::size_t empty_shape[] = {0, 5};
  EXPECT_THAT(tensors.read_floats("f", f_shape), ElementsAre(1.5F, -2.0F));
  EXPECT_THAT(tensors.read_floats("h", h_shape), ElementsAre(1.0F, -2.0F, 0x1p-24F));
  EXPECT_THAT(tensors.read_floats("b", b_shape), ElementsAre(1.5F));
  EXPECT_THAT(tensors.read_ints("i", {}), ElementsAre(-7));
  EXPECT_TRUE(tensors.read_floats("empty", empty_shape).empty());
  EXPECT_FALSE(tensors.contains("F"));
}

struct Malformed {
  const char* what;
  std::string bytes;
  const char* message;  // a part of it; names the tensor where one is to blame
};

std::string header(const std::string& entry) {
  return R"({"good": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "bad": )" + entry + "}";
}

std::vector<Malformed> malformed_files() {
  const std::string eight(8, '\0');
  const std::string entry = R"({"dtype": "F32", "shape": [1], "data_offsets": [4, 8]})";
  std::string huge = safetensors("{}", "");
  std::memset(huge.data(), 0xFF, 8);
  std::string long_header = safetensors("{}", "");
  long_header[0] = 3;
  const auto with = [&](const std::string& bad) { return safetensors(header(bad), eight); };
  return {
      {"empty", "", "got 0 bytes"},
      {"seven bytes", "1234567", "got 7 bytes"},
      {"header of 2^64 - 1 bytes", huge, "header: expected at most"},
      {"header longer than the file", long_header, "truncated"},
      {"not JSON", safetensors("{\"a\": ", ""), "header: "},
      {"bytes that are not UTF-8", safetensors("{\"\xFF\": 1}", ""), "header: "},
      {"a list", safetensors("[]", ""), "expected a JSON object"},
      {"deep nesting", safetensors("{\"a\":" + std::string(100000, '['), ""), "nesting"},
      {"metadata of numbers", safetensors(R"({"__metadata__": {"a": 1}})", ""), "__metadata__"},
      {"one name twice", safetensors(R"({"a": 1, "a": 2})", ""), "'a' occurs twice"},
      {"one key twice", with(R"({"dtype": "F32", "dtype": "F32", "shape": [1], "data_offsets": [4, 8]})"), "twice"},
      {"entry is a number", with("1"), "'bad'"},
      {"no dtype", with(R"({"shape": [1], "data_offsets": [4, 8]})"), "'bad'"},
      {"unknown dtype", with(R"({"dtype": "F64", "shape": [1], "data_offsets": [4, 8]})"), "'bad': dtype"},
      {"dtype is a number", with(R"({"dtype": 32, "shape": [1], "data_offsets": [4, 8]})"), "'bad': dtype"},
      {"negative size", with(R"({"dtype": "F32", "shape": [-1], "data_offsets": [4, 8]})"), "'bad': shape"},
      {"fractional size", with(R"({"dtype": "F32", "shape": [1.0], "data_offsets": [4, 8]})"), "'bad': shape"},
      {"size above 2^64", with(R"({"dtype": "F32", "shape": [1e30], "data_offsets": [4, 8]})"), "'bad': shape"},
      {"shape is a number", with(R"({"dtype": "F32", "shape": 1, "data_offsets": [4, 8]})"), "'bad': shape"},
      {"too many dimensions",
       with(R"({"dtype": "F32", "shape": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1], "data_offsets": [4, 8]})"), "'bad'"},
      {"elements overflow", with(R"({"dtype": "F32", "shape": [4294967296, 4294967296, 2], "data_offsets": [4, 8]})"),
       "overflows"},
      {"bytes overflow", with(R"({"dtype": "F32", "shape": [4611686018427387904], "data_offsets": [4, 8]})"),
       "overflows"},
      {"one offset", with(R"({"dtype": "F32", "shape": [1], "data_offsets": [4]})"), "'bad': data_offsets"},
      {"end before begin", with(R"({"dtype": "F32", "shape": [1], "data_offsets": [8, 4]})"), "'bad': data_offsets"},
      {"negative offset", with(R"({"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]})"), "'bad': data_offsets"},
      {"beyond the file", with(R"({"dtype": "F32", "shape": [2], "data_offsets": [4, 12]})"), "'bad': data_offsets"},
      {"size is not the shape's", with(R"({"dtype": "F32", "shape": [2], "data_offsets": [4, 8]})"), "'bad'"},
      {"overlap", with(R"({"dtype": "F32", "shape": [1], "data_offsets": [2, 6]})"), "'bad': data_offsets"},
      {"the same bytes twice", with(R"({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})"), "overlap"},
      {"gap", safetensors(header(R"({"dtype": "F32", "shape": [1], "data_offsets": [8, 12]})"), eight + "1234"),
       "'bad': data_offsets"},
      {"bytes at the end", safetensors(header(entry), eight + "x"), "belong to no tensor"},
      {"data cut", safetensors(header(entry), "1234567"), "truncated or corrupt"},
  };
}

TEST(Safetensors, RefusesEveryMalformedFileWithItsNameAndTheTensors) {
  for (const Malformed& file : malformed_files()) {
    SCOPED_TRACE(file.what);
    const std::string message =
        message_of<FormatError>([&] { SafetensorsFile(bytes_of(file.bytes), "some.safetensors"); });
    EXPECT_THAT(message, HasSubstr("some.safetensors: "));
    EXPECT_THAT(message, HasSubstr(file.message));
  }
}

TEST(Safetensors, AFileCutAnywhereIsRefused) {
  const std::string whole = safetensors({{"a", {{2}, {1, 2}}}, {"b", {{1, 1}, {3}}}});
  ASSERT_EQ(SafetensorsFile(bytes_of(whole), "whole").tensors().size(), 2U);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of exactly this size, so that the address sanitizer sees a read beyond its end.
    const std::vector<std::uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(SafetensorsFile(cut, "cut"), FormatError) << size;
  }
}

TEST(Safetensors, AReadNamesTheTensorThatIsMissingMisshapedOfAnotherTypeOrNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::string file =
      safetensors({{"a", {{2}, {1, 2}}}, {"nan", {{2}, {1, nan}}}, {"infinite", {{1}, {-infinity}}}});
  const SafetensorsFile tensors(bytes_of(file), "f");
  const std::size_t two[] = {2};
  const std::size_t one[] = {1};
  const std::size_t two_by_one[] = {2, 1};
  EXPECT_EQ(message_of<FormatError>([&] { tensors.read_floats("x", two); }), "f: tensor 'x': expected (2,), got none");
  EXPECT_EQ(message_of<FormatError>([&] { tensors.read_floats("a", two_by_one); }),
            "f: tensor 'a': expected (2, 1), got (2,)");
  EXPECT_EQ(message_of<FormatError>([&] { tensors.read_ints("a", two); }), "f: tensor 'a': expected I64, got F32");
  EXPECT_THAT(message_of<FormatError>([&] { tensors.read_floats("nan", two); }), HasSubstr("'nan': expected finite"));
  EXPECT_THAT(message_of<FormatError>([&] { tensors.read_floats("infinite", one); }), HasSubstr("at element 0"));
}

TEST(Safetensors, AMissingFileIsNotFound) { EXPECT_THROW(SafetensorsFile("/no/such/file"), NotFound); }

TEST(Half, EveryBf16SurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const float value = nn::float_from_bf16(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(nn::bf16_from_float(value), bits);
  }
}

TEST(Half, RoundsToTheNearestBf16TiesToEven) {
  const float one = 1.0F;
  const float next = 1.0F + 0x1p-7F;  // the bf16 after one; 0x3F81
  EXPECT_EQ(nn::bf16_from_float((one + next) / 2), 0x3F80);
  EXPECT_EQ(nn::bf16_from_float(std::nextafter((one + next) / 2, 2.0F)), 0x3F81);
  EXPECT_EQ(nn::bf16_from_float(next + 0x1p-8F), 0x3F82);                     // a tie again; the even one is above
  EXPECT_EQ(nn::bf16_from_float(std::numeric_limits<float>::max()), 0x7F80);  // infinity is nearer
  EXPECT_TRUE(std::isnan(nn::float_from_bf16(nn::bf16_from_float(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(Half, HalfPrecisionIsRead) {
  EXPECT_EQ(nn::float_from_half(0x3C01), 1.0F + 0x1p-10F);
  EXPECT_EQ(nn::float_from_half(0x7BFF), 65504.0F);
  EXPECT_EQ(nn::float_from_half(0x0400), 0x1p-14F);
  EXPECT_EQ(nn::float_from_half(0x83FF), -1023 * 0x1p-24F);
  EXPECT_EQ(nn::float_from_half(0xFC00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(nn::float_from_half(0x7C01)));
}

}  // namespace
}  // namespace matinee
