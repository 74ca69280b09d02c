#include <algorithm>

#include "nn/conv_kernels.h"
#include "nn/half.h"
#include "nn/kernels_tables.h"

// The slow, obvious twins: what the fast kernels are compared with, and what runs below AVX2.
namespace matinee::nn {
namespace {

float to_float(float value) { return value; }
float to_float(std::uint16_t value) { return float_from_bf16(value); }
float relu6(float x) { return std::clamp(x, 0.0F, 6.0F); }

void stem(const StemCall& call) {
  for (std::size_t y = call.begin_row; y < call.end_row; ++y) {
    for (std::size_t x = 0; x < call.out_size; ++x) {
      for (std::size_t o = 0; o < kStemChannels; ++o) {
        float sum = call.bias[o];
        for (std::size_t tap = 0; tap < kStemTaps; ++tap) {
          const std::size_t channel = tap / (kStemKernel * kStemKernel);
          const std::size_t row = y * kStemStride + tap / kStemKernel % kStemKernel;  // padding too high, as is column
          const std::size_t column = x * kStemStride + tap % kStemKernel;
          if (row < call.padding || row - call.padding >= call.size) continue;
          if (column < call.padding || column - call.padding >= call.size) continue;
          const std::size_t at = (channel * call.size + row - call.padding) * call.size + column - call.padding;
          sum += call.pixels[at] * call.weights[tap * kStemChannels + o];
        }
        call.output[((y - call.begin_row) * call.out_size + x) * kStemChannels + o] = relu6(sum);
      }
    }
  }
}

template <typename T>
void depthwise(const DepthwiseCall& call) {
  const T* input = static_cast<const T*>(call.input);
  for (std::size_t y = call.begin_row; y < call.end_row; ++y) {
    for (std::size_t x = 0; x < call.out_size; ++x) {
      for (std::size_t c = 0; c < call.channels; ++c) {
        float sum = call.bias[c];
        for (std::size_t tap = 0; tap < call.kernel * call.kernel; ++tap) {
          const std::size_t row = y * call.stride + tap / call.kernel;  // padding too high, as is column
          const std::size_t column = x * call.stride + tap % call.kernel;
          if (row < call.padding || row - call.padding >= call.size) continue;
          if (column < call.padding || column - call.padding >= call.size) continue;
          const std::size_t at = (row - call.padding - call.first_row) * call.size + column - call.padding;
          sum += to_float(input[at * call.channels + c]) * call.weights[tap * call.channels + c];
        }
        const std::size_t at = (y - call.begin_row) * call.out_size + x;
        call.output[at * call.channels + c] = bf16_from_float(relu6(sum));
      }
    }
  }
}

}  // namespace

const ConvKernels kScalarConvKernels = {stem, depthwise<float>, depthwise<std::uint16_t>};

// Fast kernels go over 7 pixels at a time and may read as far as the filter of the last of them.
std::size_t stem_scratch_size(std::size_t size) { return 3 * kStemKernel * (size + 16); }
std::size_t depthwise_scratch_size(std::size_t size) {
  return std::max<std::size_t>(10 << 10, 5 * (size + 16) * kDepthwiseChannels);
}

const ConvKernels& conv_kernels_of(IsaLevel level) {
#if defined(__x86_64__)
  if (level >= IsaLevel::kAvx512) return kAvx512ConvKernels;
  if (level >= IsaLevel::kAvx2) return kAvx2ConvKernels;
#endif
  return kScalarConvKernels;
}

}  // namespace matinee::nn
