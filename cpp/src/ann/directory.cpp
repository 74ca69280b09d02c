#include "ann/directory.h"

#include <algorithm>

#include "matinee/core/error.h"

namespace matinee::ann {
namespace {

// An index opened with the fast check may hold anything.
[[noreturn]] void damaged() {
  throw FormatError("Index: the order of its ids or rows is damaged; open it with verify='full'");
}

}  // namespace

FiledDirectory::FiledDirectory(std::shared_ptr<const IndexFile> file)
    : file_(std::move(file)),
      slot_ids_(file_->section<std::int64_t>(SectionName::kSlotIds)),
      slot_rows_(file_->section<std::uint32_t>(SectionName::kSlotRows)),
      slots_by_row_(file_->section<std::uint32_t>(SectionName::kSlotsByRow)),
      slots_by_id_(file_->section<std::uint32_t>(SectionName::kSlotsById)),
      ends_(file_->section<std::uint32_t>(SectionName::kPartitionEnds)) {}

std::optional<std::uint32_t> FiledDirectory::row_of(std::int64_t id) const {
  const auto id_at = [this](std::uint32_t slot) {
    if (slot >= slot_ids_.size()) damaged();
    return slot_ids_[slot];
  };
  const auto row_at = [this](std::uint32_t slot) {
    const std::uint32_t row = slot_rows_[slot];
    if (row >= slot_ids_.size()) damaged();
    return row;
  };
  // Ids are often without gaps: then the place in the order follows from the first.
  if (slots_by_id_.empty() || id < id_at(slots_by_id_.front())) return std::nullopt;
  const auto offset = static_cast<std::uint64_t>(id) - static_cast<std::uint64_t>(id_at(slots_by_id_.front()));
  auto end = slots_by_id_.end();
  if (offset < slots_by_id_.size()) end = slots_by_id_.begin() + static_cast<std::ptrdiff_t>(offset) + 1;
  if (id_at(*(end - 1)) == id) return row_at(*(end - 1));
  const auto found = std::lower_bound(slots_by_id_.begin(), end, id,
                                      [&](std::uint32_t slot, std::int64_t wanted) { return id_at(slot) < wanted; });
  if (found == end || id_at(*found) != id) return std::nullopt;
  return row_at(*found);
}

Place FiledDirectory::place_of(std::uint32_t row, const PartitionTable&) const {
  const std::uint32_t slot = slots_by_row_[row];
  if (slot >= slot_ids_.size()) damaged();
  const auto behind = std::upper_bound(ends_.begin(), ends_.end(), slot);
  return {static_cast<std::uint32_t>(behind - ends_.begin()) - 1, slot - *(behind - 1)};
}

std::optional<std::uint32_t> LiveDirectory::row_of(std::int64_t id) const {
  const auto found = rows_.find(id);
  return found == rows_.end() ? std::nullopt : std::optional(found->second);
}

Place LiveDirectory::place_of(std::uint32_t row, const PartitionTable& table) const {
  const std::uint32_t partition = partitions_[row];
  const Partition& rows = table[partition];
  const std::uint32_t* const found = std::find(rows.rows, rows.rows + rows.num_rows, row);
  if (found == rows.rows + rows.num_rows) damaged();
  return {partition, static_cast<std::uint32_t>(found - rows.rows)};
}

void LiveDirectory::reserve(std::size_t num_rows) {
  rows_.reserve(num_rows);
  ids_.reserve(num_rows);
  partitions_.reserve(num_rows);
}

void LiveDirectory::set(std::uint32_t row, std::int64_t id, std::uint32_t partition) {
  if (row == ids_.size()) {
    ids_.push_back(id);
    partitions_.push_back(partition);
  }
  ids_[row] = id;
  partitions_[row] = partition;
  rows_[id] = row;
}

void LiveDirectory::drop_last_row() {
  ids_.pop_back();
  partitions_.pop_back();
}

}  // namespace matinee::ann
