#pragma once

#include <cstddef>
#include <cstdint>

#include "matinee/core/cpu.h"

// The parts of a mobile convnet that are no matrix product, one function pointer each, for every instruction level.
// Images are square and channels-last, (H, W, C); bf16 values are passed as their 16 bits (nn/half.h). Padding is
// TensorFlow's SAME; what lies outside an image is 0.
namespace matinee::nn {

inline constexpr std::size_t kStemChannels = 32;
inline constexpr std::size_t kStemKernel = 3;
inline constexpr std::size_t kStemStride = 2;
inline constexpr std::size_t kStemTaps = 3 * kStemKernel * kStemKernel;

// The first convolution, with its bias and ReLU6: 3 x 3, stride 2, in fp32.
struct StemCall {
  const float* pixels = nullptr;   // (3, S, S)
  std::size_t size = 0;            // S
  std::size_t padding = 0;         // rows above, columns to the left
  const float* weights = nullptr;  // (3, 3, 3, 32): input channel, row and column of the filter, output
  const float* bias = nullptr;     // (32,)
  std::size_t begin_row = 0;       // of the output
  std::size_t end_row = 0;
  std::size_t out_size = 0;
  float* output = nullptr;   // (end_row - begin_row, out_size, 32)
  float* scratch = nullptr;  // stem_scratch_size(S) floats
};

// One filter a channel, with its bias and ReLU6. Sums are fp32.
struct DepthwiseCall {
  const void* input = nullptr;     // (…, size, C): rows of the image from first_row on, as far as the filter reaches
  std::size_t first_row = 0;       //
  std::size_t size = 0;            // the image is size x size
  std::size_t channels = 0;        // C, a multiple of kDepthwiseChannels
  std::size_t kernel = 0;          // 3 or 5
  std::size_t stride = 0;          // 1 or 2
  std::size_t padding = 0;         // rows above, columns to the left
  const float* weights = nullptr;  // (kernel, kernel, C)
  const float* bias = nullptr;     // (C,)
  std::size_t begin_row = 0;       // of the output
  std::size_t end_row = 0;
  std::size_t out_size = 0;
  std::uint16_t* output = nullptr;  // (end_row - begin_row, out_size, C) bf16
  float* scratch = nullptr;         // depthwise_scratch_size(size) floats
};

inline constexpr std::size_t kDepthwiseChannels = 32;  // a cache line of bf16

struct ConvKernels {
  void (*stem)(const StemCall& call);
  void (*depthwise_fp32)(const DepthwiseCall& call);
  void (*depthwise_bf16)(const DepthwiseCall& call);
};

// Enough for every level.
std::size_t stem_scratch_size(std::size_t size);
std::size_t depthwise_scratch_size(std::size_t size);

const ConvKernels& conv_kernels_of(IsaLevel level);
inline const ConvKernels& conv_kernels() { return conv_kernels_of(isa_level()); }

}  // namespace matinee::nn
