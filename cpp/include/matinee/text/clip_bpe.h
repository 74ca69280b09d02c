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

// What happens to a text before it is split into words.
enum class ClipCleaning {
  // As OpenAI's and open_clip's tokenizers do, which the models were trained with: ftfy.fix_text, html.unescape twice,
  // Python's str.lower. Of ftfy (6.3) everything but fix_encoding, which guesses how mis-decoded text ("dÃ©jÃ ") was
  // meant: HTML references where no '<' came before, control characters of Windows-1252, Latin ligatures, full- and
  // half-width forms, straight quotes, line breaks, surrogates, terminal escapes, control characters, form NFC. Where
  // ftfy sees no mis-decoded text, the result is its own, for lines of up to a million characters.
  kReference,
  // The same for texts that ftfy has been through already: html.unescape twice and str.lower alone.
  kReferenceAfterFtfy,
  // As Hugging Face's CLIPTokenizer does: form NFC and lower case without context. Quotes stay curly.
  kHuggingFace,
};

struct ClipBpeOptions {
  ClipCleaning cleaning = ClipCleaning::kReference;
  std::size_t max_tokens = 77;  // longest sequence, <|startoftext|> and <|endoftext|> included; >= 2
  // true: "<|endoftext|>" in a text is the three words a person typed, so that nobody can inject a control token
  // through a plot. false: it becomes its id, as the references do by default.
  bool split_special_tokens = true;
};

// CLIP's tokenizer: clean, lower-case, split into words (contractions, runs of letters, single digits, runs of anything
// else), then byte-level byte-pair encoding of each; <|startoftext|> … <|endoftext|> around, cut at max_tokens with
// <|endoftext|> still at the end. Rows are not padded: CLIP's causal text encoder needs nothing after <|endoftext|>.
// Token for token what the chosen reference gives; the tables of Unicode and of HTML are frozen, so the ids do not
// depend on the machine.
//
// Texts are UTF-8; a malformed sequence counts as U+FFFD. Memory is linear in the longest line that is read, time in
// what is read (in a word of W bytes W log W); reading stops with the line in which max_tokens is reached.
//
// Immutable after construction: any number of threads may call one object.
class ClipBpe {
 public:
  // Reads vocab.json and merges.txt of a Hugging Face model folder. Throws NotFound, IoError; FormatError, with the
  // line, where a file is not of its format or the two contradict each other; InvalidArgument for max_tokens < 2.
  static ClipBpe from_folder(const std::filesystem::path& folder, const ClipBpeOptions& options);
  // From OpenAI's bpe_simple_vocab_16e6.txt, decompressed: a heading, then merges, of which CLIP uses the first 48,894;
  // the ids follow from their order. Throws FormatError, InvalidArgument.
  static ClipBpe from_openai_merges(std::string_view merges, const ClipBpeOptions& options);
  // From the contents of vocab.json and merges.txt.
  ClipBpe(std::string_view vocab_json, std::string_view merges, const ClipBpeOptions& options);

  // On the calling thread.
  std::vector<std::int32_t> encode(std::string_view text) const;
  // On the compute pool; the order of rows is the order of texts.
  TokenBatch encode_batch(std::span<const std::string_view> texts) const;

  // The cleaned words, before they are cut into pieces: for people who wonder why a text became what it did.
  std::vector<std::string> words(std::string_view text) const;

  std::size_t vocabulary_size() const noexcept;
  std::int32_t start_token() const noexcept;
  std::int32_t end_token() const noexcept;
  const ClipBpeOptions& options() const noexcept;

 private:
  struct Impl;
  explicit ClipBpe(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

}  // namespace matinee
