#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "matinee/text/clip_bpe.h"

namespace matinee::text {

inline constexpr std::string_view kStartOfText = "<|startoftext|>";
inline constexpr std::string_view kEndOfText = "<|endoftext|>";

enum class ClipSpecial : std::uint8_t { kNone, kStart, kEnd };

// One word as byte-pair encoding sees it, or a special token where the options let texts hold them.
struct ClipWord {
  std::string_view utf8;
  ClipSpecial special = ClipSpecial::kNone;
};

// Cleans a text and splits it into words, a line at a time. `emit` is called with every word in order; where it returns
// false the rest of the text is not read.
using EmitClipWord = std::function<bool(const ClipWord&)>;
void split_clip_words(std::string_view text, const ClipBpeOptions& options, const EmitClipWord& emit);

}  // namespace matinee::text
