#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace matinee::text {

// A table of byte-pair merges and the token ids of what they make. A symbol is a byte within a word (0 to 255), a byte
// at its end (256 to 511), or what a merge made of two symbols.
class ClipMerges {
 public:
  // vocab.json and merges.txt. Throws FormatError.
  static ClipMerges from_json(std::string_view vocab_json, std::string_view merges);
  // OpenAI's merges, which order the ids. Throws FormatError.
  static ClipMerges from_openai(std::string_view merges);

  // Appends the token ids of one word of UTF-8, not empty.
  void append_tokens(std::string_view word, std::vector<std::int32_t>& ids) const;

  std::size_t vocabulary_size() const noexcept { return vocabulary_size_; }
  std::int32_t start_token() const noexcept { return start_token_; }
  std::int32_t end_token() const noexcept { return end_token_; }

 private:
  using Symbol = std::uint32_t;
  struct Reader;

  // The rank of a pair, kNoRank where it is not merged.
  std::uint32_t rank_of(Symbol left, Symbol right) const;
  void build_table(const std::vector<std::pair<Symbol, Symbol>>& pairs);
  void merge_short(std::vector<Symbol>& symbols) const;
  void merge_long(std::vector<Symbol>& symbols) const;

  std::vector<std::uint64_t> slots_;  // open addressing: left, right and rank of a pair in one number
  unsigned shift_ = 0;                // of the hash, to an index into slots_
  std::vector<Symbol> merged_;        // by rank
  std::vector<std::int32_t> ids_;     // by symbol
  std::size_t vocabulary_size_ = 0;
  std::int32_t start_token_ = 0;
  std::int32_t end_token_ = 0;
};

}  // namespace matinee::text
