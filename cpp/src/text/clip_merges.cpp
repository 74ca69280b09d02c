#include "text/clip_merges.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>

#include "matinee/core/error.h"
#include "text/clip_splitter.h"
#include "text/unicode.h"

namespace matinee::text {
namespace {

constexpr std::uint32_t kNumBytes = 256;
constexpr std::uint32_t kFirstMerged = 2 * kNumBytes;
constexpr std::string_view kEndOfWord = "</w>";
constexpr std::size_t kMaxMerges = 1'000'000;
constexpr std::size_t kOpenAiMerges = 49'152 - 256 - 2;

constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();
constexpr unsigned kRankBits = 21;  // kMaxMerges and kFirstMerged + kMaxMerges are below 2^21
constexpr std::uint64_t kEmptySlot = ~std::uint64_t{0};

std::uint64_t key_of(std::uint32_t left, std::uint32_t right) { return (std::uint64_t{left} << kRankBits) | right; }

std::uint64_t hash_of(std::uint64_t key) { return key * 0x9E3779B97F4A7C15U; }  // Fibonacci hashing: its high bits

// How the files write a byte: printable ones of Latin-1 as themselves, the others, in order, from U+0100.
std::array<std::string, kNumBytes> byte_names() {
  std::array<std::string, kNumBytes> names;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < kNumBytes; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    append_utf8(names[byte], printable ? byte : next++);
  }
  return names;
}

// vocab.json: {"token": id, …}, each id from 0 to their number once. A SAX reader, because such a file has nothing to
// nest, and its size bounds the memory.
struct VocabularyReader final : nlohmann::json_sax<nlohmann::json> {
  std::string_view text;
  std::unordered_map<std::string, std::int32_t> ids;
  std::string token;
  std::size_t depth = 0;
  std::string error;

  bool fail(const std::string& got) {
    error = "expected an object of tokens and their ids, got " + got;
    if (!token.empty()) error += " at '" + token + "'";
    return false;
  }
  bool null() override { return fail("null"); }
  bool boolean(bool) override { return fail("true or false"); }
  bool number_integer(number_integer_t value) override { return fail(std::to_string(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    if (depth == 0 || value > static_cast<number_unsigned_t>(std::numeric_limits<std::int32_t>::max())) {
      return fail(std::to_string(value));
    }
    if (!ids.emplace(token, static_cast<std::int32_t>(value)).second) return fail("a token for the second time");
    return true;
  }
  bool number_float(number_float_t, const string_t& text) override { return fail(text); }
  bool string(string_t&) override { return fail("a string"); }
  bool binary(binary_t&) override { return fail("binary data"); }
  bool start_object(std::size_t) override { return ++depth == 1 || fail("an object"); }
  bool key(string_t& name) override {
    token = name;
    return true;
  }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return fail("a list"); }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(position, text.size())), '\n');
    error = "line " + std::to_string(line) + ": expected JSON, got something else at byte " + std::to_string(position);
    return false;
  }
};

std::unordered_map<std::string, std::int32_t> read_vocabulary(std::string_view vocab_json) {
  VocabularyReader reader;
  reader.text = vocab_json;
  if (!nlohmann::json::sax_parse(vocab_json.begin(), vocab_json.end(), &reader)) {
    throw FormatError("vocab.json: " + reader.error);
  }
  std::vector<bool> seen(reader.ids.size());
  for (const auto& [token, id] : reader.ids) {
    const auto index = static_cast<std::size_t>(id);
    if (index >= seen.size() || seen[index]) {
      throw FormatError("vocab.json: expected each id below " + std::to_string(seen.size()) + " once, got " +
                        std::to_string(id) + (index < seen.size() ? " twice" : " for '" + token + "'"));
    }
    seen[index] = true;
  }
  return std::move(reader.ids);
}

}  // namespace

// Reads a list of merges: two symbols a line, each a byte's or made by a line before, so that a merge never makes a
// pair of a better rank than its own. (Every list that training has made is so; without it the references would
// disagree about the order of merging.)
struct ClipMerges::Reader {
  std::string_view file;  // for messages
  std::unordered_map<std::string, Symbol> symbols;
  std::vector<std::pair<Symbol, Symbol>> pairs;  // by rank
  std::vector<Symbol> merged;                    // by rank; two pairs may make the same
  std::vector<std::size_t> lines;                // by symbol; 0 for bytes

  explicit Reader(std::string_view file_name) : file(file_name), lines(kFirstMerged) {
    Symbol symbol = 0;
    const auto names = byte_names();
    for (const std::string& name : names) symbols.emplace(name, symbol++);
    for (const std::string& name : names) symbols.emplace(name + std::string(kEndOfWord), symbol++);
  }

  // Until `limit` merges are read or the text ends.
  void read(std::string_view text, std::size_t limit) {
    std::unordered_map<std::uint64_t, std::size_t> line_of_pair;
    std::size_t line_number = 0;
    while (!text.empty() && pairs.size() < limit) {
      ++line_number;
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (line.ends_with('\r')) line.remove_suffix(1);
      const bool heading = line_number == 1 && line.find("#version") != std::string_view::npos;
      if (heading || line.empty()) continue;
      const std::size_t space = line.find(' ');
      const auto left = symbols.find(std::string(line.substr(0, space)));
      const auto right =
          space == std::string_view::npos ? symbols.end() : symbols.find(std::string(line.substr(space + 1)));
      if (left == symbols.end() || right == symbols.end()) {
        fail(line_number, "two symbols with a space between, each a byte's or made by a line before");
      }
      if (left->first.ends_with(kEndOfWord)) fail(line_number, "no symbol after one that ends a word");
      const auto pair = std::pair(left->second, right->second);
      if (!line_of_pair.emplace(key_of(pair.first, pair.second), line_number).second) {
        fail(line_number, "another pair than in line " + std::to_string(line_of_pair[key_of(pair.first, pair.second)]));
      }
      if (pairs.size() == kMaxMerges) fail(line_number, "at most " + std::to_string(kMaxMerges) + " merges");
      pairs.push_back(pair);
      const auto [made, is_new] = symbols.emplace(left->first + right->first, static_cast<Symbol>(lines.size()));
      if (is_new) lines.push_back(line_number);
      merged.push_back(made->second);
    }
  }

  [[noreturn]] void fail(std::size_t line, const std::string& expected) const {
    throw FormatError(std::string(file) + ": line " + std::to_string(line) + ": expected " + expected +
                      ", got something else");
  }
};

void ClipMerges::build_table(const std::vector<std::pair<Symbol, Symbol>>& pairs) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(2 * pairs.size(), 2));  // at most half full
  slots_.assign(size, kEmptySlot);
  shift_ = 64U - static_cast<unsigned>(std::bit_width(size - 1));
  for (std::size_t rank = 0; rank < pairs.size(); ++rank) {
    const std::uint64_t key = key_of(pairs[rank].first, pairs[rank].second);
    std::size_t at = hash_of(key) >> shift_;
    while (slots_[at] != kEmptySlot) at = (at + 1) & (size - 1);
    slots_[at] = (key << kRankBits) | rank;
  }
}

ClipMerges ClipMerges::from_json(std::string_view vocab_json, std::string_view merges) {
  const auto vocabulary = read_vocabulary(vocab_json);
  Reader reader("merges.txt");
  reader.read(merges, kMaxMerges + 1);
  ClipMerges table;
  const auto id_of = [&](const std::string& token, const std::string& of_what) {
    const auto found = vocabulary.find(token);
    if (found == vocabulary.end()) {
      throw FormatError("vocab.json: expected '" + token + "', " + of_what + ", among " +
                        std::to_string(vocabulary.size()) + " tokens, got none; do the two files belong together?");
    }
    return found->second;
  };
  table.ids_.resize(reader.symbols.size());
  for (const auto& [token, symbol] : reader.symbols) {
    const std::size_t line = reader.lines[symbol];
    table.ids_[symbol] =
        id_of(token, line == 0 ? "a byte" : "which line " + std::to_string(line) + " of merges.txt makes");
  }
  table.start_token_ = id_of(std::string(kStartOfText), "where a text begins");
  table.end_token_ = id_of(std::string(kEndOfText), "where a text ends");
  table.vocabulary_size_ = vocabulary.size();
  table.build_table(reader.pairs);
  table.merged_ = std::move(reader.merged);
  return table;
}

ClipMerges ClipMerges::from_openai(std::string_view merges) {
  Reader reader("ClipBpe: merges");
  reader.read(merges, kOpenAiMerges);
  if (reader.pairs.size() < kOpenAiMerges || reader.symbols.size() != kFirstMerged + kOpenAiMerges) {
    throw FormatError("ClipBpe: merges: expected " + std::to_string(kOpenAiMerges) +
                      " merges of different results, got " + std::to_string(reader.symbols.size() - kFirstMerged) +
                      "; is this all of bpe_simple_vocab_16e6.txt?");
  }
  ClipMerges table;
  // The ids of bytes are in the order of their names, not of the bytes: printable ones come first.
  const auto names = byte_names();
  std::vector<std::uint32_t> order(kNumBytes);
  for (std::uint32_t byte = 0; byte < kNumBytes; ++byte) order[byte] = byte;
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    const auto from_u0100 = [&](std::uint32_t byte) { return static_cast<unsigned char>(names[byte][0]) >= 0xC4; };
    return from_u0100(a) < from_u0100(b);
  });
  table.ids_.resize(reader.symbols.size());
  for (std::uint32_t id = 0; id < kNumBytes; ++id) {
    table.ids_[order[id]] = static_cast<std::int32_t>(id);
    table.ids_[kNumBytes + order[id]] = static_cast<std::int32_t>(kNumBytes + id);
  }
  for (std::size_t id = kFirstMerged; id < table.ids_.size(); ++id) table.ids_[id] = static_cast<std::int32_t>(id);
  table.start_token_ = static_cast<std::int32_t>(table.ids_.size());
  table.end_token_ = table.start_token_ + 1;
  table.vocabulary_size_ = table.ids_.size() + 2;
  table.build_table(reader.pairs);
  table.merged_ = std::move(reader.merged);
  return table;
}

std::uint32_t ClipMerges::rank_of(Symbol left, Symbol right) const {
  const std::uint64_t key = key_of(left, right);
  for (std::size_t at = hash_of(key) >> shift_;; at = (at + 1) & (slots_.size() - 1)) {
    const std::uint64_t slot = slots_[at];
    if (slot == kEmptySlot) return kNoRank;
    if (slot >> kRankBits == key) return static_cast<std::uint32_t>(slot & ((1U << kRankBits) - 1));
  }
}

void ClipMerges::append_tokens(std::string_view word, std::vector<std::int32_t>& ids) const {
  constexpr std::size_t kShort = 48;  // symbols; up to here looking at all of them is faster than a queue
  thread_local std::vector<Symbol> symbols;
  symbols.assign(word.size(), 0);
  std::transform(word.begin(), word.end(), symbols.begin(), [](char c) { return static_cast<unsigned char>(c); });
  symbols.back() += kNumBytes;
  if (symbols.size() <= kShort) {
    merge_short(symbols);
  } else {
    merge_long(symbols);
  }
  for (const Symbol symbol : symbols) ids.push_back(ids_[symbol]);
  constexpr std::size_t kKept = 1U << 16U;  // one word of a million bytes must not cost its thread memory for ever
  if (symbols.capacity() > kKept) std::vector<Symbol>().swap(symbols);
}

// Merges the leftmost pair of the best rank until there is none.
void ClipMerges::merge_short(std::vector<Symbol>& symbols) const {
  thread_local std::vector<std::uint32_t> ranks;  // of each symbol with the next; kNoRank for the last
  ranks.resize(symbols.size());
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) ranks[i] = rank_of(symbols[i], symbols[i + 1]);
  ranks.back() = kNoRank;
  while (true) {
    const auto best = std::min_element(ranks.begin(), ranks.end());
    if (*best == kNoRank) return;
    const auto at = best - ranks.begin();
    symbols[static_cast<std::size_t>(at)] = merged_[*best];
    symbols.erase(symbols.begin() + at + 1);
    ranks.erase(best + 1);
    const auto i = static_cast<std::size_t>(at);
    ranks[i] = i + 1 < symbols.size() ? rank_of(symbols[i], symbols[i + 1]) : kNoRank;
    if (i > 0) ranks[i - 1] = rank_of(symbols[i - 1], symbols[i]);
  }
}

// The same with a queue of pairs by rank and place, and a list of symbols in place of erasing: W log W.
void ClipMerges::merge_long(std::vector<Symbol>& symbols) const {
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  constexpr Symbol kGone = kNone;
  const auto size = static_cast<std::uint32_t>(symbols.size());
  std::vector<std::uint32_t> previous(size);
  std::vector<std::uint32_t> next(size);
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> queue;  // rank, place of the left one
  const auto offer = [&](std::uint32_t left) {
    const std::uint32_t rank = rank_of(symbols[left], symbols[next[left]]);
    if (rank != kNoRank) queue.push((std::uint64_t{rank} << 32U) | left);
  };
  for (std::uint32_t i = 0; i < size; ++i) {
    previous[i] = i == 0 ? kNone : i - 1;
    next[i] = i + 1 == size ? kNone : i + 1;
    if (next[i] != kNone) offer(i);
  }
  while (!queue.empty()) {
    const auto rank = static_cast<std::uint32_t>(queue.top() >> 32U);
    const auto left = static_cast<std::uint32_t>(queue.top() & 0xFFFF'FFFFU);
    queue.pop();
    const std::uint32_t right = next[left];
    // What was offered may have been merged with something else since.
    if (symbols[left] == kGone || right == kNone || rank_of(symbols[left], symbols[right]) != rank) continue;
    symbols[left] = merged_[rank];
    symbols[right] = kGone;
    next[left] = next[right];
    if (next[left] != kNone) {
      previous[next[left]] = left;
      offer(left);
    }
    if (previous[left] != kNone) offer(previous[left]);
  }
  symbols.erase(std::remove(symbols.begin(), symbols.end(), kGone), symbols.end());
}

}  // namespace matinee::text
