#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace matinee {

// A network somebody brings as a TorchScript file (torch.jit.save), run by libtorch. Lives in its own binary: see
// docs/adr/0001-two-binaries.md.

enum class TensorType { kFloat32, kInt64 };

// A dense tensor somebody else owns; row-major.
struct TensorView {
  const void* data = nullptr;
  TensorType type = TensorType::kFloat32;
  std::vector<std::int64_t> shape;
};

// A float32 output; row-major.
struct FloatTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> data;
};

struct TorchScriptOptions {
  // The input the network is tried on when loaded, zeros of this type; the first axis is the batch. What the network
  // gives back fixes the number of outputs and their shapes after the batch axis.
  std::vector<std::int64_t> example_shape;
  TensorType input_type = TensorType::kFloat32;
  // Whether the second axis (tokens, say) may also be shorter than the example's. Tried when loaded; the outputs must
  // keep their shapes.
  bool any_length = false;
};

// Immutable after load; run() may be called from many threads. A batch is shared out among the workers of the compute
// pool (matinee/core/thread_pool.h), each computing alone, so a process never computes on more threads than the pool
// has. What a network gives for an item must not depend on the rest of the batch.
class TorchScriptModel {
 public:
  // Throws NotFound, FormatError (not TorchScript, truncated, an operator this libtorch lacks, a trial run that fails
  // or gives back something other than float tensors), InvalidArgument (an empty or non-positive example shape).
  static std::shared_ptr<const TorchScriptModel> load(const std::filesystem::path& path,
                                                      const TorchScriptOptions& options);
  ~TorchScriptModel();
  TorchScriptModel(const TorchScriptModel&) = delete;
  TorchScriptModel& operator=(const TorchScriptModel&) = delete;

  // Runs the network on one batch. Throws InvalidArgument when type or shape differ from the example's in anything but
  // the axes that may, FormatError when the network itself fails.
  std::vector<FloatTensor> run(const TensorView& input) const;

  // Shapes of the outputs for one item: the example's without the batch axis.
  std::span<const std::vector<std::int64_t>> output_shapes() const noexcept;
  std::span<const std::int64_t> example_shape() const noexcept;

 private:
  struct Impl;
  explicit TorchScriptModel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The version of libtorch this binary was built with, such as "1.13.1".
std::string libtorch_version();

}  // namespace matinee
