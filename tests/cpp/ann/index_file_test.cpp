#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "matinee/ann/index.h"
#include "matinee/core/checksum.h"
#include "matinee/core/error.h"
#include "matinee/core/file.h"

namespace matinee {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

using Bytes = std::vector<std::uint8_t>;

class IndexFileTest : public ::testing::TestWithParam<IndexKind> {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("matinee_index_file_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    vectors_ = {1, 0, 0, 0.6F, 0.8F, 0, 0, 0, 0, -1, 2, 3};
    IndexOptions options;
    options.metric = Metric::kInnerProduct;
    options.kind = GetParam();
    index_ = Index::build({vectors_.data(), 4, 3}, ids_, options);
    index_->save(path());
    bytes_ = read_file(path());
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path path() const { return folder_ / "films.index"; }

  void write(const Bytes& bytes) const {
    std::ofstream file(path(), std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  // Asks an index that may be damaged for everything it can do.
  static void use(const Index& index) {
    const std::vector<float> query(index.dimension(), 1.0F);
    SearchOptions options;
    options.k = 3;
    index.search({query.data(), 1, query.size()}, options);
    const std::vector<std::int64_t> some = {10, 11};
    index.filter_of(some);
    index.row_of(10);
    std::vector<float> vectors(2 * index.dimension());
    index.vectors(std::vector<std::int64_t>{10, 40}, {vectors.data(), 2, index.dimension()});
    const RowFilter all = RowFilter::from_mask(std::vector<std::uint8_t>(index.size(), 1));
    options.filters = {&all, 1};
    index.search({query.data(), 1, query.size()}, options);
  }

  static void change(Index& index) {
    if (index.kind() == IndexKind::kExact) return;
    const std::vector<float> vector(index.dimension(), 1.0F);
    index.add({vector.data(), 1, vector.size()}, std::vector<std::int64_t>{7});
    index.update({vector.data(), 1, vector.size()}, std::vector<std::int64_t>{30});
    index.remove(std::vector<std::int64_t>{40, 10});
    index.ids();
  }

  fs::path folder_;
  std::vector<std::int64_t> ids_ = {40, 10, 30, 20};
  std::vector<float> vectors_;
  std::unique_ptr<Index> index_;
  Bytes bytes_;
};

TEST_P(IndexFileTest, WhatIsSavedIsOpenedAndSavedAgainByteForByte) {
  for (const Verify verify : {Verify::kFast, Verify::kFull}) {
    const auto opened = Index::open(path(), verify);
    EXPECT_EQ(opened->size(), 4U);
    EXPECT_EQ(opened->dimension(), 3U);
    EXPECT_EQ(opened->metric(), Metric::kInnerProduct);
    EXPECT_EQ(opened->row_of(30), 2U);
    SearchOptions options;
    options.k = 4;
    const MatrixView<const float> queries(vectors_.data(), 4, 3);
    EXPECT_EQ(opened->search(queries, options).ids, index_->search(queries, options).ids);
    EXPECT_EQ(opened->search(queries, options).scores, index_->search(queries, options).scores);
    opened->save(folder_ / "again.index");
    EXPECT_EQ(read_file(folder_ / "again.index"), bytes_);
  }
}

TEST_P(IndexFileTest, AnEmptyIndexIsSavedAndOpened) {
  IndexOptions options;
  options.kind = GetParam();
  Index::build({nullptr, 0, 7}, {}, options)->save(path());
  const auto opened = Index::open(path(), Verify::kFull);
  EXPECT_EQ(opened->size(), 0U);
  EXPECT_EQ(opened->dimension(), 7U);
}

TEST_P(IndexFileTest, AnOpenIndexOutlivesItsFile) {
  const auto opened = Index::open(path(), Verify::kFast);
  fs::remove(path());
  use(*opened);
}

TEST_P(IndexFileTest, AFlippedBitInAnyByteIsFoundByTheFullCheck) {
  for (std::size_t at = 0; at < bytes_.size(); ++at) {
    Bytes damaged = bytes_;
    damaged[at] ^= static_cast<std::uint8_t>(1U << at * 5 % 8);
    write(damaged);
    ASSERT_THROW(Index::open(path(), Verify::kFull), FormatError) << "byte " << at;
  }
}

TEST_P(IndexFileTest, EveryCutAndEveryByteTooManyIsFoundByTheFastCheck) {
  for (std::size_t size = 0; size < bytes_.size(); ++size) {
    write(Bytes(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_THROW(Index::open(path(), Verify::kFast), FormatError) << "cut at " << size;
  }
  Bytes longer = bytes_;
  longer.push_back(0);
  write(longer);
  EXPECT_THROW(Index::open(path(), Verify::kFast), FormatError);
}

TEST_P(IndexFileTest, WhatTheFastCheckLetsThroughIsUsedWithoutHarm) {
  const auto try_out = [&](const Bytes& damaged) {
    write(damaged);
    try {
      const auto index = Index::open(path(), Verify::kFast);
      use(*index);
      change(*index);
      use(*index);
    } catch (const FormatError&) {      // found at once, or on use
    } catch (const NotFound&) {         // another id than there was
    } catch (const InvalidArgument&) {  // an id that should not have been there
    }
  };
  for (std::size_t at = 0; at < bytes_.size(); ++at) {
    Bytes damaged = bytes_;
    damaged[at] ^= 0xFF;
    try_out(damaged);
  }
  // Numbers that are none, wherever a number may stand.
  for (const std::uint8_t kind : {0xC0, 0x80}) {  // NaN, infinity
    for (std::size_t at = 0; at + 4 <= bytes_.size(); at += 4) {
      Bytes damaged = bytes_;
      damaged[at] = damaged[at + 1] = 0;
      damaged[at + 2] = kind;
      damaged[at + 3] = 0x7F;
      try_out(damaged);
    }
  }
}

// Makes the checksums of a changed file right again, as somebody would who means harm.
void sign(Bytes& bytes) {
  const auto read = [&](std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= std::uint64_t{bytes[at + i]} << (8 * i);
    return value;
  };
  const auto write32 = [&](std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  };
  constexpr std::size_t kHeader = 64;
  constexpr std::size_t kEntry = 32;
  const std::size_t sections = read(20, 4);
  for (std::size_t s = 0; s < sections; ++s) {
    const std::size_t entry = kHeader + s * kEntry;
    const std::size_t begin = read(entry + 8, 8);
    const std::size_t end = s + 1 < sections ? read(entry + kEntry + 8, 8) : bytes.size();
    write32(entry + 4, crc32c(bytes.data() + begin, end - begin));
  }
  write32(60, crc32c(bytes.data() + kHeader, sections * kEntry, crc32c(bytes.data(), 60)));
}

TEST_P(IndexFileTest, SigningAnUntouchedFileChangesNothing) {
  Bytes bytes = bytes_;
  sign(bytes);
  EXPECT_EQ(bytes, bytes_);
}

TEST_P(IndexFileTest, ASignedFileWithImpossibleContentsIsRefused) {
  struct Case {
    const char* why;
    std::size_t at;
    std::vector<std::uint8_t> bytes;
  };
  const auto begin_of = [&](unsigned section) {
    std::size_t entry = 64;
    while (bytes_[entry] != section) entry += 32;
    return std::size_t{bytes_[entry + 8]} + 256 * std::size_t{bytes_[entry + 9]};
  };
  const std::size_t second_section = 64 + 32 + 8;
  std::vector<Case> cases = {
      {"a version to come", 8, {4}},
      {"no version", 8, {0}},
      {"another kind", 12, {9}},
      {"the other kind", 12, {static_cast<std::uint8_t>(GetParam() == IndexKind::kExact ? 2 : 1)}},
      {"an unknown metric", 16, {3}},
      {"more sections", 20, {200}},
      {"rows that would overflow", 24, {255, 255, 255, 255, 255, 255, 255, 255}},
      {"no dimension", 32, {0}},
      {"a dimension that would overflow", 32, {255, 255, 255, 255, 255, 255, 255, 255}},
      {"partitions that would overflow", 48, {255, 255, 255, 255, 255, 255, 255, 255}},
      {"a section that begins elsewhere", second_section, {0}},
  };
  if (GetParam() == IndexKind::kExact) {
    cases.push_back({"a row behind the last", begin_of(2), {4}});
    cases.push_back({"a repeated id", begin_of(1) + 8, {40}});
  } else {
    cases.push_back({"no partitions", 48, {0}});
    cases.push_back({"a version without this kind", 8, {1}});
    cases.push_back({"a version without sketches", 8, {2}});
    cases.push_back({"a repeated id", begin_of(8) + 8, {bytes_[begin_of(8)]}});
    cases.push_back({"a row behind the last", begin_of(9), {4}});
    cases.push_back({"a slot behind the last", begin_of(10), {4}});
    cases.push_back({"a slot that is not the row's", begin_of(10), {bytes_[begin_of(10) + 4]}});
    cases.push_back({"a slot of an id behind the last", begin_of(11), {4}});
    cases.push_back({"partitions that begin late", begin_of(12), {1}});
    cases.push_back({"a centre of infinite steps", begin_of(18), {0, 0, 128, 127}});
    cases.push_back({"a centre that is no number", begin_of(19), {0, 0, 192, 127}});
    cases.push_back({"a share above 1", begin_of(20), {0, 0, 0, 64}});
    cases.push_back({"a reach without end", begin_of(23), {0, 0, 128, 127}});
    cases.push_back({"a reach that is no number", begin_of(23), {0, 0, 192, 127}});
  }
  for (const Case& c : cases) {
    Bytes made = bytes_;
    std::copy(c.bytes.begin(), c.bytes.end(), made.begin() + static_cast<std::ptrdiff_t>(c.at));
    ASSERT_NE(made, bytes_) << c.why;
    Bytes with_checksums = made;
    if (made[20] == bytes_[20] && made[second_section] == bytes_[second_section]) sign(with_checksums);
    write(with_checksums);
    EXPECT_THROW(Index::open(path(), Verify::kFull), FormatError) << c.why;
  }
}

TEST_P(IndexFileTest, AnErrorNamesTheFile) {
  write({'P', 'K'});
  try {
    Index::open(path(), Verify::kFast);
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr(path().string()));
  }
  EXPECT_THROW(Index::open(folder_ / "none.index", Verify::kFast), NotFound);
  EXPECT_THROW(index_->save(folder_ / "no" / "folder.index"), IoError);
}

INSTANTIATE_TEST_SUITE_P(Kinds, IndexFileTest, ::testing::Values(IndexKind::kExact, IndexKind::kPartitioned),
                         [](const auto& kind) { return std::string(kind_name(kind.param)); });

// Files of every version that there has been, written by that version: four vectors of three elements, ids 40, 10, 30
// and 20, inner product.
TEST(IndexFileVersions, FilesOfEveryVersionAreRead) {
  for (const char* name :
       {"exact-v1.index", "exact-v2.index", "exact-v3.index", "partitioned-v2.index", "partitioned-v3.index"}) {
    const auto index = Index::open(fs::path(MATINEE_TEST_FIXTURES) / name, Verify::kFull);
    EXPECT_EQ(index->size(), 4U) << name;
    EXPECT_EQ(index->metric(), Metric::kInnerProduct) << name;
    const std::vector<float> query = {0, 1, 1};
    SearchOptions options;
    options.recall = 1;
    const auto found = index->search({query.data(), 1, 3}, options);
    EXPECT_EQ(found.ids, (std::vector<std::int64_t>{20, 10, 40, 30})) << name;
    EXPECT_NEAR(found.scores[0], 5, 0.01) << name;
    EXPECT_NEAR(found.scores[1], 0.8, 0.01) << name;
  }
}

TEST(IndexFileVersions, APartitionedFileBeforeSketchesIsSavedWithThem) {
  const fs::path saved = fs::temp_directory_path() / ("matinee_index_upgrade_" + std::to_string(::getpid()));
  const fs::path old = fs::path(MATINEE_TEST_FIXTURES) / "partitioned-v2.index";
  Index::open(old, Verify::kFast)->save(saved);
  const auto index = Index::open(saved, Verify::kFull);
  EXPECT_EQ(read_file(saved)[8], 3);
  const std::vector<float> query = {0, 1, 1};
  const MatrixView<const float> queries(query.data(), 1, 3);
  EXPECT_EQ(index->search(queries, {}).ids, Index::open(old, Verify::kFast)->search(queries, {}).ids);
  fs::remove(saved);
}

}  // namespace
}  // namespace matinee
