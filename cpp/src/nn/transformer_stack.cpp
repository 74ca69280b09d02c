#include "nn/transformer_stack.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "nn/half.h"
#include "nn/kernels.h"

namespace matinee::nn {
namespace {

// How rows are shared out where one row is little work.
constexpr std::size_t kRowsAPart = 16;

void for_rows(std::size_t num_rows, Team& team, const std::function<void(std::size_t begin, std::size_t end)>& body) {
  // A few parts a worker are enough; many small ones only pay for being handed out.
  const std::size_t most = (num_rows + 4 * team.size() - 1) / (4 * team.size());
  const std::size_t step = std::max(kRowsAPart, most);
  team.for_each((num_rows + step - 1) / step,
                [&](std::size_t i) { body(i * step, std::min(num_rows, (i + 1) * step)); });
}

// What inputs are multiplied by: 1 / s, s_k = sqrt(max |x_k| / max |w_k|) (SmoothQuant, eq. 4, alpha 0.5). The weights
// are divided by the same, so that the product stays what it is.
std::vector<float> smoothing_of(const std::vector<float>& range, const std::vector<float>& weight) {
  const std::size_t depth = range.size();
  std::vector<float> result(depth, 1.0F);
  for (std::size_t k = 0; k < depth; ++k) {
    float highest = 0;
    for (std::size_t at = k; at < weight.size(); at += depth) highest = std::max(highest, std::fabs(weight[at]));
    // A channel that was never used, or whose weights are all zero, stays as it is.
    if (range[k] > 0 && highest > 0) result[k] = std::sqrt(highest / range[k]);
  }
  return result;
}

void widen(std::vector<float>& range, const float* values, std::size_t num_rows) {
  const std::size_t size = range.size();
  for (std::size_t row = 0; row < num_rows; ++row) {
    for (std::size_t k = 0; k < size; ++k) range[k] = std::max(range[k], std::fabs(values[row * size + k]));
  }
}

}  // namespace

struct TransformerStack::Layer {
  std::unique_ptr<Linear> query_key_value;  // one product for the three
  std::unique_ptr<Linear> attention_output;
  LayerNorm attention_norm;
  std::unique_ptr<Linear> intermediate;
  std::unique_ptr<Linear> output;
  LayerNorm output_norm;
  // kInt8: what the inputs of the four products are multiplied by, or empty.
  LayerRanges smoothing;
};

// Where a run keeps its activations: in the workspace of the worker that leads the team, which the others write to too.
struct TransformerStack::Buffers {
  void* input;               // (T, hidden) of the coming product, in the stack's precision, Linear::input_stride apart
  void* query_key_value;     // (T, 3 hidden) fp32 or bf16
  void* context;             // (T, hidden) likewise
  void* intermediate;        // (T, intermediate) likewise
  void* quantized;           // kInt8: (T, intermediate) or (T, hidden), uint8
  float* row_scales;         // kInt8: (T,)
  std::size_t input_stride;  // bytes
  std::size_t context_stride;       // bytes
  std::size_t intermediate_stride;  // bytes
};

TransformerStack::~TransformerStack() = default;

TransformerStack::TransformerStack(const StackShape& shape, Precision precision, const LayerSource& layers,
                                   std::span<const LayerRanges> ranges)
    : shape_(shape), precision_(precision) {
  const bool half = precision != Precision::kFp32;
  for (std::size_t i = 0; i < shape.num_layers; ++i) {
    const LayerWeights weights = layers(i);
    auto layer = std::make_unique<Layer>();
    if (precision == Precision::kInt8 && !ranges.empty()) {
      layer->smoothing = {smoothing_of(ranges[i].query_key_value, weights.query_key_value),
                          smoothing_of(ranges[i].attention_output, weights.attention_output),
                          smoothing_of(ranges[i].intermediate, weights.intermediate),
                          smoothing_of(ranges[i].output, weights.output)};
    }
    const auto linear = [&](const std::vector<float>& weight, const std::vector<float>& bias, std::size_t in,
                            std::size_t out, LinearOptions options, const std::vector<float>& smoothing) {
      options.precision = precision;
      options.smoothing = smoothing;
      return std::make_unique<Linear>(weight, bias, in, out, options);
    };
    const std::size_t h = shape.hidden;
    const LayerRanges& s = layer->smoothing;
    layer->query_key_value = linear(weights.query_key_value, weights.query_key_value_bias, h, 3 * h,
                                    {.bf16_output = half}, s.query_key_value);
    layer->attention_output = linear(weights.attention_output, weights.attention_output_bias, h, h,
                                     {.add_to_output = true}, s.attention_output);
    layer->intermediate = linear(weights.intermediate, weights.intermediate_bias, h, shape.intermediate,
                                 {.activation = shape.activation, .bf16_output = half}, s.intermediate);
    layer->output =
        linear(weights.output, weights.output_bias, shape.intermediate, h, {.add_to_output = true}, s.output);
    layer->attention_norm = weights.attention_norm;
    layer->output_norm = weights.output_norm;
    layers_.push_back(std::move(layer));
  }
}

std::vector<LayerRanges> TransformerStack::empty_ranges() const {
  const std::vector<float> hidden(shape_.hidden, 0.0F);
  return std::vector<LayerRanges>(shape_.num_layers,
                                  LayerRanges{hidden, hidden, hidden, std::vector<float>(shape_.intermediate, 0.0F)});
}

void TransformerStack::normalize(const LayerNorm& norm, float epsilon, float* rows, std::size_t num_rows,
                                 std::size_t size, Team& team) {
  const Kernels& k = kernels();
  for_rows(num_rows, team, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
      float* x = rows + row * size;
      k.layer_norm(x, x, nullptr, norm.gamma.data(), norm.beta.data(), size, epsilon);
    }
  });
}

// The rows, normalised where there is a norm (and kept so where `in_place`), as input of the coming product.
void TransformerStack::prepare_input(const LayerNorm* norm, bool in_place, float* rows, std::size_t num_rows,
                                     const std::vector<float>& smoothing, Buffers& buffers, Team& team) const {
  const Kernels& k = kernels();
  const GemmKernels& gemm = gemm_kernels();
  const std::size_t h = shape_.hidden;
  for_rows(num_rows, team, [&](std::size_t begin, std::size_t end) {
    auto* scratch = Workspace::of_this_thread().get<float>(Workspace::kScratch, h);
    for (std::size_t row = begin; row < end; ++row) {
      float* x = rows + row * h;
      auto* out = static_cast<std::uint8_t*>(buffers.input) + row * buffers.input_stride;
      auto* rounded = precision_ == Precision::kBf16 ? reinterpret_cast<std::uint16_t*>(out) : nullptr;
      float* y = precision_ == Precision::kFp32 ? reinterpret_cast<float*>(out) : scratch;
      if (norm == nullptr) {
        if (rounded != nullptr) k.round_to_bf16(x, rounded, h);
        if (precision_ == Precision::kFp32) std::memcpy(y, x, h * sizeof(float));
        y = x;
      } else if (in_place) {
        k.layer_norm(x, x, rounded, norm->gamma.data(), norm->beta.data(), h, shape_.epsilon);
        if (precision_ == Precision::kFp32) std::memcpy(y, x, h * sizeof(float));
        y = x;
      } else {
        k.layer_norm(x, y, rounded, norm->gamma.data(), norm->beta.data(), h, shape_.epsilon);
      }
      if (precision_ == Precision::kInt8) {
        buffers.row_scales[row] = gemm.quantize_fp32(y, smoothing.empty() ? nullptr : smoothing.data(), out, h,
                                                     buffers.input_stride - kBlockBytes);
      }
    }
  });
}

void TransformerStack::quantize(const void* bf16, std::size_t stride, std::size_t size, std::size_t num_rows,
                                const std::vector<float>& smoothing, Buffers& buffers, Team& team) const {
  const GemmKernels& gemm = gemm_kernels();
  const std::size_t out_stride = Linear::input_stride(size, Precision::kInt8);
  for_rows(num_rows, team, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
      const auto* in = static_cast<const std::uint8_t*>(bf16) + row * stride;
      auto* out = static_cast<std::uint8_t*>(buffers.quantized) + row * out_stride;
      buffers.row_scales[row] =
          gemm.quantize_bf16(reinterpret_cast<const std::uint16_t*>(in), smoothing.empty() ? nullptr : smoothing.data(),
                             out, size, out_stride - kBlockBytes);
    }
  });
}

void TransformerStack::attend(Lengths lengths, Buffers& buffers, Team& team) const {
  const Kernels& k = kernels();
  const std::size_t element = precision_ == Precision::kFp32 ? sizeof(float) : sizeof(std::uint16_t);
  AttentionShape shape;
  shape.num_heads = shape_.num_heads;
  shape.head_dim = shape_.hidden / shape_.num_heads;
  shape.context_stride = buffers.context_stride / element;
  shape.causal = shape_.causal;
  std::vector<std::size_t> starts(lengths.size());
  std::size_t row = 0;
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    starts[s] = row;
    row += lengths[s];
  }
  team.for_each(lengths.size() * shape_.num_heads, [&](std::size_t i) {
    const std::size_t s = i / shape_.num_heads;
    AttentionShape one = shape;
    one.length = lengths[s];
    auto* scratch = Workspace::of_this_thread().get<float>(Workspace::kScratch, attention_scratch_size(one));
    const auto* qkv =
        static_cast<const std::uint8_t*>(buffers.query_key_value) + starts[s] * 3 * shape_.hidden * element;
    auto* context = static_cast<std::uint8_t*>(buffers.context) + starts[s] * buffers.context_stride;
    if (precision_ == Precision::kFp32) {
      k.attention_fp32(reinterpret_cast<const float*>(qkv), reinterpret_cast<float*>(context), one,
                       i % shape_.num_heads, scratch);
    } else {
      k.attention_bf16(reinterpret_cast<const std::uint16_t*>(qkv), reinterpret_cast<std::uint16_t*>(context), one,
                       i % shape_.num_heads, scratch);
    }
  });
}

std::size_t TransformerStack::keep_rows(std::span<const std::size_t> wanted, float* rows, Buffers& buffers) const {
  const std::size_t h = shape_.hidden;
  auto* context = static_cast<std::uint8_t*>(buffers.context);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == i) continue;
    std::memcpy(rows + i * h, rows + wanted[i] * h, h * sizeof(float));
    std::memcpy(context + i * buffers.context_stride, context + wanted[i] * buffers.context_stride,
                buffers.context_stride);
  }
  return wanted.size();
}

void TransformerStack::run(float* rows, Lengths lengths, Team& team, const Hooks& hooks) const {
  const std::size_t h = shape_.hidden;
  const bool fp32 = precision_ == Precision::kFp32;
  const bool int8 = precision_ == Precision::kInt8;
  // Between products int8 networks carry bf16.
  const Precision carried = int8 ? Precision::kBf16 : precision_;
  const std::size_t element = fp32 ? sizeof(float) : sizeof(std::uint16_t);
  std::size_t num_rows = 0;
  for (const std::size_t length : lengths) num_rows += length;
  const std::size_t room = Linear::padded_rows(num_rows);

  Workspace& workspace = Workspace::of_this_thread();
  Buffers buffers{};
  buffers.input_stride = Linear::input_stride(h, precision_);
  buffers.context_stride = Linear::input_stride(h, carried);
  buffers.intermediate_stride = Linear::input_stride(shape_.intermediate, carried);
  // What lies beyond a row's end is multiplied by zeros, so it must be finite: cleared where a row ends inside a block.
  const auto take = [&](Workspace::Buffer which, std::size_t stride, std::size_t used) {
    auto* data = workspace.get<std::uint8_t>(which, room * stride);
    if (!fp32 && used % kBlockBytes != 0) std::memset(data, 0, room * stride);
    return data;
  };
  buffers.input = take(Workspace::kInput, buffers.input_stride, h * (int8 ? 1 : element));
  buffers.query_key_value = workspace.get<std::uint8_t>(Workspace::kQueryKeyValue, room * 3 * h * element);
  buffers.context = take(Workspace::kContext, buffers.context_stride, h * element);
  buffers.intermediate = take(Workspace::kIntermediate, buffers.intermediate_stride, shape_.intermediate * element);
  if (int8) {
    const std::size_t widest = Linear::input_stride(std::max(h, shape_.intermediate), Precision::kInt8);
    buffers.quantized = workspace.get<std::uint8_t>(Workspace::kQuantized, room * widest);
    buffers.row_scales = workspace.get<float>(Workspace::kRowScales, room);
  }

  const auto product = [&](const Linear& linear, const void* input, void* output, std::size_t output_stride) {
    linear.run(input, buffers.row_scales, output, output_stride, num_rows, team);
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = *layers_[i];
    LayerRanges* range = hooks.ranges == nullptr ? nullptr : &(*hooks.ranges)[i];

    // Post-norm layers end with their norm, so that only the first one's input is still to be made.
    if (shape_.pre_norm) {
      prepare_input(&layer.attention_norm, false, rows, num_rows, layer.smoothing.query_key_value, buffers, team);
    } else if (i == 0) {
      prepare_input(nullptr, true, rows, num_rows, layer.smoothing.query_key_value, buffers, team);
    }
    if (range != nullptr) widen(range->query_key_value, static_cast<const float*>(buffers.input), num_rows);
    product(*layer.query_key_value, buffers.input, buffers.query_key_value, 3 * h);
    attend(lengths, buffers, team);
    // From here on no row looks at another one.
    if (i + 1 == layers_.size() && !hooks.wanted_rows.empty()) num_rows = keep_rows(hooks.wanted_rows, rows, buffers);
    if (range != nullptr) widen(range->attention_output, static_cast<const float*>(buffers.context), num_rows);
    if (int8) {
      quantize(buffers.context, buffers.context_stride, h, num_rows, layer.smoothing.attention_output, buffers, team);
    }
    product(*layer.attention_output, int8 ? buffers.quantized : buffers.context, rows, h);

    prepare_input(shape_.pre_norm ? &layer.output_norm : &layer.attention_norm, !shape_.pre_norm, rows, num_rows,
                  layer.smoothing.intermediate, buffers, team);
    if (range != nullptr) widen(range->intermediate, static_cast<const float*>(buffers.input), num_rows);
    product(*layer.intermediate, buffers.input, buffers.intermediate, buffers.intermediate_stride / element);
    if (range != nullptr) widen(range->output, static_cast<const float*>(buffers.intermediate), num_rows);
    if (int8) {
      quantize(buffers.intermediate, buffers.intermediate_stride, shape_.intermediate, num_rows, layer.smoothing.output,
               buffers, team);
    }
    product(*layer.output, int8 ? buffers.quantized : buffers.intermediate, rows, h);
    if (!shape_.pre_norm) {
      if (i + 1 < layers_.size()) {
        prepare_input(&layer.output_norm, true, rows, num_rows, layers_[i + 1]->smoothing.query_key_value, buffers,
                      team);
      } else {
        normalize(layer.output_norm, shape_.epsilon, rows, num_rows, h, team);
      }
    }
    if (hooks.after_layer) hooks.after_layer(i, rows);
  }
}

}  // namespace matinee::nn
