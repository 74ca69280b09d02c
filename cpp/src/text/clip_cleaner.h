#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "matinee/text/clip_bpe.h"

namespace matinee::text {

// Cleans one text for CLIP, a line at a time, so that of a long text no more is cleaned than is read.
class ClipCleaner {
 public:
  explicit ClipCleaner(ClipCleaning cleaning) : cleaning_(cleaning) {}

  // The next line, its '\n' included, cleaned and in lower case; valid until the next call. White space stays as it is:
  // the pattern drops it.
  std::string_view clean(std::string_view line);

 private:
  void fix(std::string_view line);
  void put(char32_t c);
  void put_ascii(char32_t c);
  void drop(char32_t c);
  void replace_reference();
  void remove_escape();
  void shorten(std::size_t size);

  ClipCleaning cleaning_;
  bool reading_references_ = true;    // until a '<' is seen: then the text is HTML, and meant as it is
  std::u32string text_;               // of the line
  std::vector<std::size_t> escapes_;  // where in text_ an ESC has been dropped
  std::string cleaned_;
};

}  // namespace matinee::text
