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

class IndexFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("matinee_index_file_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    vectors_ = {1, 0, 0, 0.6F, 0.8F, 0, 0, 0, 0, -1, 2, 3};
    IndexOptions options;
    options.metric = Metric::kInnerProduct;
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
  }

  fs::path folder_;
  std::vector<std::int64_t> ids_ = {40, 10, 30, 20};
  std::vector<float> vectors_;
  std::unique_ptr<Index> index_;
  Bytes bytes_;
};

TEST_F(IndexFileTest, WhatIsSavedIsOpenedAndSavedAgainByteForByte) {
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

TEST_F(IndexFileTest, AnEmptyIndexIsSavedAndOpened) {
  Index::build({nullptr, 0, 7}, {}, {})->save(path());
  const auto opened = Index::open(path(), Verify::kFull);
  EXPECT_EQ(opened->size(), 0U);
  EXPECT_EQ(opened->dimension(), 7U);
}

TEST_F(IndexFileTest, AnOpenIndexOutlivesItsFile) {
  const auto opened = Index::open(path(), Verify::kFast);
  fs::remove(path());
  use(*opened);
}

TEST_F(IndexFileTest, EveryFlippedBitIsFoundByTheFullCheck) {
  for (std::size_t at = 0; at < bytes_.size(); ++at) {
    for (const unsigned bit : {0U, 4U, 7U}) {
      Bytes damaged = bytes_;
      damaged[at] ^= static_cast<std::uint8_t>(1U << bit);
      write(damaged);
      ASSERT_THROW(Index::open(path(), Verify::kFull), FormatError) << "byte " << at;
    }
  }
}

TEST_F(IndexFileTest, EveryCutAndEveryByteTooManyIsFoundByTheFastCheck) {
  for (std::size_t size = 0; size < bytes_.size(); ++size) {
    write(Bytes(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_THROW(Index::open(path(), Verify::kFast), FormatError) << "cut at " << size;
  }
  Bytes longer = bytes_;
  longer.push_back(0);
  write(longer);
  EXPECT_THROW(Index::open(path(), Verify::kFast), FormatError);
}

TEST_F(IndexFileTest, WhatTheFastCheckLetsThroughIsUsedWithoutHarm) {
  for (std::size_t at = 0; at < bytes_.size(); ++at) {
    Bytes damaged = bytes_;
    damaged[at] ^= 0xFF;
    write(damaged);
    try {
      use(*Index::open(path(), Verify::kFast));
    } catch (const FormatError&) {  // found at once, or on use
    } catch (const NotFound&) {     // another id than there was
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

TEST_F(IndexFileTest, SigningAnUntouchedFileChangesNothing) {
  Bytes bytes = bytes_;
  sign(bytes);
  EXPECT_EQ(bytes, bytes_);
}

TEST_F(IndexFileTest, ASignedFileWithImpossibleContentsIsRefused) {
  struct Case {
    const char* why;
    std::size_t at;
    std::vector<std::uint8_t> bytes;
  };
  const std::size_t ids = 320;  // behind the header and seven sections' entries, at the next multiple of 64
  const std::size_t rows_by_id = 384;
  const std::vector<Case> cases = {
      {"a version to come", 8, {2}},
      {"another kind", 12, {9}},
      {"an unknown metric", 16, {3}},
      {"more sections", 20, {8}},
      {"rows that would overflow", 24, {255, 255, 255, 255, 255, 255, 255, 255}},
      {"no dimension", 32, {0}},
      {"a dimension that would overflow", 32, {255, 255, 255, 255, 255, 255, 255, 255}},
      {"a row behind the last", rows_by_id, {4}},
      {"a repeated id", ids + 8, {40}},
      {"a section that begins elsewhere", 64 + 2 * 32 + 8, {0}},
  };
  for (const Case& c : cases) {
    Bytes made = bytes_;
    std::copy(c.bytes.begin(), c.bytes.end(), made.begin() + static_cast<std::ptrdiff_t>(c.at));
    ASSERT_NE(made, bytes_) << c.why;
    Bytes with_checksums = made;
    if (made[20] == bytes_[20] && made[128 + 8] == bytes_[128 + 8]) sign(with_checksums);
    write(with_checksums);
    EXPECT_THROW(Index::open(path(), Verify::kFull), FormatError) << c.why;
  }
}

TEST_F(IndexFileTest, AnErrorNamesTheFile) {
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

}  // namespace
}  // namespace matinee
