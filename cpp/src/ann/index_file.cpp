#include "ann/index_file.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "ann/kernels.h"
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

// What an exact index of this shape holds, in the order of the file. No product overflows: N < 2^31, D <= 2^16.
std::array<Section, 7> exact_layout(std::size_t num_rows, std::size_t dimension) {
  return {{{SectionName::kIds, num_rows * sizeof(std::int64_t)},
           {SectionName::kRowsById, num_rows * sizeof(std::uint32_t)},
           {SectionName::kVectors, num_rows * dimension * sizeof(float)},
           {SectionName::kCodes, num_rows * padded_dimension(dimension)},
           {SectionName::kScales, num_rows * sizeof(float)},
           {SectionName::kNorms, num_rows * sizeof(float)},
           {SectionName::kErrorNorms, num_rows * sizeof(float)}}};
}

// The header and section table of an exact index, checksums left 0.
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

Front exact_front(std::size_t num_rows, std::size_t dimension, Metric metric) {
  Front front{};
  const auto layout = exact_layout(num_rows, dimension);
  std::size_t end = sizeof(FileHeader) + layout.size() * sizeof(SectionEntry);
  for (const Section& section : layout) {
    const std::size_t offset = round_up(end, kSectionAlignment);
    front.table.push_back({static_cast<std::uint32_t>(section.name), 0, offset, section.size, 0});
    end = offset + section.size;
  }
  front.header.magic = kMagic;
  front.header.version = kFormatVersion;
  front.header.kind = static_cast<std::uint32_t>(Kind::kExact);
  front.header.metric = static_cast<std::uint32_t>(metric);
  front.header.num_sections = static_cast<std::uint32_t>(layout.size());
  front.header.num_rows = num_rows;
  front.header.dimension = dimension;
  front.header.file_size = round_up(end, kSectionAlignment);
  return front;
}

template <typename T>
std::span<T> view(std::span<std::uint8_t> bytes, const SectionEntry& entry) {
  return {reinterpret_cast<T*>(bytes.data() + entry.offset), entry.size / sizeof(T)};
}

ExactSections sections_of(std::span<std::uint8_t> bytes, const Front& front) {
  ExactSections sections;
  sections.num_rows = front.header.num_rows;
  sections.dimension = front.header.dimension;
  sections.metric = static_cast<Metric>(front.header.metric);
  sections.ids = view<std::int64_t>(bytes, front.table[0]);
  sections.rows_by_id = view<std::uint32_t>(bytes, front.table[1]);
  sections.vectors = view<float>(bytes, front.table[2]);
  sections.codes = view<std::uint8_t>(bytes, front.table[3]);
  sections.scales = view<float>(bytes, front.table[4]);
  sections.norms = view<float>(bytes, front.table[5]);
  sections.error_norms = view<float>(bytes, front.table[6]);
  return sections;
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& why) {
  throw FormatError("Index.open: " + path.string() + ": " + why);
}

// Reads header and section table, and compares both, byte for byte, with those of an index of the shape they state.
Front read_front(std::span<const std::uint8_t> bytes, const std::filesystem::path& path) {
  FileHeader header{};
  if (bytes.size() < sizeof(header))
    refuse(path, "expected an index file, got " + std::to_string(bytes.size()) + " bytes");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kMagic) refuse(path, "expected an index file of Matinee, got something else");
  if (header.version != kFormatVersion) {
    refuse(path, "expected format version " + std::to_string(kFormatVersion) + ", got " +
                     std::to_string(header.version) + "; a newer Matinee may have written it");
  }
  if (header.kind != static_cast<std::uint32_t>(Kind::kExact)) {
    refuse(path, "expected kind 1 (exact), got " + std::to_string(header.kind));
  }
  if (header.metric > static_cast<std::uint32_t>(Metric::kL2) || header.num_rows > Index::kMaxRows ||
      header.dimension < 1 || header.dimension > Index::kMaxDimension) {
    refuse(path, "the header states an impossible metric, dimension or number of rows; the file is damaged");
  }
  Front front = exact_front(header.num_rows, header.dimension, static_cast<Metric>(header.metric));
  if (bytes.size() != front.header.file_size || header.file_size != front.header.file_size) {
    refuse(path, "expected " + std::to_string(front.header.file_size) + " bytes, got " + std::to_string(bytes.size()) +
                     "; the file is cut or damaged");
  }
  std::vector<SectionEntry> table(front.table.size());
  std::memcpy(table.data(), bytes.data() + sizeof(header), front.table_bytes());
  for (std::size_t i = 0; i < table.size(); ++i) front.table[i].checksum = table[i].checksum;
  front.header.checksum = header.checksum;
  if (std::memcmp(&front.header, &header, sizeof(header)) != 0 ||
      std::memcmp(front.table.data(), table.data(), front.table_bytes()) != 0 || front.checksum() != header.checksum) {
    refuse(path, "the header or the section table is damaged");
  }
  return front;
}

void verify_sections(std::span<const std::uint8_t> bytes, const Front& front, const std::filesystem::path& path) {
  const std::size_t front_end = sizeof(FileHeader) + front.table_bytes();
  if (std::any_of(bytes.data() + front_end, bytes.data() + front.table[0].offset, [](auto b) { return b != 0; })) {
    refuse(path, "the padding behind the section table is damaged");
  }
  for (std::size_t i = 0; i < front.table.size(); ++i) {
    const SectionEntry& entry = front.table[i];
    if (crc32c(bytes.data() + entry.offset, front.end_of(i) - entry.offset) != entry.checksum) {
      refuse(path, "section " + std::to_string(entry.name) + " is damaged");
    }
  }
}

// That the order of ids is one: what the checksums cannot say of a file that somebody made.
void verify_order(const ExactSections& sections, const std::filesystem::path& path) {
  for (std::size_t i = 0; i < sections.num_rows; ++i) {
    const std::size_t row = sections.rows_by_id[i];
    if (row >= sections.num_rows || (i > 0 && sections.ids[sections.rows_by_id[i - 1]] >= sections.ids[row])) {
      refuse(path, "its ids are not in order, or repeated");
    }
  }
}

}  // namespace

std::size_t padded_dimension(std::size_t dimension) { return round_up(dimension, kCodeAlignment); }

IndexFile IndexFile::make(std::size_t num_rows, std::size_t dimension, Metric metric) {
  const Front front = exact_front(num_rows, dimension, metric);
  constexpr std::align_val_t kAlignment{kSectionAlignment};
  void* memory = ::operator new(front.header.file_size, kAlignment, std::nothrow);
  if (memory == nullptr) {
    throw InternalError("Index.build: expected " + std::to_string(front.header.file_size) +
                        " bytes of memory, got none; build from fewer vectors");
  }
  std::memset(memory, 0, front.header.file_size);
  IndexFile file;
  file.holder_ = std::shared_ptr<const void>(
      memory, [](const void* p) { ::operator delete (const_cast<void*>(p), std::align_val_t{kSectionAlignment}); });
  file.bytes_ = {static_cast<std::uint8_t*>(memory), front.header.file_size};
  file.sections_ = sections_of(file.bytes_, front);
  return file;
}

IndexFile IndexFile::open(const std::filesystem::path& path, Verify verify) {
  auto mapped = std::make_shared<const MappedFile>(path);
  const Front front = read_front(mapped->bytes(), path);
  if (verify == Verify::kFull) verify_sections(mapped->bytes(), front, path);
  IndexFile file;
  // The mapping is read-only; nothing writes to the sections of an opened file.
  file.bytes_ = {const_cast<std::uint8_t*>(mapped->bytes().data()), mapped->size()};
  file.sections_ = sections_of(file.bytes_, front);
  if (verify == Verify::kFull) verify_order(file.sections_, path);
  file.holder_ = std::move(mapped);
  return file;
}

void IndexFile::save(const std::filesystem::path& path) const {
  Front front = exact_front(sections_.num_rows, sections_.dimension, sections_.metric);
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
