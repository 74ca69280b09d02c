#include <algorithm>
#include <cmath>
#include <cstring>

#include "nn/gemm.h"
#include "nn/gemm_tables.h"
#include "nn/half.h"

// The slow, obvious twins: what the fast kernels are compared with, and what runs below AVX2.
namespace matinee::nn {
namespace {

float activate(float x, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return 0.5F * x * (1.0F + std::erf(x / std::sqrt(2.0F)));
    case Activation::kQuickGelu:
      return x / (1.0F + std::exp(-1.702F * x));
    case Activation::kGeluTanh:
      return 0.5F * x * (1.0F + std::tanh(0.7978845608F * (x + 0.044715F * x * x * x)));
    case Activation::kRelu:
      return std::max(x, 0.0F);
    case Activation::kRelu6:
      return std::clamp(x, 0.0F, 6.0F);
  }
  return x;
}

void write(const GemmCall& call, std::size_t row, std::size_t column, float value) {
  const float y = activate(value + call.bias[column], call.activation);
  const std::size_t at = row * call.output_stride + column;
  if (call.output_kind == GemmOutput::kBf16) {
    static_cast<std::uint16_t*>(call.output)[at] = bf16_from_float(y);
  } else if (call.output_kind == GemmOutput::kFp32) {
    static_cast<float*>(call.output)[at] = y;
  } else {
    static_cast<float*>(call.output)[at] += y;
  }
}

// The 64 bytes of K of one output in one block, gathered from the tile.
void gather(const GemmCall& call, std::size_t column, std::size_t block, std::uint8_t* bytes) {
  const std::size_t panel = column / kPanelColumns;
  const std::size_t tile = column % kPanelColumns / kTileColumns;
  const std::uint8_t* at = call.weights + ((panel * call.num_blocks + block) * 2 + tile) * kTileBytes;
  for (std::size_t r = 0; r < kTileRows; ++r) {
    std::memcpy(bytes + 4 * r, at + r * kBlockBytes + column % kTileColumns * 4, 4);
  }
}

std::size_t end_column(const GemmCall& call) { return std::min(call.columns, call.end_panel * kPanelColumns); }

void gemm_bf16(const GemmCall& call) {
  for (std::size_t column = call.begin_panel * kPanelColumns; column < end_column(call); ++column) {
    for (std::size_t row = 0; row < call.num_rows; ++row) {
      float sum = 0;
      for (std::size_t block = 0; block < call.num_blocks; ++block) {
        std::uint16_t weights[kBlockBytes / 2];
        std::uint16_t inputs[kBlockBytes / 2];
        gather(call, column, block, reinterpret_cast<std::uint8_t*>(weights));
        std::memcpy(inputs, call.input + row * call.input_stride + block * kBlockBytes, kBlockBytes);
        for (std::size_t k = 0; k < kBlockBytes / 2; ++k) {
          sum += float_from_bf16(inputs[k]) * float_from_bf16(weights[k]);
        }
      }
      write(call, row, column, sum);
    }
  }
}

void gemm_int8(const GemmCall& call) {
  for (std::size_t column = call.begin_panel * kPanelColumns; column < end_column(call); ++column) {
    for (std::size_t row = 0; row < call.num_rows; ++row) {
      std::int32_t sum = 0;
      for (std::size_t block = 0; block < call.num_blocks; ++block) {
        std::uint8_t weights[kBlockBytes];
        gather(call, column, block, weights);
        const std::uint8_t* inputs = call.input + row * call.input_stride + block * kBlockBytes;
        for (std::size_t k = 0; k < kBlockBytes; ++k) sum += static_cast<std::int8_t>(weights[k]) * inputs[k];
      }
      const auto centred = static_cast<float>(sum - call.column_offsets[column]);
      write(call, row, column, centred * call.row_scales[row] * call.column_scales[column]);
    }
  }
}

float as_float(float value) { return value; }
float as_float(std::uint16_t value) { return float_from_bf16(value); }

template <typename T>
float quantize(const T* in, const float* smoothing, std::uint8_t* out, std::size_t size, std::size_t padded) {
  float highest = 0;
  const auto value = [&](std::size_t i) { return as_float(in[i]) * (smoothing == nullptr ? 1.0F : smoothing[i]); };
  for (std::size_t i = 0; i < size; ++i) highest = std::max(highest, std::fabs(value(i)));
  const float inverse = highest > 0 ? 127.0F / highest : 0.0F;
  for (std::size_t i = 0; i < size; ++i) {
    out[i] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(value(i) * inverse + 128.0F), 0.0F, 255.0F));
  }
  std::fill(out + size, out + padded, std::uint8_t{128});
  return highest / 127.0F;
}

}  // namespace

const GemmKernels kScalarGemm = {gemm_bf16, gemm_int8, quantize<float>, quantize<std::uint16_t>};

}  // namespace matinee::nn
