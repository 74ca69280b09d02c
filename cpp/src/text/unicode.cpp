#include "text/unicode.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "text/unicode_tables.h"

namespace matinee::text {
namespace {

// The run of a sorted table that holds `c`, or nullptr.
template <typename Table>
const typename Table::value_type* find_run(const Table& table, char32_t c) {
  const auto found =
      std::lower_bound(table.begin(), table.end(), c, [](const auto& run, char32_t value) { return run.last < value; });
  return found != table.end() && found->first <= c ? &*found : nullptr;
}

// Hangul syllables are composed by arithmetic: Unicode standard, section 3.12.
constexpr char32_t kSyllables = 0xAC00;
constexpr char32_t kNumSyllables = 11172;
constexpr char32_t kLeading = 0x1100;
constexpr char32_t kLeadings = 19;
constexpr char32_t kVowel = 0x1161;
constexpr char32_t kVowels = 21;
constexpr char32_t kTrailing = 0x11A7;  // none; the first trailing consonant is the next one
constexpr char32_t kTrailings = 28;

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

}  // namespace

char32_t decode_utf8(const char*& cursor, const char* end) {
  const auto first = static_cast<unsigned char>(*cursor++);
  if (first < 0x80) return first;
  // How many bytes follow, and what the second one may be: excludes overlong forms, surrogates and values above 10FFFF.
  int following = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  char32_t value = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    following = 1;
    value = first & 0x1FU;
  } else if (first >= 0xE0 && first <= 0xEF) {
    following = 2;
    value = first & 0x0FU;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    following = 3;
    value = first & 0x07U;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return kReplacement;
  }
  for (int i = 0; i < following; ++i) {
    if (cursor == end) return kReplacement;
    const auto byte = static_cast<unsigned char>(*cursor);
    if (i == 0 ? (byte < low || byte > high) : !is_continuation(*cursor)) return kReplacement;
    value = (value << 6U) | (byte & 0x3FU);
    ++cursor;
  }
  return value;
}

void append_utf8(std::string& text, char32_t c) {
  const auto push = [&text](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0U | (c >> 6U));
    push(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    push(0xE0U | (c >> 12U));
    push(0x80U | ((c >> 6U) & 0x3FU));
    push(0x80U | (c & 0x3FU));
  } else {
    push(0xF0U | (c >> 18U));
    push(0x80U | ((c >> 12U) & 0x3FU));
    push(0x80U | ((c >> 6U) & 0x3FU));
    push(0x80U | (c & 0x3FU));
  }
}

bool is_utf8(const char* begin, const char* end) {
  while (begin != end) {
    const char* const start = begin;
    // A genuine U+FFFD is EF BF BD; any other way to it was malformed.
    if (decode_utf8(begin, end) == kReplacement && !(begin - start == 3 && start[1] == '\xBF' && start[2] == '\xBD')) {
      return false;
    }
  }
  return true;
}

bool is_removed(char32_t c) { return find_run(kRemoved, c) != nullptr; }
bool is_space(char32_t c) { return find_run(kSpaces, c) != nullptr; }
bool is_ideograph(char32_t c) { return find_run(kIdeographs, c) != nullptr; }
bool is_nonspacing_mark(char32_t c) { return find_run(kNonspacingMarks, c) != nullptr; }
bool is_punctuation(char32_t c) { return find_run(kPunctuation, c) != nullptr; }

bool is_letter(char32_t c) { return find_run(kLetters, c) != nullptr; }
bool is_number(char32_t c) { return find_run(kNumbers, c) != nullptr; }
bool is_white_space(char32_t c) { return find_run(kWhiteSpace, c) != nullptr; }
bool is_cased(char32_t c) { return find_run(kCased, c) != nullptr; }
bool is_case_ignorable(char32_t c) { return find_run(kCaseIgnorable, c) != nullptr; }

char32_t plain_width(char32_t c) {
  const auto found = std::lower_bound(kWidthForms.begin(), kWidthForms.end(), c,
                                      [](const WidthForm& form, char32_t value) { return form.form < value; });
  return found != kWidthForms.end() && found->form == c ? found->plain : c;
}

int combining_class(char32_t c) {
  const auto* run = find_run(kCombiningClasses, c);
  return run == nullptr ? 0 : run->value;
}

char32_t to_lower(char32_t c) {
  const auto* run = find_run(kLowercase, c);
  if (run == nullptr || (c - run->first) % run->step != 0) return c;
  return static_cast<char32_t>(static_cast<std::int32_t>(c) + run->distance);
}

std::span<const char32_t> decompose(const char32_t& c, HangulParts& storage) {
  if (c >= kSyllables && c < kSyllables + kNumSyllables) {
    const char32_t index = c - kSyllables;
    const char32_t trailing = index % kTrailings;
    storage.parts[0] = kLeading + index / (kVowels * kTrailings);
    storage.parts[1] = kVowel + index % (kVowels * kTrailings) / kTrailings;
    storage.parts[2] = kTrailing + trailing;
    return {storage.parts, trailing == 0 ? 2U : 3U};
  }
  const auto found = std::lower_bound(kDecompositions.begin(), kDecompositions.end(), c,
                                      [](const Decomposition& d, char32_t value) { return d.code_point < value; });
  if (found == kDecompositions.end() || found->code_point != c) return {&c, 1};
  return {kDecomposedParts.data() + found->start, found->count};
}

char32_t compose(char32_t first, char32_t second) {
  if (first >= kLeading && first < kLeading + kLeadings && second >= kVowel && second < kVowel + kVowels) {
    return kSyllables + ((first - kLeading) * kVowels + (second - kVowel)) * kTrailings;
  }
  if (first >= kSyllables && first < kSyllables + kNumSyllables && (first - kSyllables) % kTrailings == 0 &&
      second > kTrailing && second < kTrailing + kTrailings) {
    return first + (second - kTrailing);
  }
  const std::tuple wanted(first, second);
  const auto found =
      std::lower_bound(kCompositions.begin(), kCompositions.end(), wanted,
                       [](const Composition& c, const auto& value) { return std::tie(c.first, c.second) < value; });
  const bool known = found != kCompositions.end() && found->first == first && found->second == second;
  return known ? found->composite : 0;
}

void to_nfc(std::u32string& text) {
  constexpr char32_t kFirstMark = 0x300;  // below, every character is a starter in form C already
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < kFirstMark; })) return;

  struct Part {
    char32_t code_point;
    int combining_class;
  };
  std::vector<Part> parts;
  parts.reserve(text.size());
  HangulParts storage{};
  for (const char32_t& c : text) {
    if (c < 0x80) {
      parts.push_back({c, 0});
      continue;
    }
    for (const char32_t part : decompose(c, storage)) parts.push_back({part, combining_class(part)});
  }
  // Canonical order: the marks between two starters, stably, by class.
  for (auto begin = parts.begin(); begin != parts.end();) {
    begin = std::find_if(begin, parts.end(), [](const Part& part) { return part.combining_class != 0; });
    const auto end = std::find_if(begin, parts.end(), [](const Part& part) { return part.combining_class == 0; });
    std::stable_sort(begin, end, [](const Part& a, const Part& b) { return a.combining_class < b.combining_class; });
    begin = end;
  }
  // Each character joins the last starter unless one of its own class, or a higher one, stands between.
  constexpr int kNothingBetween = -1;
  text.clear();
  std::size_t starter = std::u32string::npos;
  int between = kNothingBetween;
  for (const Part& part : parts) {
    if (starter != std::u32string::npos && between < part.combining_class) {
      if (const char32_t composite = compose(text[starter], part.code_point); composite != 0) {
        text[starter] = composite;
        continue;
      }
    }
    if (part.combining_class == 0) {
      starter = text.size();
      between = kNothingBetween;
    } else {
      between = part.combining_class;
    }
    text.push_back(part.code_point);
  }
}

}  // namespace matinee::text
