#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <vector>

#include "ann/calibration.h"
#include "ann/centers.h"
#include "ann/directory.h"
#include "ann/index_file.h"
#include "ann/partition.h"
#include "ann/partition_search.h"
#include "matinee/ann/index.h"

namespace matinee::ann {

// Rows near each other lie together; a search looks at the partitions whose centres are nearest, first at half a byte
// an element, then at 12 bits of the best (Note [Two-level codes]). docs/adr/0007-partitions.md has the reasons.
//
// Note [Changes beside searches]: everything that a search reads hangs on one Moment, which is never changed. A change
// copies the partitions it touches (some tens of rows), makes the next Moment of them, which shares all others, and
// swaps the pointer. A search holds its Moment from beginning to end, so it sees every change whole or not at all.
class PartitionedIndex final : public Index {
 public:
  static std::unique_ptr<PartitionedIndex> build(MatrixView<const float> vectors, std::span<const std::int64_t> ids,
                                                 const IndexOptions& options);
  // Takes an opened file; `path` is for what it says of damage.
  static std::unique_ptr<PartitionedIndex> open(IndexFile file, const std::filesystem::path& path, Verify verify);

  std::size_t size() const noexcept override { return moment()->num_rows; }
  std::size_t dimension() const noexcept override { return dimension_; }
  Metric metric() const noexcept override { return metric_; }
  IndexKind kind() const noexcept override { return IndexKind::kPartitioned; }
  std::size_t num_partitions() const noexcept override { return moment()->table.size(); }
  std::vector<std::int64_t> ids() const override;
  Neighbors search(MatrixView<const float> queries, const SearchOptions& options) const override;
  std::size_t row_of(std::int64_t id) const override;
  RowFilter filter_of(std::span<const std::int64_t> ids) const override;
  void vectors(std::span<const std::int64_t> ids, MatrixView<float> out) const override;
  std::shared_ptr<const PreparedFilter> prepare(std::span<const std::int64_t> ids) const override;
  std::shared_ptr<const PreparedFilter> prepare(const RowFilter& rows) const override;
  void save(const std::filesystem::path& path) const override;

  void add(MatrixView<const float> vectors, std::span<const std::int64_t> ids) override;
  void update(MatrixView<const float> vectors, std::span<const std::int64_t> ids) override;
  void remove(std::span<const std::int64_t> ids) override;
  void calibrate(MatrixView<const float> queries) override;

 private:
  struct Moment {
    PartitionTable table;
    Centers centers;
    std::size_t num_rows = 0;
    Calibration calibration;
    std::shared_ptr<const IndexFile> file;  // null once anything was changed
  };
  class Change;
  struct FilterWay;
  class Prepared;
  // A row as it is stored, and the partition that it belongs to.
  struct Arrival {
    CodedRow row;
    std::uint32_t partition = 0;
  };

  explicit PartitionedIndex(IndexFile file);
  // Some rows as queries, spread evenly over the partitions.
  static TwoLevelQueries sampled(const Moment& moment, std::size_t dimension);
  static std::shared_ptr<const Moment> moment_of(std::shared_ptr<const IndexFile> file);
  std::shared_ptr<const Moment> moment() const noexcept;
  PartitionedView view_of(const Moment& moment) const;
  // Whether few queries had better compare sketches of near partitions, and leave out what is not allowed, than all of
  // so many picked rows.
  bool is_better_sifted(const Moment& moment, const ProbeOptions& probe, std::size_t num_allowed) const;
  // How a search under these rows goes, in the fewest steps; `num_sharing` searches will share what is made here.
  // REQUIRES: directory_mutex_ is held.
  void choose_way(const Moment& moment, std::vector<std::uint32_t> rows, const ProbeOptions& probe, double num_sharing,
                  FilterWay& way) const;
  ProbeOptions probe_options(const Moment& moment, const SearchOptions& options) const;
  // Codes vectors [first + begin, first + end) as queries [begin, end).
  void encode(MatrixView<const float> vectors, const char* where, std::size_t first, std::size_t begin, std::size_t end,
              TwoLevelQueries& coded) const;
  TwoLevelQueries coded(MatrixView<const float> vectors, const char* where) const;
  IndexFile assembled(const Moment& moment) const;
  // REQUIRES of the following: writing_ is held.
  void go_live();
  std::vector<Arrival> arrivals(MatrixView<const float> vectors, std::span<const std::int64_t> ids, const char* where,
                                const Moment& now) const;
  void publish(Change& change, std::size_t num_changes);
  void refresh();

  std::size_t dimension_;
  std::size_t padded_;
  Metric metric_;
  mutable std::mutex moment_mutex_;  // held for the copy or the swap of a pointer, never while anything is computed
  std::shared_ptr<const Moment> moment_;
  mutable std::shared_mutex directory_mutex_;
  std::unique_ptr<Directory> directory_;
  LiveDirectory* live_ = nullptr;  // directory_, where that can be changed
  std::mutex writing_;             // one change at a time
  std::size_t num_changes_ = 0;    // rows changed since the centres were last put right
};

}  // namespace matinee::ann
