#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "ann/first_pass.h"
#include "ann/index_file.h"
#include "matinee/ann/index.h"

namespace matinee::ann {

// Every row is looked at: first its 8-bit codes, then, where these cannot rule it out, its float32 vector. The results
// are those of comparing all vectors (Note [Exact from codes]).
class ExactIndex final : public Index {
 public:
  static std::unique_ptr<ExactIndex> build(MatrixView<const float> vectors, std::span<const std::int64_t> ids,
                                           const IndexOptions& options);
  // Takes an opened file; `path` is for what it says of damage.
  static std::unique_ptr<ExactIndex> open(IndexFile file, const std::filesystem::path& path, Verify verify);

  std::size_t size() const noexcept override { return sections().num_rows; }
  std::size_t dimension() const noexcept override { return sections().dimension; }
  Metric metric() const noexcept override { return sections().metric; }
  IndexKind kind() const noexcept override { return IndexKind::kExact; }
  std::size_t num_partitions() const noexcept override { return 0; }
  std::vector<std::int64_t> ids() const override { return {sections().ids.begin(), sections().ids.end()}; }
  Neighbors search(MatrixView<const float> queries, const SearchOptions& options) const override;
  std::size_t row_of(std::int64_t id) const override;
  RowFilter filter_of(std::span<const std::int64_t> ids) const override;
  void vectors(std::span<const std::int64_t> ids, MatrixView<float> out) const override;
  std::shared_ptr<const PreparedFilter> prepare(std::span<const std::int64_t> ids) const override;
  std::shared_ptr<const PreparedFilter> prepare(const RowFilter& rows) const override;
  void save(const std::filesystem::path& path) const override { file_.save(path); }
  void add(MatrixView<const float> vectors, std::span<const std::int64_t> ids) override;
  void update(MatrixView<const float> vectors, std::span<const std::int64_t> ids) override;
  void remove(std::span<const std::int64_t> ids) override;
  void calibrate(MatrixView<const float> queries) override {}

 private:
  explicit ExactIndex(IndexFile file) : file_(std::move(file)), sections_(exact_sections(file_)) {}
  const ExactSections& sections() const { return sections_; }
  const float* vector(std::size_t row) const { return sections().vectors.data() + row * dimension(); }
  // The row of an id, or size().
  std::size_t find_row(std::int64_t id) const;
  CodedQueries code(MatrixView<const float> queries) const;
  float score(const float* query, std::size_t row) const;
  std::vector<ScoredRow> score_all(const float* query, const RowFilter* filter, std::size_t k) const;
  std::vector<ScoredRow> score_survivors(const float* query, std::vector<ScoredRow> survivors, std::size_t k) const;
  void search_round(MatrixView<const float> queries, std::span<const RowFilter> filters, std::size_t k,
                    std::vector<std::vector<ScoredRow>>& found) const;

  IndexFile file_;
  ExactSections sections_;
};

}  // namespace matinee::ann
