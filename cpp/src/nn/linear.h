#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "matinee/core/thread_pool.h"
#include "matinee/nn/precision.h"
#include "nn/dnnl_context.h"
#include "nn/gemm.h"

namespace matinee::nn {

struct LinearOptions {
  Precision precision = Precision::kFp32;
  Activation activation = Activation::kNone;
  bool add_to_output = false;          // y += …: the residual, which the fp32 output already holds
  bool bf16_output = false;            // else fp32; kFp32 layers always write fp32
  std::span<const float> smoothing{};  // kInt8: what inputs are multiplied by, (in,); empty: ones
};

// y = f(x W^T + b): x (T, in), W (out, in), b (out,), y (T, out). fp32 on oneDNN, bf16 and int8 on our own kernels.
//
// Weights are packed once and shared by all threads. A row's result does not depend on its neighbours. The layer's
// parts are shared out over a team: by columns as far as possible, so that every worker streams its own weights only.
class Linear {
 public:
  // `weight` is (out, in) row-major. Must be called on a worker of the compute pool; so must run().
  Linear(std::span<const float> weight, std::span<const float> bias, std::size_t in, std::size_t out,
         const LinearOptions& options);
  ~Linear();
  Linear(const Linear&) = delete;
  Linear& operator=(const Linear&) = delete;

  // Inputs of a layer are rows of this many bytes apart, in its precision (int8: unsigned, see GemmKernels::quantize).
  static std::size_t input_stride(std::size_t in, Precision precision);

  // `input` has room for padded_rows(num_rows) rows; those beyond num_rows are read and mean nothing. `row_scales` (T,)
  // where kInt8. `output` is (num_rows, out) with `output_stride` elements a row; kFp32: dense, with room for
  // padded_rows(num_rows).
  void run(const void* input, const float* row_scales, void* output, std::size_t output_stride, std::size_t num_rows,
           Team& team) const;

  static std::size_t padded_rows(std::size_t num_rows) { return (num_rows + kRowStep - 1) / kRowStep * kRowStep; }

 private:
  class DnnlProduct;
  void run_packed(const void* input, const float* row_scales, void* output, std::size_t output_stride,
                  std::size_t num_rows, Team& team) const;

  std::size_t in_;
  LinearOptions options_;
  std::unique_ptr<DnnlProduct> fp32_;
  std::unique_ptr<PackedWeights> packed_;
};

}  // namespace matinee::nn
