#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "matinee/text/token_batch.h"

namespace matinee {

struct WordPieceOptions {
  bool lowercase = true;         // lower-case and strip accents (an "uncased" model); false for a cased one
  std::size_t max_tokens = 256;  // longest sequence, [CLS] and [SEP] included; >= 2
  // true: "[SEP]" in a text is the five characters a person typed, split like any others, so that nobody can inject a
  // control token through a plot. false: special tokens in a text become their ids, as Hugging Face does by default.
  bool split_special_tokens = true;
};

// BERT's tokenizer: clean, space out Chinese characters, NFD, strip accents, lower-case, split at white space and
// punctuation, then greedy longest-match-first WordPiece of each word of at most 100 characters (longer ones are
// [UNK]); [CLS] … [SEP] around, cut at max_tokens. Token for token what Hugging Face `tokenizers` gives
// (BertNormalizer, BertPreTokenizer, WordPiece, right truncation) for the same vocabulary; the Unicode tables are the
// reference's own, so the ids do not depend on the machine.
//
// Texts are UTF-8; a malformed sequence counts as U+FFFD, which the cleaning drops. Time and memory are linear in what
// is read, and reading stops where max_tokens is reached.
//
// Immutable after construction: any number of threads may call one object.
class WordPiece {
 public:
  // Reads a vocab.txt: one token a line, the line number is the id. Throws NotFound, IoError; FormatError where the
  // file is not UTF-8, or [UNK], [CLS] or [SEP] is missing; InvalidArgument for max_tokens < 2.
  static WordPiece from_file(const std::filesystem::path& vocab, const WordPieceOptions& options);
  // The same from the bytes of such a file.
  WordPiece(std::string_view vocab, const WordPieceOptions& options);

  // On the calling thread.
  std::vector<std::int32_t> encode(std::string_view text) const;
  // On the compute pool; the order of rows is the order of texts.
  TokenBatch encode_batch(std::span<const std::string_view> texts) const;

  // The words WordPiece sees, before they are cut into pieces: for people who wonder why a text became what it did.
  std::vector<std::string> words(std::string_view text) const;

  std::size_t vocabulary_size() const noexcept;
  const WordPieceOptions& options() const noexcept;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace matinee
