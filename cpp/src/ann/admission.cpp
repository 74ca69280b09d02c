#include "ann/admission.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "matinee/core/error.h"

namespace matinee::ann {
namespace {

// In lanes, so that a compiler may add up several at a time. Squares of floats do not overflow a double.
double squares_of(const float* values, std::size_t count) {
  constexpr std::size_t kLanes = 8;
  double sums[kLanes] = {};
  const std::size_t whole = count / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  }
  for (std::size_t i = whole; i < count; ++i) sums[i - whole] += double{values[i]} * values[i];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

[[noreturn]] void refuse_value(const float* vector, std::size_t count, const char* where, std::size_t row) {
  std::size_t i = 0;
  while (i + 1 < count && std::isfinite(vector[i])) ++i;
  throw InvalidArgument(std::string(where) + ": expected finite values, got " + std::to_string(vector[i]) + " in row " +
                        std::to_string(row) + ", column " + std::to_string(i) +
                        "; leave out the rows that could not be encoded");
}

}  // namespace

void admit(const float* vector, std::size_t count, Metric metric, const char* where, std::size_t row, float* out) {
  const double squares = squares_of(vector, count);
  if (!std::isfinite(squares)) refuse_value(vector, count, where, row);
  if (metric == Metric::kCosine) {
    // A zero vector stays one.
    const double scale = squares > 0 ? 1.0 / std::sqrt(squares) : 0.0;
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(vector[i] * scale);
    return;
  }
  if (squares > double{Index::kMaxNorm} * Index::kMaxNorm) {
    throw InvalidArgument(std::string(where) + ": expected norms up to 1e18, got " +
                          std::to_string(std::sqrt(squares)) + " in row " + std::to_string(row) +
                          "; scale the vectors down, or use metric cosine");
  }
  std::copy(vector, vector + count, out);
}

void check_shape(MatrixView<const float> vectors, std::span<const std::int64_t> ids) {
  const std::size_t dimension = vectors.cols;
  if (dimension < 1 || dimension > Index::kMaxDimension) {
    throw InvalidArgument("Index.build: vectors: expected 1..65536 columns, got " + std::to_string(dimension));
  }
  if (vectors.rows > Index::kMaxRows) {
    throw InvalidArgument("Index.build: vectors: expected fewer than 2^31 rows, got " + std::to_string(vectors.rows) +
                          "; build several indexes");
  }
  if (!ids.empty() && ids.size() != vectors.rows) {
    throw InvalidArgument("Index.build: ids: expected " + std::to_string(vectors.rows) + ", one for each vector, got " +
                          std::to_string(ids.size()));
  }
}

void check_ids(const char* where, std::span<const std::int64_t> ids) {
  std::vector<std::int64_t> sorted(ids.begin(), ids.end());
  std::sort(sorted.begin(), sorted.end());
  if (std::binary_search(sorted.begin(), sorted.end(), -1)) {
    throw InvalidArgument(std::string(where) + ": ids: expected no -1, which marks the end of short results");
  }
  const auto repeated = std::adjacent_find(sorted.begin(), sorted.end());
  if (repeated != sorted.end()) {
    throw InvalidArgument(std::string(where) + ": ids: expected every id once, got " + std::to_string(*repeated) +
                          " twice");
  }
}

void check_search(const Index& index, MatrixView<const float> queries, const SearchOptions& options) {
  if (options.k < 1) throw InvalidArgument("Index.search: k: expected at least 1, got 0");
  if (queries.cols != index.dimension()) {
    throw InvalidArgument("Index.search: queries: expected (Q, " + std::to_string(index.dimension()) + "), got (" +
                          std::to_string(queries.rows) + ", " + std::to_string(queries.cols) +
                          "); was the index built with another encoder?");
  }
  if ((options.filters.empty() ? 0 : 1) + (options.id_sets.empty() ? 0 : 1) + (options.prepared == nullptr ? 0 : 1) >
      1) {
    throw InvalidArgument("Index.search: allow: expected bitmaps, sets of ids or a prepared filter, got several");
  }
  const std::size_t num_filters = options.filters.size() + options.id_sets.size();
  if (num_filters > 1 && num_filters != queries.rows) {
    throw InvalidArgument("Index.search: allow: expected one filter, or one for each of " +
                          std::to_string(queries.rows) + " queries, got " + std::to_string(num_filters));
  }
}

void check_filters(std::span<const RowFilter> filters, std::size_t num_rows) {
  for (const RowFilter& filter : filters) {
    if (filter.num_rows() != num_rows) {
      throw InvalidArgument("Index.search: allow: expected a bit for each of " + std::to_string(num_rows) +
                            " rows, got " + std::to_string(filter.num_rows()) + "; is it of another index?");
    }
  }
}

Neighbors no_neighbors(std::size_t num_queries, std::size_t width) {
  Neighbors neighbors;
  neighbors.num_queries = num_queries;
  neighbors.width = width;
  neighbors.ids.assign(num_queries * width, -1);
  neighbors.scores.assign(num_queries * width, -std::numeric_limits<float>::infinity());
  neighbors.counts.assign(num_queries, 0);
  return neighbors;
}

}  // namespace matinee::ann
