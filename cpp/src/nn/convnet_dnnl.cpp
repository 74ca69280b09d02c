#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "nn/convolution.h"
#include "nn/dnnl_context.h"
#include "nn/efficientnet.h"

namespace matinee::nn {
namespace {

class DnnlEngine final : public ConvNetEngine {
 public:
  DnnlEngine(const EfficientNet& net, bool stages) : reorder_(net.image_size) {
    with_dnnl([&] {
      Convolution::Options relu6;
      relu6.relu6 = true;
      stem_ = std::make_unique<Convolution>(net.stem, relu6);
      outer_size_ = stem_->output_size();
      inner_size_ = reorder_.output_size();
      for (const Bottleneck& bottleneck : net.blocks) {
        Block block;
        block.residual = bottleneck.residual;
        block.pooled = stages && bottleneck.ends_stage;
        if (bottleneck.expand) block.expand = std::make_unique<Convolution>(*bottleneck.expand, relu6);
        block.depthwise = std::make_unique<Convolution>(bottleneck.depthwise, relu6);
        Convolution::Options linear;
        linear.add_to_output = bottleneck.residual;
        block.project = std::make_unique<Convolution>(bottleneck.project, linear);
        if (block.expand) inner_size_ = std::max(inner_size_, block.expand->output_size());
        inner_size_ = std::max(inner_size_, block.depthwise->output_size());
        outer_size_ = std::max(outer_size_, block.project->output_size());
        blocks_.push_back(std::move(block));
      }
      head_ = std::make_unique<Convolution>(net.head, relu6);
      inner_size_ = std::max(inner_size_, head_->output_size());
    });
  }

  std::size_t images_together() const noexcept override { return 1; }

  void run(const PixelsOf& pixels_of, MatrixView<float> features) const override {
    for (std::size_t i = 0; i < features.rows; ++i) {
      const float* pixels = pixels_of(i);
      with_dnnl([&] { run_layers(pixels, features.row(i)); });
    }
  }

 private:
  struct Block {
    std::unique_ptr<Convolution> expand;  // null where the expansion is 1
    std::unique_ptr<Convolution> depthwise;
    std::unique_ptr<Convolution> project;
    bool residual = false;
    bool pooled = false;  // its output is among the features
  };

  void run_layers(const float* pixels, float* features) const {
    Workspace& workspace = Workspace::of_this_thread();
    // x is the input of a block and, where it ends in a residual, its output too.
    void* x = workspace.buffers[0].get(outer_size_);
    void* next = workspace.buffers[1].get(outer_size_);
    void* expanded = workspace.buffers[2].get(inner_size_);
    void* filtered = workspace.buffers[3].get(inner_size_);
    reorder_.run(pixels, expanded, workspace);
    stem_->run(expanded, x, workspace);
    float* of_stage = features + head_->shape().out_channels;
    for (const Block& block : blocks_) {
      if (block.expand) block.expand->run(x, expanded, workspace);
      block.depthwise->run(block.expand ? expanded : x, filtered, workspace);
      if (block.residual) {
        block.project->run(filtered, x, workspace);
      } else {
        block.project->run(filtered, next, workspace);
        std::swap(x, next);
      }
      if (block.pooled) {
        const ConvolutionShape& shape = block.project->shape();
        of_stage = pool_stage(static_cast<const float*>(x), shape.out_size() * shape.out_size(), shape.out_channels,
                              shape.out_channels, of_stage);
      }
    }
    head_->run(x, filtered, workspace);
    const ConvolutionShape& shape = head_->shape();
    mean_over_places(static_cast<const float*>(filtered), shape.out_size() * shape.out_size(), shape.out_channels,
                     features);
  }

  PixelReorder reorder_;
  std::unique_ptr<Convolution> stem_;
  std::vector<Block> blocks_;
  std::unique_ptr<Convolution> head_;
  // Bytes of the largest input or output of a block, and of what lies inside one.
  std::size_t outer_size_ = 0;
  std::size_t inner_size_ = 0;
};

}  // namespace

std::unique_ptr<ConvNetEngine> make_dnnl_engine(const EfficientNet& net, bool stages) {
  return std::make_unique<DnnlEngine>(net, stages);
}

}  // namespace matinee::nn
