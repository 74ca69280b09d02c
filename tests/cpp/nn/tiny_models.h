#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

// Model folders with generated weights, and the bytes of safetensors files, valid or not.
namespace matinee::testing {

// A folder of this test, gone at its end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "matinee-nn-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }

 private:
  std::filesystem::path path_;
};

// A file from a header written out by hand and data.
inline std::string safetensors(const std::string& header, const std::string& data) {
  std::string size(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(size.data(), &length, sizeof(length));
  return size + header + data;
}

struct Tensor {
  std::vector<std::size_t> shape;
  std::vector<float> values;
};
using Tensors = std::map<std::string, Tensor>;

inline std::string safetensors(const Tensors& tensors) {
  std::string header = "{";
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    std::string shape;
    for (const std::size_t size : tensor.shape) shape += (shape.empty() ? "" : ",") + std::to_string(size);
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
    header += (header.size() > 1 ? ",\"" : "\"") + name + R"(":{"dtype":"F32","shape":[)" + shape +
              R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
  }
  return safetensors(header + "}", data);
}

class RandomTensors {
 public:
  // Normally distributed around `mean`.
  void add(const std::string& name, const std::vector<std::size_t>& shape, float scale, float mean = 0) {
    std::size_t count = 1;
    for (const std::size_t size : shape) count *= size;
    std::normal_distribution<float> normal(mean, scale);
    Tensor tensor{shape, std::vector<float>(count)};
    for (float& value : tensor.values) value = normal(random_);
    tensors_[name] = std::move(tensor);
  }
  Tensors& get() { return tensors_; }

 private:
  std::mt19937 random_{7};
  Tensors tensors_;
};

constexpr std::size_t kTinyHidden = 24;  // three heads of 8: no multiple of a vector
constexpr std::size_t kTinyVocabulary = 50;
constexpr std::size_t kTinyMaxTokens = 20;

inline Tensors tiny_bert_tensors() {
  constexpr std::size_t h = kTinyHidden;
  constexpr std::size_t inner = 40;
  RandomTensors tensors;
  const auto norm = [&](const std::string& name) {
    tensors.add(name + ".weight", {h}, 0.1F, 1.0F);
    tensors.add(name + ".bias", {h}, 0.1F);
  };
  const auto linear = [&](const std::string& name, std::size_t out, std::size_t in) {
    tensors.add(name + ".weight", {out, in}, 0.2F);
    tensors.add(name + ".bias", {out}, 0.1F);
  };
  tensors.add("embeddings.word_embeddings.weight", {kTinyVocabulary, h}, 0.5F);
  tensors.add("embeddings.position_embeddings.weight", {kTinyMaxTokens, h}, 0.5F);
  tensors.add("embeddings.token_type_embeddings.weight", {2, h}, 0.5F);
  norm("embeddings.LayerNorm");
  for (int i = 0; i < 2; ++i) {
    const std::string layer = "encoder.layer." + std::to_string(i) + ".";
    for (const char* part : {"query", "key", "value"}) linear(layer + "attention.self." + part, h, h);
    linear(layer + "attention.output.dense", h, h);
    norm(layer + "attention.output.LayerNorm");
    linear(layer + "intermediate.dense", inner, h);
    linear(layer + "output.dense", h, inner);
    norm(layer + "output.LayerNorm");
  }
  linear("pooler.dense", h, h);
  return tensors.get();
}

inline std::string tiny_bert_config() {
  return R"({"model_type": "bert", "hidden_act": "gelu", "hidden_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 3, "intermediate_size": 40, "vocab_size": 50, "max_position_embeddings": 20,
    "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.1})";
}

inline std::string tiny_bert_facts() {
  return R"({"family": "bert", "kind": "text", "dimension": 24, "pooling": "mean", "normalize": true,
    "max_tokens": 20})";
}

inline void write_tiny_bert(const TemporaryFolder& folder) {
  folder.write("config.json", tiny_bert_config());
  folder.write("matinee.json", tiny_bert_facts());
  folder.write("model.safetensors", safetensors(tiny_bert_tensors()));
}

// EfficientNet-Lite0 in full, as no smaller one is read, for images of 32 x 32.
inline Tensors lite0_tensors() {
  RandomTensors tensors;
  const auto convolution = [&](const std::string& conv, const std::string& norm, std::size_t out, std::size_t in,
                               std::size_t k) {
    // He et al. 2015: activations keep their size through the layers.
    const auto fan_in = static_cast<float>(in * k * k);
    tensors.add(conv + ".weight", {out, in, k, k}, std::sqrt(2.0F / fan_in));
    tensors.add(norm + ".weight", {out}, 0.1F, 1.0F);
    tensors.add(norm + ".bias", {out}, 0.1F);
    tensors.add(norm + ".running_mean", {out}, 0.1F);
    tensors.add(norm + ".running_var", {out}, 0.05F, 1.0F);
  };
  convolution("_conv_stem", "_bn0", 32, 3, 3);
  struct Stage {
    std::size_t blocks, kernel, expansion, in, out;
  };
  std::size_t number = 0;
  for (const Stage& stage : {Stage{1, 3, 1, 32, 16},
                             {2, 3, 6, 16, 24},
                             {2, 5, 6, 24, 40},
                             {3, 3, 6, 40, 80},
                             {3, 5, 6, 80, 112},
                             {4, 5, 6, 112, 192},
                             {1, 3, 6, 192, 320}}) {
    for (std::size_t i = 0; i < stage.blocks; ++i) {
      const std::string block = "_blocks." + std::to_string(number++) + ".";
      const std::size_t in = i == 0 ? stage.in : stage.out;
      const std::size_t inner = in * stage.expansion;
      if (stage.expansion != 1) convolution(block + "_expand_conv", block + "_bn0", inner, in, 1);
      convolution(block + "_depthwise_conv", block + "_bn1", inner, 1, stage.kernel);
      convolution(block + "_project_conv", block + "_bn2", stage.out, inner, 1);
    }
  }
  convolution("_conv_head", "_bn1", 1280, 320, 1);
  return tensors.get();
}

inline std::string lite0_config() {
  return R"({"model_type": "efficientnet-lite", "variant": "lite0", "image_size": 32, "feature_dimension": 1280,
    "batch_norm_epsilon": 0.001})";
}

inline void write_lite0(const TemporaryFolder& folder) {
  folder.write("config.json", lite0_config());
  folder.write("model.safetensors", safetensors(lite0_tensors()));
}

// Calls `call`, which must throw E, and returns its message.
template <typename E, typename Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

}  // namespace matinee::testing
