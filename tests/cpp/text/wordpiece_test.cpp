#include "matinee/text/wordpiece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "matinee/core/error.h"

namespace matinee {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr std::string_view kVocab =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"         // 0 …
    "un\n##aff\n##able\nunaff\nfilm\n"             // 5 …
    "[\n]\nsep\n!\n中\n##s\n\xC3\xA9\ne\ncafe\n";  // 10 …

WordPiece tokenizer(WordPieceOptions options = {}) { return {kVocab, options}; }

TEST(WordPiece, TakesTheLongestPieceFirst) {
  EXPECT_THAT(tokenizer().encode("unaffable films!"), ElementsAre(2, 8, 7, 9, 15, 13, 3));
}

TEST(WordPiece, AWordWithOneUnmatchedPartIsUnknownAsAWhole) {
  EXPECT_THAT(tokenizer().encode("unaffx film"), ElementsAre(2, 1, 9, 3));
}

TEST(WordPiece, AnEmptyOrBlankTextIsTheTwoMarkersAlone) {
  EXPECT_THAT(tokenizer().encode(""), ElementsAre(2, 3));
  EXPECT_THAT(tokenizer().encode(std::string_view(" \t\r\n\0\x01\xEF\xBB\xBF\xC2\xA0", 11)), ElementsAre(2, 3));
}

TEST(WordPiece, LowerCasesStripsAccentsAndSpacesChineseCharacters) {
  EXPECT_THAT(tokenizer().encode("CAF\xC3\x89"), ElementsAre(2, 18, 3));   // composed
  EXPECT_THAT(tokenizer().encode("Cafe\xCC\x81"), ElementsAre(2, 18, 3));  // combining
  EXPECT_THAT(tokenizer().encode("film\xE4\xB8\xAD"
                                 "film"),
              ElementsAre(2, 9, 14, 9, 3));
  EXPECT_THAT(tokenizer().encode("fi\xE2\x80\x8Blm"), ElementsAre(2, 9, 3));  // a zero-width space vanishes
}

TEST(WordPiece, ACasedTokenizerKeepsCaseAndAccents) {
  WordPieceOptions cased;
  cased.lowercase = false;
  EXPECT_THAT(tokenizer(cased).encode("\xC3\xA9 Film film"), ElementsAre(2, 16, 1, 9, 3));
}

TEST(WordPiece, AMarkerTypedByAPersonIsTextUnlessAskedOtherwise) {
  WordPieceOptions parse;
  parse.split_special_tokens = false;
  EXPECT_THAT(tokenizer().encode("film[SEP]film"), ElementsAre(2, 9, 10, 12, 11, 9, 3));
  EXPECT_THAT(tokenizer(parse).encode("film[SEP]film[sep] [[MASK]"), ElementsAre(2, 9, 3, 9, 10, 12, 11, 10, 4, 3));
}

TEST(WordPiece, AWordOfMoreThanAHundredCharactersIsUnknown) {
  const WordPiece two("[UNK]\n[CLS]\n[SEP]\na\n##a\n", {});
  EXPECT_EQ(two.encode(std::string(100, 'a')).size(), 102U);
  EXPECT_THAT(two.encode(std::string(101, 'a')), ElementsAre(1, 0, 2));
}

TEST(WordPiece, CutsAtMaxTokensAndKeepsTheEndMarker) {
  WordPieceOptions options;
  options.max_tokens = 4;
  EXPECT_THAT(tokenizer(options).encode("film film film film"), ElementsAre(2, 9, 9, 3));
  EXPECT_THAT(tokenizer(options).encode("film unaffable"), ElementsAre(2, 9, 8, 3));  // within a word, too
  EXPECT_THAT(tokenizer(options).encode("film film"), ElementsAre(2, 9, 9, 3));
  options.max_tokens = 2;
  EXPECT_THAT(tokenizer(options).encode("film"), ElementsAre(2, 3));
}

TEST(WordPiece, AMillionCharactersOfAnyKindAreFine) {
  std::string marks = "a";
  for (int i = 0; i < 300000; ++i) marks += i % 2 == 0 ? "\xCC\x81" : "\xE3\x80\xAE";  // an accent, a spacing mark
  std::string words;
  while (words.size() < 1000000) words += "film ";
  EXPECT_THAT(tokenizer().encode(std::string(1000000, ' ')), ElementsAre(2, 3));
  EXPECT_THAT(tokenizer().encode(std::string(1000000, 'a')), ElementsAre(2, 1, 3));
  EXPECT_THAT(tokenizer().encode(std::string(1000000, '\x80')), ElementsAre(2, 3));
  EXPECT_THAT(tokenizer().encode(marks), ElementsAre(2, 1, 3));
  EXPECT_EQ(tokenizer().encode(words).size(), 256U);
}

TEST(WordPiece, MalformedBytesCountAsTheReplacementCharacterWhichIsDropped) {
  EXPECT_THAT(tokenizer().encode("fi\xFFlm \xE2\x82 film\xF0\x9F"), ElementsAre(2, 9, 9, 3));
}

TEST(WordPiece, ABatchHoldsEveryRowInOrder) {
  const WordPiece words = tokenizer();
  std::vector<std::string> texts;
  for (int i = 0; i < 500; ++i) texts.push_back(i % 3 == 0 ? "" : i % 3 == 1 ? "unaffable" : "film 中 !");
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const TokenBatch batch = words.encode_batch(views);
  ASSERT_EQ(batch.offsets.size(), texts.size() + 1);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::vector<std::int32_t> row(batch.token_ids.begin() + batch.offsets[i],
                                        batch.token_ids.begin() + batch.offsets[i + 1]);
    ASSERT_THAT(row, ElementsAreArray(words.encode(texts[i])));
  }
  EXPECT_THAT(words.encode_batch({}).offsets, ElementsAre(0));
}

TEST(WordPiece, OneObjectServesManyThreads) {
  const WordPiece words = tokenizer();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&words] {
      const std::vector<std::string_view> texts(100, "unaffable films!");
      for (int call = 0; call < 20; ++call) ASSERT_EQ(words.encode_batch(texts).token_ids.size(), 700U);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(WordPiece, WordsShowWhatIsCutIntoPieces) {
  EXPECT_THAT(tokenizer().words("It's CAF\xC3\x89!"), ElementsAre("it", "'", "s", "cafe", "!"));
}

TEST(WordPiece, AVocabularyMustBeUtf8AndHoldTheMarkers) {
  EXPECT_THROW(WordPiece("[UNK]\n[CLS]\n", {}), FormatError);
  EXPECT_THROW(WordPiece("", {}), FormatError);
  EXPECT_THROW(WordPiece("[UNK]\n[CLS]\n[SEP]\n\xFF\n", {}), FormatError);
  EXPECT_EQ(WordPiece("[UNK]\r\n[CLS]\r\n\r\n[SEP]", {}).encode("x"), (std::vector<std::int32_t>{1, 0, 3}));
  WordPieceOptions options;
  options.max_tokens = 1;
  EXPECT_THROW(tokenizer(options), InvalidArgument);
  EXPECT_THROW(WordPiece::from_file("/nowhere/vocab.txt", {}), NotFound);
}

TEST(WordPiece, AnErrorNamesTheFile) {
  try {
    WordPiece::from_file("/proc/version", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/proc/version"));
  }
}

}  // namespace
}  // namespace matinee
