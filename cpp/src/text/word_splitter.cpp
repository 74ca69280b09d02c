#include "text/word_splitter.h"

#include <algorithm>
#include <array>

#include "text/unicode.h"

namespace matinee::text {
namespace {

enum class Ascii : std::uint8_t { kRemoved, kSpace, kPunctuation, kOther };

// The unicode tables' answers for ASCII, where nearly all text is.
const std::array<Ascii, 128>& ascii_classes() {
  static const std::array<Ascii, 128> classes = [] {
    std::array<Ascii, 128> made{};
    for (char32_t c = 0; c < made.size(); ++c) {
      made[c] = is_removed(c)       ? Ascii::kRemoved
                : is_space(c)       ? Ascii::kSpace
                : is_punctuation(c) ? Ascii::kPunctuation
                                    : Ascii::kOther;
    }
    return made;
  }();
  return classes;
}

}  // namespace

bool WordSplitter::split(std::string_view utf8) {
  const char* cursor = utf8.data();
  const char* const end = cursor + utf8.size();
  while (cursor != end && !stopped_) {
    if (static_cast<unsigned char>(*cursor) < 0x80) {
      ascii(*cursor++);
      continue;
    }
    const char32_t c = decode_utf8(cursor, end);
    if (is_removed(c)) continue;
    if (is_space(c)) {
      ascii(' ');
    } else if (is_ideograph(c)) {
      ascii(' ');
      cleaned(c);
      ascii(' ');
    } else {
      cleaned(c);
    }
  }
  flush_marks();
  finish_word();
  return !stopped_;
}

void WordSplitter::ascii(char c) {
  switch (ascii_classes()[static_cast<unsigned char>(c)]) {
    case Ascii::kRemoved:
      return;  // dropped before anything else looks: marks on its two sides meet
    case Ascii::kSpace:
      flush_marks();
      finish_word();
      return;
    case Ascii::kPunctuation:
      flush_marks();
      finish_word();
      append(static_cast<char32_t>(c));
      finish_word();
      return;
    case Ascii::kOther:
      flush_marks();
      append(lowercase_ && c >= 'A' && c <= 'Z' ? static_cast<char32_t>(c - 'A' + 'a') : static_cast<char32_t>(c));
      return;
  }
}

void WordSplitter::cleaned(char32_t c) {
  if (!lowercase_) {
    normalized(c);
    return;
  }
  HangulParts storage{};
  for (const char32_t part : decompose(c, storage)) decomposed(part);
}

// Canonical order is a stable sort, by class, of the marks between two starters. Accents are stripped afterwards by the
// reference; leaving them out here, before the sort, gives the same, and bounds what has to wait to the few spacing
// marks. An accent of class 0 is still a starter.
void WordSplitter::decomposed(char32_t c) {
  const int value = combining_class(c);
  if (value == 0) flush_marks();
  if (is_nonspacing_mark(c)) return;
  if (value == 0) {
    normalized(to_lower(c));
  } else {
    marks_.push_back({c, value});
  }
}

void WordSplitter::flush_marks() {
  if (marks_.empty()) return;
  std::stable_sort(marks_.begin(), marks_.end(),
                   [](const Mark& a, const Mark& b) { return a.combining_class < b.combining_class; });
  for (const Mark& mark : marks_) normalized(to_lower(mark.code_point));
  marks_.clear();
}

void WordSplitter::normalized(char32_t c) {
  if (is_punctuation(c)) {
    finish_word();
    append(c);
    finish_word();
  } else if (is_space(c)) {  // U+2000 and U+2001 decompose into spaces, but cleaning has seen those already
    finish_word();
  } else {
    append(c);
  }
}

void WordSplitter::append(char32_t c) {
  if (++num_chars_ <= max_chars_kept_) append_utf8(word_, c);
}

void WordSplitter::finish_word() {
  if (num_chars_ == 0) return;
  if (!stopped_) stopped_ = !emit_({word_, num_chars_});
  word_.clear();
  num_chars_ = 0;
}

}  // namespace matinee::text
