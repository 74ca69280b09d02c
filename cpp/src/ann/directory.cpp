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
  const auto found = std::lower_bound(slots_by_id_.begin(), slots_by_id_.end(), id,
                                      [&](std::uint32_t slot, std::int64_t wanted) { return id_at(slot) < wanted; });
  if (found == slots_by_id_.end() || id_at(*found) != id) return std::nullopt;
  const std::uint32_t row = slot_rows_[*found];
  if (row >= slot_ids_.size()) damaged();
  return row;
}

std::uint32_t FiledDirectory::partition_of(std::uint32_t row) const {
  const std::uint32_t slot = slots_by_row_[row];
  if (slot >= slot_ids_.size()) damaged();
  const auto behind = std::upper_bound(ends_.begin(), ends_.end(), slot);
  return static_cast<std::uint32_t>(behind - ends_.begin()) - 1;
}

std::optional<std::uint32_t> LiveDirectory::row_of(std::int64_t id) const {
  const auto found = rows_.find(id);
  return found == rows_.end() ? std::nullopt : std::optional(found->second);
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
