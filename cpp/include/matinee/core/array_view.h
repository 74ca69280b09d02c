#pragma once

#include <cstddef>
#include <cstdint>

namespace matinee {

// A row-major matrix somebody else owns: (rows, cols), `stride` elements from one row to the next.
template <typename T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;  // in elements, >= cols

  MatrixView() = default;
  MatrixView(T* data_, std::size_t rows_, std::size_t cols_) : MatrixView(data_, rows_, cols_, cols_) {}
  MatrixView(T* data_, std::size_t rows_, std::size_t cols_, std::size_t stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {}

  T* row(std::size_t index) const { return data + index * stride; }
  bool empty() const { return rows == 0 || cols == 0; }
};

// An 8-bit image somebody else owns: (H, W, C) interleaved, `row_stride` bytes from one row to the next.
struct ImageView {
  const std::uint8_t* data = nullptr;
  int height = 0;
  int width = 0;
  int channels = 3;
  std::ptrdiff_t row_stride = 0;  // bytes, >= width * channels

  const std::uint8_t* row(int y) const { return data + y * row_stride; }
};

}  // namespace matinee
