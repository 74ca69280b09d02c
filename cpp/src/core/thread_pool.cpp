#include "matinee/core/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "matinee/core/error.h"

// Present only when libgomp is in the process (oneDNN brings it); weak, so that core does not depend on OpenMP.
extern "C" __attribute__((weak)) void omp_set_num_threads(int);

namespace matinee {
namespace {

thread_local const void* tls_pool = nullptr;  // the pool state whose worker this thread is

// One parallel_for call: workers take the next range until none is left.
struct Job {
  const std::function<void(std::size_t, std::size_t)>* body = nullptr;
  std::size_t count = 0;
  std::size_t grain = 1;
  std::size_t next = 0;       // first item nobody has taken; guarded by the pool's mutex
  std::size_t under_way = 0;  // ranges being run; guarded by the pool's mutex
  std::exception_ptr error;   // the first one; guarded by the pool's mutex
  std::condition_variable done;

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

  void loop() {
    tls_pool = this;
    if (omp_set_num_threads != nullptr) omp_set_num_threads(1);  // see Note [Compute threads]
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [this] { return stopping || !jobs.empty(); });
      if (jobs.empty()) return;
      Job* job = jobs.front();
      jobs.pop_front();
      const std::size_t begin = job->next;
      const std::size_t end = std::min(job->count, begin + job->grain);
      job->next = end;
      ++job->under_way;
      if (!job->drained()) jobs.push_back(job);
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
        jobs.erase(std::remove(jobs.begin(), jobs.end(), job), jobs.end());
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
  state_->jobs.push_back(&job);
  state_->work.notify_all();
  job.done.wait(lock, [&job] { return job.drained() && job.under_way == 0; });
  if (job.error) std::rethrow_exception(job.error);
}

void ThreadPool::run(const std::function<void()>& body) {
  parallel_for(1, 1, [&body](std::size_t, std::size_t) { body(); });
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
