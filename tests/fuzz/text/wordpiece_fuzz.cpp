#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "matinee/core/error.h"
#include "matinee/text/wordpiece.h"

// The first byte chooses the options, the rest is a text; or, where it says so, a vocabulary. Ids stay within the
// vocabulary, the markers are at the ends, and a longer limit only adds tokens.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  matinee::WordPieceOptions options;
  options.lowercase = (data[0] & 1U) != 0;
  options.split_special_tokens = (data[0] & 2U) != 0;
  if ((data[0] & 4U) != 0) {
    try {
      const matinee::WordPiece tokenizer(bytes, options);
      tokenizer.encode(bytes);
    } catch (const matinee::FormatError&) {  // not UTF-8, or no markers
    }
    return 0;
  }
  constexpr std::string_view kVocab =
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nab\n##a\n##b\n##ab\n.\n[\n]\ncls\n\xE4\xB8\xAD\n";
  options.max_tokens = 12;
  const matinee::WordPiece short_one(kVocab, options);
  options.max_tokens = 1U << 20;
  const matinee::WordPiece long_one(kVocab, options);
  const std::vector<std::int32_t> head = short_one.encode(bytes);
  const std::vector<std::int32_t> whole = long_one.encode(bytes);
  const auto size_of = static_cast<std::int32_t>(long_one.vocabulary_size());
  const bool within = std::all_of(whole.begin(), whole.end(), [&](auto id) { return id >= 0 && id < size_of; });
  const bool marked = whole.front() == 2 && whole.back() == 3 && head.front() == 2 && head.back() == 3;
  const bool cut =
      head.size() == std::min<std::size_t>(12, whole.size()) && std::equal(head.begin(), head.end() - 1, whole.begin());
  if (!within || !marked || !cut) std::abort();
  for (const std::string& word : long_one.words(bytes)) {
    if (word.empty()) std::abort();
  }
  return 0;
}
