#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "matinee/core/thread_pool.h"
#include "matinee/text/token_batch.h"

namespace matinee::text {

// Encodes every text on the compute pool, into rows in the order of the texts.
template <typename Encode>
TokenBatch encode_rows(std::span<const std::string_view> texts, const Encode& encode) {
  constexpr std::size_t kTextsPerTask = 32;
  std::vector<std::vector<std::int32_t>> rows(texts.size());
  compute_pool()->parallel_for(texts.size(), kTextsPerTask, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) rows[i] = encode(texts[i]);
  });
  TokenBatch batch;
  batch.offsets.reserve(texts.size() + 1);
  batch.offsets.push_back(0);
  for (const auto& row : rows) batch.offsets.push_back(batch.offsets.back() + static_cast<std::int64_t>(row.size()));
  batch.token_ids.reserve(static_cast<std::size_t>(batch.offsets.back()));
  for (const auto& row : rows) batch.token_ids.insert(batch.token_ids.end(), row.begin(), row.end());
  return batch;
}

}  // namespace matinee::text
