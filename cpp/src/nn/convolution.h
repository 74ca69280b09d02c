#pragma once

#include <cstddef>
#include <vector>

#include "matinee/nn/precision.h"
#include "nn/dnnl_context.h"

namespace matinee::nn {

struct ConvolutionShape {
  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::size_t kernel = 1;   // square
  std::size_t stride = 1;   // both ways
  std::size_t in_size = 0;  // the input is in_size x in_size
  bool depthwise = false;   // one filter a channel; in_channels == out_channels

  std::size_t out_size() const { return (in_size + stride - 1) / stride; }
};

// One convolution over one image, with what follows it fused: bias (the folded batch norm), ReLU6, the residual.
// Padding is TensorFlow's SAME: the output has ceil(in / stride) rows, and where the padding is odd the larger half is
// at the bottom and right.
//
// Activations are channels-last, (H, W, C), which oneDNN's fastest kernels want. One image at a time: the activations
// of one stay in the second-level cache, and batches of 4 and 8 measured 5 to 15 % slower per image.
class Convolution {
 public:
  struct Options {
    bool relu6 = false;
    bool add_to_output = false;  // y += …: the residual, which the output already holds
    Precision precision = Precision::kFp32;
    Precision output = Precision::kFp32;
  };

  // `weight` is (out, in, k, k), or (out, 1, k, k) where depthwise; `bias` (out,).
  // Must be called on a worker of the compute pool; so must run().
  Convolution(const std::vector<float>& weight, const std::vector<float>& bias, const ConvolutionShape& shape,
              const Options& options);

  const ConvolutionShape& shape() const noexcept { return shape_; }
  std::size_t output_size() const noexcept { return destination_.get_size(); }  // bytes

  void run(const void* input, void* output, Workspace& workspace) const;

 private:
  ConvolutionShape shape_;
  dnnl::convolution_forward primitive_;
  dnnl::memory::desc source_;
  dnnl::memory::desc destination_;
  dnnl::memory::desc scratchpad_;
  dnnl::memory weights_;
  dnnl::memory bias_;
};

// Turns one (3, S, S) fp32 image into the channels-last layout and precision the first convolution reads.
class PixelReorder {
 public:
  PixelReorder(std::size_t image_size, Precision precision);
  std::size_t output_size() const noexcept { return destination_.get_size(); }  // bytes
  void run(const float* pixels, void* output, Workspace& workspace) const;

 private:
  dnnl::memory::desc source_;
  dnnl::memory::desc destination_;
  dnnl::memory::desc scratchpad_;
  dnnl::reorder primitive_;
};

}  // namespace matinee::nn
