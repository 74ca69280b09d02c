#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "matinee/core/array_view.h"
#include "matinee/nn/precision.h"

namespace matinee {

// What int8 is calibrated with: by tensor name, the largest |value| of each input channel of each product.
using ActivationRanges = std::map<std::string, std::vector<float>>;

// The file of a model folder that keeps them, a safetensors file; kInt8 reads it where it is there.
inline constexpr const char* kCalibrationFile = "calibration.safetensors";

// A transformer over tokens that turns each sequence into one vector. Which one config.json and matinee.json say:
//   bert    Devlin et al. 2019, post-LN, pooled by mean or first token: MiniLM and its kin
//   clip    the text tower of Radford et al. 2021: causal, projected, pooled at the last token. Sequences must end with
//           the end token: what comes after it cannot change it
//   sasrec  a causal transformer over items (Kang & McAuley 2018, pre-LN), pooled at the last item
//
// Sequences arrive packed: all token ids in one row, and offsets; no padding is computed. Everything about the weights
// is checked when loading, not when running. Unchangeable once loaded; safe for concurrent callers, whose work is
// shared out over compute_pool().
class TokenEncoder {
 public:
  // Reads config.json, matinee.json and model.safetensors of a model folder. Throws NotFound, IoError; FormatError,
  // naming the tensor or field, when a tensor is missing, superfluous, mis-shaped or not finite, or when the
  // configuration asks for something that this engine does not compute.
  static TokenEncoder load(const std::filesystem::path& folder, Precision precision);

  ~TokenEncoder();
  TokenEncoder(const TokenEncoder&) = delete;
  TokenEncoder& operator=(const TokenEncoder&) = delete;
  TokenEncoder(TokenEncoder&&) noexcept;
  TokenEncoder& operator=(TokenEncoder&&) noexcept;

  std::size_t dimension() const noexcept;   // D, values per sequence
  std::size_t vocabulary() const noexcept;  // token ids are in [0, vocabulary)
  std::size_t max_tokens() const noexcept;  // of one sequence
  std::size_t num_layers() const noexcept;  // L
  std::size_t hidden() const noexcept;      // H, values per token within
  Precision precision() const noexcept;

  // Sequence b holds token_ids[offsets[b] .. offsets[b + 1]). REQUIRES: offsets has B + 1 rising values from 0 to T,
  // each sequence has 1..max_tokens() tokens; InvalidArgument otherwise. Writes (B, D) rows, pooled and, where the
  // model's matinee.json says so, of unit length. A vector does not depend on the others in the batch, bit for bit but
  // for fp32 (cosine > 1 - 1e-6), whose products are summed in another order when rows are blocked otherwise.
  void encode(std::span<const std::int32_t> token_ids, std::span<const std::int64_t> offsets,
              MatrixView<float> vectors) const;

  // The rows after the embeddings and after each layer, (L + 1, T, H): for people who compare networks.
  std::vector<float> hidden_states(std::span<const std::int32_t> token_ids,
                                   std::span<const std::int64_t> offsets) const;

  // What kInt8 is calibrated with, seen on these sequences. Throws InvalidArgument unless precision() is kFp32.
  ActivationRanges activation_ranges(std::span<const std::int32_t> token_ids,
                                     std::span<const std::int64_t> offsets) const;

 private:
  struct Impl;
  explicit TokenEncoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The image tower of CLIP (Radford et al. 2021; ViT, Dosovitskiy et al. 2021): patches, a class token that is read off
// after the last layer, a projection. As TokenEncoder otherwise.
class VisionTransformer {
 public:
  static VisionTransformer load(const std::filesystem::path& folder, Precision precision);

  ~VisionTransformer();
  VisionTransformer(const VisionTransformer&) = delete;
  VisionTransformer& operator=(const VisionTransformer&) = delete;
  VisionTransformer(VisionTransformer&&) noexcept;
  VisionTransformer& operator=(VisionTransformer&&) noexcept;

  std::size_t dimension() const noexcept;   // D, values per image
  std::size_t image_size() const noexcept;  // S: images are S x S
  std::size_t num_layers() const noexcept;  // L
  std::size_t num_tokens() const noexcept;  // of an image: the class token and the patches
  std::size_t hidden() const noexcept;      // H
  Precision precision() const noexcept;

  // `pixels` is (B, 3, S, S) fp32, contiguous, normalised as preprocessor_config.json says. Writes (B, D), of unit
  // length where matinee.json says so. Throws InvalidArgument when sizes disagree.
  void features(std::span<const float> pixels, MatrixView<float> features) const;

  // (L + 1, B * num_tokens(), H); as TokenEncoder::hidden_states.
  std::vector<float> hidden_states(std::span<const float> pixels) const;
  ActivationRanges activation_ranges(std::span<const float> pixels) const;

 private:
  struct Impl;
  explicit VisionTransformer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace matinee
