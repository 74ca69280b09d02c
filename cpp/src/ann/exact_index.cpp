#include "ann/exact_index.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <string>

#include "ann/admission.h"
#include "ann/kernels.h"
#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"

namespace matinee::ann {
namespace {

constexpr std::size_t kBuildRowsPerTask = 512;
constexpr std::size_t kQueriesPerTask = 64;     // of coding
constexpr std::size_t kQueriesPerTile = 8;      // share each row's codes while they are in a register or cache
constexpr std::size_t kQueriesPerRound = 1024;  // bounds the memory of a large batch
constexpr std::size_t kRowsPerChunkAtLeast = 2048;
// Scoring a row from its float32 vector costs about as much as bounding so many from their codes.
constexpr std::size_t kCodesPerScore = 16;

// Writes ids and their order.
void set_ids(std::span<const std::int64_t> ids, const ExactSections& sections) {
  if (ids.empty()) {
    std::iota(sections.ids.begin(), sections.ids.end(), std::int64_t{0});
  } else {
    std::copy(ids.begin(), ids.end(), sections.ids.begin());
  }
  std::iota(sections.rows_by_id.begin(), sections.rows_by_id.end(), std::uint32_t{0});
  std::sort(sections.rows_by_id.begin(), sections.rows_by_id.end(),
            [&](std::uint32_t a, std::uint32_t b) { return sections.ids[a] < sections.ids[b]; });
}

[[noreturn]] void refuse_change() {
  throw InvalidArgument("Index: kind: expected partitioned, got exact, which cannot be changed; build it again");
}

struct PreparedRows final : PreparedFilter {
  PreparedRows(const Index& index_, RowFilter rows_) : index(index_), rows(std::move(rows_)) {}

  const Index& index;
  RowFilter rows;
};

}  // namespace

std::unique_ptr<ExactIndex> ExactIndex::build(MatrixView<const float> vectors, std::span<const std::int64_t> ids,
                                              const IndexOptions& options) {
  const std::size_t dimension = vectors.cols;
  check_shape(vectors, ids);
  check_ids("Index.build", ids);
  IndexFile file = IndexFile::make({IndexKind::kExact, options.metric, vectors.rows, dimension, 0});
  const ExactSections sections = exact_sections(file);
  set_ids(ids, sections);
  const std::size_t padded = padded_dimension(dimension);
  // In slices, so that the callback is called from this thread and often enough.
  const std::size_t slice = kBuildRowsPerTask * 16;
  for (std::size_t start = 0; start < vectors.rows; start += slice) {
    const std::size_t rows = std::min(slice, vectors.rows - start);
    compute_pool()->parallel_for(rows, kBuildRowsPerTask, [&](std::size_t begin, std::size_t end) {
      for (std::size_t row = start + begin; row < start + end; ++row) {
        float* const stored = sections.vectors.data() + row * dimension;
        admit(vectors.row(row), dimension, options.metric, "Index.build: vectors", row, stored);
        const RowFacts facts = quantize_row(stored, dimension, sections.codes.data() + row * padded, padded);
        sections.scales[row] = facts.scale;
        sections.norms[row] = facts.norm;
        sections.error_norms[row] = facts.error_norm;
      }
    });
    if (options.progress && !options.progress(start + rows, vectors.rows)) {
      throw Cancelled("Index.build: stopped on request");
    }
  }
  return std::unique_ptr<ExactIndex>(new ExactIndex(std::move(file)));
}

std::unique_ptr<ExactIndex> ExactIndex::open(IndexFile file, const std::filesystem::path& path, Verify verify) {
  std::unique_ptr<ExactIndex> index(new ExactIndex(std::move(file)));
  if (verify == Verify::kFast) return index;
  // That the order of ids is one: what the checksums cannot say of a file that somebody made.
  const ExactSections& s = index->sections();
  for (std::size_t i = 0; i < s.num_rows; ++i) {
    const std::size_t row = s.rows_by_id[i];
    if (row >= s.num_rows || (i > 0 && s.ids[s.rows_by_id[i - 1]] >= s.ids[row])) {
      IndexFile::refuse(path, "its ids are not in order, or repeated");
    }
  }
  return index;
}

std::size_t ExactIndex::find_row(std::int64_t id) const {
  const ExactSections& s = sections();
  const auto row_at = [&s](std::uint32_t row) {
    // An index opened with the fast check may hold anything here.
    if (row >= s.num_rows) throw FormatError("Index: the order of its ids is damaged; open it with verify='full'");
    return row;
  };
  const auto found =
      std::lower_bound(s.rows_by_id.begin(), s.rows_by_id.end(), id,
                       [&](std::uint32_t row, std::int64_t wanted) { return s.ids[row_at(row)] < wanted; });
  return found != s.rows_by_id.end() && s.ids[row_at(*found)] == id ? *found : s.num_rows;
}

std::size_t ExactIndex::row_of(std::int64_t id) const {
  const std::size_t row = find_row(id);
  if (row == size()) throw NotFound("Index: id: expected one of the index, got " + std::to_string(id));
  return row;
}

RowFilter ExactIndex::filter_of(std::span<const std::int64_t> ids) const {
  RowFilter filter(size());
  for (const std::int64_t id : ids) {
    if (const std::size_t row = find_row(id); row < size()) filter.allow(row);
  }
  return filter;
}

void ExactIndex::vectors(std::span<const std::int64_t> ids, MatrixView<float> out) const {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const float* const stored = vector(row_of(ids[i]));
    std::copy(stored, stored + dimension(), out.row(i));
  }
}

std::shared_ptr<const PreparedFilter> ExactIndex::prepare(std::span<const std::int64_t> ids) const {
  return prepare(filter_of(ids));
}

std::shared_ptr<const PreparedFilter> ExactIndex::prepare(const RowFilter& rows) const {
  check_filters({&rows, 1}, size());
  return std::make_shared<const PreparedRows>(*this, rows);
}

void ExactIndex::add(MatrixView<const float> vectors, std::span<const std::int64_t> ids) { refuse_change(); }

void ExactIndex::update(MatrixView<const float> vectors, std::span<const std::int64_t> ids) { refuse_change(); }

void ExactIndex::remove(std::span<const std::int64_t> ids) { refuse_change(); }

CodedQueries ExactIndex::code(MatrixView<const float> queries) const {
  CodedQueries coded;
  coded.padded = padded_dimension(dimension());
  coded.vectors.resize(queries.rows * dimension());
  coded.codes.resize(queries.rows * coded.padded);
  coded.sums.resize(queries.rows);
  coded.facts.resize(queries.rows);
  compute_pool()->parallel_for(queries.rows, kQueriesPerTask, [&](std::size_t begin, std::size_t end) {
    for (std::size_t q = begin; q < end; ++q) {
      float* const vector = coded.vectors.data() + q * dimension();
      admit(queries.row(q), dimension(), metric(), "Index.search: queries", q, vector);
      coded.facts[q] = quantize_query(vector, dimension(), coded.codes.data() + q * coded.padded, coded.padded);
      coded.sums[q] = coded.facts[q].code_sum;
    }
  });
  return coded;
}

float ExactIndex::score(const float* query, std::size_t row) const {
  const Kernels& kernels = kernels_for(isa_level());
  const double exact = metric() == Metric::kL2 ? 0.0 - kernels.squared_distance(query, vector(row), dimension())
                                               : kernels.dot(query, vector(row), dimension());
  // Only a damaged file that was opened with the fast check can give a NaN here; it must not break the order.
  return std::isnan(exact) ? -std::numeric_limits<float>::infinity() : static_cast<float>(exact);
}

std::vector<ScoredRow> ExactIndex::score_all(const float* query, const RowFilter* filter, std::size_t k) const {
  TopRows top(k);
  const auto offer = [&](std::uint32_t row) { top.offer({score(query, row), row}); };
  if (filter == nullptr) {
    for (std::size_t row = 0; row < size(); ++row) offer(static_cast<std::uint32_t>(row));
  } else {
    for (const std::uint32_t row : filter->rows()) offer(row);
  }
  return top.take();
}

std::vector<ScoredRow> ExactIndex::score_survivors(const float* query, std::vector<ScoredRow> survivors,
                                                   std::size_t k) const {
  // Most promising first: once k exact scores all beat the best that any remaining row can reach, the rest is decided.
  const auto less_promising = [](const ScoredRow& a, const ScoredRow& b) { return is_better(b, a); };
  std::make_heap(survivors.begin(), survivors.end(), less_promising);
  TopRows top(k);
  while (!survivors.empty()) {
    const ScoredRow next = survivors.front();
    if (top.full() && next.score < top.worst().score) break;
    top.offer({score(query, next.row), next.row});
    std::pop_heap(survivors.begin(), survivors.end(), less_promising);
    survivors.pop_back();
  }
  return top.take();
}

void ExactIndex::search_round(MatrixView<const float> queries, std::span<const RowFilter> filters, std::size_t k,
                              std::vector<std::vector<ScoredRow>>& found) const {
  const auto pool = compute_pool();
  const std::size_t num_queries = queries.rows;
  const CodedQueries coded = code(queries);
  const auto vector_of = [&](std::size_t q) { return coded.vectors.data() + q * dimension(); };

  // Where so few rows are allowed, or so many wanted, that the codes would save nothing.
  const auto is_direct = [&](const RowFilter* filter) {
    const std::size_t allowed = filter == nullptr ? size() : filter->num_allowed();
    return allowed <= k || allowed * kCodesPerScore <= size();
  };
  const auto filter_of_query = [&](std::size_t q) -> const RowFilter* {
    return filters.empty() ? nullptr : &filters[filters.size() == 1 ? 0 : q];
  };
  if (filters.size() <= 1 && is_direct(filter_of_query(0))) {
    pool->parallel_for(num_queries, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t q = begin; q < end; ++q) found[q] = score_all(vector_of(q), filter_of_query(q), k);
    });
    return;
  }

  // A task is a tile of queries over a chunk of rows. Rows are split only where the tiles alone would leave workers
  // idle.
  const std::size_t num_tiles = (num_queries + kQueriesPerTile - 1) / kQueriesPerTile;
  const auto workers = static_cast<std::size_t>(pool->size());
  const std::size_t wanted_chunks = num_tiles >= 2 * workers ? 1 : (2 * workers + num_tiles - 1) / num_tiles;
  const std::size_t num_chunks = std::max<std::size_t>(1, std::min(wanted_chunks, size() / kRowsPerChunkAtLeast));
  std::vector<Survivors> survivors(num_chunks * num_queries, Survivors(k));  // (chunks, Q)
  pool->parallel_for(num_tiles * num_chunks, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t task = begin; task < end; ++task) {
      const std::size_t chunk = task / num_tiles;
      const std::size_t first = task % num_tiles * kQueriesPerTile;
      const std::size_t count = std::min(kQueriesPerTile, num_queries - first);
      const std::span<Survivors> tile(survivors.data() + chunk * num_queries + first, count);
      scan_codes(sections(), coded, first, size() * chunk / num_chunks, size() * (chunk + 1) / num_chunks, filters,
                 tile);
      if (num_chunks > 1) continue;
      for (std::size_t q = first; q < first + count; ++q) {
        found[q] = score_survivors(vector_of(q), survivors[q].take(), k);
      }
    }
  });
  if (num_chunks == 1) return;
  pool->parallel_for(num_queries, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t q = begin; q < end; ++q) {
      for (std::size_t chunk = 1; chunk < num_chunks; ++chunk) survivors[q].merge(survivors[chunk * num_queries + q]);
      found[q] = score_survivors(vector_of(q), survivors[q].take(), k);
    }
  });
}

Neighbors ExactIndex::search(MatrixView<const float> queries, const SearchOptions& options) const {
  check_search(*this, queries, options);
  check_filters(options.filters, size());
  std::vector<RowFilter> of_ids;
  for (const auto& ids : options.id_sets) of_ids.push_back(filter_of(ids));
  std::span<const RowFilter> all_filters = of_ids.empty() ? options.filters : std::span<const RowFilter>(of_ids);
  if (options.prepared != nullptr) {
    const auto* const prepared = dynamic_cast<const PreparedRows*>(options.prepared);
    if (prepared == nullptr || &prepared->index != this) {
      throw InvalidArgument(
          "Index.search: allow: expected a filter that this index prepared, got one of another index");
    }
    all_filters = {&prepared->rows, 1};
  }
  Neighbors neighbors = no_neighbors(queries.rows, std::min(options.k, size()));
  // An empty index has no results, but its queries are still looked at.
  for (std::size_t start = 0; start < queries.rows; start += kQueriesPerRound) {
    const std::size_t count = std::min(kQueriesPerRound, queries.rows - start);
    const MatrixView<const float> round(queries.row(start), count, queries.cols, queries.stride);
    const auto filters = all_filters.size() <= 1 ? all_filters : all_filters.subspan(start, count);
    std::vector<std::vector<ScoredRow>> found(count);
    search_round(round, filters, std::max<std::size_t>(1, neighbors.width), found);
    for (std::size_t q = 0; q < count; ++q) {
      neighbors.counts[start + q] = static_cast<std::int64_t>(found[q].size());
      for (std::size_t n = 0; n < found[q].size(); ++n) {
        neighbors.ids[(start + q) * neighbors.width + n] = sections().ids[found[q][n].row];
        neighbors.scores[(start + q) * neighbors.width + n] = found[q][n].score;
      }
    }
  }
  return neighbors;
}

}  // namespace matinee::ann
