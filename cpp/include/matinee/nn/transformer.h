#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "matinee/core/array_view.h"
#include "matinee/nn/precision.h"

namespace matinee {

// A BERT encoder (Devlin et al. 2019; post-LN, GELU) that turns each text into one vector: MiniLM and its kin.
//
// Texts arrive packed: all token ids of all texts in one row, and offsets; no padding is computed. Everything about the
// weights is checked when loading, not when running. Unchangeable once loaded; safe for concurrent callers, whose work
// is shared out over compute_pool().
class BertEncoder {
 public:
  // Reads config.json, matinee.json and model.safetensors of a model folder. Throws NotFound, IoError; FormatError,
  // naming the tensor or field, when a tensor is missing, superfluous, mis-shaped or not finite, or when the
  // configuration asks for something that this engine does not compute.
  static BertEncoder load(const std::filesystem::path& folder, Precision precision);

  ~BertEncoder();
  BertEncoder(const BertEncoder&) = delete;
  BertEncoder& operator=(const BertEncoder&) = delete;
  BertEncoder(BertEncoder&&) noexcept;
  BertEncoder& operator=(BertEncoder&&) noexcept;

  std::size_t dimension() const noexcept;   // D, values per text
  std::size_t vocabulary() const noexcept;  // token ids are in [0, vocabulary)
  std::size_t max_tokens() const noexcept;  // of one text
  Precision precision() const noexcept;

  // Text b holds token_ids[offsets[b] .. offsets[b + 1]). REQUIRES: offsets has B + 1 rising values from 0 to T, each
  // text has 1..max_tokens() tokens; InvalidArgument otherwise. Writes (B, D) rows, pooled and, where the model's
  // matinee.json says so, of unit length. A text's vector does not depend on the others in the batch beyond the last
  // bits of fp32 (cosine > 1 - 1e-6).
  void encode(std::span<const std::int32_t> token_ids, std::span<const std::int64_t> offsets,
              MatrixView<float> vectors) const;

 private:
  struct Impl;
  explicit BertEncoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace matinee
