#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "matinee/core/array_view.h"
#include "matinee/image/decode.h"
#include "matinee/image/resize.h"

namespace matinee {

// What an image model expects of its pixels; the keys of a Hugging Face preprocessor_config.json.
// Steps in order: resize, centre crop, rescale, normalise.
struct PreprocessOptions {
  enum class Resize {
    kNone,          // images must already have the output's size (or be cropped to it)
    kShortestEdge,  // the shorter side becomes `shortest_edge`, the other keeps the proportion (rounded down)
    kSquash,        // to `resize_height` and `resize_width`, whatever the proportion was
  };
  Resize resize = Resize::kSquash;
  int shortest_edge = 0;    // for kShortestEdge
  int resize_height = 224;  // for kSquash
  int resize_width = 224;
  ResizeFilter filter = ResizeFilter::kBicubic;
  bool center_crop = false;  // to (height, width), padding smaller images with black; without it sizes must agree
  int height = 224;          // of the output
  int width = 224;
  double rescale_factor = 1.0;            // multiplies 0..255 first
  std::array<float, 3> mean = {0, 0, 0};  // R, G, B, in rescaled units
  std::array<float, 3> std = {1, 1, 1};   // not 0

  // Reads the text of a preprocessor_config.json. Throws FormatError for text that is not JSON, InvalidArgument for a
  // resample mode other than bilinear or bicubic, sizes we cannot make a batch of, a bare `size` of a processor that is
  // none of CLIP's, SigLIP's, EfficientNet's or ViT's, and steps we do not have (an unknown key that is switched on):
  // wrong preprocessing would silently cost accuracy.
  static PreprocessOptions from_json(std::string_view text);
  // The preprocessor_config.json of a model folder. Also throws NotFound.
  static PreprocessOptions from_folder(const std::filesystem::path& folder);

  // The same model with the whole image squashed to the output's size instead of resized and cropped: a centre crop
  // of a 2:3 poster loses its top and bottom thirds, title included.
  PreprocessOptions squashed() const;
};

// The bytes of an image file, or pixels (H, W, 3) already decoded.
using ImageSource = std::variant<std::span<const std::uint8_t>, ImageView>;

// Turns images into the input of an image model: float32 (B, 3, H, W), R G B, the same bits as Hugging Face's
// slow image processors (Pillow and NumPy) compute from the same decoded pixels. Immutable and thread-safe.
class Preprocessor {
 public:
  // Throws InvalidArgument for options out of range.
  explicit Preprocessor(const PreprocessOptions& options, const DecodeLimits& limits = {});

  const PreprocessOptions& options() const noexcept { return options_; }
  const DecodeLimits& limits() const noexcept { return limits_; }
  std::size_t floats_per_image() const noexcept;  // 3 * height * width

  // One image on the calling thread. `out` has room for floats_per_image(). Throws what decode_rgb and resize throw.
  void run_one(const ImageSource& source, float* out) const;

  // A batch on the compute pool, each image a task. `out`: (B, 3, H, W). A batch never fails for one bad item: its
  // planes are zeros, and the result holds its error (null where the image is fine), one entry an image.
  std::vector<std::exception_ptr> run(std::span<const ImageSource> sources, float* out) const;

 private:
  PreprocessOptions options_;
  DecodeLimits limits_;
  // [c][v]: what an 8-bit value v of channel c becomes. A table makes rescaling and normalising exact and cheap.
  std::array<std::array<float, 256>, 3> table_;
};

}  // namespace matinee
