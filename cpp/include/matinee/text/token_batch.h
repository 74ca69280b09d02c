#pragma once

#include <cstdint>
#include <vector>

namespace matinee {

// Ragged rows: the ids of text b are token_ids[offsets[b]] .. token_ids[offsets[b + 1]].
struct TokenBatch {
  std::vector<std::int32_t> token_ids;  // (T,)
  std::vector<std::int64_t> offsets;    // (B + 1,), from 0 to T
};

}  // namespace matinee
