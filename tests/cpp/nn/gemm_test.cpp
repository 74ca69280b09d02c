#include "nn/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include "nn/half.h"

// Every level's products against the scalar twin, and the scalar twin against plain arithmetic, for sizes that leave
// different tails of rows, columns and depth, with every activation and every kind of output.
namespace matinee::nn {
namespace {

constexpr Activation kActivations[] = {Activation::kNone,     Activation::kGelu, Activation::kQuickGelu,
                                       Activation::kGeluTanh, Activation::kRelu, Activation::kRelu6};
constexpr GemmOutput kOutputs[] = {GemmOutput::kFp32, GemmOutput::kAddToFp32, GemmOutput::kBf16};

struct Product {
  std::size_t rows, columns, depth;
  PackedType type;
  std::vector<float> input;   // (rows, depth)
  std::vector<float> weight;  // (columns, depth)
  std::vector<float> bias;
  std::vector<std::uint8_t> codes;  // the input as a call takes it
  std::vector<float> row_scales;
  std::size_t stride = 0;

  Product(std::size_t num_rows, std::size_t num_columns, std::size_t length, PackedType packed_type, unsigned seed)
      : rows(num_rows), columns(num_columns), depth(length), type(packed_type) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& values, std::size_t count, float scale) {
      values.resize(count);
      for (float& value : values) value = scale * normal(random);
    };
    fill(input, rows * depth, 1.0F);
    fill(weight, columns * depth, 1.0F / std::sqrt(static_cast<float>(depth)));
    fill(bias, columns, 1.0F);
    const std::size_t element = type == PackedType::kBf16 ? 2 : 1;
    stride = (depth * element + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    const std::size_t room = (rows + kRowStep - 1) / kRowStep * kRowStep;
    codes.assign(room * stride, 0);
    row_scales.assign(rows, 0);
    for (std::size_t row = 0; row < rows; ++row) {
      std::uint8_t* out = codes.data() + row * stride;
      if (type == PackedType::kInt8) {
        row_scales[row] =
            gemm_kernels_of(IsaLevel::kScalar).quantize_fp32(input.data() + row * depth, nullptr, out, depth, stride);
        continue;
      }
      for (std::size_t k = 0; k < depth; ++k) {
        const std::uint16_t bits = bf16_from_float(input[row * depth + k]);
        std::memcpy(out + 2 * k, &bits, sizeof(bits));
      }
    }
  }

  // (rows, columns) as floats, whatever the kind; one column of room on the right must stay as it was.
  std::vector<float> run(IsaLevel level, Activation activation, GemmOutput kind) const {
    const PackedWeights packed(weight, bias, columns, depth, type);
    GemmCall call;
    packed.describe(call);
    call.input = codes.data();
    call.input_stride = stride;
    call.num_rows = rows;
    call.end_panel = packed.num_panels();
    call.row_scales = row_scales.data();
    call.activation = activation;
    call.output_kind = kind;
    call.output_stride = columns + 1;
    std::vector<float> floats(rows * (columns + 1), 0.5F);
    std::vector<std::uint16_t> halves(rows * (columns + 1), bf16_from_float(0.5F));
    call.output = kind == GemmOutput::kBf16 ? static_cast<void*>(halves.data()) : floats.data();
    // In two calls, as two workers would: the panels of one must not touch the other's.
    const std::size_t middle = packed.num_panels() / 2;
    const GemmKernels& kernels = gemm_kernels_of(level);
    const auto gemm = type == PackedType::kBf16 ? kernels.bf16 : kernels.int8;
    call.end_panel = middle;
    gemm(call);
    call.begin_panel = middle;
    call.end_panel = packed.num_panels();
    gemm(call);
    if (kind == GemmOutput::kBf16) {
      for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = float_from_bf16(halves[i]);
    }
    return floats;
  }
};

class Gemm : public ::testing::TestWithParam<std::tuple<IsaLevel, PackedType>> {
 protected:
  void SetUp() override {
    if (level() > detected_isa_level()) GTEST_SKIP() << "this processor lacks " << isa_level_name(level());
  }
  static IsaLevel level() { return std::get<0>(GetParam()); }
  static PackedType type() { return std::get<1>(GetParam()); }
};

TEST_P(Gemm, EqualsItsScalarTwinForEveryTailOfRowsColumnsAndDepth) {
  unsigned seed = 0;
  for (const std::size_t rows : {1U, 2U, 3U, 7U, 12U, 13U, 16U, 17U, 31U, 32U, 33U, 70U, 300U}) {
    for (const std::size_t columns : {1U, 7U, 16U, 31U, 32U, 33U, 100U}) {
      for (const std::size_t depth : {1U, 5U, 31U, 64U, 65U, 200U, 900U}) {
        if (rows * columns * depth > 3'000'000) continue;
        const Product product(rows, columns, depth, type(), ++seed);
        const auto fast = product.run(level(), Activation::kNone, GemmOutput::kFp32);
        const auto slow = product.run(IsaLevel::kScalar, Activation::kNone, GemmOutput::kFp32);
        // Sums of `depth` products of size 1 / sqrt(depth) in another order.
        for (std::size_t i = 0; i < fast.size(); ++i) {
          ASSERT_NEAR(fast[i], slow[i], 2e-5) << rows << " x " << columns << " x " << depth << " at " << i;
        }
      }
    }
  }
}

TEST_P(Gemm, AppliesEveryActivationToEveryKindOfOutput) {
  const Product product(37, 45, 70, type(), 1);
  for (const Activation activation : kActivations) {
    for (const GemmOutput kind : kOutputs) {
      const auto fast = product.run(level(), activation, kind);
      const auto slow = product.run(IsaLevel::kScalar, activation, kind);
      for (std::size_t i = 0; i < fast.size(); ++i) {
        // The polynomial of gelu is within 3.4e-5; then one step of bf16.
        const float tolerance = 6e-5F + (kind == GemmOutput::kBf16 ? std::fabs(slow[i]) / 128 : 0.0F);
        ASSERT_NEAR(fast[i], slow[i], tolerance) << static_cast<int>(activation) << ", " << static_cast<int>(kind);
      }
    }
  }
}

TEST_P(Gemm, IsNearThePlainProduct) {
  const Product product(20, 40, 384, type(), 7);
  const auto result = product.run(level(), Activation::kNone, GemmOutput::kFp32);
  for (std::size_t row = 0; row < product.rows; ++row) {
    for (std::size_t column = 0; column < product.columns; ++column) {
      double sum = product.bias[column];
      for (std::size_t k = 0; k < product.depth; ++k) {
        sum += static_cast<double>(product.input[row * product.depth + k]) * product.weight[column * product.depth + k];
      }
      // Values of size 1: 2^-9 of relative error a factor in bf16; a step of 3/127 a factor in int8, averaged out.
      const double tolerance = type() == PackedType::kBf16 ? 0.02 : 0.06;
      ASSERT_NEAR(result[row * (product.columns + 1) + column], sum, tolerance);
    }
    ASSERT_EQ(result[row * (product.columns + 1) + product.columns], 0.5F);
  }
}

TEST_P(Gemm, QuantizesAsItsTwin) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (std::size_t size = 1; size <= 140; ++size) {
    std::vector<float> values(size);
    std::vector<std::uint16_t> halves(size);
    std::vector<float> smoothing(size);
    for (std::size_t i = 0; i < size; ++i) {
      values[i] = normal(random) * (i % 11 == 0 ? 20.0F : 1.0F);
      halves[i] = bf16_from_float(values[i]);
      smoothing[i] = 0.1F + std::fabs(normal(random));
    }
    const std::size_t padded = (size + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    for (const float* factors : {static_cast<const float*>(nullptr), static_cast<const float*>(smoothing.data())}) {
      const auto compare = [&](const auto& quantize) {
        std::vector<std::uint8_t> fast(padded + 1, 7);
        std::vector<std::uint8_t> slow(padded + 1, 7);
        const float scale = quantize(gemm_kernels_of(level()), fast.data(), padded);
        EXPECT_FLOAT_EQ(scale, quantize(gemm_kernels_of(IsaLevel::kScalar), slow.data(), padded));
        for (std::size_t i = 0; i < fast.size(); ++i) {
          ASSERT_LE(std::abs(int{fast[i]} - int{slow[i]}), 1) << size << " at " << i;  // a tie, rounded after a fma
        }
        ASSERT_EQ(fast.back(), 7);
        for (std::size_t i = size; i < padded; ++i) ASSERT_EQ(fast[i], 128);
      };
      compare([&](const GemmKernels& kernels, std::uint8_t* out, std::size_t room) {
        return kernels.quantize_fp32(values.data(), factors, out, size, room);
      });
      compare([&](const GemmKernels& kernels, std::uint8_t* out, std::size_t room) {
        return kernels.quantize_bf16(halves.data(), factors, out, size, room);
      });
    }
  }
  std::vector<float> zeros(10);
  std::vector<std::uint8_t> out(64);
  EXPECT_EQ(gemm_kernels_of(level()).quantize_fp32(zeros.data(), nullptr, out.data(), 10, 64), 0.0F);
  for (const std::uint8_t code : out) EXPECT_EQ(code, 128);
}

INSTANTIATE_TEST_SUITE_P(Levels, Gemm,
                         ::testing::Combine(::testing::Values(IsaLevel::kScalar, IsaLevel::kAvx2, IsaLevel::kAvx512,
                                                              IsaLevel::kAvx512Vnni, IsaLevel::kAvx512Bf16,
                                                              IsaLevel::kAmx),
                                            ::testing::Values(PackedType::kBf16, PackedType::kInt8)),
                         [](const auto& info) {
                           return std::string(isa_level_name(std::get<0>(info.param))) +
                                  (std::get<1>(info.param) == PackedType::kBf16 ? "_bf16" : "_int8");
                         });

TEST(PackedWeights, SmoothingLeavesTheProductAsItIs) {
  const Product product(5, 33, 50, PackedType::kInt8, 2);
  std::vector<float> smoothing(50);
  for (std::size_t k = 0; k < 50; ++k) smoothing[k] = k % 7 == 0 ? 0.5F : 1.5F;
  const PackedWeights packed(product.weight, product.bias, 33, 50, PackedType::kInt8, smoothing);
  std::vector<std::uint8_t> codes(kRowStep * 64);
  std::vector<float> scales(5);
  const GemmKernels& kernels = gemm_kernels();
  for (std::size_t row = 0; row < 5; ++row) {
    scales[row] =
        kernels.quantize_fp32(product.input.data() + row * 50, smoothing.data(), codes.data() + row * 64, 50, 64);
  }
  GemmCall call;
  packed.describe(call);
  call.input = codes.data();
  call.input_stride = 64;
  call.num_rows = 5;
  call.end_panel = packed.num_panels();
  call.row_scales = scales.data();
  std::vector<float> result(5 * 33);
  call.output = result.data();
  call.output_stride = 33;
  kernels.int8(call);
  for (std::size_t row = 0; row < 5; ++row) {
    for (std::size_t column = 0; column < 33; ++column) {
      double sum = product.bias[column];
      for (std::size_t k = 0; k < 50; ++k) {
        sum += static_cast<double>(product.input[row * 50 + k]) * product.weight[column * 50 + k];
      }
      ASSERT_NEAR(result[row * 33 + column], sum, 0.1);
    }
  }
}

}  // namespace
}  // namespace matinee::nn
