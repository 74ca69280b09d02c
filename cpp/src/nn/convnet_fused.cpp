#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "nn/conv_kernels.h"
#include "nn/dnnl_context.h"
#include "nn/efficientnet.h"
#include "nn/gemm.h"
#include "nn/kernels.h"

// Note [Fused blocks]: a block widens its input six times, filters that, and narrows it again. What is wide never
// leaves the second-level cache: it is made for a strip of rows, filtered and narrowed, strip after strip. Products are
// bf16 with fp32 sums; depthwise filters, the stem and what flows from block to block are fp32, since rounding these
// costs more cosine on real posters than everything else together.
//
// Weights are wide where maps are small: late blocks take several images at once, so that their weights come from afar
// once for all of them.
//
// All channels are padded to multiples of kChannelStep with zeros: whole blocks of a product, whole vectors of a
// filter.
namespace matinee::nn {
namespace {

constexpr std::size_t kChannelStep = kPanelColumns;
constexpr std::size_t kWideBytes = 480 << 10;     // of the wide rows held at a time
constexpr std::size_t kGroupedBytes = 128 << 10;  // of a map from which on images go together
constexpr std::size_t kImagesTogether = 4;

std::size_t padded(std::size_t channels) { return (channels + kChannelStep - 1) / kChannelStep * kChannelStep; }

// Rows a product may read: see GemmCall::input.
std::size_t padded_rows(std::size_t rows) { return (rows + kRowStep - 1) / kRowStep * kRowStep; }

PackedWeights pack(const FoldedConvolution& convolution) {
  const std::size_t in = convolution.shape.in_channels;
  const std::size_t out = convolution.shape.out_channels;
  std::vector<float> weight(padded(out) * padded(in));
  for (std::size_t o = 0; o < out; ++o) {
    std::copy_n(convolution.weight.data() + o * in, in, weight.data() + o * padded(in));
  }
  std::vector<float> bias(padded(out));
  std::copy(convolution.bias.begin(), convolution.bias.end(), bias.begin());
  return {weight, bias, padded(out), padded(in), PackedType::kBf16};
}

// A 1 x 1 convolution of `rows` pixels.
void multiply(const PackedWeights& weights, const std::uint16_t* input, std::size_t rows, Activation activation,
              GemmOutput kind, void* output) {
  GemmCall call;
  weights.describe(call);
  call.input = reinterpret_cast<const std::uint8_t*>(input);
  call.input_stride = weights.depth() * sizeof(std::uint16_t);
  call.num_rows = rows;
  call.end_panel = weights.num_panels();
  call.activation = activation;
  call.output_kind = kind;
  call.output = output;
  call.output_stride = weights.columns();
  gemm_kernels().bf16(call);
}

// (outputs, taps) to (taps, padded outputs).
std::vector<float> taps_first(const FoldedConvolution& convolution) {
  const std::size_t out = convolution.shape.out_channels;
  const std::size_t taps = convolution.weight.size() / out;
  std::vector<float> result(taps * padded(out));
  for (std::size_t o = 0; o < out; ++o) {
    for (std::size_t t = 0; t < taps; ++t) result[t * padded(out) + o] = convolution.weight[o * taps + t];
  }
  return result;
}

std::vector<float> padded_bias(const FoldedConvolution& convolution) {
  std::vector<float> result = convolution.bias;
  result.resize(padded(result.size()));
  return result;
}

class Stem {
 public:
  explicit Stem(const FoldedConvolution& stem)
      : shape_(stem.shape), weights_(taps_first(stem)), bias_(padded_bias(stem)) {}

  void run(const float* pixels, std::size_t begin_row, std::size_t end_row, float* output, float* scratch) const {
    StemCall call;
    call.pixels = pixels;
    call.size = shape_.in_size;
    call.padding = shape_.padding_before();
    call.weights = weights_.data();
    call.bias = bias_.data();
    call.begin_row = begin_row;
    call.end_row = end_row;
    call.out_size = shape_.out_size();
    call.output = output;
    call.scratch = scratch;
    conv_kernels().stem(call);
  }

 private:
  ConvolutionShape shape_;
  std::vector<float> weights_;
  std::vector<float> bias_;
};

// Of a thread.
struct Buffers {
  std::uint8_t* wide = nullptr;
  std::uint16_t* filtered = nullptr;
  float* scratch = nullptr;
};

class FusedBlock {
 public:
  explicit FusedBlock(const Bottleneck& block)
      : shape_(block.depthwise.shape),
        filters_(taps_first(block.depthwise)),
        filter_bias_(padded_bias(block.depthwise)),
        project_(pack(block.project)) {
    if (block.expand) expand_.emplace(pack(*block.expand));
    const std::size_t most = std::max(shape_.kernel, kWideBytes / wide_row());
    const std::size_t strips = (out_size() + strip_of(most) - 1) / strip_of(most);
    strip_ = (out_size() + strips - 1) / strips;
    wide_rows_ = std::min(shape_.in_size, (strip_ - 1) * shape_.stride + shape_.kernel);
    if (strips == 1) images_ = std::clamp<std::size_t>(kWideBytes / wide_image(), 1, kImagesTogether);
  }

  std::size_t out_size() const { return shape_.out_size(); }
  std::size_t out_channels() const { return project_.columns(); }
  // Bytes; see run().
  std::size_t wide_size() const { return images_ * wide_rows_ * wide_row(); }
  std::size_t filtered_size() const {
    return padded_rows(images_ * strip_ * out_size()) * padded(shape_.in_channels) * sizeof(std::uint16_t);
  }
  std::size_t scratch_size() const { return depthwise_scratch_size(shape_.in_size); }

  std::size_t input_size() const { return shape_.in_size * shape_.in_size * (expand_ ? expand_->depth() : 0); }
  std::size_t output_size() const { return out_size() * out_size() * out_channels(); }

  // `input` (images, in_size, in_size, C) bf16; `widen(begin, end, wide)` makes the wide rows of a block that has no
  // expansion. Writes `output` (images, out_size, out_size, out_channels), bf16 or fp32, or adds to it.
  template <typename Widen>
  void run(const std::uint16_t* input, const Widen& widen, std::size_t images, GemmOutput kind, void* output,
           const Buffers& buffers) const {
    const std::size_t bytes = kind == GemmOutput::kBf16 ? sizeof(std::uint16_t) : sizeof(float);
    for (std::size_t image = 0; image < images; image += images_) {
      const std::size_t together = std::min(images_, images - image);
      run_strips(input + image * input_size(), widen, together, kind,
                 static_cast<std::uint8_t*>(output) + image * output_size() * bytes,
                 out_size() * out_channels() * bytes, buffers);
    }
  }

 private:
  template <typename Widen>
  void run_strips(const std::uint16_t* input, const Widen& widen, std::size_t images, GemmOutput kind,
                  std::uint8_t* output, std::size_t output_row, const Buffers& buffers) const {
    const std::size_t in_size = shape_.in_size;
    const std::size_t before = shape_.padding_before();
    std::size_t first = 0;  // the wide rows held: [first, last)
    std::size_t last = 0;
    for (std::size_t begin = 0; begin < out_size(); begin += strip_) {  // once, where images go together
      const std::size_t end = std::min(out_size(), begin + strip_);
      const std::size_t needed_from = begin * shape_.stride - std::min(before, begin * shape_.stride);
      const std::size_t needed_to = std::min(in_size, (end - 1) * shape_.stride + shape_.kernel - before);
      // Neighbouring strips share the rows that a filter reaches over.
      std::memmove(buffers.wide, buffers.wide + (needed_from - first) * wide_row(), (last - needed_from) * wide_row());
      first = needed_from;
      std::uint8_t* at = buffers.wide + (last - first) * wide_row();
      if (expand_) {
        multiply(*expand_, input + last * in_size * expand_->depth(), images * (needed_to - last) * in_size,
                 Activation::kRelu6, GemmOutput::kBf16, at);
      } else {
        widen(last, needed_to, reinterpret_cast<float*>(at));
      }
      last = needed_to;
      const std::size_t pixels = (end - begin) * out_size();
      for (std::size_t i = 0; i < images; ++i) {
        filter(begin, end, first, buffers.wide + i * wide_image(),
               buffers.filtered + i * pixels * padded(shape_.in_channels), buffers.scratch);
      }
      multiply(project_, buffers.filtered, images * pixels, Activation::kNone, kind, output + begin * output_row);
    }
  }

  std::size_t wide_row() const {  // bytes
    return shape_.in_size * padded(shape_.in_channels) * (expand_ ? sizeof(std::uint16_t) : sizeof(float));
  }
  std::size_t wide_image() const { return shape_.in_size * wide_row(); }
  std::size_t strip_of(std::size_t wide_rows) const { return (wide_rows - shape_.kernel) / shape_.stride + 1; }

  void filter(std::size_t begin, std::size_t end, std::size_t first_row, const std::uint8_t* wide,
              std::uint16_t* filtered, float* scratch) const {
    DepthwiseCall call;
    call.input = wide;
    call.first_row = first_row;
    call.size = shape_.in_size;
    call.channels = padded(shape_.in_channels);
    call.kernel = shape_.kernel;
    call.stride = shape_.stride;
    call.padding = shape_.padding_before();
    call.weights = filters_.data();
    call.bias = filter_bias_.data();
    call.begin_row = begin;
    call.end_row = end;
    call.out_size = out_size();
    call.output = filtered;
    call.scratch = scratch;
    (expand_ ? conv_kernels().depthwise_bf16 : conv_kernels().depthwise_fp32)(call);
  }

  ConvolutionShape shape_;  // of the depthwise convolution
  std::optional<PackedWeights> expand_;
  std::vector<float> filters_;  // (k, k, C)
  std::vector<float> filter_bias_;
  PackedWeights project_;
  std::size_t strip_ = 0;      // rows of output made at a time
  std::size_t wide_rows_ = 0;  // and the wide rows they need at most
  std::size_t images_ = 1;     // gone through together
};

class FusedEngine final : public ConvNetEngine {
 public:
  FusedEngine(const EfficientNet& net, bool stages)
      : stem_(net.stem),
        head_(pack(net.head)),
        num_places_(net.head.shape.out_size() * net.head.shape.out_size()),
        scratch_size_(stem_scratch_size(net.image_size)) {
    for (const Bottleneck& bottleneck : net.blocks) {
      const FusedBlock& block = blocks_.emplace_back(bottleneck);
      residual_.push_back(bottleneck.residual);
      pooled_.push_back(stages && bottleneck.ends_stage ? bottleneck.project.shape.out_channels : 0);
      wide_size_ = std::max(wide_size_, block.wide_size());
      filtered_size_ = std::max(filtered_size_, block.filtered_size());
      scratch_size_ = std::max(scratch_size_, block.scratch_size());
    }
    wide_size_ = std::max(wide_size_, num_places_ * head_.columns() * sizeof(float));
    while (front_ < blocks_.size() &&
           (residual_[front_] || blocks_[front_].input_size() * sizeof(std::uint16_t) > kGroupedBytes)) {
      ++front_;
    }
    map_size_ = group_size(blocks_[front_ - 1].output_size(), blocks_[front_ - 1].out_channels());
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const std::size_t size = blocks_[i].output_size();
      map_size_ = std::max(map_size_, i < front_ ? size + kRowStep * blocks_[i].out_channels()
                                                 : group_size(size, blocks_[i].out_channels()));
    }
  }

  std::size_t images_together() const noexcept override { return kImagesTogether; }

  void run(const PixelsOf& pixels_of, MatrixView<float> features) const override {
    const std::size_t images = features.rows;
    Workspace& workspace = Workspace::of_this_thread();
    Maps maps;
    maps.exact = workspace.get<float>(Workspace::kRows, map_size_);
    maps.current = workspace.get<std::uint16_t>(Workspace::kInput, map_size_);
    maps.next = workspace.get<std::uint16_t>(Workspace::kQueryKeyValue, map_size_);
    auto* group = workspace.get<std::uint16_t>(Workspace::kQuantized, map_size_);
    Buffers buffers;
    buffers.wide = workspace.get<std::uint8_t>(Workspace::kIntermediate, wide_size_);
    buffers.filtered = workspace.get<std::uint16_t>(Workspace::kContext, filtered_size_ / sizeof(std::uint16_t));
    buffers.scratch = workspace.get<float>(Workspace::kScratch, scratch_size_);

    const std::size_t front_size = blocks_[front_ - 1].output_size();
    for (std::size_t i = 0; i < images; ++i) {
      run_blocks(0, front_, pixels_of(i), {features.row(i), 1, features.cols, features.stride}, maps, buffers);
      std::copy_n(maps.current, front_size, group + i * front_size);
    }
    std::swap(maps.current, group);
    run_blocks(front_, blocks_.size(), nullptr, features, maps, buffers);
    auto* values = reinterpret_cast<float*>(buffers.wide);
    const std::size_t map = num_places_ * head_.depth();
    for (std::size_t i = 0; i < images; ++i) {
      multiply(head_, maps.current + i * map, num_places_, Activation::kRelu6, GemmOutput::kFp32, values);
      mean_over_places(values, num_places_, head_.columns(), features.row(i));
    }
  }

 private:
  // What flows from block to block, (images, H, W, C).
  struct Maps {
    float* exact = nullptr;  // fp32: kept where something is added to it, now or next
    std::uint16_t* current = nullptr;
    std::uint16_t* next = nullptr;
  };

  // Values of a group's maps, with what a product may read behind them.
  static std::size_t group_size(std::size_t map, std::size_t channels) {
    return kImagesTogether * map + kRowStep * channels;
  }

  // Some blocks, for as many images as `features` has rows, which also receive what stages see.
  void run_blocks(std::size_t begin, std::size_t end, const float* pixels, MatrixView<float> features, Maps& maps,
                  const Buffers& buffers) const {
    const std::size_t images = features.rows;
    std::size_t column = head_.columns();
    for (std::size_t i = 0; i < begin; ++i) column += 2 * pooled_[i];
    const auto stem_rows = [&](std::size_t from, std::size_t to, float* rows) {
      stem_.run(pixels, from, to, rows, buffers.scratch);
    };
    for (std::size_t i = begin; i < end; ++i) {
      const FusedBlock& block = blocks_[i];
      const bool kept = residual_[i] || (i + 1 < blocks_.size() && residual_[i + 1]);
      if (kept) {
        const GemmOutput kind = residual_[i] ? GemmOutput::kAddToFp32 : GemmOutput::kFp32;
        block.run(maps.current, stem_rows, images, kind, maps.exact, buffers);
        kernels().round_to_bf16(maps.exact, maps.current, images * block.output_size());
      } else {
        block.run(maps.current, stem_rows, images, GemmOutput::kBf16, maps.next, buffers);
        std::swap(maps.current, maps.next);
      }
      if (pooled_[i] == 0) continue;
      for (std::size_t image = 0; image < images; ++image) {
        const std::size_t at = image * block.output_size();
        const std::size_t places = block.out_size() * block.out_size();
        float* out = features.row(image) + column;
        if (kept) {
          pool_stage(maps.exact + at, places, pooled_[i], block.out_channels(), out);
        } else {
          pool_stage(maps.current + at, places, pooled_[i], block.out_channels(), out);
        }
      }
      column += 2 * pooled_[i];
    }
  }

  Stem stem_;
  std::vector<FusedBlock> blocks_;
  std::vector<bool> residual_;       // by block
  std::vector<std::size_t> pooled_;  // by block: channels whose means and deviations are among the features
  PackedWeights head_;
  std::size_t num_places_;         // pixels of the last map
  std::size_t front_ = 1;          // blocks that take one image at a time; the one behind them has no residual
  std::size_t map_size_ = 0;       // values
  std::size_t wide_size_ = 0;      // bytes
  std::size_t filtered_size_ = 0;  // bytes
  std::size_t scratch_size_;       // values
};

}  // namespace

std::unique_ptr<ConvNetEngine> make_fused_engine(const EfficientNet& net, bool stages) {
  return std::make_unique<FusedEngine>(net, stages);
}

}  // namespace matinee::nn
