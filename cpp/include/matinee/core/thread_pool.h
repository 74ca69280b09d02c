#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace matinee {

// The threads that do all of the core's computing.
//
// Note [Compute threads]: Debian's oneDNN runs on libgomp, which makes a team for every thread that calls it, so 32
// request threads would make 32 teams. Here callers never compute: they hand work to this pool and wait. Each worker
// sets its own OpenMP team size to one, so a process computes on exactly `size()` threads however many call it.
// Several callers share the workers; a batch is split into tasks small enough that a short call is not stuck
// behind a long one.
class ThreadPool;

// Several workers on one call with many short phases, each of which needs the one before it: the layers of a network
// over a few rows. Handing every phase to the pool's queue would cost more than computing it, so workers that are idle
// stand by and take part at once; they leave between two phases when another caller's work is waiting.
class Team {
 public:
  // Calls body(i) for every i in [0, count), count < 2^20, on this worker and those that stand by, in any order, and
  // returns when all are done. The first exception of a body is rethrown here. Only from with_team()'s body.
  void for_each(std::size_t count, const std::function<void(std::size_t i)>& body);

  // Workers that may take part: into how many parts a phase is worth cutting.
  std::size_t size() const noexcept;

 private:
  friend class ThreadPool;
  struct State;
  explicit Team(State& state) : state_(state) {}
  State& state_;
};

class ThreadPool {
 public:
  // `num_threads` >= 1.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept;

  // Calls body(begin, end) over disjoint ranges covering [0, count), each of at most `grain` items, on the workers,
  // and returns when all are done. The first exception thrown by a body is rethrown here, after the ranges under way
  // have ended; ranges not yet started are dropped. Called from a worker of this pool it runs inline.
  // Thread-safe.
  void parallel_for(std::size_t count, std::size_t grain,
                    const std::function<void(std::size_t begin, std::size_t end)>& body);

  // Runs `body` on one worker and waits for it. Inline when called from a worker.
  void run(const std::function<void()>& body);

  // As run(), with the other workers standing by for the phases that body hands to the team.
  void with_team(const std::function<void(Team& team)>& body);

 private:
  friend class Team;
  struct State;
  std::unique_ptr<State> state_;
};

// The pool of this process, made at first use with as many workers as processors this process may run on, or
// MATINEE_NUM_THREADS. A child made by fork() gets a fresh pool on first use (open bundles after the fork).
// Hold the pointer for one call only: set_num_threads replaces the pool, and the old one ends with its last holder.
std::shared_ptr<ThreadPool> compute_pool();

// Replaces the pool by one of `num_threads` workers (1..1024); calls under way finish on the old one. Thread-safe.
void set_num_threads(int num_threads);
int num_threads();

}  // namespace matinee
