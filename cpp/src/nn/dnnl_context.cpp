#include "nn/dnnl_context.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

#include "matinee/core/cpu.h"

namespace matinee::nn {
namespace {

constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector
constexpr std::size_t kHugePage = 2 << 20;

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
      dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core_bf16);
      break;
    case IsaLevel::kAmx:
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

void AlignedBuffer::Free::operator()(void* p) const noexcept {
  std::free(p);  // NOLINT(cppcoreguidelines-no-malloc): this is the RAII of what aligned_alloc gave
}

void* AlignedBuffer::get(std::size_t size) {
  if (size > size_) {
    data_.reset();
    size_ = 0;
    const bool large = size >= kHugePage;
    const std::size_t alignment = large ? kHugePage : kAlignment;
    const std::size_t whole = (size + alignment - 1) / alignment * alignment;
    data_.reset(std::aligned_alloc(alignment, whole));
    if (data_ == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    // Weights are read from end to end for every group of rows: with pages of 4 KiB the address translation of a large
    // network misses its cache all the time (one image through ViT-B/32 takes half as long with large ones).
    if (large) madvise(data_.get(), whole, MADV_HUGEPAGE);
#endif
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
