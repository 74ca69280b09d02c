#include "ann/index_file.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "ann/calibration.h"
#include "ann/kernels.h"
#include "ann/sketches.h"
#include "ann/two_level_codes.h"
#include "matinee/core/checksum.h"
#include "matinee/core/error.h"

namespace matinee::ann {
namespace {

static_assert(std::endian::native == std::endian::little, "index files are little-endian");

std::size_t round_up(std::size_t value, std::size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

struct Section {
  SectionName name;
  std::size_t size;
};

// What an index of this shape holds, in the order of the file. No product overflows: N < 2^31, C <= N + 1, D <= 2^16.
std::vector<Section> layout_of(const FileShape& shape) {
  const std::size_t n = shape.num_rows;
  const std::size_t c = shape.num_partitions;
  if (shape.kind == IndexKind::kExact) {
    return {{SectionName::kIds, n * sizeof(std::int64_t)},
            {SectionName::kRowsById, n * sizeof(std::uint32_t)},
            {SectionName::kVectors, n * shape.dimension * sizeof(float)},
            {SectionName::kCodes, n * padded_dimension(shape.dimension)},
            {SectionName::kScales, n * sizeof(float)},
            {SectionName::kNorms, n * sizeof(float)},
            {SectionName::kErrorNorms, n * sizeof(float)}};
  }
  const std::size_t padded = padded_plane(shape.dimension);
  std::vector<Section> sections = {{SectionName::kSlotIds, n * sizeof(std::int64_t)},
                                   {SectionName::kSlotRows, n * sizeof(std::uint32_t)},
                                   {SectionName::kSlotsByRow, n * sizeof(std::uint32_t)},
                                   {SectionName::kSlotsById, n * sizeof(std::uint32_t)},
                                   {SectionName::kPartitionEnds, (c + 1) * sizeof(std::uint32_t)},
                                   {SectionName::kHigh, n * padded / 2},
                                   {SectionName::kLow, n * padded},
                                   {SectionName::kSteps, n * sizeof(float)},
                                   {SectionName::kSquaredNorms, n * sizeof(float)},
                                   {SectionName::kCenterHigh, c * padded / 2},
                                   {SectionName::kCenterSteps, c * sizeof(float)},
                                   {SectionName::kCenterNorms, c * sizeof(float)},
                                   {SectionName::kProbeShares, kRecallLevels.size() * sizeof(float)}};
  if (shape.version >= kSketchedSince) {
    sections.push_back({SectionName::kSketches, first_sketch_tile(n, c) * sketch_tile_bytes(padded)});
    sections.push_back({SectionName::kSketchFactors, n * sizeof(float)});
    sections.push_back({SectionName::kSketchReach, sizeof(float)});
  }
  return sections;
}

// The header and section table of an index, checksums left 0.
struct Front {
  FileHeader header;
  std::vector<SectionEntry> table;

  std::size_t table_bytes() const { return table.size() * sizeof(SectionEntry); }
  // Behind the table or the last byte of section `i`: where the zeros end.
  std::size_t end_of(std::size_t i) const { return i + 1 < table.size() ? table[i + 1].offset : header.file_size; }
  std::uint32_t checksum() const {
    return crc32c(table.data(), table_bytes(), crc32c(&header, offsetof(FileHeader, checksum)));
  }
};

Front front_of(const FileShape& shape) {
  Front front{};
  const auto layout = layout_of(shape);
  std::size_t end = sizeof(FileHeader) + layout.size() * sizeof(SectionEntry);
  for (const Section& section : layout) {
    const std::size_t offset = round_up(end, kSectionAlignment);
    front.table.push_back({static_cast<std::uint32_t>(section.name), 0, offset, section.size, 0});
    end = offset + section.size;
  }
  front.header.magic = kMagic;
  front.header.version = shape.version;
  front.header.kind = static_cast<std::uint32_t>(shape.kind);
  front.header.metric = static_cast<std::uint32_t>(shape.metric);
  front.header.num_sections = static_cast<std::uint32_t>(layout.size());
  front.header.num_rows = shape.num_rows;
  front.header.dimension = shape.dimension;
  front.header.num_partitions = shape.num_partitions;
  front.header.file_size = round_up(end, kSectionAlignment);
  return front;
}

FileShape shape_of(const FileHeader& header) {
  return {static_cast<IndexKind>(header.kind),
          static_cast<Metric>(header.metric),
          header.num_rows,
          header.dimension,
          header.num_partitions,
          header.version};
}

bool is_possible(const FileHeader& header) {
  if (header.metric > static_cast<std::uint32_t>(Metric::kL2) || header.num_rows > Index::kMaxRows ||
      header.dimension < 1 || header.dimension > Index::kMaxDimension) {
    return false;
  }
  if (header.kind == static_cast<std::uint32_t>(IndexKind::kExact)) return header.num_partitions == 0;
  return header.dimension <= kMaxCodedDimension && header.num_partitions >= 1 &&
         header.num_partitions <= Index::kMaxRows;
}

// Reads header and section table, and compares both, byte for byte, with those of an index of the shape they state.
Front read_front(std::span<const std::uint8_t> bytes, const std::filesystem::path& path) {
  FileHeader header{};
  if (bytes.size() < sizeof(header))
    IndexFile::refuse(path, "expected an index file, got " + std::to_string(bytes.size()) + " bytes");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kMagic) IndexFile::refuse(path, "expected an index file of Matinee, got something else");
  const auto partitioned = static_cast<std::uint32_t>(IndexKind::kPartitioned);
  if (header.version < 1 || header.version > kFormatVersion) {
    IndexFile::refuse(path, "expected format version 1 to " + std::to_string(kFormatVersion) + ", got " +
                                std::to_string(header.version) + "; a newer Matinee may have written it");
  }
  if (header.kind < 1 || header.kind > (header.version < kPartitionedSince ? 1 : partitioned)) {
    IndexFile::refuse(path, "expected kind 1 (exact) or 2 (partitioned), got " + std::to_string(header.kind));
  }
  if (!is_possible(header)) {
    IndexFile::refuse(path, "the header states an impossible metric or number; the file is damaged");
  }
  Front front = front_of(shape_of(header));
  if (bytes.size() != front.header.file_size || header.file_size != front.header.file_size) {
    IndexFile::refuse(path, "expected " + std::to_string(front.header.file_size) + " bytes, got " +
                                std::to_string(bytes.size()) + "; the file is cut or damaged");
  }
  std::vector<SectionEntry> table(front.table.size());
  std::memcpy(table.data(), bytes.data() + sizeof(header), front.table_bytes());
  for (std::size_t i = 0; i < table.size(); ++i) front.table[i].checksum = table[i].checksum;
  front.header.checksum = header.checksum;
  if (std::memcmp(&front.header, &header, sizeof(header)) != 0 ||
      std::memcmp(front.table.data(), table.data(), front.table_bytes()) != 0 || front.checksum() != header.checksum) {
    IndexFile::refuse(path, "the header or the section table is damaged");
  }
  return front;
}

void verify_sections(std::span<const std::uint8_t> bytes, const Front& front, const std::filesystem::path& path) {
  const std::size_t front_end = sizeof(FileHeader) + front.table_bytes();
  if (std::any_of(bytes.data() + front_end, bytes.data() + front.table[0].offset, [](auto b) { return b != 0; })) {
    IndexFile::refuse(path, "the padding behind the section table is damaged");
  }
  for (std::size_t i = 0; i < front.table.size(); ++i) {
    const SectionEntry& entry = front.table[i];
    if (crc32c(bytes.data() + entry.offset, front.end_of(i) - entry.offset) != entry.checksum) {
      IndexFile::refuse(path, "section " + std::to_string(entry.name) + " is damaged");
    }
  }
}

// Zeros in memory, in large pages where the system gives them: a search jumps about.
std::shared_ptr<const void> zeroed_memory(std::size_t size) {
  constexpr std::size_t kLargePage = std::size_t{2} << 20;
  const std::size_t alignment = size >= kLargePage ? kLargePage : kSectionAlignment;
  void* const memory = ::operator new (size, std::align_val_t{alignment}, std::nothrow);
  if (memory == nullptr) {
    throw InternalError("Index.build: expected " + std::to_string(size) +
                        " bytes of memory, got none; build from fewer vectors");
  }
#if defined(__linux__)
  if (size >= kLargePage) ::madvise(memory, size / kLargePage * kLargePage, MADV_HUGEPAGE);
#endif
  std::memset(memory, 0, size);
  return {memory,
          [alignment](const void* p) { ::operator delete (const_cast<void*>(p), std::align_val_t{alignment}); }};
}

}  // namespace

std::size_t padded_dimension(std::size_t dimension) { return round_up(dimension, kCodeAlignment); }

void IndexFile::refuse(const std::filesystem::path& path, const std::string& why) {
  throw FormatError("Index.open: " + path.string() + ": " + why);
}

IndexFile IndexFile::make(const FileShape& shape) {
  const Front front = front_of(shape);
  IndexFile file;
  file.holder_ = zeroed_memory(front.header.file_size);
  // Nobody else writes to what was just made.
  file.bytes_ = {static_cast<std::uint8_t*>(const_cast<void*>(file.holder_.get())), front.header.file_size};
  file.shape_ = shape;
  return file;
}

IndexFile IndexFile::open(const std::filesystem::path& path, Verify verify) {
  auto mapped = std::make_shared<const MappedFile>(path);
  const Front front = read_front(mapped->bytes(), path);
  if (verify == Verify::kFull) verify_sections(mapped->bytes(), front, path);
  IndexFile file;
  // The mapping is read-only; nothing writes to the sections of an opened file.
  file.bytes_ = {const_cast<std::uint8_t*>(mapped->bytes().data()), mapped->size()};
  file.shape_ = shape_of(front.header);
  file.holder_ = std::move(mapped);
  return file;
}

std::span<std::uint8_t> IndexFile::section_bytes(SectionName name) const {
  for (const SectionEntry& entry : front_of(shape_).table) {
    if (entry.name == static_cast<std::uint32_t>(name)) return bytes_.subspan(entry.offset, entry.size);
  }
  throw InternalError("IndexFile: expected a section of this kind, got " +
                      std::to_string(static_cast<std::uint32_t>(name)) + "; please report it");
}

void IndexFile::save(const std::filesystem::path& path) const {
  Front front = front_of(shape_);
  for (std::size_t i = 0; i < front.table.size(); ++i) {
    SectionEntry& entry = front.table[i];
    entry.checksum = crc32c(bytes_.data() + entry.offset, front.end_of(i) - entry.offset);
  }
  front.header.checksum = front.checksum();
  write_file_atomically(path, [&](const AppendFn& append) {
    append(&front.header, sizeof(front.header));
    append(front.table.data(), front.table_bytes());
    const std::size_t front_end = sizeof(FileHeader) + front.table_bytes();
    append(bytes_.data() + front_end, bytes_.size() - front_end);
  });
}

}  // namespace matinee::ann
