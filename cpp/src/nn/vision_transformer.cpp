#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"
#include "matinee/nn/safetensors.h"
#include "matinee/nn/transformer.h"
#include "nn/dnnl_context.h"
#include "nn/kernels.h"
#include "nn/linear.h"
#include "nn/tensor_reader.h"
#include "nn/transformer_config.h"
#include "nn/transformer_parts.h"
#include "nn/transformer_stack.h"

namespace matinee {
namespace {

using nn::LayerNorm;
using nn::Linear;
using nn::TensorReader;
using nn::TransformerStack;
using nn::VisionConfig;
using nn::Workspace;

}  // namespace

struct VisionTransformer::Impl {
  VisionConfig config;
  Precision precision = Precision::kFp32;
  std::unique_ptr<Linear> patches;  // (hidden, 3 P P): the convolution whose stride is its size
  Precision patch_precision = Precision::kFp32;
  std::vector<float> class_row;  // (hidden,): the class token with its position
  std::vector<float> positions;  // (patches, hidden)
  LayerNorm first_norm;
  std::unique_ptr<TransformerStack> stack;
  LayerNorm final_norm;
  std::unique_ptr<Linear> projection;

  void read(TensorReader& reader, const std::filesystem::path& folder);
  void check(std::span<const float> pixels) const;
  std::size_t floats_an_image() const { return 3 * config.image_size * config.image_size; }
  std::size_t images_a_group(std::size_t num_workers) const {
    return std::max<std::size_t>(1,
                                 std::max(nn::kGroupTokens, num_workers * nn::kGroupTokens / 4) / config.num_tokens());
  }
  float* embed(const float* pixels, std::size_t count, Team& team) const;
};

VisionTransformer::VisionTransformer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
VisionTransformer::~VisionTransformer() = default;
VisionTransformer::VisionTransformer(VisionTransformer&&) noexcept = default;
VisionTransformer& VisionTransformer::operator=(VisionTransformer&&) noexcept = default;

std::size_t VisionTransformer::dimension() const noexcept { return impl_->config.dimension; }
std::size_t VisionTransformer::image_size() const noexcept { return impl_->config.image_size; }
std::size_t VisionTransformer::num_layers() const noexcept { return impl_->config.stack.num_layers; }
std::size_t VisionTransformer::num_tokens() const noexcept { return impl_->config.num_tokens(); }
std::size_t VisionTransformer::hidden() const noexcept { return impl_->config.stack.hidden; }
Precision VisionTransformer::precision() const noexcept { return impl_->precision; }

VisionTransformer VisionTransformer::load(const std::filesystem::path& folder, Precision precision) {
  auto impl = std::make_unique<Impl>();
  impl->config = nn::read_vision_config(folder);
  impl->precision = precision;
  const SafetensorsFile file(folder / "model.safetensors");
  TensorReader reader(file);
  compute_pool()->run([&] { nn::with_dnnl([&] { impl->read(reader, folder); }); });
  reader.expect_all_used();
  return VisionTransformer(std::move(impl));
}

void VisionTransformer::Impl::read(TensorReader& reader, const std::filesystem::path& folder) {
  const std::size_t h = config.stack.hidden;
  const std::size_t p = config.patch_size;
  const std::string prefix = "vision_model.";
  // Pixels are quantised to 8 bits once already; int8 networks take them in bf16.
  patch_precision = precision == Precision::kFp32 ? Precision::kFp32 : Precision::kBf16;
  nn::LinearOptions options;
  options.precision = patch_precision;
  patches = std::make_unique<Linear>(reader.floats(prefix + "embeddings.patch_embedding.weight", {h, 3, p, p}),
                                     std::vector<float>(h), 3 * p * p, h, options);
  class_row = reader.floats(prefix + "embeddings.class_embedding", {h});
  positions = reader.floats(prefix + "embeddings.position_embedding.weight", {config.num_tokens(), h});
  for (std::size_t d = 0; d < h; ++d) class_row[d] += positions[d];
  positions.erase(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(h));
  first_norm = nn::read_norm(reader, prefix + "pre_layrnorm", h);  // so spelt in every file
  final_norm = nn::read_norm(reader, prefix + "post_layernorm", h);
  projection = std::make_unique<Linear>(reader.floats("visual_projection.weight", {config.dimension, h}),
                                        std::vector<float>(config.dimension), h, config.dimension, nn::LinearOptions{});
  reader.ignore(prefix + "embeddings.position_ids");
  reader.ignore("logit_scale");
  reader.ignore_prefix("text_model.");
  reader.ignore("text_projection.weight");
  const auto ranges = nn::read_ranges(folder, nn::kImageTower, config.stack, precision);
  stack = std::make_unique<TransformerStack>(
      config.stack, precision,
      [&](std::size_t i) {
        return nn::read_layer(reader, prefix + "encoder.layers." + std::to_string(i) + ".", nn::kClipNames,
                              config.stack);
      },
      ranges);
}

void VisionTransformer::Impl::check(std::span<const float> pixels) const {
  if (pixels.size() % floats_an_image() != 0) {
    throw InvalidArgument("features: pixels: expected a multiple of " + std::to_string(floats_an_image()) +
                          " values, got " + std::to_string(pixels.size()));
  }
}

// The residual stream as the first layer takes it, in the leading worker's workspace.
float* VisionTransformer::Impl::embed(const float* pixels, std::size_t count, Team& team) const {
  const nn::Kernels& kernels = nn::kernels();
  const std::size_t h = config.stack.hidden;
  const std::size_t side = config.image_size;
  const std::size_t p = config.patch_size;
  const std::size_t across = config.patches_a_side();
  const std::size_t num_patches = across * across;
  const std::size_t num_tokens = config.num_tokens();
  Workspace& workspace = Workspace::of_this_thread();
  const std::size_t patch_rows = Linear::padded_rows(count * num_patches);
  const std::size_t stride = Linear::input_stride(3 * p * p, patch_precision);
  auto* flat = workspace.get<std::uint8_t>(Workspace::kIntermediate, patch_rows * stride);
  auto* embedded = workspace.get<float>(Workspace::kQueryKeyValue, patch_rows * h);
  auto* rows = workspace.get<float>(Workspace::kRows, Linear::padded_rows(count * num_tokens) * h);
  const bool bf16 = patch_precision == Precision::kBf16;
  // Rows end inside a block of K for patches that are no multiple of it; what follows must be finite.
  if (bf16 && 3 * p * p * sizeof(std::uint16_t) % nn::kBlockBytes != 0) std::memset(flat, 0, patch_rows * stride);

  team.for_each(count * across, [&](std::size_t i) {  // a line of patches
    const float* image = pixels + i / across * floats_an_image();
    for (std::size_t x = 0; x < across; ++x) {
      std::uint8_t* row = flat + (i * across + x) * stride;
      for (std::size_t line = 0; line < 3 * p; ++line) {  // channel by channel, line by line
        const float* from = image + (line / p * side + i % across * p + line % p) * side + x * p;
        if (bf16) {
          kernels.round_to_bf16(from, reinterpret_cast<std::uint16_t*>(row) + line * p, p);
        } else {
          std::memcpy(reinterpret_cast<float*>(row) + line * p, from, p * sizeof(float));
        }
      }
    }
  });
  patches->run(flat, nullptr, embedded, h, count * num_patches, team);
  team.for_each(count, [&](std::size_t image) {
    float* row = rows + image * num_tokens * h;
    std::copy(class_row.begin(), class_row.end(), row);
    row += h;
    const float* patch = embedded + image * num_patches * h;
    for (std::size_t i = 0; i < num_patches * h; ++i) row[i] = patch[i] + positions[i];
  });
  TransformerStack::normalize(first_norm, config.stack.epsilon, rows, count * num_tokens, h, team);
  return rows;
}

void VisionTransformer::features(std::span<const float> pixels, MatrixView<float> features) const {
  impl_->check(pixels);
  const std::size_t count = pixels.size() / impl_->floats_an_image();
  if (features.rows != count || features.cols != dimension()) {
    throw InvalidArgument("features: features: expected (" + std::to_string(count) + ", " +
                          std::to_string(dimension()) + "), got (" + std::to_string(features.rows) + ", " +
                          std::to_string(features.cols) + ")");
  }
  if (count == 0) return;
  nn::on_team([&](Team& team) {
    const std::size_t most = impl_->images_a_group(team.size());
    const std::size_t num_groups = (count + most - 1) / most;
    const std::size_t step = (count + num_groups - 1) / num_groups;
    const std::size_t h = hidden();
    for (std::size_t begin = 0; begin < count; begin += step) {
      const std::size_t n = std::min(step, count - begin);
      float* rows = impl_->embed(pixels.data() + begin * impl_->floats_an_image(), n, team);
      const std::vector<std::size_t> lengths(n, num_tokens());
      std::vector<std::size_t> wanted;
      for (std::size_t i = 0; i < n; ++i) wanted.push_back(i * num_tokens());
      impl_->stack->run(rows, lengths, team, {.wanted_rows = wanted});
      TransformerStack::normalize(impl_->final_norm, impl_->config.stack.epsilon, rows, n, h, team);
      auto* projected =
          Workspace::of_this_thread().get<float>(Workspace::kContext, Linear::padded_rows(n) * dimension());
      impl_->projection->run(rows, nullptr, projected, dimension(), n, team);
      for (std::size_t i = 0; i < n; ++i) {
        std::copy_n(projected + i * dimension(), dimension(), features.row(begin + i));
        if (impl_->config.normalize) nn::scale_to_unit_length(features.row(begin + i), dimension());
      }
    }
  });
}

std::vector<float> VisionTransformer::hidden_states(std::span<const float> pixels) const {
  impl_->check(pixels);
  const std::size_t count = pixels.size() / impl_->floats_an_image();
  const std::size_t size = count * num_tokens() * hidden();
  std::vector<float> states((num_layers() + 1) * size);
  if (count == 0) return states;
  nn::on_team([&](Team& team) {
    float* rows = impl_->embed(pixels.data(), count, team);
    std::copy_n(rows, size, states.begin());
    const std::vector<std::size_t> lengths(count, num_tokens());
    impl_->stack->run(rows, lengths, team, {.after_layer = [&](std::size_t layer, const float* after) {
                        std::copy_n(after, size, states.data() + (layer + 1) * size);
                      }});
  });
  return states;
}

ActivationRanges VisionTransformer::activation_ranges(std::span<const float> pixels) const {
  nn::expect_fp32(precision());
  impl_->check(pixels);
  const std::size_t count = pixels.size() / impl_->floats_an_image();
  auto ranges = impl_->stack->empty_ranges();
  nn::on_team([&](Team& team) {
    const std::size_t most = impl_->images_a_group(team.size());
    for (std::size_t begin = 0; begin < count; begin += most) {
      const std::size_t n = std::min(most, count - begin);
      float* rows = impl_->embed(pixels.data() + begin * impl_->floats_an_image(), n, team);
      const std::vector<std::size_t> lengths(n, num_tokens());
      impl_->stack->run(rows, lengths, team, {.ranges = &ranges});
    }
  });
  return nn::named(ranges, nn::kImageTower);
}

}  // namespace matinee
