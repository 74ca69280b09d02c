#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "ann/index_file.h"
#include "ann/partition.h"

namespace matinee::ann {

// Which row an id is, and where a row lies.
class Directory {
 public:
  virtual ~Directory() = default;
  Directory() = default;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  virtual std::optional<std::uint32_t> row_of(std::int64_t id) const = 0;
  // Where a row lies in the partitions that this directory is of. REQUIRES: there is such a row.
  virtual Place place_of(std::uint32_t row, const PartitionTable& table) const = 0;
};

// That of an index as it was built or opened: tables in its file, searched by halving.
class FiledDirectory final : public Directory {
 public:
  explicit FiledDirectory(std::shared_ptr<const IndexFile> file);
  std::optional<std::uint32_t> row_of(std::int64_t id) const override;
  Place place_of(std::uint32_t row, const PartitionTable& table) const override;

 private:
  std::shared_ptr<const IndexFile> file_;
  std::span<const std::int64_t> slot_ids_;
  std::span<const std::uint32_t> slot_rows_;
  std::span<const std::uint32_t> slots_by_row_;
  std::span<const std::uint32_t> slots_by_id_;
  std::span<const std::uint32_t> ends_;
};

// That of an index that is changed.
class LiveDirectory final : public Directory {
 public:
  std::optional<std::uint32_t> row_of(std::int64_t id) const override;
  Place place_of(std::uint32_t row, const PartitionTable& table) const override;
  std::uint32_t partition_of(std::uint32_t row) const { return partitions_[row]; }
  std::int64_t id_of(std::uint32_t row) const { return ids_[row]; }
  std::size_t size() const { return ids_.size(); }

  void reserve(std::size_t num_rows);
  // Writes what is known of a row; one behind the last is a new one.
  void set(std::uint32_t row, std::int64_t id, std::uint32_t partition);
  void forget_id(std::int64_t id) { rows_.erase(id); }
  void drop_last_row();

 private:
  std::unordered_map<std::int64_t, std::uint32_t> rows_;
  std::vector<std::int64_t> ids_;          // by row
  std::vector<std::uint32_t> partitions_;  // by row
};

}  // namespace matinee::ann
