#include "matinee/nn/transformer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"
#include "matinee/nn/safetensors.h"
#include "nn/kernels.h"
#include "nn/linear.h"
#include "nn/model_config.h"
#include "nn/tensor_reader.h"

namespace matinee {
namespace {

using nn::Epilogue;
using nn::Linear;
using nn::ModelConfig;
using nn::TensorReader;

// Fields of config.json that do not change what the encoder computes at inference.
const std::set<std::string, std::less<>> kHarmlessFields = {"_name_or_path",
                                                            "architectures",
                                                            "attention_probs_dropout_prob",
                                                            "bos_token_id",
                                                            "chunk_size_feed_forward",
                                                            "classifier_dropout",
                                                            "dtype",
                                                            "eos_token_id",
                                                            "finetuning_task",
                                                            "gradient_checkpointing",
                                                            "hidden_dropout_prob",
                                                            "id2label",
                                                            "initializer_range",
                                                            "label2id",
                                                            "output_attentions",
                                                            "output_hidden_states",
                                                            "pad_token_id",
                                                            "problem_type",
                                                            "return_dict",
                                                            "sep_token_id",
                                                            "tie_word_embeddings",
                                                            "tokenizer_class",
                                                            "torch_dtype",
                                                            "torchscript",
                                                            "transformers_version",
                                                            "use_cache"};

struct BertConfig {
  std::size_t hidden = 0;
  std::size_t num_layers = 0;
  std::size_t num_heads = 0;
  std::size_t intermediate = 0;
  std::size_t vocabulary = 0;
  std::size_t positions = 0;
  std::size_t token_types = 0;
  float epsilon = 0;
  bool pool_mean = true;  // else the first token, [CLS]
  bool normalize = true;
  std::size_t max_tokens = 0;
};

BertConfig read_config(const std::filesystem::path& folder) {
  const ModelConfig config(folder / "config.json");
  BertConfig result;
  config.word("model_type", {"bert"});
  config.word("hidden_act", {"gelu"});
  config.expect("position_embedding_type", "absolute");
  config.expect("is_decoder", false);
  config.expect("is_encoder_decoder", false);
  config.expect("add_cross_attention", false);
  config.expect("pruned_heads", nlohmann::json::object());
  result.hidden = config.size("hidden_size", 1, 16384);
  result.num_layers = config.size("num_hidden_layers", 1, 256);
  result.num_heads = config.size("num_attention_heads", 1, 1024);
  result.intermediate = config.size("intermediate_size", 1, 65536);
  result.vocabulary = config.size("vocab_size", 1, 1U << 24);
  result.positions = config.size("max_position_embeddings", 1, 1U << 20);
  result.token_types = config.size("type_vocab_size", 1, 64);
  result.epsilon = config.positive("layer_norm_eps", 1.0);
  if (result.hidden % result.num_heads != 0) {
    config.fail("num_attention_heads", "expected a divisor of hidden_size " + std::to_string(result.hidden) + ", got " +
                                           std::to_string(result.num_heads));
  }
  auto known = kHarmlessFields;
  known.insert({"model_type", "hidden_act", "position_embedding_type", "is_decoder", "is_encoder_decoder",
                "add_cross_attention", "pruned_heads", "hidden_size", "num_hidden_layers", "num_attention_heads",
                "intermediate_size", "vocab_size", "max_position_embeddings", "type_vocab_size", "layer_norm_eps"});
  config.expect_no_others(known);

  const ModelConfig matinee(folder / "matinee.json");
  matinee.word("family", {"bert"});
  matinee.word("kind", {"text"});
  result.pool_mean = matinee.word("pooling", {"mean", "cls"}) == "mean";
  result.normalize = matinee.flag("normalize");
  result.max_tokens = matinee.size("max_tokens", 1, result.positions);
  if (matinee.size("dimension", 1, 16384) != result.hidden) {
    matinee.fail("dimension", "expected hidden_size of config.json, " + std::to_string(result.hidden));
  }
  return result;
}

struct LayerNorm {
  std::vector<float> gamma;
  std::vector<float> beta;
};

LayerNorm read_layer_norm(TensorReader& reader, const std::string& name, std::size_t size) {
  return {reader.floats(name + ".weight", {size}), reader.floats(name + ".bias", {size})};
}

struct Layer {
  std::unique_ptr<Linear> query_key_value;  // one product for the three
  std::unique_ptr<Linear> attention_output;
  LayerNorm attention_norm;
  std::unique_ptr<Linear> intermediate;
  std::unique_ptr<Linear> output;
  LayerNorm output_norm;
};

void append(std::vector<float>& to, const std::vector<float>& values) {
  to.insert(to.end(), values.begin(), values.end());
}

Layer read_layer(TensorReader& reader, const std::string& prefix, const BertConfig& config, Precision precision) {
  const std::size_t h = config.hidden;
  std::vector<float> weight;
  std::vector<float> bias;
  for (const char* part : {"query", "key", "value"}) {
    append(weight, reader.floats(prefix + "attention.self." + part + ".weight", {h, h}));
    append(bias, reader.floats(prefix + "attention.self." + part + ".bias", {h}));
  }
  const auto linear = [&](const std::string& name, std::size_t in, std::size_t out, Precision output, Epilogue tail) {
    return std::make_unique<Linear>(reader.floats(prefix + name + ".weight", {out, in}),
                                    reader.floats(prefix + name + ".bias", {out}), in, out, precision, output, tail);
  };
  Layer layer;
  layer.query_key_value = std::make_unique<Linear>(weight, bias, h, 3 * h, precision, precision, Epilogue::kNone);
  layer.attention_output = linear("attention.output.dense", h, h, Precision::kFp32, Epilogue::kAddToOutput);
  layer.attention_norm = read_layer_norm(reader, prefix + "attention.output.LayerNorm", h);
  layer.intermediate = linear("intermediate.dense", h, config.intermediate, precision, Epilogue::kGelu);
  layer.output = linear("output.dense", config.intermediate, h, Precision::kFp32, Epilogue::kAddToOutput);
  layer.output_norm = read_layer_norm(reader, prefix + "output.LayerNorm", h);
  return layer;
}

// Some texts of a batch, by their places in it.
struct Group {
  std::vector<std::size_t> texts;
  std::size_t num_tokens = 0;
};

}  // namespace

struct BertEncoder::Impl {
  BertConfig config;
  Precision precision = Precision::kFp32;
  std::vector<float> words;      // (vocabulary, hidden)
  std::vector<float> positions;  // (max_tokens, hidden), token type 0 added
  LayerNorm embedding_norm;
  std::vector<Layer> layers;

  void read(TensorReader& reader);
  std::vector<Group> make_groups(std::span<const std::int64_t> offsets, std::size_t num_workers) const;
  void encode_group(const Group& group, std::span<const std::int32_t> token_ids, std::span<const std::int64_t> offsets,
                    MatrixView<float> vectors) const;
  void normalize_rows(const LayerNorm& norm, float* rows, std::uint16_t* rounded, std::size_t num_rows) const;
  void pool(const float* rows, std::size_t length, float* vector) const;
};

BertEncoder::BertEncoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BertEncoder::~BertEncoder() = default;
BertEncoder::BertEncoder(BertEncoder&&) noexcept = default;
BertEncoder& BertEncoder::operator=(BertEncoder&&) noexcept = default;

std::size_t BertEncoder::dimension() const noexcept { return impl_->config.hidden; }
std::size_t BertEncoder::vocabulary() const noexcept { return impl_->config.vocabulary; }
std::size_t BertEncoder::max_tokens() const noexcept { return impl_->config.max_tokens; }
Precision BertEncoder::precision() const noexcept { return impl_->precision; }

BertEncoder BertEncoder::load(const std::filesystem::path& folder, Precision precision) {
  auto impl = std::make_unique<Impl>();
  impl->config = read_config(folder);
  impl->precision = precision;
  const SafetensorsFile file(folder / "model.safetensors");
  TensorReader reader(file);
  // Packing weights is oneDNN's work too: see Note [Compute threads] in thread_pool.h.
  compute_pool()->run([&] { nn::with_dnnl([&] { impl->read(reader); }); });
  // The pooler serves next-sentence prediction only; position_ids is 0, 1, 2, … in files of older libraries.
  for (const char* unused : {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}) {
    reader.ignore(unused);
  }
  reader.expect_all_used();
  return BertEncoder(std::move(impl));
}

void BertEncoder::Impl::read(TensorReader& reader) {
  words = reader.floats("embeddings.word_embeddings.weight", {config.vocabulary, config.hidden});
  positions = reader.floats("embeddings.position_embeddings.weight", {config.positions, config.hidden});
  positions.resize(config.max_tokens * config.hidden);
  const auto types = reader.floats("embeddings.token_type_embeddings.weight", {config.token_types, config.hidden});
  for (std::size_t i = 0; i < positions.size(); ++i) positions[i] += types[i % config.hidden];
  embedding_norm = read_layer_norm(reader, "embeddings.LayerNorm", config.hidden);
  for (std::size_t i = 0; i < config.num_layers; ++i) {
    layers.push_back(read_layer(reader, "encoder.layer." + std::to_string(i) + ".", config, precision));
  }
}

void BertEncoder::encode(std::span<const std::int32_t> token_ids, std::span<const std::int64_t> offsets,
                         MatrixView<float> vectors) const {
  const auto fail = [](const std::string& what) { throw InvalidArgument("encode: " + what); };
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != static_cast<std::int64_t>(token_ids.size())) {
    fail("offsets: expected B + 1 values from 0 to the number of token ids, " + std::to_string(token_ids.size()));
  }
  const std::size_t num_texts = offsets.size() - 1;
  for (std::size_t b = 0; b < num_texts; ++b) {
    // Compared rather than subtracted: the difference of two wild offsets overflows.
    if (offsets[b + 1] <= offsets[b] || offsets[b + 1] > offsets.back()) {
      fail("offsets: expected rising values, at least one token a text, got " + std::to_string(offsets[b]) + ", " +
           std::to_string(offsets[b + 1]) + " at text " + std::to_string(b));
    }
    const std::int64_t length = offsets[b + 1] - offsets[b];
    if (length > static_cast<std::int64_t>(max_tokens())) {
      fail("token_ids: expected at most " + std::to_string(max_tokens()) + " tokens a text, got " +
           std::to_string(length) + " in text " + std::to_string(b) + "; truncate when tokenising");
    }
  }
  for (std::size_t t = 0; t < token_ids.size(); ++t) {
    if (token_ids[t] < 0 || static_cast<std::size_t>(token_ids[t]) >= vocabulary()) {
      fail("token_ids: expected 0.." + std::to_string(vocabulary() - 1) + ", got " + std::to_string(token_ids[t]) +
           " at " + std::to_string(t) + "; was another vocabulary used?");
    }
  }
  if (vectors.rows != num_texts || vectors.cols != dimension()) {
    fail("vectors: expected (" + std::to_string(num_texts) + ", " + std::to_string(dimension()) + "), got (" +
         std::to_string(vectors.rows) + ", " + std::to_string(vectors.cols) + ")");
  }
  if (num_texts == 0) return;
  const auto pool = compute_pool();
  const auto groups = impl_->make_groups(offsets, static_cast<std::size_t>(pool->size()));
  pool->parallel_for(groups.size(), 1, [&](std::size_t begin, std::size_t end) {
    nn::with_dnnl([&] {
      for (std::size_t i = begin; i < end; ++i) impl_->encode_group(groups[i], token_ids, offsets, vectors);
    });
  });
}

// Longest texts first, in groups of about equal work: large enough for full blocks of rows, small enough that the
// workers end together and that another caller's short text does not wait long.
std::vector<Group> BertEncoder::Impl::make_groups(std::span<const std::int64_t> offsets,
                                                  std::size_t num_workers) const {
  constexpr std::size_t kMinTokens = Linear::kBlockRows;
  constexpr std::size_t kMaxTokens = 8 * Linear::kBlockRows;
  const auto length = [&](std::size_t b) { return static_cast<std::size_t>(offsets[b + 1] - offsets[b]); };
  std::vector<std::size_t> order(offsets.size() - 1);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return length(a) > length(b); });
  const auto total = static_cast<std::size_t>(offsets.back());
  const std::size_t target = std::clamp(total / (4 * num_workers), kMinTokens, kMaxTokens);
  std::vector<Group> groups;
  for (const std::size_t text : order) {
    if (groups.empty() || groups.back().num_tokens + length(text) > target) groups.emplace_back();
    groups.back().texts.push_back(text);
    groups.back().num_tokens += length(text);
  }
  return groups;
}

void BertEncoder::Impl::normalize_rows(const LayerNorm& norm, float* rows, std::uint16_t* rounded,
                                       std::size_t num_rows) const {
  const nn::Kernels& kernels = nn::kernels();
  for (std::size_t row = 0; row < num_rows; ++row) {
    kernels.layer_norm(rows + row * config.hidden, rounded == nullptr ? nullptr : rounded + row * config.hidden,
                       norm.gamma.data(), norm.beta.data(), config.hidden, config.epsilon);
  }
}

void BertEncoder::Impl::pool(const float* rows, std::size_t length, float* vector) const {
  const std::size_t num_rows = config.pool_mean ? length : 1;
  std::fill(vector, vector + config.hidden, 0.0F);
  for (std::size_t row = 0; row < num_rows; ++row) {
    for (std::size_t d = 0; d < config.hidden; ++d) vector[d] += rows[row * config.hidden + d];
  }
  for (std::size_t d = 0; d < config.hidden; ++d) vector[d] /= static_cast<float>(num_rows);
  if (!config.normalize) return;
  double squares = 0;
  for (std::size_t d = 0; d < config.hidden; ++d) squares += static_cast<double>(vector[d]) * vector[d];
  // The smallest norm of torch.nn.functional.normalize, so that a zero vector stays zero.
  const auto scale = static_cast<float>(1.0 / std::max(std::sqrt(squares), 1e-12));
  for (std::size_t d = 0; d < config.hidden; ++d) vector[d] *= scale;
}

// Runs on a worker. All texts of the group go through each layer together; only attention looks at one at a time.
void BertEncoder::Impl::encode_group(const Group& group, std::span<const std::int32_t> token_ids,
                                     std::span<const std::int64_t> offsets, MatrixView<float> vectors) const {
  nn::Workspace& workspace = nn::Workspace::of_this_thread();
  const nn::Kernels& kernels = nn::kernels();
  const bool bf16 = precision == Precision::kBf16;
  const std::size_t h = config.hidden;
  const std::size_t num_rows = group.num_tokens;
  const std::size_t room = Linear::padded_rows(num_rows);
  auto* rows = workspace.buffers[0].as<float>(room * h);  // (T, hidden), the residual stream, always fp32
  // The same rounded, where products take bf16; else the products read the rows themselves.
  auto* rounded = bf16 ? workspace.buffers[1].as<std::uint16_t>(room * h) : nullptr;
  const void* input = bf16 ? static_cast<const void*>(rounded) : rows;
  const std::size_t element = nn::activation_size(precision);
  auto* query_key_value = workspace.buffers[2].as<std::uint8_t>(room * 3 * h * element);  // (T, 3 hidden)
  auto* context = workspace.buffers[3].as<std::uint8_t>(room * h * element);              // (T, hidden)
  auto* intermediate = workspace.buffers[4].as<std::uint8_t>(room * config.intermediate * element);

  std::size_t longest = 0;
  std::size_t row = 0;
  for (const std::size_t text : group.texts) {
    const auto length = static_cast<std::size_t>(offsets[text + 1] - offsets[text]);
    longest = std::max(longest, length);
    for (std::size_t t = 0; t < length; ++t, ++row) {
      const float* word = &words[static_cast<std::size_t>(token_ids[static_cast<std::size_t>(offsets[text]) + t]) * h];
      const float* position = &positions[t * h];
      for (std::size_t d = 0; d < h; ++d) rows[row * h + d] = word[d] + position[d];
    }
  }
  normalize_rows(embedding_norm, rows, rounded, num_rows);

  nn::AttentionShape shape{longest, config.num_heads, h / config.num_heads};
  auto* scratch = workspace.buffers[5].as<float>(nn::attention_scratch_size(shape));
  for (const Layer& layer : layers) {
    layer.query_key_value->run(input, query_key_value, num_rows, workspace);
    row = 0;
    for (const std::size_t text : group.texts) {
      shape.length = static_cast<std::size_t>(offsets[text + 1] - offsets[text]);
      if (bf16) {
        kernels.attention_bf16(reinterpret_cast<const std::uint16_t*>(query_key_value) + row * 3 * h,
                               reinterpret_cast<std::uint16_t*>(context) + row * h, shape, scratch);
      } else {
        kernels.attention_fp32(reinterpret_cast<const float*>(query_key_value) + row * 3 * h,
                               reinterpret_cast<float*>(context) + row * h, shape, scratch);
      }
      row += shape.length;
    }
    layer.attention_output->run(context, rows, num_rows, workspace);
    normalize_rows(layer.attention_norm, rows, rounded, num_rows);
    layer.intermediate->run(input, intermediate, num_rows, workspace);
    layer.output->run(intermediate, rows, num_rows, workspace);
    normalize_rows(layer.output_norm, rows, rounded, num_rows);
  }

  row = 0;
  for (const std::size_t text : group.texts) {
    const auto length = static_cast<std::size_t>(offsets[text + 1] - offsets[text]);
    pool(rows + row * h, length, vectors.row(text));
    row += length;
  }
}

}  // namespace matinee
