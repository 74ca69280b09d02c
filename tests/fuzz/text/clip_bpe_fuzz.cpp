#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "matinee/core/error.h"
#include "matinee/text/clip_bpe.h"

namespace {

// All bytes, inside a word and at its end, a few merges, the markers.
std::string vocab_json() {
  std::vector<std::string> tokens;
  for (int byte = 0, next = 0x100; byte < 256; ++byte) {
    const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    const int c = printable ? byte : next++;
    std::string name;
    if (c == '"' || c == '\\') name.push_back('\\');
    if (c < 0x80) {
      name.push_back(static_cast<char>(c));
    } else {
      name.push_back(static_cast<char>(0xC0 | (c >> 6)));
      name.push_back(static_cast<char>(0x80 | (c & 0x3F)));
    }
    tokens.push_back(name);
    tokens.push_back(name + "</w>");
  }
  for (const char* made : {"aa", "aaaa", "ab</w>", "ba", "<|", "|></w>", "<|startoftext|>", "<|endoftext|>"}) {
    tokens.emplace_back(made);
  }
  std::string json = "{";
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    json += (id == 0 ? "\"" : ",\"") + tokens[id] + "\":" + std::to_string(id);
  }
  return json + "}";
}

constexpr std::string_view kMerges = "#version: 0.2\na a\naa aa\na b</w>\nb a\n< |\n| ></w>\n";

const std::string& vocabulary() {
  static const std::string json = vocab_json();
  return json;
}

// The tokenizers of all options, made once: [cleaning][split][long].
const matinee::ClipBpe& tokenizer(std::size_t cleaning, bool split, bool is_long) {
  static const std::vector<matinee::ClipBpe> all = [] {
    std::vector<matinee::ClipBpe> made;
    for (std::size_t i = 0; i < 12; ++i) {
      matinee::ClipBpeOptions options;
      options.cleaning = static_cast<matinee::ClipCleaning>(i / 4);
      options.split_special_tokens = (i & 2U) != 0;
      options.max_tokens = (i & 1U) != 0 ? 1U << 24 : 12;
      made.emplace_back(vocabulary(), kMerges, options);
    }
    return made;
  }();
  return all[cleaning * 4 + (split ? 2 : 0) + (is_long ? 1 : 0)];
}

}  // namespace

// The first byte chooses the options, the rest is a text; or, where it says so, one of the vocabulary's files. Ids stay
// within the vocabulary, the markers are at the ends, and a longer limit only adds tokens.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t cleaning = data[0] % 3;
  const bool split = (data[0] & 16U) != 0;
  if ((data[0] & 32U) != 0) {
    try {
      const bool json = (data[0] & 64U) != 0;
      const matinee::ClipBpe tokenizer(json ? bytes : vocabulary(), json ? kMerges : bytes, {});
      tokenizer.encode(bytes);
    } catch (const matinee::FormatError&) {  // damaged, or the files do not belong together
    }
    return 0;
  }
  const matinee::ClipBpe& short_one = tokenizer(cleaning, split, false);
  const matinee::ClipBpe& long_one = tokenizer(cleaning, split, true);
  const std::vector<std::int32_t> head = short_one.encode(bytes);
  const std::vector<std::int32_t> whole = long_one.encode(bytes);
  const auto size_of = static_cast<std::int32_t>(long_one.vocabulary_size());
  const auto start = long_one.start_token();
  const auto end = long_one.end_token();
  const bool within = std::all_of(whole.begin(), whole.end(), [&](auto id) { return id >= 0 && id < size_of; });
  const bool marked = whole.front() == start && whole.back() == end && head.front() == start && head.back() == end;
  const bool cut =
      head.size() == std::min<std::size_t>(12, whole.size()) && std::equal(head.begin(), head.end() - 1, whole.begin());
  if (!within || !marked || !cut) std::abort();
  const auto is_marker = [&](auto id) { return id == start || id == end; };
  if (split && std::any_of(whole.begin() + 1, whole.end() - 1, is_marker)) std::abort();
  for (const std::string& word : long_one.words(bytes)) {
    if (word.empty()) std::abort();
  }
  return 0;
}
