#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "matinee/core/array_view.h"

namespace matinee {

// How two vectors are compared. Scores are always "higher is better".
enum class Metric : std::uint32_t {
  kCosine = 0,  // inner product of unit vectors, -1 … 1; rows are normalised when an index is built, queries when
                // they are searched; a zero vector has no direction and scores 0 with everything
  kInnerProduct = 1,  // as given
  kL2 = 2,            // the negative of the squared Euclidean distance: 0 for equal vectors, falling from there
};
std::string_view metric_name(Metric metric);  // "cosine", "inner_product", "l2"
Metric metric_from_name(std::string_view name);

// How an index finds its answers.
enum class IndexKind : std::uint32_t {
  kExact = 1,  // every row is compared: 8-bit codes first, then the float32 vectors of those that may be among the best
  kPartitioned = 2,  // rows near each other lie together; a search looks at the nearest of these partitions. Vectors
                     // are kept in 12 bits an element
};
std::string_view kind_name(IndexKind kind);  // "exact", "partitioned"
IndexKind kind_from_name(std::string_view name);
// What suits so many rows where nobody has chosen.
IndexKind default_kind(std::size_t num_rows, std::size_t dimension);

// How much of a file is checked before it is used. Both read the header and the section table (under a checksum) and
// compare every size; full also reads every byte against its checksum.
enum class Verify { kFast, kFull };
Verify verify_from_name(std::string_view name);  // "fast", "full"

// Which rows a search may return: one bit a row.
class RowFilter {
 public:
  // `mask` holds one byte a row, 0 or not 0.
  static RowFilter from_mask(std::span<const std::uint8_t> mask);
  // Every row of `num_rows` off; switch on with allow().
  explicit RowFilter(std::size_t num_rows);

  void allow(std::size_t row);  // REQUIRES: row < num_rows()
  bool allows(std::size_t row) const { return (words_[row / 64] >> (row % 64) & 1U) != 0; }
  std::vector<std::uint32_t> rows() const;                    // that are allowed, in order
  bool allows_any(std::size_t begin, std::size_t end) const;  // of the rows [begin, end)
  std::size_t num_rows() const { return num_rows_; }
  std::size_t num_allowed() const { return num_allowed_; }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t num_rows_;
  std::size_t num_allowed_ = 0;
};

// A filter that is used often, made ready by Index::prepare for that index, which it must not outlive. Under changes of
// the index it goes on to allow the same ids.
class PreparedFilter {
 public:
  virtual ~PreparedFilter() = default;
};

// What a search found, best first, row-major (Q, K) with K = min(k, N). Query q has counts[q] results, min(k, rows its
// filter allows); behind them ids are -1 and scores minus infinity.
struct Neighbors {
  std::size_t num_queries = 0;       // Q
  std::size_t width = 0;             // K
  std::vector<std::int64_t> ids;     // (Q, K)
  std::vector<float> scores;         // (Q, K)
  std::vector<std::int64_t> counts;  // (Q,)
};

struct IndexOptions {
  Metric metric = Metric::kCosine;
  IndexKind kind = IndexKind::kExact;
  // The following mean something to partitioned indexes only.
  std::size_t num_partitions = 0;  // 0: chosen by the number of rows
  std::uint64_t seed = 0;          // the same seed gives the same index, on any number of threads
  // Called now and then while building with the rows done and their number; false stops with Cancelled. May be empty.
  std::function<bool(std::size_t done, std::size_t total)> progress;
};

struct SearchOptions {
  std::size_t k = 10;  // >= 1; more than N gives N
  // Which rows may be found, as bitmaps by row or as sets of ids (those that the index does not hold are passed over).
  // None: every row; one: for all queries; Q: one for each. Not both, and neither beside a prepared one.
  std::span<const RowFilter> filters;
  std::span<const std::span<const std::int64_t>> id_sets;
  const PreparedFilter* prepared = nullptr;  // for all queries
  // Partitions that are looked at, the nearest first; more find more and take longer. 0: as many as `recall` asks for.
  // Exact indexes have none.
  std::size_t num_probes = 0;
  // Where num_probes is 0: the share of the true neighbours that shall be found on average by queries like those that
  // the index was calibrated with; 1 looks everywhere. Exact indexes find all.
  float recall = 0.98F;
};

// A set of vectors (N, D) under 64-bit ids, and the nearest of them to a query. Any number of threads may search one
// index; the work is done on the compute pool (a single query of a partitioned index on the thread that asks).
class Index {
 public:
  static constexpr std::size_t kMaxDimension = 65536;
  static constexpr std::size_t kMaxRows = std::numeric_limits<std::int32_t>::max();
  // Inner products and distances of vectors up to this norm stay within float32. Cosine has no limit.
  static constexpr float kMaxNorm = 1e18F;

  // Copies `vectors` (N, D). `ids` (N,) are unique and not -1; empty means 0 … N-1. N may be 0.
  // Throws InvalidArgument: D outside 1..kMaxDimension, N above kMaxRows, a NaN or infinity, a norm above kMaxNorm,
  // ids of another number or repeated; Cancelled.
  static std::unique_ptr<Index> build(MatrixView<const float> vectors, std::span<const std::int64_t> ids,
                                      const IndexOptions& options);
  // Maps a file that save() wrote; nothing is copied, and searching may start at once. docs/formats/index.md draws it.
  // Throws NotFound, IoError, FormatError.
  static std::unique_ptr<Index> open(const std::filesystem::path& path, Verify verify);

  virtual ~Index() = default;
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  virtual std::size_t size() const noexcept = 0;       // N
  virtual std::size_t dimension() const noexcept = 0;  // D
  virtual Metric metric() const noexcept = 0;
  virtual IndexKind kind() const noexcept = 0;
  virtual std::size_t num_partitions() const noexcept = 0;  // 0 where the kind has none
  // Ids by row.
  virtual std::vector<std::int64_t> ids() const = 0;

  // The k best rows for each of `queries` (Q, D), best first, equal scores by lower row.
  // Throws InvalidArgument: k = 0, another D, a NaN or infinity, a norm above kMaxNorm, filters of another number or
  // of another index's size.
  virtual Neighbors search(MatrixView<const float> queries, const SearchOptions& options) const = 0;

  // The row of an id; throws NotFound.
  virtual std::size_t row_of(std::int64_t id) const = 0;
  // Allows the rows of `ids`; ids that are not in the index are passed over.
  virtual RowFilter filter_of(std::span<const std::int64_t> ids) const = 0;
  // Makes a filter ready for many searches: those that follow need not look for its rows again.
  virtual std::shared_ptr<const PreparedFilter> prepare(std::span<const std::int64_t> ids) const = 0;
  // Throws InvalidArgument: a filter of another index's size.
  virtual std::shared_ptr<const PreparedFilter> prepare(const RowFilter& rows) const = 0;
  // Copies the vectors of `ids` to `out` (ids.size(), D), as stored: normalised under cosine. Throws NotFound.
  virtual void vectors(std::span<const std::int64_t> ids, MatrixView<float> out) const = 0;

  // Changes, while others search: a search sees the index before a call of these or after it. Rows stay 0 … N-1: new
  // ones are behind the last, and the last takes the number of one that is removed. A call that throws changes nothing.
  // An exact index cannot be changed (InvalidArgument).
  // Puts `vectors` (n, D) under `ids` (n,), which must be new. Throws InvalidArgument.
  virtual void add(MatrixView<const float> vectors, std::span<const std::int64_t> ids) = 0;
  // Puts other vectors under ids that are there. Throws NotFound, InvalidArgument.
  virtual void update(MatrixView<const float> vectors, std::span<const std::int64_t> ids) = 0;
  // Throws NotFound, InvalidArgument.
  virtual void remove(std::span<const std::int64_t> ids) = 0;

  // Measures with `queries` (Q, D) how many partitions a search must look at for a recall (SearchOptions::recall), and
  // how far the signs of elements, which a single query compares first, are to be trusted.
  // build() has done it with rows of the index, which says little about queries of another kind (texts to posters).
  // Exact indexes have nothing to measure. Throws InvalidArgument.
  virtual void calibrate(MatrixView<const float> queries) = 0;

  // Writes one file, atomically. Throws IoError.
  virtual void save(const std::filesystem::path& path) const = 0;

 protected:
  Index() = default;
};

}  // namespace matinee
