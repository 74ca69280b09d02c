#include "nn/convolution.h"

#include <algorithm>
#include <unordered_map>

namespace matinee::nn {

using dnnl::memory;

namespace {

memory::dim dim(std::size_t value) { return static_cast<memory::dim>(value); }

memory::desc image_desc(std::size_t channels, std::size_t size, memory::format_tag layout) {
  return {{1, dim(channels), dim(size), dim(size)}, memory::data_type::f32, layout};
}

}  // namespace

Convolution::Convolution(const FoldedConvolution& convolution, const Options& options) : shape_(convolution.shape) {
  const ConvolutionShape& shape = shape_;
  source_ = image_desc(shape.in_channels, shape.in_size, memory::format_tag::nhwc);
  destination_ = image_desc(shape.out_channels, shape.out_size(), memory::format_tag::nhwc);
  const memory::dim k = dim(shape.kernel);
  const memory::dims filter = shape.depthwise ? memory::dims{dim(shape.out_channels), 1, 1, k, k}
                                              : memory::dims{dim(shape.out_channels), dim(shape.in_channels), k, k};
  const memory::desc filter_wanted(filter, memory::data_type::f32, memory::format_tag::any);
  const memory::desc bias_desc({dim(shape.out_channels)}, memory::data_type::f32, memory::format_tag::x);
  const memory::dim before = dim(shape.padding_before());
  const memory::dim after = dim(shape.padding()) - before;

  dnnl::primitive_attr attr = user_scratchpad_attr();
  dnnl::post_ops post_ops;
  if (options.relu6) post_ops.append_eltwise(1.0F, dnnl::algorithm::eltwise_clip, 0.0F, 6.0F);
  if (options.add_to_output) post_ops.append_sum(1.0F);
  attr.set_post_ops(post_ops);
  const memory::dim stride = dim(shape.stride);
  const dnnl::convolution_forward::desc desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
                                             source_, filter_wanted, bias_desc, destination_, {stride, stride},
                                             {before, before}, {after, after});
  const dnnl::convolution_forward::primitive_desc primitive_desc(desc, attr, cpu_engine());
  primitive_ = dnnl::convolution_forward(primitive_desc);
  scratchpad_ = primitive_desc.scratchpad_desc();
  weights_ =
      packed(convolution.weight,
             {filter, memory::data_type::f32, shape.depthwise ? memory::format_tag::goihw : memory::format_tag::oihw},
             primitive_desc.weights_desc());
  bias_ = packed(convolution.bias, bias_desc, bias_desc);
}

void Convolution::run(const void* input, void* output, Workspace& workspace) const {
  execute(primitive_, scratchpad_,
          {{DNNL_ARG_SRC, memory(source_, cpu_engine(), const_cast<void*>(input))},
           {DNNL_ARG_WEIGHTS, weights_},
           {DNNL_ARG_BIAS, bias_},
           {DNNL_ARG_DST, memory(destination_, cpu_engine(), output)}},
          workspace);
}

PixelReorder::PixelReorder(std::size_t image_size)
    : source_(image_desc(3, image_size, memory::format_tag::nchw)),
      destination_(image_desc(3, image_size, memory::format_tag::nhwc)) {
  const dnnl::reorder::primitive_desc desc(cpu_engine(), source_, cpu_engine(), destination_, user_scratchpad_attr());
  scratchpad_ = desc.scratchpad_desc();
  primitive_ = dnnl::reorder(desc);
}

void PixelReorder::run(const float* pixels, void* output, Workspace& workspace) const {
  execute(primitive_, scratchpad_,
          {{DNNL_ARG_FROM, memory(source_, cpu_engine(), const_cast<float*>(pixels))},
           {DNNL_ARG_TO, memory(destination_, cpu_engine(), output)}},
          workspace);
}

}  // namespace matinee::nn
