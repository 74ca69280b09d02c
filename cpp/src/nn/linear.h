#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "matinee/nn/precision.h"
#include "nn/dnnl_context.h"

namespace matinee::nn {

// What a linear layer does to its sums before they are written.
enum class Epilogue {
  kNone,
  kGelu,         // the exact GELU, x/2 (1 + erf(x / sqrt 2))
  kAddToOutput,  // y += …: the residual, which the output already holds
};

// y = epilogue(x W^T + b): x (T, in), W (out, in), b (out,), y (T, out).
//
// The weights are packed once, in the layout the primitive wants, and shared by all threads. Rows go through in blocks
// of kBlockRows, the last one rounded up to kRowStep rows, so at most kBlockRows / kRowStep primitives exist whatever
// the lengths of the texts. A row's result does not depend on its neighbours.
class Linear {
 public:
  static constexpr std::size_t kBlockRows = 64;
  static constexpr std::size_t kRowStep = 8;

  // Output rows are written in `output` precision, sums are fp32. `weight` is (out, in) row-major.
  // Must be called on a worker of the compute pool; so must run().
  Linear(const std::vector<float>& weight, std::vector<float> bias, std::size_t in, std::size_t out,
         Precision precision, Precision output, Epilogue epilogue);
  ~Linear();
  Linear(const Linear&) = delete;
  Linear& operator=(const Linear&) = delete;

  // `input` (num_rows, in) in the layer's precision and `output` (num_rows, out) must have room for
  // padded_rows(num_rows) rows; the rows beyond num_rows are computed from whatever is there and mean nothing.
  void run(const void* input, void* output, std::size_t num_rows, Workspace& workspace) const;

  static std::size_t padded_rows(std::size_t num_rows) { return (num_rows + kRowStep - 1) / kRowStep * kRowStep; }

 private:
  struct Plan;
  const Plan& plan(std::size_t num_rows) const;
  std::unique_ptr<Plan> make_plan(std::size_t num_rows) const;

  std::size_t in_;
  std::size_t out_;
  Precision precision_;
  Precision output_;
  Epilogue epilogue_;
  dnnl::memory bias_;
  mutable std::array<std::once_flag, kBlockRows / kRowStep> made_;
  mutable std::array<std::unique_ptr<Plan>, kBlockRows / kRowStep> plans_;
  mutable std::mutex weights_mutex_;
  mutable std::vector<dnnl::memory> weights_;  // packed; one for each layout a plan asked for (one, in practice)
};

}  // namespace matinee::nn
