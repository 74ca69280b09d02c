#include "nn/dnnl_context.h"

#include <algorithm>
#include <new>
#include <utility>

#include "matinee/core/cpu.h"

namespace matinee::nn {
namespace {

constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector

// oneDNN dispatches by itself; it is only told of a limit that MATINEE_MAX_CPU_ISA sets, so that one variable shows
// how a lesser machine would do. It listens until its first primitive.
void pass_isa_limit_on() {
  if (isa_level() == detected_isa_level()) return;
  switch (isa_level()) {
    case IsaLevel::kScalar:
      dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);
      break;
    case IsaLevel::kAvx2:
      dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
      break;
    case IsaLevel::kAvx512:
      dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core);
      break;
    case IsaLevel::kAvx512Vnni:
      dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core_vnni);
      break;
    case IsaLevel::kAvx512Bf16:
      break;  // the highest: nothing to limit
  }
}

}  // namespace

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine = [] {
    pass_isa_limit_on();
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

dnnl::memory::data_type data_type(Precision precision) {
  return precision == Precision::kBf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

void AlignedBuffer::Free::operator()(void* p) const noexcept { ::operator delete(p, std::align_val_t(kAlignment)); }

void* AlignedBuffer::get(std::size_t size) {
  if (size > size_) {
    data_.reset();
    size_ = 0;
    data_.reset(::operator new(size, std::align_val_t(kAlignment)));
    size_ = size;
  }
  return data_.get();
}

Workspace& Workspace::of_this_thread() {
  thread_local Workspace workspace;
  return workspace;
}

dnnl::primitive_attr user_scratchpad_attr() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

void execute(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad_desc,
             std::unordered_map<int, dnnl::memory> args, Workspace& workspace) {
  void* scratchpad = workspace.scratchpad.get(std::max<std::size_t>(1, scratchpad_desc.get_size()));
  args.emplace(DNNL_ARG_SCRATCHPAD, dnnl::memory(scratchpad_desc, cpu_engine(), scratchpad));
  primitive.execute(workspace.stream, args);
  workspace.stream.wait();
}

dnnl::memory packed(const std::vector<float>& values, const dnnl::memory::desc& plain,
                    const dnnl::memory::desc& wanted) {
  dnnl::memory source(plain, cpu_engine(), const_cast<float*>(values.data()));
  dnnl::memory result(wanted, cpu_engine());
  dnnl::reorder reorder(source, result);
  dnnl::stream stream(cpu_engine());
  reorder.execute(stream, source, result);
  stream.wait();
  return result;
}

}  // namespace matinee::nn
