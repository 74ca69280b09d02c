#pragma once

#include <span>
#include <string>

namespace matinee::text {

inline constexpr char32_t kReplacement = 0xFFFD;

// Reads one code point from [cursor, end), cursor < end, and moves the cursor on. A malformed sequence gives U+FFFD
// for each maximal part of it (Unicode standard, section 3.9, table 3-8); surrogates and overlong forms are malformed.
char32_t decode_utf8(const char*& cursor, const char* end);
// Appends one code point, which is a Unicode scalar value.
void append_utf8(std::string& text, char32_t code_point);
bool is_utf8(const char* begin, const char* end);

// The classes of BERT's normaliser; the tables are frozen in unicode_tables.h.
bool is_removed(char32_t c);          // NUL, U+FFFD, control, format, private use
bool is_space(char32_t c);            // after cleaning: also what was turned into a space
bool is_ideograph(char32_t c);        // gets a space on either side
bool is_nonspacing_mark(char32_t c);  // an accent, stripped
bool is_punctuation(char32_t c);      // a word of its own
int combining_class(char32_t c);      // canonical combining class; 0 for a starter
char32_t to_lower(char32_t c);        // one to one, without context

// Full canonical decomposition of one code point. `storage` holds the parts of a Hangul syllable.
struct HangulParts {
  char32_t parts[3];
};
std::span<const char32_t> decompose(const char32_t& c, HangulParts& storage);

}  // namespace matinee::text
