#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "matinee/ann/index.h"
#include "matinee/core/file.h"

// The bytes of an index file, drawn in docs/formats/index.md. An index in memory has the same layout, so that opening
// maps it and saving writes it.
namespace matinee::ann {

// Version history: 1, exact indexes; 2, partitioned ones too; 3, their sketches (an exact index differs in this number
// only). A change of the layout takes the next number, and every number is read for ever.
inline constexpr std::uint32_t kFormatVersion = 3;
inline constexpr std::uint32_t kPartitionedSince = 2;
inline constexpr std::uint32_t kSketchedSince = 3;
inline constexpr std::array<char, 8> kMagic = {'M', 'A', 'T', 'I', 'N', 'D', 'E', 'X'};
inline constexpr std::size_t kSectionAlignment = 64;

enum class SectionName : std::uint32_t {
  kIds = 1,         // int64 (N,), by row
  kRowsById = 2,    // uint32 (N,), the rows in the order of their ids
  kVectors = 3,     // float32 (N, D)
  kCodes = 4,       // uint8 (N, D rounded up to 64)
  kScales = 5,      // float32 (N,): RowFacts of codes.h, column by column
  kNorms = 6,       // float32 (N,)
  kErrorNorms = 7,  // float32 (N,)
  // Of a partitioned index of C partitions; rows are stored partition by partition, a place there is a slot.
  kSlotIds = 8,         // int64 (N,), by slot
  kSlotRows = 9,        // uint32 (N,), number of the row at a slot
  kSlotsByRow = 10,     // uint32 (N,), the inverse
  kSlotsById = 11,      // uint32 (N,), the slots in the order of their ids
  kPartitionEnds = 12,  // uint32 (C + 1,), partition p holds slots [ends[p], ends[p + 1])
  kHigh = 13,           // uint8 (N, P / 2), P = D rounded up to 128: two_level_codes.h
  kLow = 14,            // uint8 (N, P)
  kSteps = 15,          // float32 (N,)
  kSquaredNorms = 16,   // float32 (N,)
  kCenterHigh = 17,     // uint8 (C, P / 2)
  kCenterSteps = 18,    // float32 (C,)
  kCenterNorms = 19,    // float32 (C,), squared
  kProbeShares = 20,    // float32 (kRecallLevels.size(),): calibration.h
  kSketches = 21,       // uint8 (N / 16 + C, 2 P): sketches.h; of no bytes where P is above 2048
  kSketchFactors = 22,  // float32 (N,)
  kSketchReach = 23,    // float32 (1,): calibration.h
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
  std::uint64_t num_partitions;  // 0 where the kind has none
  std::uint32_t reserved2;       // 0
  std::uint32_t checksum;        // CRC-32C of the header before this field, then of the section table
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

// What decides the size and place of every section.
struct FileShape {
  IndexKind kind = IndexKind::kExact;
  Metric metric = Metric::kCosine;
  std::size_t num_rows = 0;
  std::size_t dimension = 0;
  std::size_t num_partitions = 0;
  std::uint32_t version = kFormatVersion;
};

// A whole index file in memory: mapped from disk, or made to be filled.
class IndexFile {
 public:
  // Room for an index of this shape, all zero. Throws InternalError when memory is short.
  static IndexFile make(const FileShape& shape);
  // Throws NotFound, IoError, FormatError. What the sections hold is for their kind to check.
  static IndexFile open(const std::filesystem::path& path, Verify verify);

  const FileShape& shape() const { return shape_; }
  // A view into the file; REQUIRES: a section of this kind; written to only in a file that make() gave.
  template <typename T>
  std::span<T> section(SectionName name) const {
    const std::span<std::uint8_t> bytes = section_bytes(name);
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  // Writes header, section table and sections, checksums made now.
  void save(const std::filesystem::path& path) const;

  // What a damaged file is refused with: "Index.open: <path>: <why>".
  [[noreturn]] static void refuse(const std::filesystem::path& path, const std::string& why);

 private:
  IndexFile() = default;
  std::span<std::uint8_t> section_bytes(SectionName name) const;

  std::shared_ptr<const void> holder_;
  std::span<std::uint8_t> bytes_;
  FileShape shape_;
};

}  // namespace matinee::ann
