// The only translation unit that includes libtorch.
#include "matinee/nn/torchscript.h"

#include <ATen/Parallel.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>
#include <mutex>
#include <regex>
#include <utility>

#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"

namespace matinee {
namespace {

constexpr std::size_t kLongestReason = 400;

// libtorch's messages carry C++ backtraces; the first lines hold what a person can use.
std::string reason(const std::exception& error) {
  std::string text = error.what();
  text.resize(std::min({text.size(), text.find("\nException raised from"), kLongestReason}));
  return text;
}

std::string load_problem(const std::filesystem::path& path, const std::exception& error) {
  const std::string text = error.what();
  std::smatch match;
  static const std::regex unknown_operator("(?:Unknown builtin op:|Unknown operator|Could not find)\\s*'?([\\w:.]+)");
  if (std::regex_search(text, match, unknown_operator)) {
    return path.string() + ": uses the operator " + match[1].str() + ", which libtorch " + libtorch_version() +
           " does not have; export the network with eager attention and without newer operators";
  }
  return path.string() + ": expected a TorchScript file written by torch.jit.save: " + reason(error);
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

c10::ScalarType scalar_type(TensorType type) { return type == TensorType::kInt64 ? at::kLong : at::kFloat; }

// Tensors of the output in order: a tensor, or a tuple or list of tensors.
std::vector<at::Tensor> tensors_of(const c10::IValue& value) {
  if (value.isTensor()) return {value.toTensor()};
  if (value.isTensorList()) return value.toTensorVector();
  if (value.isTuple()) {
    std::vector<at::Tensor> tensors;
    for (const auto& element : value.toTupleRef().elements()) {
      const auto inner = tensors_of(element);
      tensors.insert(tensors.end(), inner.begin(), inner.end());
    }
    return tensors;
  }
  throw FormatError("TorchScriptModel: expected the network to give back a tensor or a tuple of tensors, got " +
                    value.tagKind());
}

FloatTensor copied(const at::Tensor& tensor) {
  if (!tensor.defined() || !at::isFloatingType(tensor.scalar_type())) {
    throw FormatError("TorchScriptModel: expected the network to give back floating-point tensors");
  }
  const at::Tensor dense = tensor.to(at::kCPU, at::kFloat).contiguous();
  FloatTensor out;
  out.shape.assign(dense.sizes().begin(), dense.sizes().end());
  const auto* values = dense.data_ptr<float>();
  out.data.assign(values, values + dense.numel());
  return out;
}

// Every thread that enters libtorch sets its team to this size: one, because the pool's workers are the parallelism.
void limit_libtorch_threads() {
  static std::once_flag once;
  std::call_once(once, [] {
    at::set_num_threads(1);
    at::set_num_interop_threads(1);
  });
}

}  // namespace

struct TorchScriptModel::Impl {
  torch::jit::Module module;
  TorchScriptOptions options;
  std::vector<std::vector<std::int64_t>> output_shapes;

  std::vector<FloatTensor> forward(const at::Tensor& input) const {
    const c10::InferenceMode guard;
    auto& mutable_module = const_cast<torch::jit::Module&>(module);  // forward() of a frozen module changes nothing
    const c10::IValue result = mutable_module.forward({input});
    std::vector<FloatTensor> outputs;
    for (const auto& tensor : tensors_of(result)) outputs.push_back(copied(tensor));
    return outputs;
  }
};

TorchScriptModel::TorchScriptModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TorchScriptModel::~TorchScriptModel() = default;

std::shared_ptr<const TorchScriptModel> TorchScriptModel::load(const std::filesystem::path& path,
                                                               const TorchScriptOptions& options) {
  const auto& shape = options.example_shape;
  if (shape.empty() || std::any_of(shape.begin(), shape.end(), [](std::int64_t n) { return n < 1; })) {
    throw InvalidArgument("TorchScriptModel.load: example_shape: expected positive sizes with the batch first, got " +
                          shape_text(shape));
  }
  if (!std::filesystem::is_regular_file(path)) {
    throw NotFound("TorchScriptModel.load: path: expected a TorchScript file, found nothing at " + path.string());
  }
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  compute_pool()->run([&] {
    limit_libtorch_threads();
    try {
      impl->module = torch::jit::load(path.string(), at::kCPU);
      impl->module.eval();
      impl->module = torch::jit::freeze(impl->module);
    } catch (const std::exception& error) {
      throw FormatError(load_problem(path, error));
    }
    try {
      const auto outputs = impl->forward(at::zeros(shape, scalar_type(options.input_type)));
      for (const auto& output : outputs) {
        if (output.shape.empty() || output.shape.front() != shape.front()) {
          throw FormatError("expected outputs with the batch first, got " + shape_text(output.shape));
        }
        impl->output_shapes.emplace_back(output.shape.begin() + 1, output.shape.end());
      }
      if (outputs.empty()) throw FormatError("expected at least one output, got none");
    } catch (const std::exception& error) {
      throw FormatError(path.string() + ": cannot run on an input of shape " + shape_text(shape) + ": " +
                        reason(error));
    }
  });
  return std::shared_ptr<const TorchScriptModel>(new TorchScriptModel(std::move(impl)));
}

std::vector<FloatTensor> TorchScriptModel::run(const TensorView& input) const {
  const auto& expected = impl_->options.example_shape;
  const bool fits = input.type == impl_->options.input_type && input.shape.size() == expected.size() &&
                    input.shape.front() >= 0 &&
                    std::equal(expected.begin() + 1, expected.end(), input.shape.begin() + 1);
  if (!fits) {
    throw InvalidArgument("TorchScriptModel.run: input: expected the shape " + shape_text(expected) +
                          " with any batch and the type given at load, got " + shape_text(input.shape));
  }
  std::vector<FloatTensor> outputs;
  if (input.shape.front() == 0) {
    for (const auto& item : impl_->output_shapes) {
      FloatTensor empty;
      empty.shape = item;
      empty.shape.insert(empty.shape.begin(), 0);
      outputs.push_back(std::move(empty));
    }
    return outputs;
  }
  compute_pool()->run([&] {
    try {
      // from_blob takes a mutable pointer; freezing and inference mode keep the network from writing to its input.
      const at::Tensor tensor = at::from_blob(const_cast<void*>(input.data), input.shape, scalar_type(input.type));
      outputs = impl_->forward(tensor);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      throw FormatError("TorchScriptModel.run: the network failed: " + reason(error));
    }
  });
  return outputs;
}

std::span<const std::vector<std::int64_t>> TorchScriptModel::output_shapes() const noexcept {
  return impl_->output_shapes;
}

std::span<const std::int64_t> TorchScriptModel::example_shape() const noexcept { return impl_->options.example_shape; }

std::string libtorch_version() { return TORCH_VERSION; }

}  // namespace matinee
