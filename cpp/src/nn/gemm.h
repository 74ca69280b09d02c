#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "matinee/core/cpu.h"
#include "nn/dnnl_context.h"

// Products of activations with packed weights in bf16 and int8, with what follows them fused. oneDNN computes fp32;
// docs/adr/0005-own-gemm.md says why not these.
namespace matinee::nn {

// What is applied to a product before it is written.
enum class Activation {
  kNone,
  kGelu,       // x/2 (1 + erf(x / sqrt 2))
  kQuickGelu,  // x sigmoid(1.702 x), of OpenAI's CLIP
  kGeluTanh,   // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  kRelu,
  kRelu6,  // min(max(x, 0), 6)
};

// Note [Packed weights]: a weight matrix (N, K) is kept as panels of 32 outputs. A panel holds K in blocks of 64 bytes
// (32 bf16 or 64 int8 values), a block two tiles of 16 outputs, a tile 16 rows of 64 bytes: row r has, for each of its
// 16 outputs, the 4 bytes (2 bf16, 4 int8) of K that begin at 4 r. This is what an AMX tile register holds, and a row
// is what one AVX-512 dot-product instruction takes. N and K are padded with zeros.
inline constexpr std::size_t kPanelColumns = 32;
inline constexpr std::size_t kTileColumns = 16;
inline constexpr std::size_t kTileRows = 16;
inline constexpr std::size_t kBlockBytes = 64;
inline constexpr std::size_t kTileBytes = kTileRows * kBlockBytes;

// Activations (T, K): row-major with a stride in bytes, readable (whatever is there) up to a multiple of kRowStep rows
// and of kBlockBytes columns; what lies beyond K must be finite.
inline constexpr std::size_t kRowStep = 32;

enum class GemmOutput {
  kBf16,       // y = f(x)
  kFp32,       // y = f(x)
  kAddToFp32,  // y += f(x): the residual
};

struct GemmCall {
  const std::uint8_t* input = nullptr;  // (T, K) bf16, or unsigned int8 with zero at 128
  std::size_t input_stride = 0;         // bytes
  std::size_t num_rows = 0;             // T

  const std::uint8_t* weights = nullptr;  // see Note [Packed weights]
  std::size_t num_blocks = 0;             // of kBlockBytes, along K
  std::size_t columns = 0;                // N
  std::size_t begin_panel = 0;            // the panels this call computes
  std::size_t end_panel = 0;
  const float* bias = nullptr;  // (N padded to panels,)

  // int8 only: y = (sum - offset) * row_scale * column_scale. offset = 128 * the column's sum of weights, because
  // inputs are stored 128 too high.
  const float* row_scales = nullptr;             // (T,)
  const float* column_scales = nullptr;          // (N padded,)
  const std::int32_t* column_offsets = nullptr;  // (N padded,)

  Activation activation = Activation::kNone;
  GemmOutput output_kind = GemmOutput::kFp32;
  void* output = nullptr;         // (T, N)
  std::size_t output_stride = 0;  // elements
};

struct GemmKernels {
  // Within a dot product of length K sums are fp32 (bf16 inputs) or exact int32 (int8 inputs, K < 2^16).
  void (*bf16)(const GemmCall& call);
  void (*int8)(const GemmCall& call);
  // out[i] = 128 + round(in[i] * smoothing[i] / scale), scale = max |in * smoothing| / 127; returns scale (0 for a row
  // of zeros). `smoothing` may be null (ones). Writes `padded` bytes, those from `size` on 128; `padded` is a multiple
  // of kBlockBytes.
  float (*quantize_fp32)(const float* in, const float* smoothing, std::uint8_t* out, std::size_t size,
                         std::size_t padded);
  float (*quantize_bf16)(const std::uint16_t* in, const float* smoothing, std::uint8_t* out, std::size_t size,
                         std::size_t padded);
};

const GemmKernels& gemm_kernels_of(IsaLevel level);
inline const GemmKernels& gemm_kernels() { return gemm_kernels_of(isa_level()); }

enum class PackedType { kBf16, kInt8 };

// A weight matrix and its bias, packed. Unchangeable; shared by all threads.
class PackedWeights {
 public:
  // `weight` (N, K) row-major, `bias` (N,). int8: each output's weights are scaled by max / 127 and rounded;
  // `smoothing` (K,) or empty: input channel k of the weights is divided by smoothing[k], because inputs will be
  // multiplied by it.
  PackedWeights(std::span<const float> weight, std::span<const float> bias, std::size_t columns, std::size_t depth,
                PackedType type, std::span<const float> smoothing = {});

  std::size_t columns() const noexcept { return columns_; }
  std::size_t depth() const noexcept { return depth_; }
  std::size_t num_panels() const noexcept { return bias_.size() / kPanelColumns; }
  std::size_t num_blocks() const noexcept { return num_blocks_; }
  PackedType type() const noexcept { return type_; }

  // Sets the fields of the call that describe the weights.
  void describe(GemmCall& call) const;

 private:
  std::size_t columns_;
  std::size_t depth_;
  std::size_t num_blocks_;
  PackedType type_;
  AlignedBuffer packed_;
  std::vector<float> bias_;
  std::vector<float> scales_;
  std::vector<std::int32_t> offsets_;
};

}  // namespace matinee::nn
