#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "matinee/ann/index.h"
#include "numpy_views.h"

namespace py = pybind11;
using matinee::Index;
using matinee::MatrixView;
using matinee::RowFilter;
using matinee::bindings::contiguous_view;
using matinee::bindings::matrix_view;

namespace {

using Ids = py::array_t<std::int64_t>;
using Rows = py::array_t<float>;
using Progress = py::typing::Callable<bool(std::size_t, std::size_t)>;

// Takes over a vector's memory, or copies it where that takes less.
template <typename T>
py::array_t<T> to_array(std::vector<T> values, py::array::ShapeContainer shape) {
  constexpr std::size_t kFewBytes = 4096;
  if (values.size() * sizeof(T) <= kFewBytes) {
    py::array_t<T> copied(std::move(shape));
    std::copy(values.begin(), values.end(), copied.mutable_data());
    return copied;
  }
  auto owned = std::make_unique<std::vector<T>>(std::move(values));
  T* const data = owned->data();
  const py::capsule owner(owned.release(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(std::move(shape), data, owner);
}

std::unique_ptr<Index> build(const py::array& vectors, const std::optional<py::array>& ids, const std::string& metric,
                             const std::string& kind, std::size_t num_partitions, std::uint64_t seed,
                             const std::optional<Progress>& progress) {
  const auto rows = matrix_view<float>(vectors, "Index.build: vectors");
  std::span<const std::int64_t> row_ids;
  if (ids) {
    row_ids = contiguous_view<std::int64_t>(*ids, "Index.build: ids", "(N,)", 1);
    if (row_ids.size() != rows.rows) {
      throw matinee::InvalidArgument("Index.build: ids: expected " + std::to_string(rows.rows) +
                                     ", one for each vector, got " + std::to_string(row_ids.size()));
    }
  }
  matinee::IndexOptions options;
  options.metric = matinee::metric_from_name(metric);
  options.kind = kind == "auto" ? matinee::default_kind(rows.rows, rows.cols) : matinee::kind_from_name(kind);
  options.num_partitions = num_partitions;
  options.seed = seed;
  options.progress = [&progress](std::size_t done, std::size_t total) {
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();  // Ctrl-C
    return !progress || (*progress)(done, total).cast<bool>();
  };
  const py::gil_scoped_release release;
  return Index::build(rows, row_ids, options);
}

// The filters of a search as Python gives them: bitmaps (1 or Q, N), or sets of ids.
struct Filters {
  std::vector<std::span<const std::int64_t>> id_sets;
  std::optional<MatrixView<const bool>> bits;

  Filters(const std::optional<py::array>& masks, const std::optional<std::vector<py::array>>& ids) {
    for (const py::array& set : ids.value_or(std::vector<py::array>())) {
      id_sets.push_back(contiguous_view<std::int64_t>(set, "Index.search: allow", "(M,)", 1));
    }
    if (masks) bits = matrix_view<bool>(*masks, "Index.search: allow");
  }

  std::vector<RowFilter> bitmaps() const {
    std::vector<RowFilter> filters;
    for (std::size_t f = 0; bits && f < bits->rows; ++f) {
      filters.push_back(RowFilter::from_mask({reinterpret_cast<const std::uint8_t*>(bits->row(f)), bits->cols}));
    }
    return filters;
  }
};

std::tuple<Ids, Rows, Ids> search(const Index& index, const py::array& queries, std::size_t k,
                                  const std::optional<py::array>& masks,
                                  const std::optional<std::vector<py::array>>& id_sets,
                                  const std::optional<std::shared_ptr<matinee::PreparedFilter>>& prepared,
                                  std::size_t num_probes, float recall) {
  const auto rows = matrix_view<float>(queries, "Index.search: queries");
  const Filters filters(masks, id_sets);
  matinee::Neighbors found;
  {
    const py::gil_scoped_release release;
    const std::vector<RowFilter> bitmaps = filters.bitmaps();
    matinee::SearchOptions options;
    options.k = k;
    options.filters = bitmaps;
    options.id_sets = filters.id_sets;
    options.prepared = prepared ? prepared->get() : nullptr;
    options.num_probes = num_probes;
    options.recall = recall;
    found = index.search(rows, options);
  }
  const auto num_queries = static_cast<py::ssize_t>(found.num_queries);
  const auto width = static_cast<py::ssize_t>(found.width);
  return {to_array(std::move(found.ids), {num_queries, width}), to_array(std::move(found.scores), {num_queries, width}),
          to_array(std::move(found.counts), {num_queries})};
}

std::shared_ptr<matinee::PreparedFilter> prepare(const Index& index, const std::optional<py::array>& mask,
                                                 const std::optional<py::array>& ids) {
  const Filters filters(mask, ids ? std::optional(std::vector<py::array>{*ids}) : std::nullopt);
  const py::gil_scoped_release release;
  const auto prepared = mask ? index.prepare(filters.bitmaps().at(0)) : index.prepare(filters.id_sets.at(0));
  return std::const_pointer_cast<matinee::PreparedFilter>(prepared);  // pybind11 holds no pointers to const
}

Rows vectors_of(const Index& index, const py::array& ids) {
  const auto wanted = contiguous_view<std::int64_t>(ids, "Index.vectors: ids", "(n,)", 1);
  Rows rows({static_cast<py::ssize_t>(wanted.size()), static_cast<py::ssize_t>(index.dimension())});
  const MatrixView<float> out(rows.mutable_data(), wanted.size(), index.dimension());
  const py::gil_scoped_release release;
  index.vectors(wanted, out);
  return rows;
}

Ids ids_of(const Index& index) {
  std::vector<std::int64_t> ids;
  {
    const py::gil_scoped_release release;
    ids = index.ids();
  }
  const auto size = static_cast<py::ssize_t>(ids.size());
  return to_array(std::move(ids), {size});
}

// add() or update().
template <void (Index::*kChange)(MatrixView<const float>, std::span<const std::int64_t>)>
void change(Index& index, const py::array& vectors, const py::array& ids) {
  const auto rows = matrix_view<float>(vectors, "Index: vectors");
  const auto row_ids = contiguous_view<std::int64_t>(ids, "Index: ids", "(n,)", 1);
  const py::gil_scoped_release release;
  (index.*kChange)(rows, row_ids);
}

}  // namespace

void bind_ann(py::module_& module) {
  py::class_<matinee::PreparedFilter, std::shared_ptr<matinee::PreparedFilter>>(
      module, "PreparedFilter", "What Index.prepare gives; matinee.PreparedFilter wraps it.");
  py::class_<Index>(module, "Index", "Vectors under 64-bit ids; matinee.Index wraps it.")
      .def_static("build", &build, py::arg("vectors").noconvert(), py::arg("ids").noconvert() = py::none(),
                  py::kw_only(), py::arg("metric"), py::arg("kind"), py::arg("num_partitions") = 0, py::arg("seed") = 0,
                  py::arg("progress") = py::none(),
                  "An index of vectors float32 (N, D) under ids int64 (N,); progress(done, total) -> go on?")
      .def_static(
          "open",
          [](const std::filesystem::path& path, const std::string& verify) {
            const py::gil_scoped_release release;
            return Index::open(path, matinee::verify_from_name(verify));
          },
          py::arg("path"), py::arg("verify") = "fast", "Maps an index file; verify is fast or full.")
      // By position: names would take a tenth of a small search.
      .def("search", &search, py::arg("queries").noconvert(), py::arg("k"), py::arg("masks").noconvert() = py::none(),
           py::arg("id_sets").noconvert() = py::none(), py::arg("prepared") = py::none(), py::arg("num_probes") = 0,
           py::arg("recall") = matinee::SearchOptions().recall,
           "(ids int64 (Q, K), scores float32 (Q, K), counts int64 (Q,)), best first; masks bool (1 or Q, N).")
      .def("prepare", &prepare, py::kw_only(), py::arg("mask").noconvert() = py::none(),
           py::arg("ids").noconvert() = py::none(), py::keep_alive<0, 1>(),
           "A filter ready for many searches: rows of mask bool (1, N), or ids int64 (M,).")
      .def("vectors", &vectors_of, py::arg("ids").noconvert(), "Stored vectors float32 (n, D) of ids int64 (n,).")
      .def(
          "save",
          [](const Index& self, const std::filesystem::path& path) {
            const py::gil_scoped_release release;
            self.save(path);
          },
          py::arg("path"), "Writes the index to one file, atomically.")
      .def("add", &change<&Index::add>, py::arg("vectors").noconvert(), py::arg("ids").noconvert(),
           "Puts vectors float32 (n, D) under new ids int64 (n,).")
      .def("update", &change<&Index::update>, py::arg("vectors").noconvert(), py::arg("ids").noconvert(),
           "Puts other vectors float32 (n, D) under ids int64 (n,) that are there.")
      .def(
          "delete",
          [](Index& self, const py::array& ids) {
            const auto row_ids = contiguous_view<std::int64_t>(ids, "Index.delete: ids", "(n,)", 1);
            const py::gil_scoped_release release;
            self.remove(row_ids);
          },
          py::arg("ids").noconvert(), "Takes ids int64 (n,) out.")
      .def(
          "calibrate",
          [](Index& self, const py::array& queries) {
            const auto rows = matrix_view<float>(queries, "Index.calibrate: queries");
            const py::gil_scoped_release release;
            self.calibrate(rows);
          },
          py::arg("queries").noconvert(), "Measures with queries float32 (Q, D) what a recall takes.")
      .def("row_of", &Index::row_of, py::arg("id"), "Row of an id.")
      .def("__len__", &Index::size)
      .def_property_readonly("dimension", &Index::dimension, "D.")
      .def_property_readonly(
          "metric", [](const Index& self) { return std::string(matinee::metric_name(self.metric())); },
          "cosine, inner_product or l2.")
      .def_property_readonly(
          "kind", [](const Index& self) { return std::string(matinee::kind_name(self.kind())); },
          "exact or partitioned.")
      .def_property_readonly("num_partitions", &Index::num_partitions, "C; 0 where the kind has none.")
      .def_property_readonly("ids", &ids_of, "Ids int64 (N,) by row, a copy.");
}
