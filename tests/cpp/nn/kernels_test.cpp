#include "nn/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "nn/half.h"

// Every kernel against its scalar twin, at every length that leaves a different tail and at every misalignment.
// That the scalar twins are right is shown against PyTorch in tests/python/nn.
namespace matinee::nn {
namespace {

class Kernel : public ::testing::TestWithParam<IsaLevel> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa_level()) GTEST_SKIP() << "this processor lacks " << isa_level_name(GetParam());
  }
  const Kernels& fast() const { return kernels_of(GetParam()); }
  const Kernels& slow() const { return kernels_of(IsaLevel::kScalar); }

  std::vector<float> random_floats(std::size_t count, float scale = 1) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(count);
    for (float& value : values) value = normal(random_);
    return values;
  }

 private:
  std::mt19937 random_{3};
};

TEST_P(Kernel, LayerNormEqualsItsTwin) {
  for (std::size_t size = 1; size <= 70; ++size) {
    const std::size_t offset = size % 5;  // floats before the row: no alignment may be assumed
    const auto gamma = random_floats(size);
    const auto beta = random_floats(size);
    auto x = random_floats(offset + size + 1, 3);
    x.back() = 12345;  // must stay
    auto expected = x;
    std::vector<std::uint16_t> rounded(size + 1, 0xABCD);
    std::vector<std::uint16_t> expected_rounded(size + 1, 0xABCD);
    fast().layer_norm(x.data() + offset, x.data() + offset, rounded.data(), gamma.data(), beta.data(), size, 1e-12F);
    slow().layer_norm(expected.data() + offset, expected.data() + offset, expected_rounded.data(), gamma.data(),
                      beta.data(), size, 1e-12F);
    // Values of a row are below sqrt(size) in size; sums of up to 70 differ by their order of addition.
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], expected[i], 2e-5) << size << " at " << i;
    for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(rounded[i], bf16_from_float(x[offset + i]));
    ASSERT_EQ(rounded.back(), 0xABCD);
    fast().layer_norm(x.data() + offset, x.data() + offset, nullptr, gamma.data(), beta.data(), size, 1e-12F);
  }
}

TEST_P(Kernel, LayerNormOfEqualValuesIsBeta) {
  std::vector<float> x(37, 5.0F);
  const std::vector<float> gamma(37, 2.0F);
  const std::vector<float> beta(37, 0.25F);
  fast().layer_norm(x.data(), x.data(), nullptr, gamma.data(), beta.data(), x.size(), 1e-12F);
  for (const float value : x) ASSERT_NEAR(value, 0.25F, 1e-3);
}

TEST_P(Kernel, AttentionEqualsItsTwin) {
  for (const std::size_t head_dim : {1U, 7U, 8U, 16U, 24U, 32U, 33U, 64U}) {
    for (const std::size_t length : {1U, 2U, 3U, 4U, 5U, 7U, 8U, 15U, 16U, 17U, 31U, 33U, 63U, 64U, 65U, 130U}) {
      const AttentionShape shape{length, 3, head_dim};
      const std::size_t width = 3 * head_dim;
      const auto qkv = random_floats(length * 3 * width, 2);
      std::vector<float> context(length * width + 1, 77);
      std::vector<float> expected(length * width + 1, 77);
      std::vector<float> scratch(attention_scratch_size(shape), std::numeric_limits<float>::quiet_NaN());
      for (std::size_t head = 0; head < shape.num_heads; ++head) {
        fast().attention_fp32(qkv.data(), context.data(), shape, head, scratch.data());
      }
      for (std::size_t head = 0; head < shape.num_heads; ++head) {
        slow().attention_fp32(qkv.data(), expected.data(), shape, head, scratch.data());
      }
      // A context is a weighted mean of values below about 8 in size; the weights differ by the two exponentials'
      // errors, which scores of up to about 80 magnify.
      for (std::size_t i = 0; i < context.size(); ++i) {
        ASSERT_NEAR(context[i], expected[i], 2e-4) << "length " << length << ", head_dim " << head_dim << " at " << i;
      }

      std::vector<std::uint16_t> rounded(qkv.size());
      fast().round_to_bf16(qkv.data(), rounded.data(), qkv.size());
      std::vector<std::uint16_t> context16(length * width + 1, 0xABCD);
      std::vector<std::uint16_t> expected16(length * width + 1, 0xABCD);
      for (std::size_t head = 0; head < shape.num_heads; ++head) {
        fast().attention_bf16(rounded.data(), context16.data(), shape, head, scratch.data());
      }
      for (std::size_t head = 0; head < shape.num_heads; ++head) {
        slow().attention_bf16(rounded.data(), expected16.data(), shape, head, scratch.data());
      }
      for (std::size_t i = 0; i < length * width; ++i) {
        const float value = float_from_bf16(expected16[i]);
        ASSERT_NEAR(float_from_bf16(context16[i]), value, 2e-4 + std::fabs(value) / 128);  // one step of bf16
      }
      ASSERT_EQ(context16.back(), 0xABCD);
    }
  }
}

TEST_P(Kernel, AttentionStaysFiniteWhereScoresAreExtreme) {
  for (const float size : {1e-30F, 1.0F, 1e4F, 1e15F}) {
    const AttentionShape shape{9, 1, 8};
    auto qkv = random_floats(9 * 24, size);
    for (std::size_t i = 0; i < 9; ++i) std::fill_n(qkv.begin() + static_cast<std::ptrdiff_t>(i * 24 + 16), 8, 3.0F);
    std::vector<float> context(9 * 8);
    std::vector<float> scratch(attention_scratch_size(shape));
    for (std::size_t head = 0; head < shape.num_heads; ++head) {
      fast().attention_fp32(qkv.data(), context.data(), shape, head, scratch.data());
    }
    for (const float value : context) ASSERT_NEAR(value, 3.0F, 1e-5) << size;  // a mean of equal values
  }
}

TEST_P(Kernel, RoundingToBf16EqualsItsTwinBitForBit) {
  auto values = random_floats(1000, 100);
  for (const float special :
       {0.0F, -0.0F, 0x1p-149F, -0x1p-130F, std::numeric_limits<float>::max(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1.00390625F, 1.01171875F}) {
    values.push_back(special);
  }
  for (std::size_t size = 0; size <= 40; ++size) {
    for (std::size_t begin = 0; begin + size <= values.size(); begin += 37) {
      std::vector<std::uint16_t> out(size + 1, 0xABCD);
      std::vector<std::uint16_t> expected(size + 1, 0xABCD);
      fast().round_to_bf16(values.data() + begin, out.data(), size);
      slow().round_to_bf16(values.data() + begin, expected.data(), size);
      ASSERT_EQ(out, expected);
    }
  }
  std::vector<std::uint16_t> out(values.size());
  std::vector<std::uint16_t> expected(values.size());
  fast().round_to_bf16(values.data(), out.data(), values.size());
  slow().round_to_bf16(values.data(), expected.data(), values.size());
  EXPECT_EQ(out, expected);
}

INSTANTIATE_TEST_SUITE_P(Levels, Kernel,
                         ::testing::Values(IsaLevel::kScalar, IsaLevel::kAvx2, IsaLevel::kAvx512, IsaLevel::kAvx512Vnni,
                                           IsaLevel::kAvx512Bf16, IsaLevel::kAmx),
                         [](const auto& info) { return std::string(isa_level_name(info.param)); });

}  // namespace
}  // namespace matinee::nn
