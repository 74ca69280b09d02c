#include "matinee/nn/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <thread>

#include "matinee/core/cpu.h"
#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"
#include "tiny_models.h"

// That the numbers are a BERT's is shown against transformers in tests/python/nn.
namespace matinee {
namespace {

using ::testing::HasSubstr;
using testing::kTinyHidden;
using testing::kTinyMaxTokens;
using testing::kTinyVocabulary;
using testing::message_of;
using testing::TemporaryFolder;
using testing::write_tiny_bert;

struct Texts {
  std::vector<std::int32_t> token_ids;
  std::vector<std::int64_t> offsets{0};

  void add(std::size_t length, std::size_t seed) {
    for (std::size_t t = 0; t < length; ++t) {
      token_ids.push_back(static_cast<std::int32_t>((seed * 31 + t * 7) % kTinyVocabulary));
    }
    offsets.push_back(static_cast<std::int64_t>(token_ids.size()));
  }
  std::size_t size() const { return offsets.size() - 1; }
};

std::vector<float> encode(const TokenEncoder& encoder, const Texts& texts) {
  std::vector<float> vectors(texts.size() * kTinyHidden, -1);
  encoder.encode(texts.token_ids, texts.offsets, {vectors.data(), texts.size(), kTinyHidden});
  return vectors;
}

// Of all lengths, so that groups are ragged.
Texts many_texts() {
  Texts texts;
  for (std::size_t i = 0; i < 60; ++i) texts.add(1 + i * 7 % kTinyMaxTokens, i);
  return texts;
}

class TokenEncoderAt : public ::testing::TestWithParam<Precision> {
 protected:
  void SetUp() override { write_tiny_bert(folder_); }
  TemporaryFolder folder_;
};

TEST_P(TokenEncoderAt, ATextsVectorDoesNotDependOnItsBatch) {
  const TokenEncoder encoder = TokenEncoder::load(folder_.path(), GetParam());
  const Texts texts = many_texts();
  const auto together = encode(encoder, texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Texts alone;
    alone.add(static_cast<std::size_t>(texts.offsets[i + 1] - texts.offsets[i]), i);
    const auto vector = encode(encoder, alone);
    double length = 0;
    for (std::size_t d = 0; d < kTinyHidden; ++d) {
      ASSERT_NEAR(vector[d], together[i * kTinyHidden + d], 1e-6);
      length += static_cast<double>(vector[d]) * vector[d];
    }
    ASSERT_NEAR(length, 1.0, 1e-6);
  }
}

TEST_P(TokenEncoderAt, ManyCallersGetTheSameVectorsAsOne) {
  const TokenEncoder encoder = TokenEncoder::load(folder_.path(), GetParam());
  const Texts texts = many_texts();
  const auto expected = encode(encoder, texts);
  std::vector<std::thread> callers;
  std::vector<std::vector<float>> results(8);
  for (auto& result : results) {
    callers.emplace_back([&] {
      for (int i = 0; i < 3; ++i) result = encode(encoder, texts);
    });
  }
  for (auto& caller : callers) caller.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

INSTANTIATE_TEST_SUITE_P(Precisions, TokenEncoderAt,
                         ::testing::Values(Precision::kFp32, Precision::kBf16, Precision::kInt8),
                         [](const auto& info) { return std::string(precision_name(info.param)); });

TEST(TokenEncoder, ThePositionOfATokenCounts) {
  const TemporaryFolder folder;
  write_tiny_bert(folder);
  const TokenEncoder encoder = TokenEncoder::load(folder.path(), Precision::kFp32);
  Texts texts;
  texts.token_ids = {3, 4, 4, 3};
  texts.offsets = {0, 2, 4};
  const auto vectors = encode(encoder, texts);
  double cosine = 0;
  for (std::size_t d = 0; d < kTinyHidden; ++d) {
    cosine += static_cast<double>(vectors[d]) * vectors[kTinyHidden + d];
  }
  EXPECT_LT(cosine, 0.999);
}

TEST(TokenEncoder, WorksInAChildThatWasForkedBeforeItWasLoaded) {
  // Debian's libgomp cannot be used after a fork by a process that used it before; a parent that only loaded the
  // library is what gunicorn and multiprocessing give us (bundles are opened after the fork).
  const TemporaryFolder folder;
  write_tiny_bert(folder);
  compute_pool()->run([] {});  // the parent's pool has threads
  const pid_t child = ::fork();
  if (child == 0) {
    const TokenEncoder encoder = TokenEncoder::load(folder.path(), Precision::kFp32);
    const auto vectors = encode(encoder, many_texts());
    ::_exit(std::isfinite(vectors[0]) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(TokenEncoder, RefusesTextsOutsideItsContract) {
  const TemporaryFolder folder;
  write_tiny_bert(folder);
  const TokenEncoder encoder = TokenEncoder::load(folder.path(), Precision::kFp32);
  struct Case {
    const char* what;
    std::vector<std::int32_t> token_ids;
    std::vector<std::int64_t> offsets;
    std::size_t rows;
    const char* message;
  };
  constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max();
  const Case cases[] = {
      {"no offsets", {}, {}, 0, "offsets"},
      {"first offset not 0", {1, 2}, {1, 2}, 1, "offsets"},
      {"last offset short", {1, 2}, {0, 1}, 1, "offsets"},
      {"last offset far", {1, 2}, {0, 3}, 1, "offsets"},
      {"falling", {1, 2, 3}, {0, 2, 1, 3}, 3, "rising"},
      {"empty text", {1, 2}, {0, 0, 2}, 2, "rising"},
      {"negative", {1, 2}, {0, -5, 2}, 2, "rising"},
      {"overflow", {1, 2}, {0, kFar, -kFar, 2}, 3, "rising"},
      {"token below 0", {1, -1}, {0, 2}, 1, "token_ids: expected 0..49, got -1 at 1"},
      {"token beyond the vocabulary", {50}, {0, 1}, 1, "another vocabulary"},
      {"too long", std::vector<std::int32_t>(21, 1), {0, 21}, 1, "at most 20 tokens"},
      {"too few rows", {1, 2}, {0, 1, 2}, 1, "vectors"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    std::vector<float> vectors(10 * kTinyHidden);
    EXPECT_THAT(message_of<InvalidArgument>([&] {
                  encoder.encode(c.token_ids, c.offsets, {vectors.data(), c.rows, kTinyHidden});
                }),
                HasSubstr(c.message));
  }
  encoder.encode({}, std::vector<std::int64_t>{0}, {nullptr, 0, kTinyHidden});  // an empty batch is fine
}

struct BadFile {
  const char* what;
  const char* file;
  std::string from, to;  // the first replaced by the second
  const char* message;
};

TEST(TokenEncoder, RefusesAConfigurationItDoesNotComputeAndNamesTheField) {
  const BadFile cases[] = {
      {"other model", "config.json", "\"bert\"", "\"gpt2\"", "model_type"},
      {"other activation", "config.json", "\"gelu\"", "\"silu\"", "hidden_act"},
      {"relative positions", "config.json", "{", "{\"position_embedding_type\": \"relative_key\",", "position_embed"},
      {"decoder", "config.json", "{", "{\"is_decoder\": true,", "is_decoder"},
      {"unknown field", "config.json", "{", "{\"rope_theta\": 1e4,", "rope_theta: unknown field"},
      {"heads do not divide", "config.json", "\"num_attention_heads\": 3", "\"num_attention_heads\": 5", "divisor"},
      {"zero layers", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0", "num_hidden_layers"},
      {"more layers", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "encoder.layer.2."},
      {"fewer layers", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "encoder.layer.1."},
      {"other width", "config.json", "\"intermediate_size\": 40", "\"intermediate_size\": 41", "intermediate.dense"},
      {"other vocabulary", "config.json", "\"vocab_size\": 50", "\"vocab_size\": 49", "word_embeddings"},
      {"no epsilon", "config.json", "\"layer_norm_eps\"", "\"layer_norm_epsilon\"", "layer_norm_eps"},
      {"negative epsilon", "config.json", "1e-12", "-1", "layer_norm_eps"},
      {"text for a number", "config.json", "\"hidden_size\": 24", "\"hidden_size\": \"24\"", "hidden_size"},
      {"not JSON", "config.json", "{", "", "config.json"},
      {"other pooling", "matinee.json", "\"mean\"", "\"max\"", "pooling"},
      {"other dimension", "matinee.json", "\"dimension\": 24", "\"dimension\": 25", "dimension"},
      {"an image model", "matinee.json", "\"text\"", "\"image\"", "kind"},
      {"too many tokens", "matinee.json", "\"max_tokens\": 20", "\"max_tokens\": 21", "max_tokens"},
      {"normalize missing", "matinee.json", "\"normalize\": true,", "", "normalize"},
  };
  for (const BadFile& c : cases) {
    SCOPED_TRACE(c.what);
    const TemporaryFolder folder;
    write_tiny_bert(folder);
    std::string text = std::string(c.file) == "config.json" ? testing::tiny_bert_config() : testing::tiny_bert_facts();
    const auto at = text.find(c.from);
    ASSERT_NE(at, std::string::npos);
    folder.write(c.file, text.replace(at, c.from.size(), c.to));
    EXPECT_THAT(message_of<FormatError>([&] { TokenEncoder::load(folder.path(), Precision::kFp32); }),
                HasSubstr(c.message));
  }
}

TEST(TokenEncoder, RefusesWeightsThatAreNotTheConfigurationsAndNamesTheTensor) {
  const auto refused = [](const auto& change) {
    const TemporaryFolder folder;
    write_tiny_bert(folder);
    auto tensors = testing::tiny_bert_tensors();
    change(tensors);
    folder.write("model.safetensors", testing::safetensors(tensors));
    return message_of<FormatError>([&] { TokenEncoder::load(folder.path(), Precision::kFp32); });
  };
  const std::string key = "encoder.layer.1.attention.self.key.weight";
  EXPECT_THAT(refused([&](auto& t) { t.erase(key); }), HasSubstr(key));
  EXPECT_THAT(refused([&](auto& t) { t[key].shape = {kTinyHidden * kTinyHidden}; }), HasSubstr(key));
  EXPECT_THAT(refused([&](auto& t) { t[key].values[5] = NAN; }), HasSubstr(key));
  EXPECT_THAT(refused([&](auto& t) {
                t["adapter.weight"] = {{1}, {1}};
              }),
              HasSubstr("'adapter.weight': expected none"));
}

TEST(TokenEncoder, AMissingFolderOrFileIsNotFound) {
  const TemporaryFolder folder;
  EXPECT_THROW(TokenEncoder::load(folder.path() / "nowhere", Precision::kFp32), NotFound);
  write_tiny_bert(folder);
  std::filesystem::remove(folder.path() / "model.safetensors");
  EXPECT_THROW(TokenEncoder::load(folder.path(), Precision::kFp32), NotFound);
}

TEST(Precision, AutoIsBf16WhereTheProcessorComputesIt) {
  EXPECT_EQ(precision_from_name("auto"), has_native_bf16() ? Precision::kBf16 : Precision::kFp32);
  EXPECT_EQ(precision_from_name("fp32"), Precision::kFp32);
  EXPECT_THROW(precision_from_name("fp16"), InvalidArgument);
  const IsaLevel before = isa_level();
  set_isa_level(IsaLevel::kScalar);
  EXPECT_EQ(precision_from_name("auto"), Precision::kFp32);
  set_isa_level(before);
  EXPECT_EQ(precision_from_name("bf16"), Precision::kBf16);
  EXPECT_EQ(precision_from_name("int8"), Precision::kInt8);
}

}  // namespace
}  // namespace matinee
