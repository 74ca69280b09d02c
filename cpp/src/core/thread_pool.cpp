#include "matinee/core/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <exception>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "matinee/core/error.h"

// Present only when libgomp is in the process (oneDNN brings it); weak, so that core does not depend on OpenMP.
extern "C" __attribute__((weak)) void omp_set_num_threads(int);

namespace matinee {
namespace {

thread_local const void* tls_pool = nullptr;  // the pool state whose worker this thread is

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Waits for something that comes within microseconds. Gives the processor away when it takes longer: it may be the very
// one that the others need.
template <typename Condition>
void spin_until(const Condition& condition) {
  constexpr int kPauses = 512;
  for (int i = 0; !condition(); ++i) {
    if (i < kPauses) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

// One parallel_for call: workers take the next range until none is left.
struct Job {
  const std::function<void(std::size_t, std::size_t)>* body = nullptr;
  std::size_t count = 0;
  std::size_t grain = 1;
  std::size_t next = 0;       // first item nobody has taken; guarded by the pool's mutex
  std::size_t under_way = 0;  // ranges being run; guarded by the pool's mutex
  std::exception_ptr error;   // the first one; guarded by the pool's mutex
  std::condition_variable done;
  bool standing_by = false;  // a team's: may wait, so it is nothing that a helper of another team leaves for

  bool drained() const { return next >= count; }
};

int default_num_threads() {
  if (const char* wanted = std::getenv("MATINEE_NUM_THREADS"); wanted != nullptr && *wanted != '\0') {
    const int value = std::atoi(wanted);
    if (value < 1 || value > 1024) {
      throw InvalidArgument("MATINEE_NUM_THREADS: expected 1..1024, got '" + std::string(wanted) + "'");
    }
    return value;
  }
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable work;
  std::deque<Job*> jobs;  // jobs with ranges left, oldest first; taken round-robin so that short calls get through
  bool stopping = false;
  std::vector<std::thread> workers;
  std::atomic<std::size_t> urgent{0};  // jobs in the queue that are not standing by; changed with the mutex held

  void push(Job* job) {
    jobs.push_back(job);
    if (!job->standing_by) urgent.fetch_add(1, std::memory_order_relaxed);
  }
  void remove(Job* job) {
    const auto found = std::find(jobs.begin(), jobs.end(), job);
    if (found == jobs.end()) return;
    jobs.erase(found);
    if (!job->standing_by) urgent.fetch_sub(1, std::memory_order_relaxed);
  }

  void loop() {
    tls_pool = this;
    if (omp_set_num_threads != nullptr) omp_set_num_threads(1);  // see Note [Compute threads]
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [this] { return stopping || !jobs.empty(); });
      if (jobs.empty()) return;
      Job* job = jobs.front();
      remove(job);
      const std::size_t begin = job->next;
      const std::size_t end = std::min(job->count, begin + job->grain);
      job->next = end;
      ++job->under_way;
      if (!job->drained()) push(job);
      lock.unlock();
      std::exception_ptr error;
      try {
        (*job->body)(begin, end);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (error && !job->error) {
        job->error = error;
        job->next = job->count;
        remove(job);
      }
      --job->under_way;
      if (job->drained() && job->under_way == 0) job->done.notify_all();
    }
  }
};

ThreadPool::ThreadPool(int num_threads) : state_(std::make_unique<State>()) {
  if (num_threads < 1) {
    throw InvalidArgument("ThreadPool: num_threads: expected at least 1, got " + std::to_string(num_threads));
  }
  state_->workers.reserve(static_cast<std::size_t>(num_threads));
  for (int i = 0; i < num_threads; ++i) state_->workers.emplace_back([state = state_.get()] { state->loop(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work.notify_all();
  for (auto& worker : state_->workers) worker.join();
}

int ThreadPool::size() const noexcept { return static_cast<int>(state_->workers.size()); }

void ThreadPool::parallel_for(std::size_t count, std::size_t grain,
                              const std::function<void(std::size_t, std::size_t)>& body) {
  if (count == 0) return;
  grain = std::max<std::size_t>(1, grain);
  if (tls_pool == state_.get()) {  // nested: the workers are busy with our caller, so run here
    for (std::size_t begin = 0; begin < count; begin += grain) body(begin, std::min(count, begin + grain));
    return;
  }
  Job job;
  job.body = &body;
  job.count = count;
  job.grain = grain;
  std::unique_lock lock(state_->mutex);
  state_->push(&job);
  state_->work.notify_all();
  job.done.wait(lock, [&job] { return job.drained() && job.under_way == 0; });
  if (job.error) std::rethrow_exception(job.error);
}

void ThreadPool::run(const std::function<void()>& body) {
  parallel_for(1, 1, [&body](std::size_t, std::size_t) { body(); });
}

// A phase is published as one number, its ticket: (phase, how many parts it has, the next part nobody has taken).
// Taking a part is an exchange of the ticket, which fails when the phase has changed meanwhile; so whoever has taken a
// part knows that `body` is still that phase's.
struct Team::State {
  static constexpr int kBits = 20;
  static constexpr std::uint64_t kMask = (std::uint64_t{1} << kBits) - 1;

  ThreadPool::State& pool;
  Job helpers;
  std::atomic<std::uint64_t> ticket{0};
  std::atomic<const std::function<void(std::size_t)>*> body{nullptr};
  std::atomic<std::size_t> done{0};
  std::atomic<bool> closed{false};
  std::mutex error_mutex;
  std::exception_ptr error;

  explicit State(ThreadPool::State& of) : pool(of) {}

  // Takes part until no part is left.
  void work() {
    std::uint64_t seen = ticket.load(std::memory_order_acquire);
    while ((seen & kMask) < (seen >> kBits & kMask)) {
      if (!ticket.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) continue;
      try {
        (*body.load(std::memory_order_relaxed))(static_cast<std::size_t>(seen & kMask));
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
      }
      done.fetch_add(1, std::memory_order_release);
      seen = ticket.load(std::memory_order_acquire);
    }
  }

  // What a helper does: stands by and takes part, until the team is closed or another caller's work is waiting.
  void stand_by() {
    while (!closed.load(std::memory_order_acquire)) {
      work();
      if (pool.urgent.load(std::memory_order_relaxed) > 0) {
        const std::lock_guard lock(pool.mutex);
        const bool queued = !helpers.drained();
        ++helpers.count;  // to be back when that is done
        if (!queued) pool.push(&helpers);
        return;
      }
      spin_until([&] {
        const std::uint64_t now = ticket.load(std::memory_order_relaxed);
        return (now & kMask) < (now >> kBits & kMask) || closed.load(std::memory_order_relaxed) ||
               pool.urgent.load(std::memory_order_relaxed) > 0;
      });
    }
  }
};

std::size_t Team::size() const noexcept { return state_.pool.workers.size(); }

void Team::for_each(std::size_t count, const std::function<void(std::size_t)>& body) {
  if (count == 0) return;
  if (count == 1 || size() == 1) {
    for (std::size_t i = 0; i < count; ++i) body(i);
    return;
  }
  State& state = state_;
  if (count > State::kMask) {
    throw InvalidArgument("for_each: count: expected at most " + std::to_string(State::kMask) + ", got " +
                          std::to_string(count));
  }
  state.done.store(0, std::memory_order_relaxed);
  state.body.store(&body, std::memory_order_relaxed);
  const std::uint64_t phase = (state.ticket.load(std::memory_order_relaxed) >> (2 * State::kBits)) + 1;
  state.ticket.store(phase << (2 * State::kBits) | static_cast<std::uint64_t>(count) << State::kBits,
                     std::memory_order_release);
  state.work();
  spin_until([&] { return state.done.load(std::memory_order_acquire) == count; });
  if (state.error) std::rethrow_exception(std::exchange(state.error, nullptr));
}

void ThreadPool::with_team(const std::function<void(Team&)>& body) {
  run([&] {
    Team::State state(*state_);
    Team team(state);
    const std::function<void(std::size_t, std::size_t)> help = [&](std::size_t, std::size_t) { state.stand_by(); };
    state.helpers.body = &help;
    state.helpers.count = state_->workers.size() - 1;
    state.helpers.standing_by = true;
    if (state.helpers.count > 0) {
      const std::lock_guard lock(state_->mutex);
      state_->push(&state.helpers);
      state_->work.notify_all();
    }
    std::exception_ptr error;
    try {
      body(team);
    } catch (...) {
      error = std::current_exception();
    }
    state.closed.store(true, std::memory_order_release);
    std::unique_lock lock(state_->mutex);
    state_->remove(&state.helpers);
    state.helpers.next = state.helpers.count;
    state.helpers.done.wait(lock, [&] { return state.helpers.under_way == 0; });
    lock.unlock();
    if (error) std::rethrow_exception(error);
  });
}

namespace {

// The process pool. A forked child has none of the parent's threads, so the child forgets it without joining.
struct Global {
  std::mutex mutex;
  std::shared_ptr<ThreadPool> pool;
};

Global& global() {
  static Global* instance = [] {
    auto* made = new Global;  // lives until the process ends: workers may still be waiting in exit handlers
    pthread_atfork(nullptr, nullptr, [] {
      Global& in_child = global();
      new (&in_child.mutex) std::mutex;
      new (&in_child.pool) std::shared_ptr<ThreadPool>;  // leaked on purpose: its threads exist in the parent only
    });
    return made;
  }();
  return *instance;
}

}  // namespace

std::shared_ptr<ThreadPool> compute_pool() {
  Global& g = global();
  const std::lock_guard lock(g.mutex);
  if (!g.pool) g.pool = std::make_shared<ThreadPool>(default_num_threads());
  return g.pool;
}

void set_num_threads(int num_threads) {
  if (num_threads < 1 || num_threads > 1024) {
    throw InvalidArgument("set_num_threads: num_threads: expected 1..1024, got " + std::to_string(num_threads));
  }
  Global& g = global();
  auto fresh = std::make_shared<ThreadPool>(num_threads);
  const std::lock_guard lock(g.mutex);
  g.pool.swap(fresh);
}

int num_threads() { return compute_pool()->size(); }

}  // namespace matinee
