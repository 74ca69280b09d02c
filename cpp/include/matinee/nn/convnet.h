#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "matinee/core/array_view.h"
#include "matinee/nn/precision.h"

namespace matinee {

// EfficientNet-Lite0 (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite) without its
// classifier: an image in, the 1280 averaged features of the last convolution out. On request, each of the seven stages
// before it adds its own: what the early ones see is colour, texture and lettering, which the last has learned to ignore.
//
// Everything about the weights is checked when loading. Unchangeable once loaded; safe for concurrent callers, whose
// images are shared out over compute_pool().
class ConvNet {
 public:
  // Reads config.json and model.safetensors of a model folder, whose tensors have the names of the PyTorch port
  // efficientnet_lite_pytorch. Throws NotFound, IoError; FormatError, naming the tensor or field, when a tensor is
  // missing, superfluous, mis-shaped or not finite.
  // `stages`: features of the stages follow the 1280.
  static ConvNet load(const std::filesystem::path& folder, Precision precision, bool stages = false);

  ~ConvNet();
  ConvNet(const ConvNet&) = delete;
  ConvNet& operator=(const ConvNet&) = delete;
  ConvNet(ConvNet&&) noexcept;
  ConvNet& operator=(ConvNet&&) noexcept;

  // D, values per image: 1280, then with stages, stage by stage, the mean of each channel over the image and its
  // standard deviation.
  std::size_t dimension() const noexcept;
  std::size_t image_size() const noexcept;  // S: images are S x S
  Precision precision() const noexcept;

  // `pixels` is (B, 3, S, S) fp32, contiguous, normalised as preprocessor_config.json says. Writes (B, D). An image's
  // features do not depend on the others of the batch, bit for bit. Throws InvalidArgument when sizes disagree.
  void features(std::span<const float> pixels, MatrixView<float> features) const;

 private:
  struct Impl;
  explicit ConvNet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace matinee
