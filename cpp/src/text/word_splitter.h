#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace matinee::text {

// One word as WordPiece sees it. Of a word longer than the splitter's limit only the beginning is kept.
struct Word {
  std::string_view utf8;
  std::size_t num_chars = 0;  // of the whole word, kept or not
};

// BertNormalizer and BertPreTokenizer in one pass over the text, holding one word at a time. `emit` is called with
// every word in order; where it returns false the rest of the text is not read.
class WordSplitter {
 public:
  using Emit = std::function<bool(const Word&)>;

  WordSplitter(bool lowercase, std::size_t max_chars_kept, Emit emit)
      : lowercase_(lowercase), max_chars_kept_(max_chars_kept), emit_(std::move(emit)) {}

  // Splits one text; words never continue from one call to the next. Returns false once `emit` has.
  bool split(std::string_view utf8);

 private:
  struct Mark {
    char32_t code_point;
    int combining_class;
  };

  void ascii(char c);
  void cleaned(char32_t c);
  void decomposed(char32_t c);
  void flush_marks();
  void normalized(char32_t c);
  void append(char32_t c);
  void finish_word();

  bool lowercase_;
  std::size_t max_chars_kept_;
  Emit emit_;
  std::vector<Mark> marks_;  // spacing marks waiting for their canonical order
  std::string word_;
  std::size_t num_chars_ = 0;
  bool stopped_ = false;
};

}  // namespace matinee::text
