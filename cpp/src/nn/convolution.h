#pragma once

#include <cstddef>

#include "nn/dnnl_context.h"
#include "nn/efficientnet.h"

namespace matinee::nn {

// One fp32 convolution over one image, with what follows it fused: bias, ReLU6, the residual.
//
// Activations are channels-last, (H, W, C), which oneDNN's fastest kernels want. One image at a time: the activations
// of one stay in the second-level cache, and batches of 4 and 8 measured 5 to 15 % slower per image.
class Convolution {
 public:
  struct Options {
    bool relu6 = false;
    bool add_to_output = false;  // y += …: the residual, which the output already holds
  };

  // Must be called on a worker of the compute pool; so must run().
  Convolution(const FoldedConvolution& convolution, const Options& options);

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

// Turns one (3, S, S) image into the channels-last layout the first convolution reads.
class PixelReorder {
 public:
  explicit PixelReorder(std::size_t image_size);
  std::size_t output_size() const noexcept { return destination_.get_size(); }  // bytes
  void run(const float* pixels, void* output, Workspace& workspace) const;

 private:
  dnnl::memory::desc source_;
  dnnl::memory::desc destination_;
  dnnl::memory::desc scratchpad_;
  dnnl::reorder primitive_;
};

}  // namespace matinee::nn
