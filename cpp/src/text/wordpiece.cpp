#include "matinee/text/wordpiece.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "matinee/core/error.h"
#include "matinee/core/file.h"
#include "text/encode_rows.h"
#include "text/unicode.h"
#include "text/word_splitter.h"

namespace matinee {
namespace {

constexpr std::size_t kMaxWordChars = 100;  // of BERT; a longer word is [UNK]
constexpr std::string_view kContinuation = "##";

// Tokens by text, and how long the longest is: the greedy match starts there instead of at the end of the word.
struct Pieces {
  std::unordered_map<std::string_view, std::int32_t> ids;
  std::size_t longest_bytes = 0;

  void add(std::string_view piece, std::int32_t id) {
    ids[piece] = id;  // of two equal lines the last one counts, as in the reference
    longest_bytes = std::max(longest_bytes, piece.size());
  }
};

std::string_view trimmed_line(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
  return line;
}

}  // namespace

struct WordPiece::Impl {
  WordPieceOptions options;
  std::string vocab;     // what the views below look into
  Pieces beginnings;     // at the start of a word
  Pieces continuations;  // after it, without their ##
  std::size_t size = 0;
  std::int32_t unknown = 0;
  std::int32_t classify = 0;
  std::int32_t separate = 0;
  std::vector<std::pair<std::string_view, std::int32_t>> special;  // found in a text where options say so

  Impl(std::string_view vocab_bytes, const WordPieceOptions& wanted) : options(wanted), vocab(vocab_bytes) {
    if (options.max_tokens < 2) {
      throw InvalidArgument("WordPiece: max_tokens: expected at least 2, for [CLS] and [SEP], got " +
                            std::to_string(options.max_tokens));
    }
    if (!text::is_utf8(vocab.data(), vocab.data() + vocab.size())) {
      throw FormatError("WordPiece: vocab: expected UTF-8 text, one token a line, got other bytes");
    }
    for (std::string_view rest = vocab; !rest.empty(); ++size) {
      const std::size_t end = rest.find('\n');
      const std::string_view token = trimmed_line(rest.substr(0, end));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (size >= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
        throw FormatError("WordPiece: vocab: expected fewer than 2^31 lines");
      }
      if (token.empty()) continue;  // its line still counts
      const auto id = static_cast<std::int32_t>(size);
      beginnings.add(token, id);
      if (token.size() > kContinuation.size() && token.starts_with(kContinuation)) {
        continuations.add(token.substr(kContinuation.size()), id);
      }
    }
    unknown = required("[UNK]");
    classify = required("[CLS]");
    separate = required("[SEP]");
    for (const std::string_view token : {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"}) {
      if (const auto found = beginnings.ids.find(token); found != beginnings.ids.end()) special.emplace_back(*found);
    }
  }

  std::int32_t required(std::string_view token) const {
    const auto found = beginnings.ids.find(token);
    if (found == beginnings.ids.end()) {
      throw FormatError("WordPiece: vocab: expected a line " + std::string(token) + " among " + std::to_string(size) +
                        " lines, got none; is this the vocab.txt of a BERT model?");
    }
    return found->second;
  }

  // Where the next special token of the text begins, and which it is.
  struct Special {
    std::size_t position;
    std::size_t length;
    std::int32_t id;
  };
  std::optional<Special> next_special(std::string_view text) const {
    for (std::size_t at = text.find('['); at != std::string_view::npos; at = text.find('[', at + 1)) {
      for (const auto& [token, id] : special) {
        if (text.substr(at).starts_with(token)) return Special{at, token.size(), id};
      }
    }
    return std::nullopt;
  }

  // Greedy longest match first; the whole word is [UNK] where any part of it matches nothing.
  void append_pieces(const text::Word& word, std::vector<std::int32_t>& ids) const {
    const std::size_t before = ids.size();
    std::string_view rest = word.utf8;
    bool known = word.num_chars <= kMaxWordChars;
    while (known && !rest.empty()) {
      const Pieces& pieces = rest.size() == word.utf8.size() ? beginnings : continuations;
      std::size_t length = std::min(rest.size(), pieces.longest_bytes);
      known = false;
      for (; length > 0; --length) {
        // Never cut within a character.
        if (length < rest.size() && (static_cast<unsigned char>(rest[length]) & 0xC0U) == 0x80U) continue;
        if (const auto found = pieces.ids.find(rest.substr(0, length)); found != pieces.ids.end()) {
          ids.push_back(found->second);
          known = true;
          break;
        }
      }
      rest.remove_prefix(length);
    }
    if (!known) {
      ids.resize(before);
      ids.push_back(unknown);
    }
  }

  // Calls on_text for the plain stretches and on_special for the special tokens, in order, until one returns false.
  template <typename OnText, typename OnSpecial>
  void walk(std::string_view text, OnText on_text, OnSpecial on_special) const {
    if (options.split_special_tokens) {
      on_text(text);
      return;
    }
    while (true) {
      const auto found = next_special(text);
      if (!on_text(text.substr(0, found ? found->position : text.size())) || !found) return;
      if (!on_special(text.substr(found->position, found->length), found->id)) return;
      text.remove_prefix(found->position + found->length);
    }
  }

  std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> ids = {classify};
    const std::size_t full = options.max_tokens - 1;  // [SEP] is the last
    text::WordSplitter splitter(options.lowercase, kMaxWordChars, [&](const text::Word& word) {
      append_pieces(word, ids);
      return ids.size() < full;
    });
    if (full > 1) {
      walk(
          text, [&](std::string_view plain) { return splitter.split(plain); },
          [&](std::string_view, std::int32_t id) {
            ids.push_back(id);
            return ids.size() < full;
          });
    }
    ids.resize(std::min(ids.size(), full));
    ids.push_back(separate);
    return ids;
  }
};

WordPiece::WordPiece(std::string_view vocab, const WordPieceOptions& options)
    : impl_(std::make_shared<const Impl>(vocab, options)) {}

WordPiece WordPiece::from_file(const std::filesystem::path& vocab, const WordPieceOptions& options) {
  const std::vector<std::uint8_t> bytes = read_file(vocab);
  try {
    return {std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), options};
  } catch (const FormatError& error) {
    throw FormatError(vocab.string() + ": " + error.what());
  }
}

std::vector<std::int32_t> WordPiece::encode(std::string_view text) const { return impl_->encode(text); }

TokenBatch WordPiece::encode_batch(std::span<const std::string_view> texts) const {
  return text::encode_rows(texts, [this](std::string_view one) { return impl_->encode(one); });
}

std::vector<std::string> WordPiece::words(std::string_view text) const {
  std::vector<std::string> found;
  text::WordSplitter splitter(impl_->options.lowercase, std::numeric_limits<std::size_t>::max(),
                              [&](const text::Word& word) {
                                found.emplace_back(word.utf8);
                                return true;
                              });
  impl_->walk(
      text, [&](std::string_view plain) { return splitter.split(plain); },
      [&](std::string_view token, std::int32_t) {
        found.emplace_back(token);
        return true;
      });
  return found;
}

std::size_t WordPiece::vocabulary_size() const noexcept { return impl_->size; }

const WordPieceOptions& WordPiece::options() const noexcept { return impl_->options; }

}  // namespace matinee
