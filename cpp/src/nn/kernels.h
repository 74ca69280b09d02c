#pragma once

#include <cstddef>
#include <cstdint>

#include "matinee/core/cpu.h"

// The parts of a transformer that oneDNN does not fuse, one function pointer each, for every instruction level.
// bf16 values are passed as their 16 bits (nn/half.h).
namespace matinee::nn {

struct AttentionShape {
  std::size_t length = 0;  // tokens of the sequence, >= 1
  std::size_t num_heads = 0;
  std::size_t head_dim = 0;
  std::size_t qkv_stride = 0;      // elements between tokens of qkv; 0: 3 * num_heads * head_dim
  std::size_t context_stride = 0;  // and of context; 0: num_heads * head_dim
  bool causal = false;             // a token sees itself and those before it
};

struct Kernels {
  // y = (x - mean) / sqrt(variance + epsilon) * gamma + beta over `size` values, in fp32 (Ba et al. 2016). `y` may be
  // x; where `rounded` is not null it receives the result as bf16.
  void (*layer_norm)(const float* x, float* y, std::uint16_t* rounded, const float* gamma, const float* beta,
                     std::size_t size, float epsilon);

  // Softmax attention of one head within one sequence: context = softmax(Q K^T / sqrt(head_dim)) V (Vaswani et al.
  // 2017, eq. 1). `qkv` (length, 3 * heads * head_dim) holds Q, K and V of all heads side by side; `context` (length,
  // heads * head_dim); of both only this head's columns are touched. Sums and softmax are fp32. `scratch` has
  // attention_scratch_size(shape) floats.
  void (*attention_fp32)(const float* qkv, float* context, const AttentionShape& shape, std::size_t head,
                         float* scratch);
  void (*attention_bf16)(const std::uint16_t* qkv, std::uint16_t* context, const AttentionShape& shape,
                         std::size_t head, float* scratch);

  // out[i] = bf16(in[i]), ties to even.
  void (*round_to_bf16)(const float* in, std::uint16_t* out, std::size_t size);
};

// Enough for every level, and for AVX-512 loads and stores over the end.
std::size_t attention_scratch_size(const AttentionShape& shape);

const Kernels& kernels_of(IsaLevel level);

// Those of the level in force.
inline const Kernels& kernels() { return kernels_of(isa_level()); }

}  // namespace matinee::nn
