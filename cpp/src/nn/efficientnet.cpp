#include "nn/efficientnet.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "matinee/core/error.h"
#include "nn/conv_kernels.h"
#include "nn/half.h"

namespace matinee::nn {
namespace {

struct Stage {
  std::size_t num_blocks;
  std::size_t kernel;
  std::size_t stride;  // of the first block
  std::size_t expansion;
  std::size_t out_channels;
};

// efficientnet_lite_builder.py (https://github.com/tensorflow/tpu), _DEFAULT_BLOCKS_ARGS and efficientnet_lite_params.
constexpr std::array<Stage, 7> kStages = {{
    {1, 3, 1, 1, 16},
    {2, 3, 2, 6, 24},
    {2, 5, 2, 6, 40},
    {3, 3, 2, 6, 80},
    {3, 5, 1, 6, 112},
    {4, 5, 2, 6, 192},
    {1, 3, 1, 6, 320},
}};

constexpr std::array<EfficientNetVariant, 5> kVariants = {{
    {"lite0", 1.0, 1.0},
    {"lite1", 1.0, 1.1},
    {"lite2", 1.1, 1.2},
    {"lite3", 1.2, 1.4},
    {"lite4", 1.4, 1.8},
}};

// round_filters: to the nearest multiple of 8, but not down by more than a tenth.
std::size_t scaled_channels(std::size_t channels, double width) {
  const double wanted = static_cast<double>(channels) * width;
  const std::size_t rounded = std::max<std::size_t>(8, static_cast<std::size_t>(wanted + 4) / 8 * 8);
  return static_cast<double>(rounded) < 0.9 * wanted ? rounded + 8 : rounded;
}

// round_repeats; the first and the last stage are not scaled (fix_head_stem).
std::size_t scaled_blocks(std::size_t stage, double depth) {
  const std::size_t blocks = kStages[stage].num_blocks;
  if (stage == 0 || stage + 1 == kStages.size()) return blocks;
  return static_cast<std::size_t>(std::ceil(depth * static_cast<double>(blocks)));
}

// Folds the batch norm after a convolution into it: gamma (W x - mean) / sqrt(variance + epsilon) + beta = W' x + b'.
// In double, so that folding costs no accuracy.
FoldedConvolution read_convolution(TensorReader& reader, const std::string& conv, const std::string& norm,
                                   const ConvolutionShape& shape, float epsilon) {
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
  return {shape, std::move(weight), std::move(bias)};
}

float as_float(float value) { return value; }
float as_float(std::uint16_t bf16) { return float_from_bf16(bf16); }

template <typename Value>
float* pool(const Value* values, std::size_t num_places, std::size_t channels, std::size_t stride, float* means) {
  float* deviations = means + channels;
  std::fill(means, means + 2 * channels, 0.0F);
  for (std::size_t place = 0; place < num_places; ++place) {
    for (std::size_t c = 0; c < channels; ++c) {
      const float value = as_float(values[place * stride + c]);
      means[c] += value;
      deviations[c] += value * value;
    }
  }
  const auto count = static_cast<float>(num_places);
  for (std::size_t c = 0; c < channels; ++c) {
    means[c] /= count;
    deviations[c] = std::sqrt(std::max(0.0F, deviations[c] / count - means[c] * means[c]));
  }
  return deviations + channels;
}

}  // namespace

std::span<const EfficientNetVariant> efficientnet_variants() { return kVariants; }

EfficientNet read_efficientnet(TensorReader& reader, const EfficientNetVariant& variant, std::size_t image_size,
                               float batch_norm_epsilon) {
  const float epsilon = batch_norm_epsilon;
  EfficientNet net;
  net.image_size = image_size;
  net.stem = read_convolution(reader, "_conv_stem", "_bn0",
                              {3, kStemChannels, kStemKernel, kStemStride, image_size, false}, epsilon);
  std::size_t size = net.stem.shape.out_size();
  std::size_t in = kStemChannels;
  for (std::size_t s = 0; s < kStages.size(); ++s) {
    const Stage& stage = kStages[s];
    const std::size_t out = scaled_channels(stage.out_channels, variant.width);
    const std::size_t num_blocks = scaled_blocks(s, variant.depth);
    for (std::size_t i = 0; i < num_blocks; ++i) {
      const std::string prefix = "_blocks." + std::to_string(net.blocks.size()) + ".";
      const std::size_t stride = i == 0 ? stage.stride : 1;
      const std::size_t inner = in * stage.expansion;
      Bottleneck block;
      block.residual = stride == 1 && in == out;
      block.ends_stage = i + 1 == num_blocks;
      if (stage.expansion != 1) {
        block.expand =
            read_convolution(reader, prefix + "_expand_conv", prefix + "_bn0", {in, inner, 1, 1, size, false}, epsilon);
      }
      block.depthwise = read_convolution(reader, prefix + "_depthwise_conv", prefix + "_bn1",
                                         {inner, inner, stage.kernel, stride, size, true}, epsilon);
      size = block.depthwise.shape.out_size();
      block.project =
          read_convolution(reader, prefix + "_project_conv", prefix + "_bn2", {inner, out, 1, 1, size, false}, epsilon);
      net.blocks.push_back(std::move(block));
      in = out;
    }
  }
  net.head = read_convolution(reader, "_conv_head", "_bn1", {in, kEfficientNetFeatures, 1, 1, size, false}, epsilon);
  return net;
}

std::size_t stage_features(const EfficientNet& net) {
  std::size_t count = 0;
  for (const Bottleneck& block : net.blocks) count += block.ends_stage ? 2 * block.project.shape.out_channels : 0;
  return count;
}

float* pool_stage(const float* values, std::size_t num_places, std::size_t channels, std::size_t stride, float* out) {
  return pool(values, num_places, channels, stride, out);
}

float* pool_stage(const std::uint16_t* bf16, std::size_t num_places, std::size_t channels, std::size_t stride,
                  float* out) {
  return pool(bf16, num_places, channels, stride, out);
}

void mean_over_places(const float* values, std::size_t num_places, std::size_t channels, float* features) {
  std::fill(features, features + channels, 0.0F);
  for (std::size_t place = 0; place < num_places; ++place) {
    for (std::size_t c = 0; c < channels; ++c) features[c] += values[place * channels + c];
  }
  for (std::size_t c = 0; c < channels; ++c) features[c] /= static_cast<float>(num_places);
}

}  // namespace matinee::nn
