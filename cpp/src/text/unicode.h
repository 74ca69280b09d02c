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

// The classes of CLIP's pattern and of its cleaning, frozen there too.
bool is_letter(char32_t c);
bool is_number(char32_t c);
bool is_white_space(char32_t c);
bool is_cased(char32_t c);           // a letter with upper and lower case, and not ignorable
bool is_case_ignorable(char32_t c);  // looked through for the cased letter beside a sigma
char32_t plain_width(char32_t c);    // of a full- or half-width form with one plain character

int combining_class(char32_t c);  // canonical combining class; 0 for a starter
char32_t to_lower(char32_t c);    // one to one, without context; U+0130, which is two, stays

// Full canonical decomposition of one code point. `storage` holds the parts of a Hangul syllable.
struct HangulParts {
  char32_t parts[3];
};
std::span<const char32_t> decompose(const char32_t& c, HangulParts& storage);
// The primary composite of two characters, or 0.
char32_t compose(char32_t first, char32_t second);
// Normalisation form C (Unicode standard, section 3.11).
void to_nfc(std::u32string& text);

}  // namespace matinee::text
