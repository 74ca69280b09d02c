#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "matinee/core/thread_pool.h"
#include "matinee/nn/precision.h"
#include "nn/dnnl_context.h"
#include "nn/linear.h"

// The layers that every transformer here has in common: CLIP's two towers, BERT, and the item transformer differ in how
// rows are made before them and read off after them.
namespace matinee::nn {

struct StackShape {
  std::size_t hidden = 0;
  std::size_t num_layers = 0;
  std::size_t num_heads = 0;
  std::size_t intermediate = 0;
  float epsilon = 1e-5F;
  Activation activation = Activation::kGelu;
  bool pre_norm = true;  // x + f(norm(x)), else norm(x + f(x)) as BERT has it
  bool causal = false;
};

struct LayerNorm {
  std::vector<float> gamma;
  std::vector<float> beta;
};

// One layer as a file has it: matrices (out, in) row-major.
struct LayerWeights {
  std::vector<float> query_key_value;  // (3 hidden, hidden): the three side by side
  std::vector<float> query_key_value_bias;
  std::vector<float> attention_output;
  std::vector<float> attention_output_bias;
  LayerNorm attention_norm;
  std::vector<float> intermediate;
  std::vector<float> intermediate_bias;
  std::vector<float> output;
  std::vector<float> output_bias;
  LayerNorm output_norm;
};

// The largest |value| of each input channel of a layer's four products, seen while real inputs went through: what
// smoothing is made of.
struct LayerRanges {
  std::vector<float> query_key_value;
  std::vector<float> attention_output;
  std::vector<float> intermediate;
  std::vector<float> output;
};

// Sequences packed one after the other: row r of sequence s is a token.
using Lengths = std::span<const std::size_t>;

class TransformerStack {
 public:
  using LayerSource = std::function<LayerWeights(std::size_t layer)>;

  // `ranges`, one a layer or empty: kInt8 smooths its inputs with them (Xiao et al. 2023, SmoothQuant, eq. 4, alpha
  // 0.5). Must be called on a worker of the compute pool; so must run().
  TransformerStack(const StackShape& shape, Precision precision, const LayerSource& layers,
                   std::span<const LayerRanges> ranges);

  const StackShape& shape() const noexcept { return shape_; }
  Precision precision() const noexcept { return precision_; }

  struct Hooks {
    // Called after each layer with the residual stream (T, hidden).
    std::function<void(std::size_t layer, const float* rows)> after_layer;
    // The rows that are wanted in the end, rising; empty: all. The last layer leaves the others out where it can, and
    // these come out one after the other at the beginning of `rows`.
    std::span<const std::size_t> wanted_rows{};
    // Grown by what is seen; num_layers of them, vectors of the right sizes. kFp32 stacks only.
    std::vector<LayerRanges>* ranges = nullptr;
  };

  // `rows` (T, hidden) fp32, with room for Linear::padded_rows(T): the residual stream, computed in place.
  void run(float* rows, Lengths lengths, Team& team, const Hooks& hooks) const;

  // LayerNorm over `num_rows` rows in place.
  static void normalize(const LayerNorm& norm, float epsilon, float* rows, std::size_t num_rows, std::size_t size,
                        Team& team);

  // Zeros of the right sizes.
  std::vector<LayerRanges> empty_ranges() const;

 private:
  struct Layer;
  struct Buffers;
  void prepare_input(const LayerNorm* norm, bool in_place, float* rows, std::size_t num_rows,
                     const std::vector<float>& smoothing, Buffers& buffers, Team& team) const;
  std::size_t keep_rows(std::span<const std::size_t> wanted, float* rows, Buffers& buffers) const;
  void quantize(const void* bf16, std::size_t stride, std::size_t size, std::size_t num_rows,
                const std::vector<float>& smoothing, Buffers& buffers, Team& team) const;
  void attend(Lengths lengths, Buffers& buffers, Team& team) const;

  StackShape shape_;
  Precision precision_;
  std::vector<std::unique_ptr<Layer>> layers_;

 public:
  ~TransformerStack();
  TransformerStack(const TransformerStack&) = delete;
  TransformerStack& operator=(const TransformerStack&) = delete;
};

}  // namespace matinee::nn
