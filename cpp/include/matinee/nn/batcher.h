#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "matinee/core/array_view.h"

namespace matinee {

struct BatcherOptions {
  // Items computed together, at least 1. A request of more items than this is a batch of its own.
  std::size_t max_batch = 32;
  // Items that may wait; a request that would make it more is refused with Overloaded. One that finds nothing waiting
  // and a batch free is never refused, however large.
  std::size_t max_queue = 16384;
  // How long after a batch of several requests their callers are expected back: see Note [Joining]. 0: not at all.
  double max_delay_ms = 1.0;
  // Longest time that a request may wait before it is computed; then it ends with Overloaded. 0: as long as it takes.
  double max_wait_ms = 0.0;
  // Batches computed at the same time; 0: as many as the compute pool has threads.
  std::size_t max_running = 0;
};

// Counts since the batcher was made, and what waits now.
struct BatcherStatistics {
  std::uint64_t requests = 0;   // admitted
  std::uint64_t batches = 0;    // computed
  std::uint64_t items = 0;      // of these batches
  std::uint64_t refused = 0;    // Overloaded: the queue was full, or the wait too long
  std::uint64_t cancelled = 0;  // while waiting
  std::size_t waiting = 0;      // items in the queue now
};

// Lets requests of many callers be computed together.
//
// A request is a few items in packed rows, as the encoders take them: the values of all items in one row, and offsets.
// Its answer is one vector an item; that it does not depend on what it was batched with is the encoder's promise.
//
// Note [Joining]: a request that finds a batch free is computed at once, by its caller's own call into the encoder: a
// lone caller pays 0.2 us for it. While as many batches run as may, requests queue; when one ends, whoever
// is first takes all that waits, up to max_batch, and computes it. So the busier it is, the larger the batches. Callers
// whose batch has just ended tend to come back together, though not at the same instant: for max_delay_ms after a
// batch of several requests, the first of the next batch waits until as many items are there again.
//
// First come, first served. Every caller's thread leads at most the batch that its own request is in, and does not
// compute: the encoder hands the work to compute_pool(). A batch that fails is computed again request by request, so
// that only those get an error that do not bear computing.
//
// Thread-safe. A child made by fork() finds it idle. Value: std::int32_t (token ids) or float (pixels).
template <typename Value>
class Batcher {
 public:
  // Writes one row of `vectors` (B, D) for each item b, values[offsets[b] .. offsets[b + 1]). Called by several threads
  // at the same time.
  using Encode = std::function<void(std::span<const Value> values, std::span<const std::int64_t> offsets,
                                    MatrixView<float> vectors)>;
  // Takes the vectors (B, D), row by row, or the error. Called once, on any thread; must not throw.
  using OnDone = std::function<void(std::vector<float> vectors, const std::exception_ptr& error)>;
  // True where the request was still waiting: it is dropped, and its OnDone will never be called. Else false.
  using Cancel = std::function<bool()>;

  // Throws InvalidArgument for options out of range.
  Batcher(Encode encode, std::size_t dimension, const BatcherOptions& options = {});
  // Requests that wait end with Cancelled; batches being computed are waited for.
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  std::size_t dimension() const noexcept;  // D
  const BatcherOptions& options() const noexcept;
  BatcherStatistics statistics() const;

  // Returns when `vectors` (B, D) is written. Throws Overloaded; Cancelled when the batcher ends; InvalidArgument where
  // `offsets` (B + 1) does not lead from 0 to the number of values; and what the encoder throws.
  void encode(std::span<const Value> values, std::span<const std::int64_t> offsets, MatrixView<float> vectors);

  // Returns at once. Throws as `encode` does where the request is not admitted; what goes wrong later is for `on_done`.
  Cancel submit(std::vector<Value> values, std::vector<std::int64_t> offsets, OnDone on_done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

extern template class Batcher<std::int32_t>;
extern template class Batcher<float>;

}  // namespace matinee
