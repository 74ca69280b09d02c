#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"
#include "matinee/nn/safetensors.h"
#include "matinee/nn/transformer.h"
#include "nn/dnnl_context.h"
#include "nn/linear.h"
#include "nn/tensor_reader.h"
#include "nn/transformer_config.h"
#include "nn/transformer_parts.h"
#include "nn/transformer_stack.h"

namespace matinee {
namespace {

using nn::LayerNames;
using nn::LayerNorm;
using nn::Linear;
using nn::TensorReader;
using nn::TokenConfig;
using nn::TokenFamily;
using nn::TransformerStack;
using nn::Workspace;

constexpr LayerNames kBertNames = {
    {"attention.self.query", "attention.self.key", "attention.self.value"},
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
};
constexpr LayerNames kSasRecNames = {
    {"attention.query", "attention.key", "attention.value"},
    "attention.output",
    "attention_norm",
    "feed_forward.in",
    "feed_forward.out",
    "feed_forward_norm",
};

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
      embedding_norm = nn::read_norm(reader, "embeddings.LayerNorm", h);
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
      final_norm = nn::read_norm(reader, "text_model.final_layer_norm", h);
      projection =
          std::make_unique<Linear>(reader.floats("text_projection.weight", {config.dimension, h}),
                                   std::vector<float>(config.dimension), h, config.dimension, nn::LinearOptions{});
      layers = "text_model.encoder.layers.";
      names = &nn::kClipNames;
      reader.ignore("text_model.embeddings.position_ids");
      reader.ignore("logit_scale");
      reader.ignore_prefix("vision_model.");
      reader.ignore("visual_projection.weight");
      break;
    case TokenFamily::kSasRec:
      words = reader.floats("item_embeddings.weight", {config.vocabulary, h});
      positions = reader.floats("position_embeddings.weight", {config.positions, h});
      final_norm = nn::read_norm(reader, "final_norm", h);
      layers = "layers.";
      names = &kSasRecNames;
      break;
  }
  const auto ranges = nn::read_ranges(folder, nn::kTextTower, config.stack, precision);
  stack = std::make_unique<TransformerStack>(
      config.stack, precision,
      [&](std::size_t i) { return nn::read_layer(reader, layers + std::to_string(i) + ".", *names, config.stack); },
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
  nn::on_team([&](Team& team) {
    for (const auto& group : impl_->make_groups(input, team.size())) impl_->encode(input, group, vectors, team);
  });
}

std::vector<TokenEncoder::Impl::Group> TokenEncoder::Impl::make_groups(const Input& input,
                                                                       std::size_t num_workers) const {
  const std::size_t most = std::max(nn::kGroupTokens, num_workers * nn::kGroupTokens / 4);
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
  auto* rows = Workspace::of_this_thread().get<float>(Workspace::kRows, Linear::padded_rows(num_rows) * h);
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
      auto* projected =
          Workspace::of_this_thread().get<float>(Workspace::kContext, Linear::padded_rows(count) * config.dimension);
      projection->run(rows, nullptr, projected, config.dimension, count, team);
      std::copy_n(projected, count * config.dimension, vectors.row(group.begin));
    }
  }
  if (!config.normalize) return;
  for (std::size_t i = 0; i < count; ++i) nn::scale_to_unit_length(vectors.row(group.begin + i), config.dimension);
}

std::vector<float> TokenEncoder::hidden_states(std::span<const std::int32_t> token_ids,
                                               std::span<const std::int64_t> offsets) const {
  const Impl::Input input{token_ids, offsets};
  impl_->check(input);
  const std::size_t size = token_ids.size() * hidden();
  std::vector<float> states((num_layers() + 1) * size);
  if (size == 0) return states;
  nn::on_team([&](Team& team) {
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
  nn::expect_fp32(precision());
  const Impl::Input input{token_ids, offsets};
  impl_->check(input);
  auto ranges = impl_->stack->empty_ranges();
  nn::on_team([&](Team& team) {
    for (const auto& group : impl_->make_groups(input, team.size())) {
      std::vector<std::size_t> lengths;
      float* rows = impl_->embed(input, group, lengths, team);
      impl_->stack->run(rows, lengths, team, {.ranges = &ranges});
    }
  });
  return nn::named(ranges, nn::kTextTower);
}

}  // namespace matinee
