#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "matinee/core/array_view.h"
#include "nn/tensor_reader.h"

namespace matinee::nn {

// A convolution of square images; padding is TensorFlow's SAME: the output has ceil(in / stride) rows, and where the
// padding is odd the larger half is at the bottom and right.
struct ConvolutionShape {
  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::size_t kernel = 1;   // square
  std::size_t stride = 1;   // both ways
  std::size_t in_size = 0;  // the input is in_size x in_size
  bool depthwise = false;   // one filter a channel; in_channels == out_channels

  std::size_t out_size() const { return (in_size + stride - 1) / stride; }
  std::size_t padding() const { return (out_size() - 1) * stride + kernel - in_size; }  // both sides; kernel >= stride
  std::size_t padding_before() const { return padding() / 2; }
};

// A convolution with the batch norm behind it folded in.
struct FoldedConvolution {
  ConvolutionShape shape;
  std::vector<float> weight;  // (out, in, k, k); (out, 1, k, k) where depthwise
  std::vector<float> bias;    // (out,)
};

// Mobile inverted bottleneck without squeeze-and-excitation (Sandler et al. 2018, fig. 3d). ReLU6 follows all but
// `project`.
struct Bottleneck {
  std::optional<FoldedConvolution> expand;  // none where the expansion is 1
  FoldedConvolution depthwise;
  FoldedConvolution project;
  bool residual = false;    // the input is added to the output
  bool ends_stage = false;  // the next block is of another stage
};

inline constexpr std::size_t kEfficientNetFeatures = 1280;  // of every variant

// EfficientNet-Lite without its classifier, as an engine takes it.
struct EfficientNet {
  std::size_t image_size = 0;
  FoldedConvolution stem;
  std::vector<Bottleneck> blocks;  // the first has no expansion
  FoldedConvolution head;
};

// lite0 … lite4, "" where there is no such variant.
struct EfficientNetVariant {
  std::string_view name;
  double width;  // what channels are multiplied by
  double depth;  // and blocks
};
std::span<const EfficientNetVariant> efficientnet_variants();

// Reads the tensors, named as in the PyTorch port efficientnet_lite_pytorch. Throws FormatError.
EfficientNet read_efficientnet(TensorReader& reader, const EfficientNetVariant& variant, std::size_t image_size,
                               float batch_norm_epsilon);

class ConvNetEngine {
 public:
  virtual ~ConvNetEngine() = default;
  // The most images that run() takes.
  virtual std::size_t images_together() const noexcept = 0;
  // The pixels (3, S, S) of the image that belongs to a row of `features`; valid until the next call.
  using PixelsOf = std::function<const float*(std::size_t row)>;
  // Writes the averages of the head's channels. On a worker of the compute pool.
  virtual void run(const PixelsOf& pixels_of, MatrixView<float> features) const = 0;
};

// Both: with `stages`, what each stage sees follows the features, see pool_stage().
// fp32 on oneDNN, one image at a time and layer by layer. To be made on a worker.
std::unique_ptr<ConvNetEngine> make_dnnl_engine(const EfficientNet& net, bool stages);
// bf16 products on our own kernels, a block at a time.
std::unique_ptr<ConvNetEngine> make_fused_engine(const EfficientNet& net, bool stages);

// Values per image that the stages add.
std::size_t stage_features(const EfficientNet& net);
// The mean of each channel of (places, channels), rows `stride` apart, then the standard deviation of each. Returns
// what is behind them.
float* pool_stage(const float* values, std::size_t num_places, std::size_t channels, std::size_t stride, float* out);
float* pool_stage(const std::uint16_t* bf16, std::size_t num_places, std::size_t channels, std::size_t stride,
                  float* out);

// features = the mean of `values` (places, channels).
void mean_over_places(const float* values, std::size_t num_places, std::size_t channels, float* features);

}  // namespace matinee::nn
