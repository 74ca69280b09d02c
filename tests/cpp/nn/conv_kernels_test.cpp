#include "nn/conv_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "nn/half.h"

// Every kernel against its scalar twin, for sizes that leave every tail of pixels and every padding of SAME, and for
// rows made in strips. That the scalar twins are right is shown against PyTorch in tests/python/nn.
namespace matinee::nn {
namespace {

struct Padding {
  std::size_t out_size, before;
};

Padding same(std::size_t size, std::size_t kernel, std::size_t stride) {
  const std::size_t out = (size + stride - 1) / stride;
  return {out, ((out - 1) * stride + kernel - size) / 2};
}

class ConvKernel : public ::testing::TestWithParam<IsaLevel> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa_level()) GTEST_SKIP() << "this processor lacks " << isa_level_name(GetParam());
  }
  const ConvKernels& fast() const { return conv_kernels_of(GetParam()); }
  const ConvKernels& slow() const { return conv_kernels_of(IsaLevel::kScalar); }

  std::vector<float> random_floats(std::size_t count, float scale = 1) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(count);
    for (float& value : values) value = normal(random_);
    return values;
  }

 private:
  std::mt19937 random_{3};
};

TEST_P(ConvKernel, StemEqualsItsTwin) {
  for (const std::size_t size : {3U, 14U, 15U, 32U, 61U}) {
    const auto pixels = random_floats(3 * size * size);
    const auto weights = random_floats(kStemTaps * kStemChannels, 0.3F);
    const auto bias = random_floats(kStemChannels, 6);
    std::vector<float> scratch(stem_scratch_size(size));
    StemCall call;
    call.pixels = pixels.data();
    call.size = size;
    call.weights = weights.data();
    call.bias = bias.data();
    call.out_size = same(size, kStemKernel, kStemStride).out_size;
    call.padding = same(size, kStemKernel, kStemStride).before;
    call.scratch = scratch.data();
    for (const std::size_t begin : {std::size_t{0}, call.out_size / 2}) {
      call.begin_row = begin;
      call.end_row = call.out_size;
      std::vector<float> expected((call.end_row - begin) * call.out_size * kStemChannels, -1);
      std::vector<float> found(expected.size() + 1, -1);
      call.output = expected.data();
      slow().stem(call);
      call.output = found.data();
      fast().stem(call);
      EXPECT_EQ(found.back(), -1);
      for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(found[i], expected[i], 1e-5) << size << " at " << i;
      EXPECT_EQ(*std::max_element(expected.begin(), expected.end()), 6);  // ReLU6 is at work at both ends
      EXPECT_EQ(*std::min_element(expected.begin(), expected.end()), 0);
    }
  }
}

TEST_P(ConvKernel, DepthwiseEqualsItsTwin) {
  for (const std::size_t kernel : {3U, 5U}) {
    for (const std::size_t stride : {1U, 2U}) {
      for (const std::size_t size : {1U, 2U, 4U, 7U, 13U, 56U, 113U}) {
        const std::size_t channels = size > 50 ? 32 : 96;
        const auto [out_size, before] = same(size, kernel, stride);
        const auto exact = random_floats(size * size * channels);
        std::vector<std::uint16_t> rounded(exact.size());
        for (std::size_t i = 0; i < exact.size(); ++i) rounded[i] = bf16_from_float(exact[i]);
        const auto weights = random_floats(kernel * kernel * channels, 0.7F);
        const auto bias = random_floats(channels);
        std::vector<float> scratch(depthwise_scratch_size(size));
        DepthwiseCall call;
        call.size = size;
        call.channels = channels;
        call.kernel = kernel;
        call.stride = stride;
        call.padding = before;
        call.weights = weights.data();
        call.bias = bias.data();
        call.out_size = out_size;
        call.scratch = scratch.data();
        for (const std::size_t begin : {std::size_t{0}, out_size / 3}) {
          call.begin_row = begin;
          call.end_row = out_size;
          // Input rows are there only as far as the filter reaches.
          call.first_row = begin * stride - std::min(before, begin * stride);
          const std::size_t skipped = call.first_row * size * channels;
          for (const bool bf16 : {false, true}) {
            call.input = bf16 ? static_cast<const void*>(rounded.data() + skipped) : exact.data() + skipped;
            std::vector<std::uint16_t> expected((out_size - begin) * out_size * channels, 0xABCD);
            std::vector<std::uint16_t> found(expected.size() + 1, 0xABCD);
            call.output = expected.data();
            (bf16 ? slow().depthwise_bf16 : slow().depthwise_fp32)(call);
            call.output = found.data();
            (bf16 ? fast().depthwise_bf16 : fast().depthwise_fp32)(call);
            EXPECT_EQ(found.back(), 0xABCD);
            for (std::size_t i = 0; i < expected.size(); ++i) {
              const float wanted = float_from_bf16(expected[i]);
              // Sums in another order may round to the neighbouring bf16.
              ASSERT_NEAR(float_from_bf16(found[i]), wanted, 1e-5F + wanted / 128)
                  << kernel << " " << stride << " " << size << " at " << i;
            }
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, ConvKernel, ::testing::Values(IsaLevel::kScalar, IsaLevel::kAvx2, IsaLevel::kAvx512),
                         [](const auto& level) { return std::string(isa_level_name(level.param)); });

}  // namespace
}  // namespace matinee::nn
