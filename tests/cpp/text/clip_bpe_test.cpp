#include "matinee/text/clip_bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "matinee/core/error.h"
#include "text/unicode.h"

namespace matinee {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr std::string_view kMerges =
    "#version: 0.2\n"
    "l m</w>\n"    // 512
    "f i\n"        // 513
    "fi lm</w>\n"  // 514
    "a a\n"        // 515
    "aa aa\n"      // 516
    "' s</w>\n"    // 517
    "fi l\n";      // 518: of a worse rank than "l m</w>"
constexpr std::int32_t kFilm = 514;
constexpr std::int32_t kStart = 519;
constexpr std::int32_t kEnd = 520;

// The names of all bytes, as CLIP's files write them.
std::vector<std::string> byte_names() {
  std::vector<std::string> names(256);
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    text::append_utf8(names[byte], printable ? byte : next++);
  }
  return names;
}

// Every byte, every byte at the end of a word (id = 256 + byte), what the merges make, the markers.
std::string vocab_json() {
  std::string json = "{";
  int id = 0;
  const auto add = [&](std::string token) {
    if (token == "\"" || token == "\\") token.insert(0, "\\");
    if (token == "\"</w>" || token == "\\</w>") token.insert(0, "\\");
    json += (id == 0 ? "\"" : ", \"") + token + "\": " + std::to_string(id);
    ++id;
  };
  for (const std::string& name : byte_names()) add(name);
  for (const std::string& name : byte_names()) add(name + "</w>");
  for (const char* made :
       {"lm</w>", "fi", "film</w>", "aa", "aaaa", "'s</w>", "fil", "<|startoftext|>", "<|endoftext|>"}) {
    add(made);
  }
  return json + "}";
}

ClipBpe tokenizer(const ClipBpeOptions& options = {}) { return {vocab_json(), kMerges, options}; }

constexpr std::int32_t last(char c) { return 256 + static_cast<unsigned char>(c); }

TEST(ClipBpe, MergesTheBestRankedPairFirst) {
  EXPECT_THAT(tokenizer().encode("film"), ElementsAre(kStart, kFilm, kEnd));
  EXPECT_THAT(tokenizer().encode("films"), ElementsAre(kStart, 518, 'm', last('s'), kEnd));
  EXPECT_THAT(tokenizer().encode("aaaaa"), ElementsAre(kStart, 516, last('a'), kEnd));
  EXPECT_THAT(tokenizer().encode("aaaa"), ElementsAre(kStart, 515, 'a', last('a'), kEnd));
}

TEST(ClipBpe, AnEmptyOrBlankTextIsTheTwoMarkersAlone) {
  EXPECT_THAT(tokenizer().encode(""), ElementsAre(kStart, kEnd));
  EXPECT_THAT(tokenizer().encode(" \t\r\n\xC2\xA0\xE3\x80\x80"), ElementsAre(kStart, kEnd));
}

TEST(ClipBpe, SplitsContractionsLettersSingleDigitsAndTheRest) {
  EXPECT_THAT(tokenizer().words("It's  a FILM!!... 1984we'll('s"),
              ElementsAre("it", "'s", "a", "film", "!!...", "1", "9", "8", "4", "we", "'ll", "('", "s"));
}

TEST(ClipBpe, CleansAsTheReference) {
  EXPECT_THAT(tokenizer().words("\xEF\xAC\x81lm"), ElementsAre("film"));       // a ligature
  EXPECT_THAT(tokenizer().words("\xEF\xBC\xA6ilm"), ElementsAre("film"));      // a full-width F
  EXPECT_THAT(tokenizer().words("it\xE2\x80\x99s"), ElementsAre("it", "'s"));  // a curly quote
  EXPECT_THAT(tokenizer().words("it\xC2\x92s"), ElementsAre("it", "'s"));      // the same, of Windows-1252
  EXPECT_THAT(tokenizer().words("fi\x01lm \x1B[1;31mred\x1B[0m"), ElementsAre("film", "red"));
  EXPECT_THAT(tokenizer().words("e\xCC\x81"), ElementsAre("\xC3\xA9"));  // form C
  EXPECT_THAT(tokenizer().words("&amp;amp;lt; &EACUTE;&#39;s"), ElementsAre("<", "\xC3\xA9", "'s"));
  EXPECT_THAT(tokenizer().words("<b> &amp;amp;amp;lt;"), ElementsAre("<", "b", ">", "&", "amp", ";", "lt", ";"));
  EXPECT_THAT(tokenizer().words("\xCE\x91\xCE\xA3 \xCE\xA3"), ElementsAre("\xCE\xB1\xCF\x82", "\xCF\x83"));  // sigmas
}

TEST(ClipBpe, CleansAsHuggingFaceOnRequest) {
  ClipBpeOptions options;
  options.cleaning = ClipCleaning::kHuggingFace;
  EXPECT_THAT(tokenizer(options).words("It\xE2\x80\x99s &amp; e\xCC\x81"),
              ElementsAre("it", "\xE2\x80\x99", "s", "&", "amp", ";", "\xC3\xA9"));
}

TEST(ClipBpe, AMarkerTypedByAPersonIsTextUnlessAskedOtherwise) {
  for (const auto cleaning : {ClipCleaning::kReference, ClipCleaning::kHuggingFace}) {
    ClipBpeOptions options;
    options.cleaning = cleaning;
    EXPECT_THAT(tokenizer(options).words("film <|endoftext|>'s"), ElementsAre("film", "<|", "endoftext", "|>", "'s"));
    options.split_special_tokens = false;
    EXPECT_THAT(tokenizer(options).encode("film<|endoftext|>film"), ElementsAre(kStart, kFilm, kEnd, kFilm, kEnd));
    EXPECT_THAT(tokenizer(options).encode("<|startoftext|>\n<|startoftext|>"),
                ElementsAre(kStart, kStart, kStart, kEnd));
  }
}

TEST(ClipBpe, CutsAtMaxTokensAndKeepsTheEndMarker) {
  ClipBpeOptions options;
  options.max_tokens = 4;
  EXPECT_THAT(tokenizer(options).encode("film film film film"), ElementsAre(kStart, kFilm, kFilm, kEnd));
  EXPECT_THAT(tokenizer(options).encode("film xyz"), ElementsAre(kStart, kFilm, 'x', kEnd));  // within a word, too
  options.max_tokens = 2;
  EXPECT_THAT(tokenizer(options).encode("film"), ElementsAre(kStart, kEnd));
  options.max_tokens = 1;
  EXPECT_THROW(tokenizer(options), InvalidArgument);
}

// The queue of long words against the scan of short ones: a long word of parts that nothing joins is its parts.
TEST(ClipBpe, LongWordsAreMergedAsShortOnes) {
  ClipBpeOptions options;
  options.max_tokens = 1U << 20U;
  const ClipBpe words = tokenizer(options);
  std::string text;
  std::vector<std::int32_t> expected = {kStart};
  for (int i = 0; i < 100; ++i) {
    text += "filxaaaaa";
    for (const std::int32_t id : {518, static_cast<int>('x'), 516, static_cast<int>('a')}) expected.push_back(id);
  }
  expected.back() = last('a');
  expected.push_back(kEnd);
  EXPECT_THAT(words.encode(text), ElementsAreArray(expected));
}

TEST(ClipBpe, AMillionCharactersOfAnyKindAreFine) {
  const std::vector<std::string> kinds = {"x",     " ",   "a",     "\x80", "\xCC\x81", "&",
                                          "&amp;", "&#5", "\x1B[", ";",    "'",        "\n"};
  for (const std::string& kind : kinds) {
    std::string text;
    while (text.size() < 1'000'000) text += kind;
    const auto ids = tokenizer().encode(text);
    EXPECT_LE(ids.size(), 77U);
    EXPECT_EQ(ids.back(), kEnd);
  }
}

TEST(ClipBpe, MalformedBytesCountAsTheReplacementCharacterAndSurrogatesAsTheirPair) {
  EXPECT_THAT(tokenizer().words("fi\xFFlm \xE2\x82"), ElementsAre("fi", "\xEF\xBF\xBD", "lm", "\xEF\xBF\xBD"));
  EXPECT_THAT(tokenizer().words("\xED\xA0\xBC\xED\xBE\xAC"), ElementsAre("\xF0\x9F\x8E\xAC"));  // U+1F3AC
  EXPECT_THAT(tokenizer().words("\xED\xBE\xAC"), ElementsAre("\xEF\xBF\xBD"));
}

TEST(ClipBpe, ABatchHoldsEveryRowInOrderForManyThreads) {
  const ClipBpe words = tokenizer();
  std::vector<std::string> texts;
  for (int i = 0; i < 500; ++i) texts.push_back(i % 3 == 0 ? "" : i % 3 == 1 ? "films" : "\xC3\x89 film\xE2\x80\x99s");
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const TokenBatch batch = words.encode_batch(views);
      ASSERT_EQ(batch.offsets.size(), texts.size() + 1);
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::vector<std::int32_t> row(batch.token_ids.begin() + batch.offsets[i],
                                            batch.token_ids.begin() + batch.offsets[i + 1]);
        ASSERT_THAT(row, ElementsAreArray(words.encode(texts[i])));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(words.encode_batch({}).offsets, ElementsAre(0));
}

std::string message_of(std::string_view vocab, std::string_view merges) {
  try {
    const ClipBpe made(vocab, merges, {});
  } catch (const FormatError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ClipBpe, ADamagedFileIsAFormatErrorThatNamesFileAndLine) {
  const std::string vocab = vocab_json();
  EXPECT_THAT(message_of(vocab.substr(0, 900), kMerges), HasSubstr("vocab.json: line 1"));
  EXPECT_THAT(message_of("[]", kMerges), HasSubstr("vocab.json"));
  EXPECT_THAT(message_of("{}", kMerges), HasSubstr("vocab.json: expected '"));
  EXPECT_THAT(message_of(vocab, "#version: 0.2\nf i\nfil m\n"), HasSubstr("merges.txt: line 3"));
  EXPECT_THAT(message_of(vocab, "f i\nf i\n"), HasSubstr("merges.txt: line 2"));
  EXPECT_THAT(message_of(vocab, "f i\r\nx y\r\n"),
              HasSubstr("vocab.json: expected 'xy', which line 2 of merges.txt makes"));
  EXPECT_THROW(ClipBpe::from_openai_merges("#version\nf i\n", {}), FormatError);
  EXPECT_THROW(ClipBpe::from_folder("/nowhere", {}), NotFound);
}

TEST(ClipBpe, AModelFolderIsReadAndNamedInErrors) {
  const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "clip_bpe_test";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "vocab.json") << vocab_json();
  std::ofstream(folder / "merges.txt") << kMerges;
  EXPECT_THAT(ClipBpe::from_folder(folder, {}).encode("film"), ElementsAre(kStart, kFilm, kEnd));
  std::ofstream(folder / "merges.txt") << "f\n";
  try {
    ClipBpe::from_folder(folder, {});
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr((folder / "merges.txt").string() + ": line 1"));
  }
}

}  // namespace
}  // namespace matinee
