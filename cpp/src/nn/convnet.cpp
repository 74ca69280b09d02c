#include "matinee/nn/convnet.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "matinee/core/cpu.h"
#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"
#include "matinee/nn/safetensors.h"
#include "nn/convolution.h"
#include "nn/half.h"
#include "nn/kernels.h"
#include "nn/model_config.h"
#include "nn/tensor_reader.h"

namespace matinee {
namespace {

using nn::Convolution;
using nn::ConvolutionShape;
using nn::TensorReader;

constexpr std::size_t kStemChannels = 32;
constexpr std::size_t kHeadChannels = 1280;

struct Stage {
  std::size_t num_blocks;
  std::size_t kernel;
  std::size_t stride;  // of the first block
  std::size_t expansion;
  std::size_t in_channels;
  std::size_t out_channels;
};

// efficientnet_lite_builder.py, _DEFAULT_BLOCKS_ARGS; lite0 has width and depth coefficients of 1.
constexpr std::array<Stage, 7> kStages = {{
    {1, 3, 1, 1, 32, 16},
    {2, 3, 2, 6, 16, 24},
    {2, 5, 2, 6, 24, 40},
    {3, 3, 2, 6, 40, 80},
    {3, 5, 1, 6, 80, 112},
    {4, 5, 2, 6, 112, 192},
    {1, 3, 1, 6, 192, 320},
}};

// The stem and this many blocks are fp32 in every precision. On real posters, rounding the stem's output and the first
// depthwise filters costs more cosine than all the layers after them together.
constexpr std::size_t kExactBlocks = 1;

// Mobile inverted bottleneck without squeeze-and-excitation (Sandler et al. 2018, fig. 3d).
struct Block {
  std::unique_ptr<Convolution> expand;  // null where the expansion is 1
  std::unique_ptr<Convolution> depthwise;
  std::unique_ptr<Convolution> project;
  bool residual = false;
  bool ends_stage = false;
};

// Reads a convolution and the batch norm after it, and folds the one into the other:
// gamma (W x - mean) / sqrt(variance + epsilon) + beta = W' x + b'. In double, so that folding costs no accuracy.
std::unique_ptr<Convolution> read_convolution(TensorReader& reader, const std::string& conv, const std::string& norm,
                                              const ConvolutionShape& shape, Convolution::Options options,
                                              float epsilon) {
  const std::size_t out = shape.out_channels;
  const std::size_t in = shape.depthwise ? 1 : shape.in_channels;
  auto weight = reader.floats(conv + ".weight", {out, in, shape.kernel, shape.kernel});
  const auto gamma = reader.floats(norm + ".weight", {out});
  const auto beta = reader.floats(norm + ".bias", {out});
  const auto mean = reader.floats(norm + ".running_mean", {out});
  const auto variance = reader.floats(norm + ".running_var", {out});
  reader.ignore(norm + ".num_batches_tracked");  // a counter of the training
  std::vector<float> bias(out);
  const std::size_t filter = weight.size() / out;
  for (std::size_t o = 0; o < out; ++o) {
    if (variance[o] < 0) {
      throw FormatError("tensor '" + norm + ".running_var': expected values >= 0, got " + std::to_string(variance[o]));
    }
    const double scale = gamma[o] / std::sqrt(static_cast<double>(variance[o]) + epsilon);
    for (std::size_t i = 0; i < filter; ++i) {
      weight[o * filter + i] = static_cast<float>(weight[o * filter + i] * scale);
    }
    bias[o] = static_cast<float>(beta[o] - mean[o] * scale);
  }
  return std::make_unique<Convolution>(weight, bias, shape, options);
}

float as_float(float value) { return value; }
float as_float(std::uint16_t bf16) { return nn::float_from_bf16(bf16); }

// Mean and standard deviation of each channel of `values` (places, channels), written one after the other.
template <typename Value>
void pool(const Value* values, std::size_t num_places, std::size_t num_channels, float* means) {
  float* deviations = means + num_channels;
  std::fill(means, means + 2 * num_channels, 0.0F);
  for (std::size_t place = 0; place < num_places; ++place) {
    for (std::size_t c = 0; c < num_channels; ++c) {
      const float value = as_float(values[place * num_channels + c]);
      means[c] += value;
      deviations[c] += value * value;
    }
  }
  const auto count = static_cast<float>(num_places);
  for (std::size_t c = 0; c < num_channels; ++c) {
    means[c] /= count;
    deviations[c] = std::sqrt(std::max(0.0F, deviations[c] / count - means[c] * means[c]));
  }
}

}  // namespace

struct ConvNet::Impl {
  Precision precision = Precision::kFp32;
  bool stages = false;
  std::size_t image_size = 0;
  std::unique_ptr<nn::PixelReorder> reorder;
  std::unique_ptr<Convolution> stem;
  std::vector<Block> blocks;
  std::unique_ptr<Convolution> head;
  // Bytes of the largest input or output of a block, and of what lies inside one.
  std::size_t outer_size = 0;
  std::size_t inner_size = 0;

  void read(TensorReader& reader, float epsilon);
  void run(const float* pixels, float* features) const;
};

ConvNet::ConvNet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ConvNet::~ConvNet() = default;
ConvNet::ConvNet(ConvNet&&) noexcept = default;
ConvNet& ConvNet::operator=(ConvNet&&) noexcept = default;

std::size_t ConvNet::dimension() const noexcept {
  std::size_t values = kHeadChannels;
  for (const Stage& stage : kStages) values += impl_->stages ? 2 * stage.out_channels : 0;
  return values;
}
std::size_t ConvNet::image_size() const noexcept { return impl_->image_size; }
Precision ConvNet::precision() const noexcept { return impl_->precision; }

ConvNet ConvNet::load(const std::filesystem::path& folder, Precision precision, bool stages) {
  if (precision == Precision::kInt8) {
    throw InvalidArgument("load: precision: expected auto, fp32 or bf16 for a convolutional network, got 'int8'");
  }
  // oneDNN emulates bf16 convolutions on AVX-512 and refuses them below.
  if (precision == Precision::kBf16 && isa_level() < IsaLevel::kAvx512) {
    throw InvalidArgument(
        "load: precision: expected fp32 or auto for a convolutional network on a processor without AVX-512, got "
        "'bf16'; use precision=\"auto\"");
  }
  const nn::ModelConfig config(folder / "config.json");
  config.word("model_type", {"efficientnet-lite"});
  config.word("variant", {"lite0"});
  auto impl = std::make_unique<Impl>();
  impl->precision = precision;
  impl->stages = stages;
  impl->image_size = config.size("image_size", 32, 4096);
  if (config.size("feature_dimension", 1, 65536) != kHeadChannels) {
    config.fail("feature_dimension", "expected " + std::to_string(kHeadChannels) + " for variant lite0");
  }
  const float epsilon = config.positive("batch_norm_epsilon", 1.0);
  config.expect_no_others({"model_type", "variant", "image_size", "feature_dimension", "batch_norm_epsilon"});

  const SafetensorsFile file(folder / "model.safetensors");
  TensorReader reader(file);
  // Packing weights is oneDNN's work too: see Note [Compute threads] in thread_pool.h.
  compute_pool()->run([&] { nn::with_dnnl([&] { impl->read(reader, epsilon); }); });
  reader.ignore("_fc.weight");  // the ImageNet classifier
  reader.ignore("_fc.bias");
  reader.expect_all_used();
  return ConvNet(std::move(impl));
}

void ConvNet::Impl::read(TensorReader& reader, float epsilon) {
  Convolution::Options relu6;
  relu6.relu6 = true;
  Convolution::Options linear;

  reorder = std::make_unique<nn::PixelReorder>(image_size, Precision::kFp32);
  ConvolutionShape shape{3, kStemChannels, 3, 2, image_size, false};
  stem = read_convolution(reader, "_conv_stem", "_bn0", shape, relu6, epsilon);
  outer_size = stem->output_size();
  inner_size = reorder->output_size();
  std::size_t size = shape.out_size();
  for (const Stage& stage : kStages) {
    for (std::size_t i = 0; i < stage.num_blocks; ++i) {
      const std::string prefix = "_blocks." + std::to_string(blocks.size()) + ".";
      const std::size_t in = i == 0 ? stage.in_channels : stage.out_channels;
      const std::size_t stride = i == 0 ? stage.stride : 1;
      const std::size_t inner = in * stage.expansion;
      if (blocks.size() == kExactBlocks) {
        relu6.precision = relu6.output = linear.precision = linear.output = precision;
      }
      Convolution::Options project = linear;
      project.add_to_output = stride == 1 && in == stage.out_channels;
      Block block;
      if (stage.expansion != 1) {
        block.expand = read_convolution(reader, prefix + "_expand_conv", prefix + "_bn0",
                                        {in, inner, 1, 1, size, false}, relu6, epsilon);
        inner_size = std::max(inner_size, block.expand->output_size());
      }
      block.depthwise = read_convolution(reader, prefix + "_depthwise_conv", prefix + "_bn1",
                                         {inner, inner, stage.kernel, stride, size, true}, relu6, epsilon);
      inner_size = std::max(inner_size, block.depthwise->output_size());
      size = block.depthwise->shape().out_size();
      block.residual = project.add_to_output;
      block.project = read_convolution(reader, prefix + "_project_conv", prefix + "_bn2",
                                       {inner, stage.out_channels, 1, 1, size, false}, project, epsilon);
      block.ends_stage = i + 1 == stage.num_blocks;
      outer_size = std::max(outer_size, block.project->output_size());
      blocks.push_back(std::move(block));
    }
  }
  Convolution::Options last = relu6;
  last.output = Precision::kFp32;  // averaged in fp32
  head = read_convolution(reader, "_conv_head", "_bn1", {kStages.back().out_channels, kHeadChannels, 1, 1, size, false},
                          last, epsilon);
  inner_size = std::max(inner_size, head->output_size());
}

void ConvNet::features(std::span<const float> pixels, MatrixView<float> features) const {
  const std::size_t image = 3 * image_size() * image_size();
  if (features.cols != dimension() || pixels.size() != features.rows * image) {
    throw InvalidArgument("features: expected pixels (B, 3, " + std::to_string(image_size()) + ", " +
                          std::to_string(image_size()) + ") and features (B, " + std::to_string(dimension()) +
                          "), got " + std::to_string(pixels.size()) + " values and (" + std::to_string(features.rows) +
                          ", " + std::to_string(features.cols) + ")");
  }
  compute_pool()->parallel_for(features.rows, 1, [&](std::size_t begin, std::size_t end) {
    nn::with_dnnl([&] {
      for (std::size_t i = begin; i < end; ++i) impl_->run(pixels.data() + i * image, features.row(i));
    });
  });
}

// One image, on a worker.
void ConvNet::Impl::run(const float* pixels, float* features) const {
  nn::Workspace& workspace = nn::Workspace::of_this_thread();
  // x is the input of a block and, where it ends in a residual, its output too.
  void* x = workspace.buffers[0].get(outer_size);
  void* next = workspace.buffers[1].get(outer_size);
  void* expanded = workspace.buffers[2].get(inner_size);
  void* filtered = workspace.buffers[3].get(inner_size);

  float* of_stage = features + kHeadChannels;
  reorder->run(pixels, expanded, workspace);
  stem->run(expanded, x, workspace);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Block& block = blocks[i];
    if (i == kExactBlocks && precision == Precision::kBf16) {
      const std::size_t count = blocks[i - 1].project->output_size() / sizeof(float);
      nn::kernels().round_to_bf16(static_cast<const float*>(x), static_cast<std::uint16_t*>(next), count);
      std::swap(x, next);
    }
    if (block.expand) block.expand->run(x, expanded, workspace);
    block.depthwise->run(block.expand ? expanded : x, filtered, workspace);
    if (block.residual) {
      block.project->run(filtered, x, workspace);
    } else {
      block.project->run(filtered, next, workspace);
      std::swap(x, next);
    }
    if (stages && block.ends_stage) {
      const ConvolutionShape& shape = block.project->shape();
      const std::size_t num_places = shape.out_size() * shape.out_size();
      if (i < kExactBlocks || precision != Precision::kBf16) {
        pool(static_cast<const float*>(x), num_places, shape.out_channels, of_stage);
      } else {
        pool(static_cast<const std::uint16_t*>(x), num_places, shape.out_channels, of_stage);
      }
      of_stage += 2 * shape.out_channels;
    }
  }
  head->run(x, filtered, workspace);

  const auto* values = static_cast<const float*>(filtered);  // (H W, 1280)
  const std::size_t num_places = head->shape().out_size() * head->shape().out_size();
  std::fill(features, features + kHeadChannels, 0.0F);
  for (std::size_t place = 0; place < num_places; ++place) {
    for (std::size_t c = 0; c < kHeadChannels; ++c) features[c] += values[place * kHeadChannels + c];
  }
  for (std::size_t c = 0; c < kHeadChannels; ++c) features[c] /= static_cast<float>(num_places);
}

}  // namespace matinee
