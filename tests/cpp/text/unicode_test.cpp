#include "text/unicode.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "text/unicode_tables.h"

namespace matinee::text {
namespace {

std::u32string decoded(const std::string& bytes) {
  std::u32string out;
  const char* cursor = bytes.data();
  const char* const end = cursor + bytes.size();
  while (cursor != end) out.push_back(decode_utf8(cursor, end));
  return out;
}

std::u32string parts_of(char32_t c) {
  HangulParts storage{};
  const auto parts = decompose(c, storage);
  return {parts.begin(), parts.end()};
}

TEST(DecodeUtf8, EveryScalarValueRoundTrips) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string bytes;
    append_utf8(bytes, c);
    ASSERT_EQ(decoded(bytes), std::u32string(1, c));
    ASSERT_TRUE(is_utf8(bytes.data(), bytes.data() + bytes.size()));
  }
}

TEST(DecodeUtf8, EachMaximalMalformedPartBecomesOneReplacement) {
  struct Case {
    std::string bytes;
    std::u32string expected;
  };
  const std::vector<Case> cases = {
      {"a\x80z", U"a\uFFFDz"},                                        // a lone continuation
      {"a\xC3", U"a\uFFFD"},                                          // cut after the first byte
      {"\xE2\x82z", U"\uFFFDz"},                                      // cut after the second
      {"\xF0\x9F\x8Ez", U"\uFFFDz"},                                  // cut after the third
      {"\xC0\xAF", U"\uFFFD\uFFFD"},                                  // overlong
      {"\xE0\x80\x80", U"\uFFFD\uFFFD\uFFFD"},                        // overlong
      {"\xED\xA0\x80", U"\uFFFD\uFFFD\uFFFD"},                        // a surrogate
      {"\xF4\x90\x80\x80", U"\uFFFD\uFFFD\uFFFD\uFFFD"},              // above U+10FFFF
      {"\xF0\x80\x80\x41", U"\uFFFD\uFFFD\uFFFD\u0041"},              // overlong, then a letter
      {"\xF1\x80\x80\xE1\x80\xC2\x62", U"\uFFFD\uFFFD\uFFFD\u0062"},  // table 3-11 of the standard
      {std::string("\xFF\x00", 2), std::u32string(U"\uFFFD\0", 2)},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(decoded(c.bytes), c.expected);
    EXPECT_FALSE(is_utf8(c.bytes.data(), c.bytes.data() + c.bytes.size()));
  }
}

TEST(IsUtf8, AWrittenReplacementCharacterIsWellFormed) {
  const std::string bytes = "a\xEF\xBF\xBD";
  EXPECT_TRUE(is_utf8(bytes.data(), bytes.data() + bytes.size()));
}

TEST(Classes, KnownCharactersAreWhereTheStandardPutsThem) {
  EXPECT_TRUE(is_removed(0) && is_removed(0xFFFD) && is_removed(0x200B) && is_removed(0xE000));
  EXPECT_FALSE(is_removed('\n') || is_removed(' ') || is_removed('a'));
  EXPECT_TRUE(is_space('\t') && is_space(0xA0) && is_space(0x3000) && is_space(0x2028));
  EXPECT_FALSE(is_space(0x200B) || is_space('_'));
  EXPECT_TRUE(is_punctuation('$') && is_punctuation('~') && is_punctuation(0x2026) && is_punctuation(0x3002));
  EXPECT_FALSE(is_punctuation(0x20AC) || is_punctuation('a'));  // the euro is a symbol, not ASCII
  EXPECT_TRUE(is_ideograph(0x4E2D) && is_ideograph(0x20000));
  EXPECT_FALSE(is_ideograph(0x3042) || is_ideograph(0xAC00));
  EXPECT_TRUE(is_nonspacing_mark(0x301));
  EXPECT_FALSE(is_nonspacing_mark(0x903));
  EXPECT_EQ(combining_class(0x301), 230);
  EXPECT_EQ(combining_class('a'), 0);
  EXPECT_EQ(to_lower(U'\u00C9'), U'\u00E9');
  EXPECT_EQ(to_lower(U'\u0100'), U'\u0101');
  EXPECT_EQ(to_lower(U'\u0101'), U'\u0101');
  EXPECT_EQ(to_lower(U'\u03A3'), U'\u03C3');
  EXPECT_EQ(to_lower(0x10400), 0x10428U);
}

TEST(Decompose, GoesAllTheWayAndKnowsHangul) {
  EXPECT_EQ(parts_of(U'a'), U"a");
  EXPECT_EQ(parts_of(U'\u00E9'), U"e\u0301");
  EXPECT_EQ(parts_of(U'\u01D5'), U"U\u0308\u0304");  // two steps
  EXPECT_EQ(parts_of(U'\u212B'), U"A\u030A");        // Angstrom
  EXPECT_EQ(parts_of(U'\uAC00'), U"\u1100\u1161");
  EXPECT_EQ(parts_of(U'\uD4DB'), U"\u1111\u1171\u11B6");
  EXPECT_EQ(parts_of(U'\uD7A3'), U"\u1112\u1175\u11C2");
}

TEST(Compose, UndoesDecomposeAndKnowsHangul) {
  EXPECT_EQ(compose('e', 0x301), U'\u00E9');
  EXPECT_EQ(compose('e', 'e'), 0U);
  EXPECT_EQ(compose(0x1111, 0x1171), 0xD4CCU);
  EXPECT_EQ(compose(0xD4CC, 0x11B6), 0xD4DBU);
  EXPECT_EQ(compose(0xD4DB, 0x11B6), 0U);
}

std::u32string nfc(std::u32string text) {
  to_nfc(text);
  return text;
}

TEST(ToNfc, OrdersMarksAndComposesWhatNothingBlocks) {
  EXPECT_EQ(nfc(U"plain \u00E9"), U"plain \u00E9");
  EXPECT_EQ(nfc(U"e\u0301"), U"\u00E9");
  EXPECT_EQ(nfc(U"e\u0301\u0323"), U"\u1EB9\u0301");
  EXPECT_EQ(nfc(U"e\u0334\u0301"), U"\u00E9\u0334");  // overlay and acute do not meet
  EXPECT_EQ(nfc(U"e\u0300\u0301"), U"\u00E8\u0301");  // one of the same class blocks
  EXPECT_EQ(nfc(U"ex\u0301 \u0301"), U"ex\u0301 \u0301");
  EXPECT_EQ(nfc(U"\u212B\u037E"), U"\u00C5;");  // singletons
  EXPECT_EQ(nfc(U"\u1111\u1171\u11B6"), U"\uD4DB");
  EXPECT_EQ(nfc(U"\u0958"), U"\u0915\u093C");  // excluded from composition
}

template <typename Table>
void expect_sorted(const Table& table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    ASSERT_LE(table[i].first, table[i].last);
    if (i > 0) {
      ASSERT_LT(table[i - 1].last, table[i].first);
    }
  }
}

TEST(Tables, AreSortedAsTheLookupNeedsThem) {
  expect_sorted(kRemoved);
  expect_sorted(kSpaces);
  expect_sorted(kIdeographs);
  expect_sorted(kNonspacingMarks);
  expect_sorted(kPunctuation);
  expect_sorted(kCombiningClasses);
  expect_sorted(kLowercase);
  expect_sorted(kLetters);
  expect_sorted(kNumbers);
  expect_sorted(kWhiteSpace);
  expect_sorted(kCaseIgnorable);
  expect_sorted(kCased);
  for (std::size_t i = 1; i < kWidthForms.size(); ++i) ASSERT_LT(kWidthForms[i - 1].form, kWidthForms[i].form);
  for (std::size_t i = 1; i < kCompositions.size(); ++i) {
    ASSERT_LT(std::pair(kCompositions[i - 1].first, kCompositions[i - 1].second),
              std::pair(kCompositions[i].first, kCompositions[i].second));
  }
  for (std::size_t i = 0; i < kDecompositions.size(); ++i) {
    ASSERT_LE(kDecompositions[i].start + kDecompositions[i].count, kDecomposedParts.size());
    if (i > 0) {
      ASSERT_LT(kDecompositions[i - 1].code_point, kDecompositions[i].code_point);
    }
  }
}

}  // namespace
}  // namespace matinee::text
