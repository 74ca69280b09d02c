// The only translation unit that includes libtorch.
#include "matinee/nn/torchscript.h"

#include <ATen/Parallel.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <numeric>
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
  // an operator that is not there, or is there with other arguments
  static const std::regex unknown_operator(
      "(?:Unknown builtin op:|Unknown operator|Could not find|Arguments for call are not valid[^:]*:)\\s*'?"
      "(\\w+::\\w+(?:\\.\\w+)*)");
  if (std::regex_search(text, match, unknown_operator)) {
    return path.string() + ": uses the operator " + match[1].str() + ", which libtorch " + libtorch_version() +
           " does not have in this form; export a transformer with attn_implementation='eager', replace the operator, "
           "or "
           "build Matinee with -DMATINEE_TORCH=python";
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

// Note [libtorch's threads]: the pool's workers are the parallelism, so libtorch must not make teams of its own under
// them. at::set_num_threads sets the calling thread's team, and the size that every thread starts with on its first
// call. Each worker therefore makes that first call, sets its own team to one, and says that the common size has to be
// put back: in a MATINEE_TORCH=python process it belongs to the user's torch.
bool compute_alone() {
  thread_local bool alone = false;
  if (alone) return false;
  at::get_num_threads();
  at::set_num_threads(1);
  alone = true;
  return true;
}

// Runs body(begin, end) over ranges of [0, count) on the pool, with at most one range a worker.
void share_out(std::size_t count, const std::function<void(std::size_t, std::size_t)>& body) {
  const auto pool = compute_pool();
  const auto workers = static_cast<std::size_t>(pool->size());
  const int common_size = at::get_num_threads();
  std::atomic<bool> changed = false;
  const auto put_back = [&] {
    if (changed) at::set_num_threads(common_size);
  };
  try {
    pool->parallel_for(count, (count + workers - 1) / workers, [&](std::size_t begin, std::size_t end) {
      if (compute_alone()) changed = true;
      body(begin, end);
    });
  } catch (...) {
    put_back();
    throw;
  }
  put_back();
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

  // Runs the network on zeros; shapes of the outputs without the batch axis.
  std::vector<std::vector<std::int64_t>> shapes_of_trial(const std::filesystem::path& path,
                                                         const std::vector<std::int64_t>& shape) const {
    std::vector<std::vector<std::int64_t>> shapes;
    try {
      const auto outputs = forward(at::zeros(shape, scalar_type(options.input_type)));
      for (const auto& output : outputs) {
        if (output.shape.empty() || output.shape.front() != shape.front()) {
          throw FormatError("expected outputs with the batch first, got " + shape_text(output.shape));
        }
        shapes.emplace_back(output.shape.begin() + 1, output.shape.end());
      }
      if (outputs.empty()) throw FormatError("expected at least one output, got none");
    } catch (const std::exception& error) {
      throw FormatError(path.string() + ": cannot run on an input of shape " + shape_text(shape) + ": " +
                        reason(error));
    }
    return shapes;
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
  if (options.any_length && shape.size() < 2) {
    throw InvalidArgument("TorchScriptModel.load: any_length: expected an example with a second axis, got " +
                          shape_text(shape));
  }
  if (!std::filesystem::is_regular_file(path)) {
    throw NotFound("TorchScriptModel.load: path: expected a TorchScript file, found nothing at " + path.string());
  }
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  share_out(1, [&](std::size_t, std::size_t) {
    try {
      impl->module = torch::jit::load(path.string(), at::kCPU);
      impl->module.eval();
      impl->module = torch::jit::freeze(impl->module);
    } catch (const std::exception& error) {
      throw FormatError(load_problem(path, error));
    }
    impl->output_shapes = impl->shapes_of_trial(path, shape);
    if (options.any_length) {
      auto shorter = shape;
      shorter[1] = (shape[1] + 1) / 2;
      if (impl->shapes_of_trial(path, shorter) != impl->output_shapes) {
        throw FormatError(path.string() + ": expected outputs whose shapes do not depend on the length of the input");
      }
    }
  });
  return std::shared_ptr<const TorchScriptModel>(new TorchScriptModel(std::move(impl)));
}

std::vector<FloatTensor> TorchScriptModel::run(const TensorView& input) const {
  const auto& [expected, type, any_length] = impl_->options;
  bool fits = input.type == type && input.shape.size() == expected.size() && input.shape.front() >= 0;
  for (std::size_t axis = 1; fits && axis < expected.size(); ++axis) {
    const std::int64_t size = input.shape[axis];
    fits = size == expected[axis] || (any_length && axis == 1 && size >= 1 && size < expected[axis]);
  }
  if (!fits) {
    throw InvalidArgument("TorchScriptModel.run: input: expected the shape " + shape_text(expected) +
                          " with any batch" + (any_length ? " and up to that length" : "") +
                          " and the type given at load, got " + shape_text(input.shape));
  }
  std::vector<FloatTensor> outputs;
  for (const auto& item : impl_->output_shapes) {
    FloatTensor output;
    output.shape = item;
    output.shape.insert(output.shape.begin(), input.shape.front());
    output.data.resize(std::accumulate(output.shape.begin(), output.shape.end(), std::size_t{1}, std::multiplies<>()));
    outputs.push_back(std::move(output));
  }
  const auto batch = static_cast<std::size_t>(input.shape.front());
  if (batch == 0) return outputs;
  const std::size_t item_bytes =
      std::accumulate(input.shape.begin() + 1, input.shape.end(), std::size_t{1}, std::multiplies<>()) *
      c10::elementSize(scalar_type(type));
  share_out(batch, [&](std::size_t begin, std::size_t end) {
    std::vector<FloatTensor> parts;
    try {
      auto shape = input.shape;
      shape.front() = static_cast<std::int64_t>(end - begin);
      // from_blob takes a mutable pointer; freezing and inference mode keep the network from writing to its input.
      auto* bytes = static_cast<char*>(const_cast<void*>(input.data)) + begin * item_bytes;
      parts = impl_->forward(at::from_blob(bytes, shape, scalar_type(type)));
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      throw FormatError("TorchScriptModel.run: the network failed: " + reason(error));
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const std::size_t item = outputs[i].data.size() / batch;
      if (parts.size() != outputs.size() || parts[i].data.size() != item * (end - begin)) {
        throw FormatError("TorchScriptModel.run: the network gives outputs of other shapes than when it was loaded");
      }
      std::copy(parts[i].data.begin(), parts[i].data.end(), outputs[i].data.begin() + begin * item);
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
