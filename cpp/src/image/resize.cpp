#include "matinee/image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "matinee/core/cpu.h"
#include "matinee/core/error.h"
#include "resize_kernels.h"

// After Pillow's src/libImaging/Resample.c (two passes of fixed-point convolution, uint8 between them).
namespace matinee {
namespace {

using resize_kernels::AxisTaps;
using resize_kernels::ColumnKernel;
using resize_kernels::Kernels;
using resize_kernels::kRowBlock;
using resize_kernels::kRowPadding;

constexpr int kMaxSide = 65'535;
constexpr std::int64_t kMaxPixels = std::int64_t{1} << 28;

double bilinear(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

// Keys' cubic convolution with a = -0.5, in Pillow's order of operations: the last bit of a coefficient depends on it.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

struct Filter {
  double (*weight)(double x);
  double support;
};

Filter filter_of(ResizeFilter filter) {
  return filter == ResizeFilter::kBicubic ? Filter{bicubic, 2.0} : Filter{bilinear, 1.0};
}

Kernels kernels() {
#if defined(__x86_64__)
  if (isa_level() >= IsaLevel::kAvx512Vnni) return resize_kernels::vnni_kernels();
  if (isa_level() >= IsaLevel::kAvx2) return resize_kernels::avx2_kernels();
#endif
  return resize_kernels::scalar_kernels();
}

ColumnKernel column_kernel(const AxisTaps& taps) {
#if defined(__x86_64__)
  if (has_vbmi()) {
    if (auto fitting = resize_kernels::vbmi_columns(taps)) return *std::move(fitting);
  }
#endif
  const Kernels kernel = kernels();
  return {kernel.horizontal, kernel.pack(taps)};
}

// Rows with room for kRowPadding after each, uninitialised.
struct PaddedRows {
  std::ptrdiff_t stride;
  std::unique_ptr<std::uint8_t[]> bytes;

  PaddedRows(int rows, int width)
      : stride(std::ptrdiff_t{width} * 3 + kRowPadding),
        bytes(std::make_unique_for_overwrite<std::uint8_t[]>(static_cast<std::size_t>(rows * stride))) {}
  std::uint8_t* row(int y) { return bytes.get() + y * stride; }
};

// The pass over columns, a block of rows at a time.
class ColumnPass {
 public:
  ColumnPass(const ImageView& image, const AxisTaps& taps)
      : image_(image), taps_(taps), kernel_(column_kernel(taps)), last_rows_(kRowBlock, image.width) {
    std::memset(last_rows_.bytes.get(), 0, static_cast<std::size_t>(kRowBlock * last_rows_.stride));
  }

  // Rows [y, y + rows) of the image, at most kRowBlock, into padded rows.
  void run(int y, int rows, std::uint8_t* out, std::ptrdiff_t out_stride) {
    const std::uint8_t* in = image_.row(y);
    std::ptrdiff_t in_stride = image_.row_stride;
    // The kernel reads past the ends of rows: harmless where the image goes on, otherwise it gets a copy.
    if ((image_.height - y - rows) * in_stride < kRowPadding) {
      for (int r = 0; r < rows; ++r) {
        std::memcpy(last_rows_.row(r), image_.row(y + r), static_cast<std::size_t>(image_.width) * 3);
      }
      in = last_rows_.bytes.get();
      in_stride = last_rows_.stride;
    }
    kernel_.horizontal(in, in_stride, rows, taps_, kernel_.packed.data(), out, out_stride);
  }

 private:
  const ImageView& image_;
  const AxisTaps& taps_;
  ColumnKernel kernel_;
  PaddedRows last_rows_;
};

// Resamples the columns of rows [first_row, last_row) of `image` into rows without gaps.
void resample_columns(const ImageView& image, int first_row, int last_row, const AxisTaps& taps, RgbImage& out) {
  ColumnPass pass(image, taps);
  PaddedRows block(kRowBlock, taps.out_size);
  for (int y = first_row; y < last_row; y += kRowBlock) {
    const int rows = std::min(kRowBlock, last_row - y);
    pass.run(y, rows, block.bytes.get(), block.stride);
    for (int r = 0; r < rows; ++r) {
      std::memcpy(out.row(y - first_row + r), block.row(r), static_cast<std::size_t>(taps.out_size) * 3);
    }
  }
}

// Both passes, over a band of rows that moves down the image: what lies between them stays in the cache.
// row_taps.first counts from row `first_row`; it is left changed.
void resample_both(const ImageView& image, int first_row, const AxisTaps& column_taps, AxisTaps& row_taps,
                   RgbImage& out) {
  const Kernels kernel = kernels();
  const auto packed = kernel.pack(row_taps);
  ColumnPass columns(image, column_taps);
  constexpr int kBand = 32;
  const int capacity = row_taps.max_taps + kBand;
  PaddedRows band(capacity, column_taps.out_size);
  int begin = 0;  // the rows that the band holds
  int end = 0;
  for (int y = 0; y < row_taps.out_size; ++y) {
    auto& first = row_taps.first[static_cast<std::size_t>(y)];
    const int needed = first + row_taps.count[static_cast<std::size_t>(y)];
    while (end < needed) {
      if (end - begin + kRowBlock > capacity) {  // keep what is still read; it lies after `first`
        std::memmove(band.bytes.get(), band.row(first - begin), static_cast<std::size_t>((end - first) * band.stride));
        begin = first;
      }
      const int rows = std::min(kRowBlock, row_taps.in_size - end);
      columns.run(first_row + end, rows, band.row(end - begin), band.stride);
      end += rows;
    }
    first -= begin;
    kernel.vertical(band.bytes.get(), band.stride, std::ptrdiff_t{column_taps.out_size} * 3, row_taps, packed.data(), y,
                    out.row(y));
  }
}

void resample_rows(const std::uint8_t* in, std::ptrdiff_t in_stride, int width, const AxisTaps& taps, std::uint8_t* out,
                   std::ptrdiff_t out_stride) {
  const Kernels kernel = kernels();
  const auto packed = kernel.pack(taps);
  for (int y = 0; y < taps.out_size; ++y) {
    kernel.vertical(in, in_stride, std::ptrdiff_t{width} * 3, taps, packed.data(), y, out + y * out_stride);
  }
}

RgbImage copy(const ImageView& image, const CropBox& crop) {
  RgbImage out(crop.height, crop.width);
  for (int y = 0; y < crop.height; ++y) {
    std::memcpy(out.row(y), image.row(crop.top + y) + std::ptrdiff_t{crop.left} * 3,
                static_cast<std::size_t>(crop.width) * 3);
  }
  return out;
}

// Columns, then rows; a pass that changes nothing is left out.
RgbImage two_passes(const ImageView& image, int height, int width, ResizeFilter filter, const CropBox& crop) {
  const bool columns = width != image.width;
  const bool rows = height != image.height;
  if (!columns && !rows) return copy(image, crop);
  RgbImage out(crop.height, crop.width);
  if (!rows) {
    const AxisTaps taps = resize_kernels::make_axis_taps(image.width, width, filter, crop.left, crop.left + crop.width);
    resample_columns(image, crop.top, crop.top + crop.height, taps, out);
    return out;
  }
  AxisTaps row_taps = resize_kernels::make_axis_taps(image.height, height, filter, crop.top, crop.top + crop.height);
  if (!columns) {
    resample_rows(image.data + std::ptrdiff_t{crop.left} * 3, image.row_stride, crop.width, row_taps, out.pixels.get(),
                  out.row_stride());
    return out;
  }
  // Only the rows that the second pass reads are resampled by the first.
  const int first_row = row_taps.first.front();
  const int last_row = row_taps.first.back() + row_taps.count.back();
  for (auto& first : row_taps.first) first -= first_row;
  row_taps.in_size = last_row - first_row;
  const AxisTaps column_taps =
      resize_kernels::make_axis_taps(image.width, width, filter, crop.left, crop.left + crop.width);
  resample_both(image, first_row, column_taps, row_taps, out);
  return out;
}

void check(const ImageView& image, int height, int width) {
  if (image.channels != 3 || image.height < 1 || image.width < 1 || image.data == nullptr) {
    throw InvalidArgument("resize: image: expected (H, W, 3) with H, W >= 1, got (" + std::to_string(image.height) +
                          ", " + std::to_string(image.width) + ", " + std::to_string(image.channels) + ")");
  }
  if (height < 1 || height > kMaxSide || width < 1 || width > kMaxSide) {
    throw InvalidArgument("resize: height, width: expected 1..65535, got " + std::to_string(height) + ", " +
                          std::to_string(width));
  }
  if (std::int64_t{height} * width > kMaxPixels) {
    throw TooLarge("resize: height, width: expected at most 2^28 pixels, got " + std::to_string(height) + " x " +
                   std::to_string(width));
  }
}

}  // namespace

namespace resize_kernels {

AxisTaps make_axis_taps(int in_size, int out_size, ResizeFilter filter, int begin, int end) {
  const Filter kernel = filter_of(filter);
  const double scale = static_cast<double>(in_size) / out_size;
  const double filter_scale = std::max(scale, 1.0);
  const double support = kernel.support * filter_scale;
  const double inverse_scale = 1.0 / filter_scale;
  const int room = static_cast<int>(std::ceil(support)) * 2 + 1;

  AxisTaps taps;
  taps.in_size = in_size;
  taps.out_size = end - begin;
  const auto outputs = static_cast<std::size_t>(taps.out_size);
  taps.first.resize(outputs);
  taps.count.resize(outputs);
  int longest = 0;
  for (std::size_t i = 0; i < outputs; ++i) {
    const double center = (begin + static_cast<int>(i) + 0.5) * scale;
    // Truncation of x + 0.5, also below zero: Pillow's rounding, not lround's.
    const int low = std::max(static_cast<int>(center - support + 0.5), 0);  // NOLINT(bugprone-incorrect-roundings)
    const int high =
        std::min(static_cast<int>(center + support + 0.5), in_size);  // NOLINT(bugprone-incorrect-roundings)
    taps.first[i] = low;
    taps.count[i] = high - low;
    longest = std::max(longest, high - low);
  }
  if (longest > room) throw InternalError("make_axis_taps: more taps than the filter's support holds");
  taps.max_taps = (longest + 3) / 4 * 4;
  taps.weights.assign(outputs * static_cast<std::size_t>(taps.max_taps), 0);

  std::vector<double> weights(static_cast<std::size_t>(room));
  for (std::size_t i = 0; i < outputs; ++i) {
    const double center = (begin + static_cast<int>(i) + 0.5) * scale;
    const int count = taps.count[i];
    double sum = 0.0;
    for (int t = 0; t < count; ++t) {
      const double weight = kernel.weight((t + taps.first[i] - center + 0.5) * inverse_scale);
      weights[static_cast<std::size_t>(t)] = weight;
      sum += weight;
    }
    std::int32_t* fixed = taps.weights.data() + i * static_cast<std::size_t>(taps.max_taps);
    for (int t = 0; t < count; ++t) {
      double weight = weights[static_cast<std::size_t>(t)];
      if (sum != 0.0) weight /= sum;
      fixed[t] = static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kFractionBits));
    }
  }
  return taps;
}

namespace {

void scalar_horizontal(const std::uint8_t* in, std::ptrdiff_t in_stride, int rows, const AxisTaps& taps,
                       const std::int32_t*, std::uint8_t* out, std::ptrdiff_t out_stride) {
  for (int r = 0; r < rows; ++r) {
    for (int x = 0; x < taps.out_size; ++x) {
      const std::int32_t* weight = taps.weight(x);
      const std::uint8_t* pixel = in + r * in_stride + std::ptrdiff_t{taps.first[static_cast<std::size_t>(x)]} * 3;
      const int count = taps.count[static_cast<std::size_t>(x)];
      for (int c = 0; c < 3; ++c) {
        std::int32_t sum = kHalf;
        for (int t = 0; t < count; ++t) sum += pixel[3 * t + c] * weight[t];
        out[r * out_stride + 3 * x + c] = clip8(sum);
      }
    }
  }
}

void scalar_vertical(const std::uint8_t* in, std::ptrdiff_t in_stride, std::ptrdiff_t row_bytes, const AxisTaps& taps,
                     const std::int32_t*, int output, std::uint8_t* out) {
  const std::int32_t* weight = taps.weight(output);
  const int first = taps.first[static_cast<std::size_t>(output)];
  const int count = taps.count[static_cast<std::size_t>(output)];
  for (std::ptrdiff_t i = 0; i < row_bytes; ++i) {
    std::int32_t sum = kHalf;
    for (int t = 0; t < count; ++t) sum += in[(first + t) * in_stride + i] * weight[t];
    out[i] = clip8(sum);
  }
}

}  // namespace

Kernels scalar_kernels() {
  return {scalar_horizontal, scalar_vertical, [](const AxisTaps&) { return std::vector<std::int32_t>{}; }};
}

}  // namespace resize_kernels

ResizeFilter resize_filter_from_name(std::string_view name) {
  if (name == "bilinear") return ResizeFilter::kBilinear;
  if (name == "bicubic") return ResizeFilter::kBicubic;
  throw InvalidArgument("resize: filter: expected bicubic or bilinear, got '" + std::string(name) + "'");
}

RgbImage resize(const ImageView& image, int height, int width, ResizeFilter filter) {
  return resize_and_crop(image, height, width, filter, {0, 0, height, width});
}

RgbImage resize_and_crop(const ImageView& image, int height, int width, ResizeFilter filter, const CropBox& crop) {
  check(image, height, width);
  if (crop.top < 0 || crop.left < 0 || crop.height < 1 || crop.width < 1 || crop.height > height - crop.top ||
      crop.width > width - crop.left) {
    throw InvalidArgument("resize_and_crop: crop: expected a box within " + std::to_string(height) + " x " +
                          std::to_string(width));
  }
  // Pillow shortens a very tall image first, so that the pass over its columns has few rows to go through
  // (PIL/Image.py, Image.resize). The rounding between the passes makes the order visible.
  if (image.height > std::int64_t{image.width} * 100 && height < image.height) {
    const RgbImage shorter = two_passes(image, height, image.width, filter, {0, 0, height, image.width});
    return two_passes(shorter.view(), height, width, filter, crop);
  }
  return two_passes(image, height, width, filter, crop);
}

}  // namespace matinee
