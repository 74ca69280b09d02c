#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "matinee/ann/index.h"
#include "matinee/core/file.h"

// The bytes of an index file, drawn in docs/formats/index.md. An index in memory has the same layout, so that opening
// maps it and saving writes it.
namespace matinee::ann {

// Version history: 1, the first. A change of the layout takes the next number, and every number is read for ever.
inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::array<char, 8> kMagic = {'M', 'A', 'T', 'I', 'N', 'D', 'E', 'X'};
inline constexpr std::size_t kSectionAlignment = 64;

// What kind of index the sections make.
enum class Kind : std::uint32_t { kExact = 1 };

enum class SectionName : std::uint32_t {
  kIds = 1,         // int64 (N,), by row
  kRowsById = 2,    // uint32 (N,), the rows in the order of their ids
  kVectors = 3,     // float32 (N, D)
  kCodes = 4,       // uint8 (N, D rounded up to 64)
  kScales = 5,      // float32 (N,): RowFacts of codes.h, column by column
  kNorms = 6,       // float32 (N,)
  kErrorNorms = 7,  // float32 (N,)
};

struct FileHeader {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t kind;
  std::uint32_t metric;
  std::uint32_t num_sections;
  std::uint64_t num_rows;
  std::uint64_t dimension;
  std::uint64_t file_size;
  std::uint64_t reserved;   // 0
  std::uint32_t reserved2;  // 0
  std::uint32_t checksum;   // CRC-32C of the header before this field, then of the section table
};
static_assert(sizeof(FileHeader) == 64);

struct SectionEntry {
  std::uint32_t name;
  std::uint32_t checksum;  // CRC-32C of the section and of the zeros behind it, up to the next section
  std::uint64_t offset;    // from the start of the file, a multiple of kSectionAlignment
  std::uint64_t size;      // bytes, without the zeros behind it
  std::uint64_t reserved;  // 0
};
static_assert(sizeof(SectionEntry) == 32);

// Size of a row's codes in bytes.
std::size_t padded_dimension(std::size_t dimension);

// The sections of an exact index, wherever they lie.
struct ExactSections {
  std::size_t num_rows = 0;
  std::size_t dimension = 0;
  Metric metric = Metric::kCosine;
  std::span<std::int64_t> ids;
  std::span<std::uint32_t> rows_by_id;
  std::span<float> vectors;
  std::span<std::uint8_t> codes;
  std::span<float> scales;
  std::span<float> norms;
  std::span<float> error_norms;
};

// A whole index file in memory: mapped from disk, or made to be filled.
class IndexFile {
 public:
  // Room for an exact index, all zero. Throws InternalError when memory is short.
  static IndexFile make(std::size_t num_rows, std::size_t dimension, Metric metric);
  // Throws NotFound, IoError, FormatError.
  static IndexFile open(const std::filesystem::path& path, Verify verify);

  // Views into the file; REQUIRES: written to only in a file that make() gave.
  const ExactSections& sections() const { return sections_; }

  // Writes header, section table and sections, checksums made now.
  void save(const std::filesystem::path& path) const;

 private:
  IndexFile() = default;

  std::shared_ptr<const void> holder_;
  std::span<std::uint8_t> bytes_;
  ExactSections sections_;
};

}  // namespace matinee::ann
