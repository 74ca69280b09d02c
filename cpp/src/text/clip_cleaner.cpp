#include "text/clip_cleaner.h"

#include <algorithm>
#include <array>

#include "text/html.h"
#include "text/unicode.h"

namespace matinee::text {
namespace {

constexpr char32_t kEscape = 0x1B;
constexpr char32_t kCapitalSigma = 0x3A3;
constexpr char32_t kSmallSigma = 0x3C3;
constexpr char32_t kFinalSigma = 0x3C2;
constexpr char32_t kCapitalIWithDot = 0x130;
constexpr char32_t kDotAbove = 0x307;

bool is_ascii_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_ascii_letter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Lines that every kind of cleaning leaves as they are, but for their case: nearly all of them.
bool is_plain(std::string_view line, ClipCleaning cleaning) {
  if (cleaning == ClipCleaning::kHuggingFace) {
    return std::all_of(line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  }
  static const std::array<bool, 256> plain = [] {
    std::array<bool, 256> made{};
    for (std::size_t c = 0x20; c < 0x7F; ++c) made[c] = c != '&';
    for (const char c : {'\t', '\n', '\f', '\r'}) made[static_cast<unsigned char>(c)] = true;
    return made;
  }();
  return std::all_of(line.begin(), line.end(), [](char c) { return plain[static_cast<unsigned char>(c)]; });
}

// Reads as decode_utf8 does, but UTF-16's surrogates, written in UTF-8 (a Python str can hold them), become what they
// stand for in pairs, and U+FFFD alone.
char32_t decode_with_surrogates(const char*& cursor, const char* end) {
  const auto surrogate = [end](const char* at) -> char32_t {
    if (end - at < 3 || at[0] != '\xED' || (at[1] & 0xE0) != 0xA0 || (at[2] & 0xC0) != 0x80) return 0;
    return 0xD000U | (static_cast<char32_t>(at[1] & 0x3F) << 6U) | static_cast<char32_t>(at[2] & 0x3F);
  };
  const char32_t high = surrogate(cursor);
  if (high == 0) return decode_utf8(cursor, end);
  cursor += 3;
  const char32_t low = surrogate(cursor);
  if (high >= 0xDC00 || low < 0xDC00) return kReplacement;
  cursor += 3;
  return 0x10000U + ((high - 0xD800U) << 10U) + (low - 0xDC00U);
}

// The letters of a Latin ligature or digraph of one character, none for others.
std::u32string_view ligature(char32_t c) {
  switch (c) {
    case 0x132:
      return U"IJ";
    case 0x133:
      return U"ij";
    case 0x149:
      return U"\u02BCn";
    case 0x1C4:
      return U"D\u017D";
    case 0x1C5:
      return U"D\u017E";
    case 0x1C6:
      return U"d\u017E";
    case 0x1C7:
      return U"LJ";
    case 0x1C8:
      return U"Lj";
    case 0x1C9:
      return U"lj";
    case 0x1CA:
      return U"NJ";
    case 0x1CB:
      return U"Nj";
    case 0x1CC:
      return U"nj";
    case 0x1F1:
      return U"DZ";
    case 0x1F2:
      return U"Dz";
    case 0x1F3:
      return U"dz";
    case 0xFB00:
      return U"ff";
    case 0xFB01:
      return U"fi";
    case 0xFB02:
      return U"fl";
    case 0xFB03:
      return U"ffi";
    case 0xFB04:
      return U"ffl";
    case 0xFB05:
      return U"\u017Ft";
    case 0xFB06:
      return U"st";
    default:
      return {};
  }
}

// Unicode's context for the small letter of a capital sigma: a cased letter before it, and none after it.
bool ends_word(const std::u32string& text, std::size_t sigma) {
  std::size_t before = sigma;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  std::size_t after = sigma + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

}  // namespace

std::string_view ClipCleaner::clean(std::string_view line) {
  reading_references_ = reading_references_ && line.find('<') == std::string_view::npos;
  cleaned_.clear();
  if (is_plain(line, cleaning_)) {
    cleaned_.resize(line.size());
    std::transform(line.begin(), line.end(), cleaned_.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return cleaned_;
  }
  text_.clear();
  if (cleaning_ == ClipCleaning::kReference) {
    fix(line);
  } else {
    const char* cursor = line.data();
    const char* const end = cursor + line.size();
    while (cursor != end) text_.push_back(decode_utf8(cursor, end));
  }
  if (cleaning_ != ClipCleaning::kReferenceAfterFtfy) to_nfc(text_);
  if (cleaning_ != ClipCleaning::kHuggingFace) {
    unescape_html(text_);
    unescape_html(text_);
  }
  for (std::size_t i = 0; i < text_.size(); ++i) {
    const char32_t c = text_[i];
    if (c == kCapitalIWithDot) {
      append_utf8(cleaned_, 'i');
      append_utf8(cleaned_, kDotAbove);
    } else if (c == kCapitalSigma && cleaning_ != ClipCleaning::kHuggingFace) {
      append_utf8(cleaned_, ends_word(text_, i) ? kFinalSigma : kSmallSigma);
    } else {
      append_utf8(cleaned_, to_lower(c));
    }
  }
  return cleaned_;
}

// Note [ftfy in one pass]
// ftfy repeats its fixes until nothing changes, so that what one of them makes meets the others again: "＆ａｍｐ；lt;"
// becomes "<". All that we do of it are replacements of single characters, and two of short stretches, which end in the
// last character put: a reference in ';', a terminal escape in a letter. So every character is fixed as it is put, what
// a reference stood for is put again, and one pass gives the same in linear time.
void ClipCleaner::fix(std::string_view line) {
  escapes_.clear();
  const char* cursor = line.data();
  const char* const end = cursor + line.size();
  while (cursor != end) put(decode_with_surrogates(cursor, end));
}

void ClipCleaner::put(char32_t c) {
  if (c < 0x80) {
    put_ascii(c);
    return;
  }
  c = windows_1252(c);
  if (const auto letters = ligature(c); !letters.empty()) {
    for (const char32_t letter : letters) put(letter);
    return;
  }
  if (c == 0xFFE3) {  // full-width macron
    put_ascii(' ');
    c = 0x304;
  }
  if (c == 0x3000 || c >= 0xFF01) c = plain_width(c);
  if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B)) c = '\'';
  if (c >= 0x201C && c <= 0x201F) c = '"';
  if (c == 0x2028 || c == 0x2029) c = '\n';
  // What form C makes of these three can end a reference or an escape.
  if (c == 0x37E) c = ';';
  if (c == 0x1FEF) c = '`';
  if (c == 0x212A) c = 'K';
  if (c < 0x80) {
    put_ascii(c);
  } else if ((c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC)) {
    drop(c);
  } else {
    text_.push_back(c);
  }
}

void ClipCleaner::put_ascii(char32_t c) {
  if (c == '\r') c = '\n';  // two for one line break are one white space
  if (c == 0x7F || (c < 0x20 && c != '\t' && c != '\n' && c != '\f')) {
    drop(c);
    return;
  }
  text_.push_back(c);
  if (c == ';' && reading_references_) {
    replace_reference();
  } else if (is_ascii_letter(c) && !escapes_.empty()) {
    remove_escape();
  }
}

// A control character. An ESC is remembered as long as nothing but its sequence follows.
void ClipCleaner::drop(char32_t c) {
  if (!escapes_.empty() && escapes_.back() == text_.size()) escapes_.pop_back();
  if (c == kEscape) escapes_.push_back(text_.size());
}

void ClipCleaner::replace_reference() {
  constexpr std::size_t kLongest = 24;  // characters between & or &# and ;
  const std::size_t end = text_.size() - 1;
  std::size_t begin = end;
  while (begin > 0 && end - begin < kLongest &&
         (is_ascii_letter(text_[begin - 1]) || is_ascii_digit(text_[begin - 1]))) {
    --begin;
  }
  if (begin == end || begin == 0) return;
  if (text_[begin - 1] == '#') --begin;
  if (begin == 0 || text_[begin - 1] != '&') return;
  const auto meant = strict_reference(text_, begin - 1);
  if (!meant) return;
  shorten(begin - 1);
  for (const char32_t c : *meant) put(c);
}

// ESC [ digits and semicolons, a letter: the letter has just been put.
void ClipCleaner::remove_escape() {
  std::size_t begin = text_.size() - 1;
  while (begin > 0 && (is_ascii_digit(text_[begin - 1]) || text_[begin - 1] == ';')) --begin;
  if (begin > 0 && text_[begin - 1] == '[' && std::binary_search(escapes_.begin(), escapes_.end(), begin - 1)) {
    shorten(begin - 1);
    escapes_.pop_back();
  }
}

void ClipCleaner::shorten(std::size_t size) {
  text_.resize(size);
  while (!escapes_.empty() && escapes_.back() > size) escapes_.pop_back();
}

}  // namespace matinee::text
