#include "text/clip_splitter.h"

#include <algorithm>
#include <array>

#include "text/clip_cleaner.h"
#include "text/unicode.h"

namespace matinee::text {
namespace {

// Note [Case in the pattern]
// The reference's pattern ignores case. Texts are in lower case already, but two characters in lower case are variants
// of others: the long s is an s, also after an apostrophe; the iota below is an iota, so that it is neither matched as
// a letter, because it is a mark, nor as something else, because an iota is a letter: it falls out.
constexpr char32_t kIotaSubscript = 0x345;

enum class Kind : std::uint8_t { kSpace, kLetter, kNumber, kOther };

Kind unicode_kind(char32_t c) {
  if (is_letter(c)) return Kind::kLetter;
  if (is_number(c)) return Kind::kNumber;
  return is_white_space(c) ? Kind::kSpace : Kind::kOther;
}

// The Unicode tables' answers for ASCII, where nearly all text is.
const std::array<Kind, 128>& ascii_kinds() {
  static const std::array<Kind, 128> kinds = [] {
    std::array<Kind, 128> made{};
    for (char32_t c = 0; c < made.size(); ++c) made[c] = unicode_kind(c);
    return made;
  }();
  return kinds;
}

// What kind of character begins at the cursor, which moves on. REQUIRES: cursor < end.
Kind next_kind(const char*& cursor, const char* end, bool ignore_case) {
  const auto byte = static_cast<unsigned char>(*cursor);
  if (byte < 0x80) {
    ++cursor;
    return ascii_kinds()[byte];
  }
  const char32_t c = decode_utf8(cursor, end);
  return ignore_case && c == kIotaSubscript ? Kind::kSpace : unicode_kind(c);
}

ClipSpecial special_at(std::string_view text) {
  if (!text.starts_with("<|")) return ClipSpecial::kNone;
  if (text.starts_with(kStartOfText)) return ClipSpecial::kStart;
  return text.starts_with(kEndOfText) ? ClipSpecial::kEnd : ClipSpecial::kNone;
}

std::string_view text_of(ClipSpecial special) { return special == ClipSpecial::kStart ? kStartOfText : kEndOfText; }

// Bytes of the contraction at the beginning of a text, 0 for none.
std::size_t contraction(std::string_view text, bool ignore_case) {
  if (!text.starts_with('\'')) return 0;
  for (const std::string_view one : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(one)) return one.size();
  }
  constexpr std::string_view kLongS = "'\xC5\xBF";  // Note [Case in the pattern]
  return ignore_case && text.starts_with(kLongS) ? kLongS.size() : 0;
}

// The reference's pattern: <|startoftext|> | <|endoftext|> | 's | 't | 're | 've | 'm | 'll | 'd | \p{L}+ | \p{N} |
// [^\s\p{L}\p{N}]+. A special token that is not to be one still is a unit of the pattern, whose three parts are words.
bool split_cleaned(std::string_view text, bool parse_special, bool ignore_case, const EmitClipWord& emit) {
  const char* const end = text.data() + text.size();
  const char* cursor = text.data();
  while (cursor != end) {
    const char* const begin = cursor;
    const std::string_view rest(begin, static_cast<std::size_t>(end - begin));
    const Kind kind = next_kind(cursor, end, ignore_case);
    if (kind == Kind::kSpace) continue;
    if (kind == Kind::kOther) {
      if (const ClipSpecial special = special_at(rest); special != ClipSpecial::kNone) {
        const std::string_view whole = rest.substr(0, text_of(special).size());
        cursor = begin + whole.size();
        const bool more = parse_special ? emit({whole, special})
                                        : emit({whole.substr(0, 2)}) && emit({whole.substr(2, whole.size() - 4)}) &&
                                              emit({whole.substr(whole.size() - 2)});
        if (!more) return false;
        continue;
      }
      if (const std::size_t size = contraction(rest, ignore_case); size > 0) {
        cursor = begin + size;
        if (!emit({rest.substr(0, size)})) return false;
        continue;
      }
    }
    if (kind != Kind::kNumber) {
      for (const char* ahead = cursor; ahead != end && next_kind(ahead, end, ignore_case) == kind;) cursor = ahead;
    }
    if (!emit({rest.substr(0, static_cast<std::size_t>(cursor - begin))})) return false;
  }
  return true;
}

// Where the next special token begins, written exactly so; the end of the text where there is none.
std::size_t find_special(std::string_view text) {
  std::size_t at = text.find("<|");
  while (at != std::string_view::npos && special_at(text.substr(at)) == ClipSpecial::kNone)
    at = text.find("<|", at + 1);
  return std::min(at, text.size());
}

}  // namespace

void split_clip_words(std::string_view text, const ClipBpeOptions& options, const EmitClipWord& emit) {
  const bool hugging_face = options.cleaning == ClipCleaning::kHuggingFace;
  // Hugging Face takes special tokens out of the text as it was typed, the reference finds them in the cleaned one.
  const bool take_out = hugging_face && !options.split_special_tokens;
  const bool parse_cleaned = !hugging_face && !options.split_special_tokens;
  ClipCleaner cleaner(options.cleaning);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
    const std::string_view plain = take_out ? line.substr(0, find_special(line)) : line;
    if (!split_cleaned(cleaner.clean(plain), parse_cleaned, !hugging_face, emit)) return;
    text.remove_prefix(plain.size());
    if (const ClipSpecial special = special_at(text); take_out && special != ClipSpecial::kNone) {
      const std::string_view whole = text.substr(0, text_of(special).size());
      if (!emit({whole, special})) return;
      text.remove_prefix(whole.size());
    }
  }
}

}  // namespace matinee::text
