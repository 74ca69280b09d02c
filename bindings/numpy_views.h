#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "matinee/core/array_view.h"
#include "matinee/core/error.h"

// How numpy arrays become views of the core, in one place: no copies, and every mismatch of dtype or shape is an
// InvalidArgument that says what came. Bound functions take py::array with .noconvert() and call these.
namespace matinee::bindings {

namespace py = pybind11;

inline std::string describe(const py::array& array) {
  std::string text = "(";
  for (py::ssize_t i = 0; i < array.ndim(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(array.shape(i));
  }
  if (array.ndim() == 1) text += ",";
  return text + ") " + py::str(array.dtype()).cast<std::string>();
}

// `where` is "<function>: <parameter>"; `cols` = 0 accepts any width.
template <typename T>
MatrixView<const T> matrix_view(const py::array& array, const char* where, std::size_t cols = 0) {
  const bool right_type = py::isinstance<py::array_t<T>>(array);
  const bool right_shape = array.ndim() == 2 && (cols == 0 || static_cast<std::size_t>(array.shape(1)) == cols);
  if (!right_type || !right_shape) {
    const std::string width = cols == 0 ? "D" : std::to_string(cols);
    throw InvalidArgument(std::string(where) + ": expected (N, " + width + ") " +
                          py::str(py::dtype::of<T>()).cast<std::string>() + ", got " + describe(array));
  }
  constexpr auto kSize = static_cast<py::ssize_t>(sizeof(T));
  const bool whole_rows = array.shape(1) <= 1 || array.strides(1) == kSize;
  // Rows that run backwards, overlap, or start between elements (a field of a record) are no matrix of ours.
  const bool spaced =
      array.shape(0) <= 1 || (array.strides(0) >= array.shape(1) * kSize && array.strides(0) % kSize == 0);
  const bool aligned = reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) == 0;
  if (array.size() > 0 && !(whole_rows && spaced && aligned)) {
    throw InvalidArgument(std::string(where) + ": expected rows contiguous in memory; use numpy.ascontiguousarray");
  }
  const auto rows = static_cast<std::size_t>(array.shape(0));
  const auto width = static_cast<std::size_t>(array.shape(1));
  const auto stride = rows > 1 ? static_cast<std::size_t>(array.strides(0)) / sizeof(T) : width;
  return {static_cast<const T*>(array.data()), rows, width, stride};
}

// A contiguous array of `ndim` dimensions as one row of values; `shape` is how messages write what is expected.
template <typename T>
std::span<const T> contiguous_view(const py::array& array, const char* where, const char* shape, int ndim) {
  if (!py::isinstance<py::array_t<T>>(array) || array.ndim() != ndim) {
    throw InvalidArgument(std::string(where) + ": expected " + shape + " " +
                          py::str(py::dtype::of<T>()).template cast<std::string>() + ", got " + describe(array));
  }
  if ((array.flags() & py::array::c_style) == 0) {
    throw InvalidArgument(std::string(where) + ": expected a contiguous array; use numpy.ascontiguousarray");
  }
  return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

// (H, W, 3) uint8, pixels contiguous within a row.
inline ImageView image_view(const py::array& array, const char* where) {
  const bool fits = py::isinstance<py::array_t<std::uint8_t>>(array) && array.ndim() == 3 && array.shape(2) == 3 &&
                    array.strides(2) == 1 && array.strides(1) == 3;
  if (!fits) {
    throw InvalidArgument(std::string(where) + ": expected (H, W, 3) uint8, contiguous rows, got " + describe(array));
  }
  return {static_cast<const std::uint8_t*>(array.data()), static_cast<int>(array.shape(0)),
          static_cast<int>(array.shape(1)), 3, static_cast<std::ptrdiff_t>(array.strides(0))};
}

}  // namespace matinee::bindings
