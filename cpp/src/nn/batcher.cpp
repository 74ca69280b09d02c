#include "matinee/nn/batcher.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"

namespace matinee {
namespace {

using Clock = std::chrono::steady_clock;

Clock::duration milliseconds(double count) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(count));
}

template <typename Value>
struct Request {
  std::span<const Value> values;
  std::span<const std::int64_t> offsets;
  MatrixView<float> vectors;

  // Of a submitted request, which has no caller whose memory could be used.
  std::vector<Value> own_values;
  std::vector<std::int64_t> own_offsets;
  std::vector<float> own_vectors;
  typename Batcher<Value>::OnDone on_done;  // empty where a caller waits

  Clock::time_point since;
  bool waiting = true;  // in the queue
  bool done = false;
  std::exception_ptr error;
  std::condition_variable turn;  // done, or first in the queue and perhaps free to start

  std::size_t num_items() const { return offsets.size() - 1; }
};

// Batchers of this process, whose locks and threads a forked child does not inherit in a usable state.
class Forks {
 public:
  static Forks& instance() {
    static Forks* forks = [] {
      auto* made = new Forks;  // lives until the process ends: a fork may come at any time
      pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                     [] {
                       new (&instance().mutex_) std::mutex;
                       for (const auto* forget : instance().forget_in_child_) (*forget)();
                     });
      return made;
    }();
    return *forks;
  }
  void add(const std::function<void()>* forget_in_child) {
    const std::lock_guard lock(mutex_);
    forget_in_child_.insert(forget_in_child);
  }
  void remove(const std::function<void()>* forget_in_child) {
    const std::lock_guard lock(mutex_);
    forget_in_child_.erase(forget_in_child);
  }

 private:
  std::mutex mutex_;
  std::set<const std::function<void()>*> forget_in_child_;
};

}  // namespace

template <typename Value>
struct Batcher<Value>::State {
  using Queue = std::list<std::shared_ptr<Request<Value>>>;
  using Lock = std::unique_lock<std::mutex>;

  State(Encode encode_, std::size_t dimension_, const BatcherOptions& options_)
      : encode(std::move(encode_)), dimension(dimension_), options(options_) {
    Forks::instance().add(&forget);
  }
  ~State() { Forks::instance().remove(&forget); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const Encode encode;
  const std::size_t dimension;
  const BatcherOptions options;
  // What other threads had in hand is not to be touched in the child, not even to free it.
  const std::function<void()> forget = [this] { new (&now) Now; };

  struct Now {
    std::mutex mutex;
    Queue queue;  // oldest first
    std::size_t running = 0;
    std::size_t expected = 1;  // items of the last batch, where it had several requests
    Clock::time_point expected_until;
    BatcherStatistics statistics;  // `waiting` is the number of items in the queue
    bool stopping = false;
    std::condition_variable idle;       // running is 0
    std::condition_variable submitted;  // a submitted request is first in the queue and perhaps free to start
    std::thread leader;                 // of batches whose first request was submitted; started by the first of them
  } now;

  std::size_t max_running() const {
    return options.max_running > 0 ? options.max_running : static_cast<std::size_t>(num_threads());
  }

  void admit(const std::shared_ptr<Request<Value>>& request) {
    if (now.stopping) throw Cancelled("encode: the batcher has ended");
    const std::size_t items = request->num_items();
    const bool must_wait = !now.queue.empty() || now.running >= max_running();
    if (must_wait && now.statistics.waiting + items > options.max_queue) {
      ++now.statistics.refused;
      throw Overloaded("encode: expected at most " + std::to_string(options.max_queue) + " items to wait, got " +
                       std::to_string(now.statistics.waiting) + " and " + std::to_string(items) +
                       " more; try again in a moment");
    }
    request->since = Clock::now();
    now.queue.push_back(request);
    ++now.statistics.requests;
    now.statistics.waiting += items;
    // Behind others it changes something only where it completes what they wait for.
    if (now.queue.size() == 1 || start_time() == Clock::time_point::min()) call_first();
  }

  // Wakes whoever answers for the first in the queue, where it may start now or soon.
  void call_first() {
    if (now.queue.empty() || start_time() == Clock::time_point::max()) return;
    Request<Value>& first = *now.queue.front();
    (first.on_done ? now.submitted : first.turn).notify_one();
  }

  // When the first in the queue may start: at once (the past), later, or not before a batch has ended (max).
  Clock::time_point start_time() const {
    if (now.running >= max_running()) return Clock::time_point::max();
    if (now.statistics.waiting >= now.expected) return Clock::time_point::min();
    return now.expected_until;
  }

  // For whoever answers for the first in the queue: computes its batch, or waits on `turn` until that may be different.
  void lead_or_wait(Lock& lock, std::condition_variable& turn) {
    const Clock::time_point start = start_time();
    if (start == Clock::time_point::max()) {
      turn.wait(lock);
    } else if (start > Clock::now()) {
      turn.wait_until(lock, start);
    } else {
      lead(lock);
    }
  }

  void lead(Lock& lock) {
    Queue batch = take_expired();
    if (!batch.empty()) {
      call_first();
    } else {
      batch = take_batch();
      ++now.running;
      call_first();
      lock.unlock();
      compute(batch);
      lock.lock();
      --now.running;
      if (batch.size() > 1) now.expected_until = Clock::now() + milliseconds(options.max_delay_ms);
      if (now.running == 0) now.idle.notify_all();
      call_first();
    }
    finish(lock, batch);
  }

  Queue take_expired() {
    Queue expired;
    if (options.max_wait_ms <= 0) return expired;
    const Clock::time_point oldest = Clock::now() - milliseconds(options.max_wait_ms);
    while (!now.queue.empty() && now.queue.front()->since < oldest) {
      now.queue.front()->error =
          std::make_exception_ptr(Overloaded("encode: the request waited for more than " +
                                             std::to_string(options.max_wait_ms) + " ms; try again in a moment"));
      ++now.statistics.refused;
      move_first(expired);
    }
    return expired;
  }

  Queue take_batch() {
    Queue batch;
    std::size_t items = 0;
    while (!now.queue.empty() && (batch.empty() || items + now.queue.front()->num_items() <= options.max_batch)) {
      items += now.queue.front()->num_items();
      move_first(batch);
    }
    ++now.statistics.batches;
    now.statistics.items += items;
    now.expected = batch.size() > 1 ? items : 1;
    return batch;
  }

  void move_first(Queue& to) {
    now.queue.front()->waiting = false;
    now.statistics.waiting -= now.queue.front()->num_items();
    to.splice(to.end(), now.queue, now.queue.begin());
  }

  void compute(const Queue& batch) const noexcept {
    if (batch.size() > 1) {
      try {
        compute_joined(batch);
        return;
      } catch (...) {
        // One by one, then, so that each gets its own error or none.
      }
    }
    for (const auto& request : batch) {
      try {
        encode(request->values, request->offsets, request->vectors);
      } catch (...) {
        request->error = std::current_exception();
      }
    }
  }

  void compute_joined(const Queue& batch) const {
    std::vector<Value> values;
    std::vector<std::int64_t> offsets = {0};
    for (const auto& request : batch) {
      const std::int64_t start = offsets.back();
      values.insert(values.end(), request->values.begin(), request->values.end());
      for (std::size_t b = 1; b < request->offsets.size(); ++b) offsets.push_back(start + request->offsets[b]);
    }
    const std::size_t num_items = offsets.size() - 1;
    std::vector<float> vectors(num_items * dimension);
    encode(values, offsets, {vectors.data(), num_items, dimension});
    const float* row = vectors.data();
    for (const auto& request : batch) {
      for (std::size_t b = 0; b < request->num_items(); ++b, row += dimension) {
        std::copy_n(row, dimension, request->vectors.row(b));
      }
    }
  }

  // Tells everyone in the batch. Submitted requests are told without the lock, which is held again afterwards.
  void finish(Lock& lock, const Queue& batch) {
    bool any_submitted = false;
    for (const auto& request : batch) {
      request->done = true;
      if (request->on_done) {
        any_submitted = true;
      } else {
        request->turn.notify_one();
      }
    }
    if (!any_submitted) return;
    lock.unlock();
    for (const auto& request : batch) {
      if (!request->on_done) continue;
      if (request->error) request->own_vectors.clear();
      request->on_done(std::move(request->own_vectors), request->error);
      request->on_done = nullptr;  // and what it holds on to
    }
    lock.lock();
  }

  void lead_submitted() {
    Lock lock(now.mutex);
    while (!now.stopping) {
      if (!now.queue.empty() && now.queue.front()->on_done) {
        lead_or_wait(lock, now.submitted);
      } else {
        now.submitted.wait(lock);
      }
    }
  }
};

template <typename Value>
Batcher<Value>::Batcher(Encode encode, std::size_t dimension, const BatcherOptions& options) {
  if (options.max_batch < 1) throw InvalidArgument("Batcher: max_batch: expected at least 1, got 0");
  for (const auto& [name, value] :
       {std::pair{"max_delay_ms", options.max_delay_ms}, {"max_wait_ms", options.max_wait_ms}}) {
    if (!(value >= 0 && value <= 60'000)) {
      throw InvalidArgument(std::string("Batcher: ") + name + ": expected 0..60000, got " + std::to_string(value));
    }
  }
  state_ = std::make_shared<State>(std::move(encode), dimension, options);
}

template <typename Value>
Batcher<Value>::~Batcher() {
  auto& now = state_->now;
  typename State::Lock lock(now.mutex);
  now.stopping = true;
  now.submitted.notify_one();
  typename State::Queue dropped;
  while (!now.queue.empty()) {
    now.queue.front()->error = std::make_exception_ptr(Cancelled("encode: the batcher ended while the request waited"));
    ++now.statistics.cancelled;
    state_->move_first(dropped);
  }
  state_->finish(lock, dropped);
  now.idle.wait(lock, [&now] { return now.running == 0; });
  std::thread leader = std::move(now.leader);
  lock.unlock();
  if (!leader.joinable()) return;
  if (leader.get_id() == std::this_thread::get_id()) {
    leader.detach();  // the last owner went with an OnDone; the thread ends as soon as that returns
  } else {
    leader.join();
  }
}

template <typename Value>
std::size_t Batcher<Value>::dimension() const noexcept {
  return state_->dimension;
}

template <typename Value>
const BatcherOptions& Batcher<Value>::options() const noexcept {
  return state_->options;
}

template <typename Value>
BatcherStatistics Batcher<Value>::statistics() const {
  const std::lock_guard lock(state_->now.mutex);
  return state_->now.statistics;
}

namespace {

template <typename Value>
void check_offsets(std::span<const Value> values, std::span<const std::int64_t> offsets) {
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != static_cast<std::int64_t>(values.size())) {
    throw InvalidArgument("encode: offsets: expected B + 1 values from 0 to the number of values, " +
                          std::to_string(values.size()));
  }
}

}  // namespace

template <typename Value>
void Batcher<Value>::encode(std::span<const Value> values, std::span<const std::int64_t> offsets,
                            MatrixView<float> vectors) {
  check_offsets(values, offsets);
  const std::size_t num_items = offsets.size() - 1;
  if (vectors.rows != num_items || vectors.cols != dimension()) {
    throw InvalidArgument("encode: vectors: expected (" + std::to_string(num_items) + ", " +
                          std::to_string(dimension()) + "), got (" + std::to_string(vectors.rows) + ", " +
                          std::to_string(vectors.cols) + ")");
  }
  if (num_items == 0) return;
  const auto request = std::make_shared<Request<Value>>();
  request->values = values;
  request->offsets = offsets;
  request->vectors = vectors;
  const std::shared_ptr<State> state = state_;  // the batcher may end while we wait
  typename State::Lock lock(state->now.mutex);
  state->admit(request);
  while (!request->done) {
    if (request->waiting && state->now.queue.front() == request) {
      state->lead_or_wait(lock, request->turn);
    } else {
      request->turn.wait(lock);
    }
  }
  lock.unlock();
  if (request->error) std::rethrow_exception(request->error);
}

template <typename Value>
typename Batcher<Value>::Cancel Batcher<Value>::submit(
    std::vector<Value> values, std::vector<std::int64_t> offsets,
    // NOLINTNEXTLINE(performance-unnecessary-value-param): it is moved
    OnDone on_done) {
  check_offsets<Value>(values, offsets);
  const std::size_t num_items = offsets.size() - 1;
  if (num_items == 0) {
    on_done({}, nullptr);
    return [] { return false; };
  }
  const auto request = std::make_shared<Request<Value>>();
  request->own_values = std::move(values);
  request->own_offsets = std::move(offsets);
  request->own_vectors.resize(num_items * dimension());
  request->values = request->own_values;
  request->offsets = request->own_offsets;
  request->vectors = {request->own_vectors.data(), num_items, dimension()};
  request->on_done = std::move(on_done);
  {
    const typename State::Lock lock(state_->now.mutex);
    if (!state_->now.leader.joinable()) {
      state_->now.leader = std::thread([state = state_] { state->lead_submitted(); });
    }
    state_->admit(request);
  }
  return [weak = std::weak_ptr<State>(state_), request] {
    const auto state = weak.lock();
    if (!state) return false;
    OnDone dropped;  // freed after the lock: what it holds on to may be anything
    const typename State::Lock lock(state->now.mutex);
    if (!request->waiting) return false;
    const auto place = std::find(state->now.queue.begin(), state->now.queue.end(), request);
    if (place == state->now.queue.end()) return false;  // in a forked child: its parent's request
    request->waiting = false;
    ++state->now.statistics.cancelled;
    state->now.statistics.waiting -= request->num_items();
    state->now.queue.erase(place);
    dropped = std::move(request->on_done);
    state->call_first();
    return true;
  };
}

template class Batcher<std::int32_t>;
template class Batcher<float>;

}  // namespace matinee
