#include "nn/linear.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

namespace matinee::nn {

using dnnl::memory;

// One primitive for one number of rows. Unchangeable, so threads share it.
struct Linear::Plan {
  dnnl::inner_product_forward primitive;
  memory::desc source;
  memory::desc destination;
  memory::desc scratchpad;
  memory weights;
};

Linear::Linear(const std::vector<float>& weight, std::vector<float> bias, std::size_t in, std::size_t out,
               Precision precision, Precision output, Epilogue epilogue)
    : in_(in), out_(out), precision_(precision), output_(output), epilogue_(epilogue) {
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

Linear::~Linear() = default;

std::unique_ptr<Linear::Plan> Linear::make_plan(std::size_t num_rows) const {
  const auto rows = static_cast<memory::dim>(num_rows);
  const auto in = static_cast<memory::dim>(in_);
  const auto out = static_cast<memory::dim>(out_);
  const memory::desc source({rows, in}, data_type(precision_), memory::format_tag::nc);
  const memory::desc weights({out, in}, data_type(precision_), memory::format_tag::any);
  const memory::desc destination({rows, out}, data_type(output_), memory::format_tag::nc);
  dnnl::primitive_attr attr = user_scratchpad_attr();
  dnnl::post_ops post_ops;
  if (epilogue_ == Epilogue::kGelu) post_ops.append_eltwise(1.0F, dnnl::algorithm::eltwise_gelu_erf, 0.0F, 0.0F);
  if (epilogue_ == Epilogue::kAddToOutput) post_ops.append_sum(1.0F);
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
  auto found =
      std::find_if(weights_.begin(), weights_.end(), [&](const memory& packed) { return packed.get_desc() == wanted; });
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

const Linear::Plan& Linear::plan(std::size_t num_rows) const {
  const std::size_t slot = num_rows / kRowStep - 1;
  std::call_once(made_[slot], [&] { plans_[slot] = make_plan(num_rows); });
  return *plans_[slot];
}

void Linear::run(const void* input, void* output, std::size_t num_rows, Workspace& workspace) const {
  const std::size_t input_row = in_ * activation_size(precision_);
  const std::size_t output_row = out_ * activation_size(output_);
  for (std::size_t row = 0; row < num_rows; row += kBlockRows) {
    const Plan& block = plan(padded_rows(std::min(kBlockRows, num_rows - row)));
    auto* source = static_cast<std::uint8_t*>(const_cast<void*>(input)) + row * input_row;
    auto* destination = static_cast<std::uint8_t*>(output) + row * output_row;
    execute(block.primitive, block.scratchpad,
            {{DNNL_ARG_SRC, memory(block.source, cpu_engine(), source)},
             {DNNL_ARG_WEIGHTS, block.weights},
             {DNNL_ARG_BIAS, bias_},
             {DNNL_ARG_DST, memory(block.destination, cpu_engine(), destination)}},
            workspace);
  }
}

}  // namespace matinee::nn
