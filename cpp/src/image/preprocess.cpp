#include "matinee/image/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"

namespace matinee {
namespace {

constexpr int kMaxSide = 4096;  // of a model's input; larger is a mistake in a config

void check_side(const char* name, int value) {
  if (value < 1 || value > kMaxSide) {
    throw InvalidArgument(std::string("Preprocessor: ") + name + ": expected 1..4096 pixels, got " +
                          std::to_string(value));
  }
}

void check(const PreprocessOptions& options) {
  check_side("height", options.height);
  check_side("width", options.width);
  if (options.resize == PreprocessOptions::Resize::kShortestEdge) {
    check_side("shortest_edge", options.shortest_edge);
    if (!options.center_crop) {
      throw InvalidArgument(
          "Preprocessor: center_crop: expected a centre crop after resizing the shortest edge, got none; "
          "images of different proportions would not fit one batch");
    }
  }
  if (options.resize == PreprocessOptions::Resize::kSquash) {
    check_side("resize_height", options.resize_height);
    check_side("resize_width", options.resize_width);
    if (!options.center_crop && (options.resize_height != options.height || options.resize_width != options.width)) {
      throw InvalidArgument(
          "Preprocessor: resize_height, resize_width: expected height and width, as nothing is cropped");
    }
  }
  if (!std::isfinite(options.rescale_factor)) throw InvalidArgument("Preprocessor: rescale_factor: expected a number");
  for (std::size_t c = 0; c < 3; ++c) {
    if (!std::isfinite(options.mean[c]) || !std::isfinite(options.std[c]) || options.std[c] == 0.0F) {
      throw InvalidArgument("Preprocessor: mean, std: expected three finite numbers each, std not 0");
    }
  }
}

// Hugging Face's center_crop: the window of `crop` in `size`; negative where the image is smaller and gets padded.
int crop_start(int size, int crop) { return size >= crop ? (size - crop) / 2 : -((crop - size + 1) / 2); }

// One axis of the crop: which part of the resized image is wanted and where it lies in the output.
struct CropAxis {
  int in_start = 0;
  int out_start = 0;
  int length = 0;
};

CropAxis crop_axis(int size, int crop) {
  const int start = crop_start(size, crop);
  const int in_start = std::max(start, 0);
  const int out_start = std::max(-start, 0);
  return {in_start, out_start, std::min(size - in_start, crop - out_start)};
}

}  // namespace

PreprocessOptions PreprocessOptions::squashed() const {
  PreprocessOptions squashed = *this;
  squashed.resize = Resize::kSquash;
  squashed.resize_height = height;
  squashed.resize_width = width;
  squashed.center_crop = false;
  return squashed;
}

Preprocessor::Preprocessor(const PreprocessOptions& options, const DecodeLimits& limits)
    : options_(options), limits_(limits), table_{} {
  check(options);
  // NumPy's order: rescale in double, round to float, then subtract and divide in float.
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t value = 0; value < 256; ++value) {
      const auto rescaled = static_cast<float>(static_cast<double>(value) * options.rescale_factor);
      table_[c][value] = (rescaled - options.mean[c]) / options.std[c];
    }
  }
}

std::size_t Preprocessor::floats_per_image() const noexcept {
  return std::size_t{3} * static_cast<std::size_t>(options_.height) * static_cast<std::size_t>(options_.width);
}

void Preprocessor::run_one(const ImageSource& source, float* out) const {
  RgbImage decoded;
  ImageView image;
  if (const auto* bytes = std::get_if<std::span<const std::uint8_t>>(&source)) {
    decoded = decode_rgb(*bytes, limits_);
    image = decoded.view();
  } else {
    image = std::get<ImageView>(source);
  }

  int height = options_.resize_height;
  int width = options_.resize_width;
  if (options_.resize == PreprocessOptions::Resize::kShortestEdge) {
    const std::int64_t edge = options_.shortest_edge;
    const bool portrait = image.width <= image.height;
    const int shorter = std::max(1, portrait ? image.width : image.height);
    const int longer = portrait ? image.height : image.width;
    const auto scaled = static_cast<int>(static_cast<double>(edge * longer) / shorter);
    height = portrait ? scaled : options_.shortest_edge;
    width = portrait ? options_.shortest_edge : scaled;
  } else if (options_.resize == PreprocessOptions::Resize::kNone) {
    height = image.height;
    width = image.width;
    if (!options_.center_crop && (height != options_.height || width != options_.width)) {
      throw InvalidArgument("Preprocessor: image: expected (" + std::to_string(options_.height) + ", " +
                            std::to_string(options_.width) + ", 3) as resizing is off, got (" + std::to_string(height) +
                            ", " + std::to_string(width) + ", 3)");
    }
  }

  const CropAxis rows = crop_axis(height, options_.height);
  const CropAxis columns = crop_axis(width, options_.width);
  const RgbImage resized = resize_and_crop(image, height, width, options_.filter,
                                           {rows.in_start, columns.in_start, rows.length, columns.length});

  const std::size_t plane = floats_per_image() / 3;
  for (std::size_t c = 0; c < 3; ++c) {
    const auto& table = table_[c];
    float* const out_plane = out + c * plane;
    // Padding is black before rescaling, as in Hugging Face's center_crop.
    if (resized.height < options_.height || resized.width < options_.width) {
      std::fill_n(out_plane, plane, table[0]);
    }
    for (int y = 0; y < resized.height; ++y) {
      const std::uint8_t* in = resized.pixels.get() + y * resized.row_stride() + c;
      float* out_row = out_plane + static_cast<std::ptrdiff_t>(rows.out_start + y) * options_.width + columns.out_start;
      for (int x = 0; x < resized.width; ++x) out_row[x] = table[in[3 * x]];
    }
  }
}

std::vector<std::exception_ptr> Preprocessor::run(std::span<const ImageSource> sources, float* out) const {
  std::vector<std::exception_ptr> errors(sources.size());
  const std::size_t floats = floats_per_image();
  compute_pool()->parallel_for(sources.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      try {
        run_one(sources[i], out + i * floats);
      } catch (...) {
        errors[i] = std::current_exception();
        std::fill_n(out + i * floats, floats, 0.0F);
      }
    }
  });
  return errors;
}

}  // namespace matinee
