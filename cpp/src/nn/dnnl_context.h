#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

#include "matinee/core/error.h"

// What all uses of oneDNN in this folder share. No dnnl type leaves cpp/src/nn.
namespace matinee::nn {

// The one CPU engine of the process; safe for concurrent use.
const dnnl::engine& cpu_engine();

// A 64-byte aligned block that grows and never shrinks. Its contents are undefined after `get`.
class AlignedBuffer {
 public:
  void* get(std::size_t size);
  template <typename T>
  T* as(std::size_t count) {
    return static_cast<T*>(get(count * sizeof(T)));
  }
  const std::uint8_t* data() const noexcept { return static_cast<const std::uint8_t*>(data_.get()); }

 private:
  struct Free {
    void operator()(void* p) const noexcept;
  };
  std::unique_ptr<void, Free> data_;
  std::size_t size_ = 0;
};

// What one thread needs while it computes: its stream, oneDNN's scratchpad and room for activations. One per thread,
// kept between calls, so that no call pays for page faults; shared by all models the thread serves.
class Workspace {
 public:
  // Each use has a block of its own.
  enum Buffer {
    kScratch,  // of one part of a phase; the others are the whole team's
    kRows,
    kInput,
    kQueryKeyValue,
    kContext,
    kIntermediate,
    kQuantized,
    kRowScales,
    kPixels,
    kNumBuffers,
  };

  dnnl::stream stream{cpu_engine()};
  AlignedBuffer scratchpad;
  AlignedBuffer buffers[kNumBuffers];

  // Room for `count` values; undefined contents.
  template <typename T>
  T* get(Buffer which, std::size_t count) {
    return buffers[which].as<T>(count);
  }

  // Of the calling thread.
  static Workspace& of_this_thread();
};

// Primitives always bring their own scratchpad, so that one primitive can run on several threads at once.
dnnl::primitive_attr user_scratchpad_attr();

// Runs and waits. `args` without the scratchpad, which comes from the workspace.
void execute(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad_desc,
             std::unordered_map<int, dnnl::memory> args, Workspace& workspace);

// Calls `work`, whose oneDNN errors become InternalErrors: arguments were checked before, so they are never the
// caller's.
template <typename Work>
void with_dnnl(const Work& work) {
  try {
    work();
  } catch (const dnnl::error& error) {
    throw InternalError(std::string("oneDNN: ") + error.what() + " (status " + std::to_string(error.status) + ")");
  }
}

// A packed copy of plain fp32 values in the layout (and precision) a primitive asks for. Runs on the calling thread.
dnnl::memory packed(const std::vector<float>& values, const dnnl::memory::desc& plain,
                    const dnnl::memory::desc& wanted);

}  // namespace matinee::nn
