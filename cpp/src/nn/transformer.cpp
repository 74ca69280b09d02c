#include "matinee/nn/transformer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"
#include "matinee/nn/safetensors.h"
#include "nn/kernels.h"
#include "nn/linear.h"
#include "nn/tensor_reader.h"
#include "nn/transformer_config.h"
#include "nn/transformer_stack.h"

namespace matinee {
namespace {

using nn::LayerNorm;
using nn::LayerRanges;
using nn::LayerWeights;
using nn::Linear;
using nn::StackShape;
using nn::TensorReader;
using nn::TokenConfig;
using nn::TokenFamily;
using nn::TransformerStack;
using nn::VisionConfig;
using nn::Workspace;

// Tokens that go through the layers together: enough for whole tiles and to read the weights rarely, few enough for
// activations to stay in the caches and for another caller's work to be let in.
constexpr std::size_t kGroupTokens = 512;

// How a file names the tensors of a layer.
struct LayerNames {
  std::array<const char*, 3> query_key_value;
  const char* attention_output;
  const char* attention_norm;
  const char* intermediate;
  const char* output;
  const char* output_norm;
};

constexpr LayerNames kBertNames = {
    {"attention.self.query", "attention.self.key", "attention.self.value"},
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
};
constexpr LayerNames kClipNames = {
    {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
    "self_attn.out_proj",
    "layer_norm1",
    "mlp.fc1",
    "mlp.fc2",
    "layer_norm2",
};
constexpr LayerNames kSasRecNames = {
    {"attention.query", "attention.key", "attention.value"},
    "attention.output",
    "attention_norm",
    "feed_forward.in",
    "feed_forward.out",
    "feed_forward_norm",
};

void append(std::vector<float>& to, const std::vector<float>& values) {
  to.insert(to.end(), values.begin(), values.end());
}

LayerNorm read_norm(TensorReader& reader, const std::string& name, std::size_t size) {
  return {reader.floats(name + ".weight", {size}), reader.floats(name + ".bias", {size})};
}

LayerWeights read_layer(TensorReader& reader, const std::string& prefix, const LayerNames& names,
                        const StackShape& shape) {
  const std::size_t h = shape.hidden;
  LayerWeights layer;
  for (const char* part : names.query_key_value) {
    append(layer.query_key_value, reader.floats(prefix + part + ".weight", {h, h}));
    append(layer.query_key_value_bias, reader.floats(prefix + part + ".bias", {h}));
  }
  const auto read = [&](const char* name, std::size_t out, std::size_t in, std::vector<float>& weight,
                        std::vector<float>& bias) {
    weight = reader.floats(prefix + name + ".weight", {out, in});
    bias = reader.floats(prefix + name + ".bias", {out});
  };
  read(names.attention_output, h, h, layer.attention_output, layer.attention_output_bias);
  read(names.intermediate, shape.intermediate, h, layer.intermediate, layer.intermediate_bias);
  read(names.output, h, shape.intermediate, layer.output, layer.output_bias);
  layer.attention_norm = read_norm(reader, prefix + names.attention_norm, h);
  layer.output_norm = read_norm(reader, prefix + names.output_norm, h);
  return layer;
}

// The ranges of a tower out of the folder's calibration; empty where there is none.
std::vector<LayerRanges> read_ranges(const std::filesystem::path& folder, const std::string& tower,
                                     const StackShape& shape, Precision precision) {
  const auto path = folder / kCalibrationFile;
  if (precision != Precision::kInt8 || !std::filesystem::exists(path)) return {};
  const SafetensorsFile file(path);
  std::vector<LayerRanges> ranges;
  for (std::size_t i = 0; i < shape.num_layers; ++i) {
    const auto read = [&](const char* name, std::size_t size) {
      return file.read_floats(tower + "." + std::to_string(i) + "." + name, std::array{size});
    };
    ranges.push_back({read("query_key_value", shape.hidden), read("attention_output", shape.hidden),
                      read("intermediate", shape.hidden), read("output", shape.intermediate)});
  }
  return ranges;
}

ActivationRanges named(const std::vector<LayerRanges>& ranges, const std::string& tower) {
  ActivationRanges result;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const std::string prefix = tower + "." + std::to_string(i) + ".";
    result[prefix + "query_key_value"] = ranges[i].query_key_value;
    result[prefix + "attention_output"] = ranges[i].attention_output;
    result[prefix + "intermediate"] = ranges[i].intermediate;
    result[prefix + "output"] = ranges[i].output;
  }
  return result;
}

constexpr const char* kTextTower = "text";
constexpr const char* kImageTower = "image";

void scale_to_unit_length(float* vector, std::size_t size) {
  double squares = 0;
  for (std::size_t d = 0; d < size; ++d) squares += static_cast<double>(vector[d]) * vector[d];
  // The smallest norm of torch.nn.functional.normalize, so that a zero vector stays zero.
  const auto scale = static_cast<float>(1.0 / std::max(std::sqrt(squares), 1e-12));
  for (std::size_t d = 0; d < size; ++d) vector[d] *= scale;
}

void expect_fp32(Precision precision) {
  if (precision != Precision::kFp32) {
    throw InvalidArgument("activation_ranges: precision: expected a network loaded in fp32, got " +
                          std::string(precision_name(precision)));
  }
}

// Runs `body` on a worker with the others standing by, and passes its oneDNN errors on as ours.
void on_team(const std::function<void(Team&)>& body) {
  compute_pool()->with_team([&](Team& team) { nn::with_dnnl([&] { body(team); }); });
}

}  // namespace

struct TokenEncoder::Impl {
  TokenConfig config;
  Precision precision = Precision::kFp32;
  std::vector<float> words;      // (vocabulary, hidden)
  std::vector<float> positions;  // (max_tokens, hidden); BERT's token type 0 added
  LayerNorm embedding_norm;      // BERT
  std::unique_ptr<TransformerStack> stack;
  LayerNorm final_norm;                // CLIP, SASRec
  std::unique_ptr<Linear> projection;  // CLIP

  // Sequences [begin, end) of a call.
  struct Group {
    std::size_t begin;
    std::size_t end;
  };
  struct Input {
    std::span<const std::int32_t> token_ids;
    std::span<const std::int64_t> offsets;

    std::size_t start(std::size_t b) const { return static_cast<std::size_t>(offsets[b]); }
    std::size_t length(std::size_t b) const { return start(b + 1) - start(b); }
  };

  bool pool_last() const { return config.family != TokenFamily::kBert; }
  void read(TensorReader& reader, const std::filesystem::path& folder);
  void check(const Input& input) const;
  std::vector<Group> make_groups(const Input& input, std::size_t num_workers) const;
  float* embed(const Input& input, const Group& group, std::vector<std::size_t>& lengths, Team& team) const;
  void encode(const Input& input, const Group& group, MatrixView<float> vectors, Team& team) const;
};

TokenEncoder::TokenEncoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TokenEncoder::~TokenEncoder() = default;
TokenEncoder::TokenEncoder(TokenEncoder&&) noexcept = default;
TokenEncoder& TokenEncoder::operator=(TokenEncoder&&) noexcept = default;

std::size_t TokenEncoder::dimension() const noexcept { return impl_->config.dimension; }
std::size_t TokenEncoder::vocabulary() const noexcept { return impl_->config.vocabulary; }
std::size_t TokenEncoder::max_tokens() const noexcept { return impl_->config.max_tokens; }
std::size_t TokenEncoder::num_layers() const noexcept { return impl_->config.stack.num_layers; }
std::size_t TokenEncoder::hidden() const noexcept { return impl_->config.stack.hidden; }
Precision TokenEncoder::precision() const noexcept { return impl_->precision; }

TokenEncoder TokenEncoder::load(const std::filesystem::path& folder, Precision precision) {
  auto impl = std::make_unique<Impl>();
  impl->config = nn::read_token_config(folder);
  impl->precision = precision;
  const SafetensorsFile file(folder / "model.safetensors");
  TensorReader reader(file);
  // Packing weights is the compute threads' work too: see Note [Compute threads] in thread_pool.h.
  compute_pool()->run([&] { nn::with_dnnl([&] { impl->read(reader, folder); }); });
  reader.expect_all_used();
  return TokenEncoder(std::move(impl));
}

void TokenEncoder::Impl::read(TensorReader& reader, const std::filesystem::path& folder) {
  const std::size_t h = config.stack.hidden;
  std::string layers;
  const LayerNames* names = nullptr;
  switch (config.family) {
    case TokenFamily::kBert: {
      words = reader.floats("embeddings.word_embeddings.weight", {config.vocabulary, h});
      positions = reader.floats("embeddings.position_embeddings.weight", {config.positions, h});
      positions.resize(config.max_tokens * h);
      const auto types = reader.floats("embeddings.token_type_embeddings.weight", {config.token_types, h});
      for (std::size_t i = 0; i < positions.size(); ++i) positions[i] += types[i % h];
      embedding_norm = read_norm(reader, "embeddings.LayerNorm", h);
      layers = "encoder.layer.";
      names = &kBertNames;
      // The pooler serves next-sentence prediction only; position_ids is 0, 1, 2, … in files of older libraries.
      for (const char* unused : {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}) {
        reader.ignore(unused);
      }
      break;
    }
    case TokenFamily::kClip:
      words = reader.floats("text_model.embeddings.token_embedding.weight", {config.vocabulary, h});
      positions = reader.floats("text_model.embeddings.position_embedding.weight", {config.positions, h});
      final_norm = read_norm(reader, "text_model.final_layer_norm", h);
      projection =
          std::make_unique<Linear>(reader.floats("text_projection.weight", {config.dimension, h}),
                                   std::vector<float>(config.dimension), h, config.dimension, nn::LinearOptions{});
      layers = "text_model.encoder.layers.";
      names = &kClipNames;
      reader.ignore("text_model.embeddings.position_ids");
      reader.ignore("logit_scale");
      reader.ignore_prefix("vision_model.");
      reader.ignore("visual_projection.weight");
      break;
    case TokenFamily::kSasRec:
      words = reader.floats("item_embeddings.weight", {config.vocabulary, h});
      positions = reader.floats("position_embeddings.weight", {config.positions, h});
      final_norm = read_norm(reader, "final_norm", h);
      layers = "layers.";
      names = &kSasRecNames;
      break;
  }
  const auto ranges = read_ranges(folder, kTextTower, config.stack, precision);
  stack = std::make_unique<TransformerStack>(
      config.stack, precision,
      [&](std::size_t i) { return read_layer(reader, layers + std::to_string(i) + ".", *names, config.stack); },
      ranges);
}

void TokenEncoder::Impl::check(const Input& input) const {
  const auto& [token_ids, offsets] = input;
  const auto fail = [](const std::string& what) { throw InvalidArgument("encode: " + what); };
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != static_cast<std::int64_t>(token_ids.size())) {
    fail("offsets: expected B + 1 values from 0 to the number of token ids, " + std::to_string(token_ids.size()));
  }
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    // Compared rather than subtracted: the difference of two wild offsets overflows.
    if (offsets[b + 1] <= offsets[b] || offsets[b + 1] > offsets.back()) {
      fail("offsets: expected rising values, at least one token a text, got " + std::to_string(offsets[b]) + ", " +
           std::to_string(offsets[b + 1]) + " at text " + std::to_string(b));
    }
    const std::int64_t length = offsets[b + 1] - offsets[b];
    if (length > static_cast<std::int64_t>(config.max_tokens)) {
      fail("token_ids: expected at most " + std::to_string(config.max_tokens) + " tokens a text, got " +
           std::to_string(length) + " in text " + std::to_string(b) + "; truncate when tokenising");
    }
  }
  for (std::size_t t = 0; t < token_ids.size(); ++t) {
    if (token_ids[t] < 0 || static_cast<std::size_t>(token_ids[t]) >= config.vocabulary) {
      fail("token_ids: expected 0.." + std::to_string(config.vocabulary - 1) + ", got " + std::to_string(token_ids[t]) +
           " at " + std::to_string(t) + "; was another vocabulary used?");
    }
  }
}

void TokenEncoder::encode(std::span<const std::int32_t> token_ids, std::span<const std::int64_t> offsets,
                          MatrixView<float> vectors) const {
  const Impl::Input input{token_ids, offsets};
  impl_->check(input);
  const std::size_t num_texts = offsets.size() - 1;
  if (vectors.rows != num_texts || vectors.cols != dimension()) {
    throw InvalidArgument("encode: vectors: expected (" + std::to_string(num_texts) + ", " +
                          std::to_string(dimension()) + "), got (" + std::to_string(vectors.rows) + ", " +
                          std::to_string(vectors.cols) + ")");
  }
  if (num_texts == 0) return;
  on_team([&](Team& team) {
    for (const auto& group : impl_->make_groups(input, team.size())) impl_->encode(input, group, vectors, team);
  });
}

std::vector<TokenEncoder::Impl::Group> TokenEncoder::Impl::make_groups(const Input& input,
                                                                       std::size_t num_workers) const {
  const std::size_t most = std::max(kGroupTokens, num_workers * kGroupTokens / 4);
  std::vector<Group> groups;
  std::size_t tokens = 0;
  for (std::size_t b = 0; b + 1 < input.offsets.size(); ++b) {
    if (groups.empty() || tokens + input.length(b) > most) {
      groups.push_back({b, b});
      tokens = 0;
    }
    groups.back().end = b + 1;
    tokens += input.length(b);
  }
  return groups;
}

// The residual stream as the first layer takes it, in the leading worker's workspace.
float* TokenEncoder::Impl::embed(const Input& input, const Group& group, std::vector<std::size_t>& lengths,
                                 Team& team) const {
  const std::size_t h = config.stack.hidden;
  const std::size_t first = input.start(group.begin);
  const std::size_t num_rows = input.start(group.end) - first;
  float* rows = Workspace::of_this_thread().get<float>(Workspace::kRows, Linear::padded_rows(num_rows) * h);
  lengths.clear();
  for (std::size_t b = group.begin; b < group.end; ++b) lengths.push_back(input.length(b));
  float* row = rows;
  for (std::size_t b = group.begin; b < group.end; ++b) {
    for (std::size_t t = 0; t < input.length(b); ++t, row += h) {
      const float* word = &words[static_cast<std::size_t>(input.token_ids[input.start(b) + t]) * h];
      const float* position = &positions[t * h];
      for (std::size_t d = 0; d < h; ++d) row[d] = word[d] + position[d];
    }
  }
  if (config.family == TokenFamily::kBert) {
    TransformerStack::normalize(embedding_norm, config.stack.epsilon, rows, num_rows, h, team);
  }
  return rows;
}

void TokenEncoder::Impl::encode(const Input& input, const Group& group, MatrixView<float> vectors, Team& team) const {
  const std::size_t h = config.stack.hidden;
  const std::size_t count = group.end - group.begin;
  std::vector<std::size_t> lengths;
  float* rows = embed(input, group, lengths, team);

  const bool mean = !pool_last() && config.pool_mean;
  std::vector<std::size_t> wanted;
  if (!mean) {
    std::size_t row = 0;
    for (const std::size_t length : lengths) {
      wanted.push_back(pool_last() ? row + length - 1 : row);
      row += length;
    }
  }
  stack->run(rows, lengths, team, {.wanted_rows = wanted});

  if (mean) {
    std::size_t row = 0;
    for (std::size_t i = 0; i < count; ++i) {
      float* vector = vectors.row(group.begin + i);
      std::fill(vector, vector + h, 0.0F);
      for (std::size_t t = 0; t < lengths[i]; ++t, ++row) {
        for (std::size_t d = 0; d < h; ++d) vector[d] += rows[row * h + d];
      }
      for (std::size_t d = 0; d < h; ++d) vector[d] /= static_cast<float>(lengths[i]);
    }
  } else {
    if (pool_last()) TransformerStack::normalize(final_norm, config.stack.epsilon, rows, count, h, team);
    if (projection == nullptr) {
      for (std::size_t i = 0; i < count; ++i) std::copy_n(rows + i * h, h, vectors.row(group.begin + i));
    } else {
      float* projected =
          Workspace::of_this_thread().get<float>(Workspace::kContext, Linear::padded_rows(count) * config.dimension);
      projection->run(rows, nullptr, projected, config.dimension, count, team);
      std::copy_n(projected, count * config.dimension, vectors.row(group.begin));
    }
  }
  if (!config.normalize) return;
  for (std::size_t i = 0; i < count; ++i) scale_to_unit_length(vectors.row(group.begin + i), config.dimension);
}

std::vector<float> TokenEncoder::hidden_states(std::span<const std::int32_t> token_ids,
                                               std::span<const std::int64_t> offsets) const {
  const Impl::Input input{token_ids, offsets};
  impl_->check(input);
  const std::size_t size = token_ids.size() * hidden();
  std::vector<float> states((num_layers() + 1) * size);
  if (size == 0) return states;
  on_team([&](Team& team) {
    std::vector<std::size_t> lengths;
    float* rows = impl_->embed(input, {0, offsets.size() - 1}, lengths, team);
    std::copy_n(rows, size, states.begin());
    impl_->stack->run(rows, lengths, team, {.after_layer = [&](std::size_t layer, const float* after) {
                        std::copy_n(after, size, states.data() + (layer + 1) * size);
                      }});
  });
  return states;
}

ActivationRanges TokenEncoder::activation_ranges(std::span<const std::int32_t> token_ids,
                                                 std::span<const std::int64_t> offsets) const {
  expect_fp32(precision());
  const Impl::Input input{token_ids, offsets};
  impl_->check(input);
  auto ranges = impl_->stack->empty_ranges();
  on_team([&](Team& team) {
    for (const auto& group : impl_->make_groups(input, team.size())) {
      std::vector<std::size_t> lengths;
      float* rows = impl_->embed(input, group, lengths, team);
      impl_->stack->run(rows, lengths, team, {.ranges = &ranges});
    }
  });
  return named(ranges, kTextTower);
}

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
    return std::max<std::size_t>(1, std::max(kGroupTokens, num_workers * kGroupTokens / 4) / config.num_tokens());
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
  first_norm = read_norm(reader, prefix + "pre_layrnorm", h);  // so spelt in every file
  final_norm = read_norm(reader, prefix + "post_layernorm", h);
  projection = std::make_unique<Linear>(reader.floats("visual_projection.weight", {config.dimension, h}),
                                        std::vector<float>(config.dimension), h, config.dimension, nn::LinearOptions{});
  reader.ignore(prefix + "embeddings.position_ids");
  reader.ignore("logit_scale");
  reader.ignore_prefix("text_model.");
  reader.ignore("text_projection.weight");
  const auto ranges = read_ranges(folder, kImageTower, config.stack, precision);
  stack = std::make_unique<TransformerStack>(
      config.stack, precision,
      [&](std::size_t i) {
        return read_layer(reader, prefix + "encoder.layers." + std::to_string(i) + ".", kClipNames, config.stack);
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
  on_team([&](Team& team) {
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
      float* projected =
          Workspace::of_this_thread().get<float>(Workspace::kContext, Linear::padded_rows(n) * dimension());
      impl_->projection->run(rows, nullptr, projected, dimension(), n, team);
      for (std::size_t i = 0; i < n; ++i) {
        std::copy_n(projected + i * dimension(), dimension(), features.row(begin + i));
        if (impl_->config.normalize) scale_to_unit_length(features.row(begin + i), dimension());
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
  on_team([&](Team& team) {
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
  expect_fp32(precision());
  impl_->check(pixels);
  const std::size_t count = pixels.size() / impl_->floats_an_image();
  auto ranges = impl_->stack->empty_ranges();
  on_team([&](Team& team) {
    const std::size_t most = impl_->images_a_group(team.size());
    for (std::size_t begin = 0; begin < count; begin += most) {
      const std::size_t n = std::min(most, count - begin);
      float* rows = impl_->embed(pixels.data() + begin * impl_->floats_an_image(), n, team);
      const std::vector<std::size_t> lengths(n, num_tokens());
      impl_->stack->run(rows, lengths, team, {.ranges = &ranges});
    }
  });
  return named(ranges, kImageTower);
}

}  // namespace matinee
