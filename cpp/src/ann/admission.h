#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "matinee/ann/index.h"
#include "matinee/core/array_view.h"

// What every kind of index asks of its input.
namespace matinee::ann {

// Copies one vector as the metric wants it. Throws InvalidArgument, naming `where` and the row.
void admit(const float* vector, std::size_t count, Metric metric, const char* where, std::size_t row, float* out);

// Throws InvalidArgument where vectors or ids are of a shape that no index can be built from.
void check_shape(MatrixView<const float> vectors, std::span<const std::int64_t> ids);
// Throws InvalidArgument, naming `where`, where an id is -1 or there twice.
void check_ids(const char* where, std::span<const std::int64_t> ids);
// Throws InvalidArgument where a call to search() does not fit the index.
void check_search(const Index& index, MatrixView<const float> queries, const SearchOptions& options);
// Throws InvalidArgument where a filter is not one of an index of `num_rows`.
void check_filters(std::span<const RowFilter> filters, std::size_t num_rows);

// An answer in which nothing was found yet.
Neighbors no_neighbors(std::size_t num_queries, std::size_t width);

}  // namespace matinee::ann
