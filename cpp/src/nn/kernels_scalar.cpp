#include <algorithm>
#include <cmath>
#include <vector>

#include "nn/half.h"
#include "nn/kernels.h"
#include "nn/kernels_tables.h"

// The slow, obvious twins: what the fast kernels are compared with, and what runs below AVX2.
namespace matinee::nn {
namespace {

float to_float(float value) { return value; }
float to_float(std::uint16_t value) { return float_from_bf16(value); }
void assign(float& out, float value) { out = value; }
void assign(std::uint16_t& out, float value) { out = bf16_from_float(value); }

void layer_norm(const float* x, float* y, std::uint16_t* rounded, const float* gamma, const float* beta,
                std::size_t size, float epsilon) {
  float mean = 0;
  for (std::size_t i = 0; i < size; ++i) mean += x[i];
  mean /= static_cast<float>(size);
  float variance = 0;
  for (std::size_t i = 0; i < size; ++i) variance += (x[i] - mean) * (x[i] - mean);
  variance /= static_cast<float>(size);
  const float scale = 1.0F / std::sqrt(variance + epsilon);
  for (std::size_t i = 0; i < size; ++i) {
    y[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
    if (rounded != nullptr) rounded[i] = bf16_from_float(y[i]);
  }
}

template <typename T>
void attention(const T* qkv, T* context, const AttentionShape& shape, std::size_t head, float* scratch) {
  const std::size_t width = shape.num_heads * shape.head_dim;
  const std::size_t stride = shape.qkv_stride != 0 ? shape.qkv_stride : 3 * width;
  const std::size_t context_stride = shape.context_stride != 0 ? shape.context_stride : width;
  const float scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim));
  float* weights = scratch;  // (length,)
  const T* q = qkv + head * shape.head_dim;
  const T* k = q + width;
  const T* v = k + width;
  for (std::size_t i = 0; i < shape.length; ++i) {
    const std::size_t seen = shape.causal ? i + 1 : shape.length;
    for (std::size_t j = 0; j < seen; ++j) {
      float sum = 0;
      for (std::size_t d = 0; d < shape.head_dim; ++d) {
        sum += to_float(q[i * stride + d]) * to_float(k[j * stride + d]);
      }
      weights[j] = sum * scale;
    }
    const float highest = *std::max_element(weights, weights + seen);
    float total = 0;
    for (std::size_t j = 0; j < seen; ++j) {
      weights[j] = std::exp(weights[j] - highest);
      total += weights[j];
    }
    for (std::size_t d = 0; d < shape.head_dim; ++d) {
      float sum = 0;
      for (std::size_t j = 0; j < seen; ++j) sum += weights[j] * to_float(v[j * stride + d]);
      assign(context[i * context_stride + head * shape.head_dim + d], sum / total);
    }
  }
}

void round_to_bf16(const float* in, std::uint16_t* out, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) out[i] = bf16_from_float(in[i]);
}

}  // namespace

const Kernels kScalarKernels = {layer_norm, attention<float>, attention<std::uint16_t>, round_to_bf16};

std::size_t attention_scratch_size(const AttentionShape& shape) {
  // Fast kernels: Q and V (length, head_dim), K^T (head_dim, length), four rows of scores; each rounded up to whole
  // vectors of 16, in both directions for the transposition.
  const std::size_t length = (shape.length + 15) / 16 * 16;
  const std::size_t dim = (shape.head_dim + 15) / 16 * 16;
  return 3 * length * dim + 4 * length;
}

const Kernels& kernels_of(IsaLevel level) {
#if defined(__x86_64__)
  if (level >= IsaLevel::kAvx512) return kAvx512Kernels;
  if (level >= IsaLevel::kAvx2) return kAvx2Kernels;
#endif
  return kScalarKernels;
}

}  // namespace matinee::nn
