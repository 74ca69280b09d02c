#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>

#include "nn/model_config.h"
#include "nn/transformer_stack.h"

// config.json and matinee.json of the transformers: what is read, what may be there without changing the result, and
// what is refused.
namespace matinee::nn {

enum class TokenFamily { kBert, kClip, kSasRec };

struct TokenConfig {
  TokenFamily family = TokenFamily::kBert;
  StackShape stack;
  std::size_t vocabulary = 0;
  std::size_t positions = 0;
  std::size_t token_types = 0;  // BERT
  std::size_t dimension = 0;    // of the vectors
  std::size_t max_tokens = 0;
  bool pool_mean = true;  // BERT; else the first token, [CLS]
  bool normalize = true;
};

struct VisionConfig {
  StackShape stack;
  std::size_t image_size = 0;
  std::size_t patch_size = 0;
  std::size_t dimension = 0;
  bool normalize = true;

  std::size_t patches_a_side() const { return image_size / patch_size; }
  std::size_t num_tokens() const { return patches_a_side() * patches_a_side() + 1; }
};

// Both throw NotFound, IoError; FormatError naming the field.
TokenConfig read_token_config(const std::filesystem::path& folder);
VisionConfig read_vision_config(const std::filesystem::path& folder);

}  // namespace matinee::nn
