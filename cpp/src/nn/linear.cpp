#include "nn/linear.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace matinee::nn {

using dnnl::memory;

namespace {

void append(dnnl::post_ops& post_ops, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      break;
    case Activation::kGelu:
      post_ops.append_eltwise(1.0F, dnnl::algorithm::eltwise_gelu_erf, 0.0F, 0.0F);
      break;
    case Activation::kQuickGelu:
      post_ops.append_eltwise(1.0F, dnnl::algorithm::eltwise_swish, 1.702F, 0.0F);
      break;
    case Activation::kGeluTanh:
      post_ops.append_eltwise(1.0F, dnnl::algorithm::eltwise_gelu_tanh, 0.0F, 0.0F);
      break;
    case Activation::kRelu:
      post_ops.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
      break;
    case Activation::kRelu6:
      post_ops.append_eltwise(1.0F, dnnl::algorithm::eltwise_clip, 0.0F, 6.0F);
      break;
  }
}

}  // namespace

// The fp32 layer. Rows go through in blocks of kBlockRows, the last one rounded up to kStep rows, so at most
// kBlockRows / kStep primitives exist whatever the lengths of the texts.
class Linear::DnnlProduct {
 public:
  static constexpr std::size_t kBlockRows = 64;
  static constexpr std::size_t kStep = 8;

  DnnlProduct(std::span<const float> weight, std::span<const float> bias, std::size_t in, std::size_t out,
              const LinearOptions& options)
      : in_(in), out_(out), activation_(options.activation), add_to_output_(options.add_to_output) {
    const auto rows = static_cast<memory::dim>(out);
    const auto cols = static_cast<memory::dim>(in);
    bias_ = memory({{rows}, memory::data_type::f32, memory::format_tag::x}, cpu_engine());
    std::memcpy(bias_.get_data_handle(), bias.data(), out * sizeof(float));
    // Plain only until the first plan has said which layout it wants.
    const memory::desc plain({rows, cols}, memory::data_type::f32, memory::format_tag::oi);
    weights_.emplace_back(plain, cpu_engine());
    std::memcpy(weights_.front().get_data_handle(), weight.data(), weight.size() * sizeof(float));
    plan(kBlockRows);
    if (weights_.size() > 1) weights_.erase(weights_.begin());
  }

  void run(const float* input, float* output, std::size_t num_rows, Team& team) const {
    // The size of block with which the busiest worker has the fewest rows.
    std::size_t block_rows = kBlockRows;
    const auto busiest = [&](std::size_t rows) {
      const std::size_t blocks = (num_rows + rows - 1) / rows;
      return (blocks + team.size() - 1) / team.size() * std::min(rows, round_up(num_rows));
    };
    for (std::size_t rows = kBlockRows; rows >= kBlockRows / 2; rows -= kStep) {
      if (busiest(rows) < busiest(block_rows)) block_rows = rows;
    }
    const std::size_t num_blocks = (num_rows + block_rows - 1) / block_rows;
    team.for_each(num_blocks, [&](std::size_t i) {
      const std::size_t row = i * block_rows;
      const Plan& block = plan(round_up(std::min(block_rows, num_rows - row)));
      with_dnnl([&] {
        execute(block.primitive, block.scratchpad,
                {{DNNL_ARG_SRC, memory(block.source, cpu_engine(), const_cast<float*>(input) + row * in_)},
                 {DNNL_ARG_WEIGHTS, block.weights},
                 {DNNL_ARG_BIAS, bias_},
                 {DNNL_ARG_DST, memory(block.destination, cpu_engine(), output + row * out_)}},
                Workspace::of_this_thread());
      });
    });
  }

 private:
  // One primitive for one number of rows. Unchangeable, so threads share it.
  struct Plan {
    dnnl::inner_product_forward primitive;
    memory::desc source;
    memory::desc destination;
    memory::desc scratchpad;
    memory weights;
  };

  static std::size_t round_up(std::size_t rows) { return (rows + kStep - 1) / kStep * kStep; }

  std::unique_ptr<Plan> make_plan(std::size_t num_rows) const {
    const auto rows = static_cast<memory::dim>(num_rows);
    const auto in = static_cast<memory::dim>(in_);
    const auto out = static_cast<memory::dim>(out_);
    const memory::desc source({rows, in}, memory::data_type::f32, memory::format_tag::nc);
    const memory::desc weights({out, in}, memory::data_type::f32, memory::format_tag::any);
    const memory::desc destination({rows, out}, memory::data_type::f32, memory::format_tag::nc);
    dnnl::primitive_attr attr = user_scratchpad_attr();
    dnnl::post_ops post_ops;
    append(post_ops, activation_);
    if (add_to_output_) post_ops.append_sum(1.0F);
    attr.set_post_ops(post_ops);
    const dnnl::inner_product_forward::desc desc(dnnl::prop_kind::forward_inference, source, weights, bias_.get_desc(),
                                                 destination);
    const dnnl::inner_product_forward::primitive_desc primitive_desc(desc, attr, cpu_engine());
    auto plan = std::make_unique<Plan>();
    plan->primitive = dnnl::inner_product_forward(primitive_desc);
    plan->source = source;
    plan->destination = destination;
    plan->scratchpad = primitive_desc.scratchpad_desc();

    const memory::desc wanted = primitive_desc.weights_desc();
    const std::lock_guard lock(weights_mutex_);
    auto found = std::find_if(weights_.begin(), weights_.end(),
                              [&](const memory& packed) { return packed.get_desc() == wanted; });
    if (found == weights_.end()) {
      memory result(wanted, cpu_engine());
      dnnl::reorder reorder(weights_.front(), result);
      dnnl::stream stream(cpu_engine());
      reorder.execute(stream, weights_.front(), result);
      stream.wait();
      weights_.push_back(result);
      found = std::prev(weights_.end());
    }
    plan->weights = *found;
    return plan;
  }

  const Plan& plan(std::size_t num_rows) const {
    const std::size_t slot = num_rows / kStep - 1;
    std::call_once(made_[slot], [&] { plans_[slot] = make_plan(num_rows); });
    return *plans_[slot];
  }

  std::size_t in_;
  std::size_t out_;
  Activation activation_;
  bool add_to_output_;
  memory bias_;
  mutable std::array<std::once_flag, kBlockRows / kStep> made_;
  mutable std::array<std::unique_ptr<Plan>, kBlockRows / kStep> plans_;
  mutable std::mutex weights_mutex_;
  mutable std::vector<memory> weights_;  // packed; one for each layout a plan asked for (one, in practice)
};

Linear::Linear(std::span<const float> weight, std::span<const float> bias, std::size_t in, std::size_t out,
               const LinearOptions& options)
    : in_(in), options_(options) {
  if (options.precision == Precision::kFp32) {
    fp32_ = std::make_unique<DnnlProduct>(weight, bias, in, out, options);
    return;
  }
  const PackedType type = options.precision == Precision::kBf16 ? PackedType::kBf16 : PackedType::kInt8;
  packed_ = std::make_unique<PackedWeights>(weight, bias, out, in, type, options.smoothing);
  options_.smoothing = {};  // the caller's; needed for packing only
}

Linear::~Linear() = default;

std::size_t Linear::input_stride(std::size_t in, Precision precision) {
  if (precision == Precision::kFp32) return in * sizeof(float);
  const std::size_t bytes = in * (precision == Precision::kBf16 ? 2 : 1);
  // One block more than needed: rows a multiple of 4 KiB apart would share a few sets of the first-level cache.
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes + kBlockBytes;
}

void Linear::run(const void* input, const float* row_scales, void* output, std::size_t output_stride,
                 std::size_t num_rows, Team& team) const {
  if (fp32_ != nullptr) {
    fp32_->run(static_cast<const float*>(input), static_cast<float*>(output), num_rows, team);
  } else {
    run_packed(input, row_scales, output, output_stride, num_rows, team);
  }
}

void Linear::run_packed(const void* input, const float* row_scales, void* output, std::size_t output_stride,
                        std::size_t num_rows, Team& team) const {
  constexpr std::size_t kCachedInput = 1 << 20;  // bytes of input that stay in a second-level cache beside the weights
  constexpr std::size_t kPartsAWorker = 2;       // for workers that come late or are interrupted
  const GemmKernels& kernels = gemm_kernels();
  const bool bf16 = options_.precision == Precision::kBf16;
  GemmCall whole;
  packed_->describe(whole);
  whole.input = static_cast<const std::uint8_t*>(input);
  whole.input_stride = input_stride(in_, options_.precision);
  whole.row_scales = row_scales;
  whole.activation = options_.activation;
  whole.output_kind = options_.add_to_output ? GemmOutput::kAddToFp32
                      : options_.bf16_output ? GemmOutput::kBf16
                                             : GemmOutput::kFp32;
  whole.output = output;
  whole.output_stride = output_stride;

  const std::size_t most_rows = std::max<std::size_t>(1, kCachedInput / whole.input_stride / kRowStep) * kRowStep;
  const std::size_t row_parts = (num_rows + most_rows - 1) / most_rows;
  const std::size_t part_rows = padded_rows((num_rows + row_parts - 1) / row_parts);
  const std::size_t panels = packed_->num_panels();
  const std::size_t wanted = team.size() == 1 ? 1 : kPartsAWorker * team.size();
  const std::size_t column_parts = std::min(panels, (wanted + row_parts - 1) / row_parts);
  team.for_each(row_parts * column_parts, [&](std::size_t i) {
    const std::size_t row = i / column_parts * part_rows;
    if (row >= num_rows) return;
    const std::size_t part = i % column_parts;
    GemmCall call = whole;
    call.begin_panel = part * panels / column_parts;
    call.end_panel = (part + 1) * panels / column_parts;
    call.num_rows = std::min(part_rows, num_rows - row);
    call.input += row * call.input_stride;
    if (row_scales != nullptr) call.row_scales += row;
    const std::size_t element = options_.bf16_output ? sizeof(std::uint16_t) : sizeof(float);
    call.output = static_cast<std::uint8_t*>(output) + row * output_stride * element;
    (bf16 ? kernels.bf16 : kernels.int8)(call);
  });
}

}  // namespace matinee::nn
