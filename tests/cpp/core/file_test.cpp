#include "matinee/core/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "matinee/core/error.h"

namespace matinee {
namespace {

namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("matinee_file_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

TEST_F(FileTest, WhatIsWrittenAtomicallyIsReadBackAndMapped) {
  const fs::path path = folder_ / "a.bin";
  write_file_atomically(path, [](const AppendFn& append) {
    append("mat", 3);
    append("inee", 4);
  });
  const auto bytes = read_file(path);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "matinee");
  const MappedFile mapped(path);
  EXPECT_EQ(std::string(mapped.bytes().begin(), mapped.bytes().end()), "matinee");
}

TEST_F(FileTest, AFailedWriteKeepsTheOldBytesAndLeavesNothingBehind) {
  const fs::path path = folder_ / "a.bin";
  write_file_atomically(path, [](const AppendFn& append) { append("old", 3); });
  EXPECT_THROW(write_file_atomically(path,
                                     [](const AppendFn& append) {
                                       append("new", 3);
                                       throw std::runtime_error("disk full");
                                     }),
               std::runtime_error);
  const auto bytes = read_file(path);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FileTest, AMissingFileIsNotFoundAndAFolderIsAnIoError) {
  EXPECT_THROW(read_file(folder_ / "nothing"), NotFound);
  EXPECT_THROW(MappedFile(folder_ / "nothing"), NotFound);
  EXPECT_THROW(MappedFile{folder_}, IoError);
}

TEST_F(FileTest, AnEmptyFileMapsToNoBytes) {
  const fs::path path = folder_ / "empty";
  write_file_atomically(path, [](const AppendFn&) {});
  EXPECT_EQ(MappedFile(path).size(), 0U);
}

}  // namespace
}  // namespace matinee
