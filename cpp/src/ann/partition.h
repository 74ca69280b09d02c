#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace matinee::ann {

// Rows that lie near one centre, coded (Note [Two-level codes]). Unchangeable once it is in a table: a change makes a
// new one. Points into a file, or into what `owner` keeps.
struct Partition {
  std::size_t num_rows = 0;
  const std::uint8_t* high = nullptr;      // (num_rows, padded / 2)
  const std::uint8_t* low = nullptr;       // (num_rows, padded)
  const float* steps = nullptr;            // (num_rows,)
  const float* squared_norms = nullptr;    // (num_rows,)
  const std::int64_t* ids = nullptr;       // (num_rows,)
  const std::uint32_t* rows = nullptr;     // (num_rows,) numbers of the rows in the whole index
  const std::uint8_t* sketches = nullptr;  // (tiles of 16 rows, 2 * padded): Note [Sketches]
  const float* sketch_factors = nullptr;   // (num_rows,)
  std::shared_ptr<const void> owner;
};

// Where a row lies.
struct Place {
  std::uint32_t partition;
  std::uint32_t slot;
};
inline bool operator<(const Place& a, const Place& b) {
  return a.partition < b.partition || (a.partition == b.partition && a.slot < b.slot);
}

inline bool operator==(const Place& a, const Place& b) { return a.partition == b.partition && a.slot == b.slot; }

// All partitions of an index at one moment. A copy shares everything, and a changed copy all but a page with the
// original, so that a search keeps its moment while the next is being made.
class PartitionTable {
 public:
  PartitionTable() = default;
  explicit PartitionTable(std::vector<Partition> partitions);

  std::size_t size() const { return size_; }
  const Partition& operator[](std::size_t index) const { return *(*pages_[index / kPage])[index % kPage]; }
  void set(std::size_t index, Partition partition);
  void append(Partition partition);

 private:
  static constexpr std::size_t kPage = 64;
  using Page = std::array<std::shared_ptr<const Partition>, kPage>;

  std::vector<std::shared_ptr<const Page>> pages_;
  std::size_t size_ = 0;
};

}  // namespace matinee::ann
