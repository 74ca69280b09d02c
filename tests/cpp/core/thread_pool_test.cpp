#include "matinee/core/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "matinee/core/error.h"

namespace matinee {
namespace {

TEST(ThreadPool, CoversEveryItemOnceWhateverTheGrain) {
  ThreadPool pool(3);
  for (const std::size_t count : {0U, 1U, 7U, 100U}) {
    for (const std::size_t grain : {0U, 1U, 3U, 1000U}) {
      std::vector<std::atomic<int>> seen(count);
      pool.parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) ++seen[i];
      });
      for (const auto& times : seen) ASSERT_EQ(times.load(), 1);
    }
  }
}

TEST(ThreadPool, ManyCallersComputeOnNoMoreThreadsThanThePoolHas) {
  ThreadPool pool(2);
  std::mutex mutex;
  std::set<std::thread::id> workers;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 32; ++caller) {
    callers.emplace_back([&] {
      for (int call = 0; call < 20; ++call) {
        pool.parallel_for(8, 1, [&](std::size_t, std::size_t) {
          const std::lock_guard lock(mutex);
          workers.insert(std::this_thread::get_id());
        });
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_LE(workers.size(), 2U);
}

TEST(ThreadPool, TheFirstErrorReachesTheCallerAndThePoolGoesOn) {
  ThreadPool pool(2);
  EXPECT_THROW(pool.parallel_for(100, 1,
                                 [](std::size_t begin, std::size_t) {
                                   if (begin == 5) throw std::runtime_error("five");
                                 }),
               std::runtime_error);
  std::atomic<int> done{0};
  pool.parallel_for(10, 1, [&](std::size_t, std::size_t) { ++done; });
  EXPECT_EQ(done.load(), 10);
}

TEST(ThreadPool, ANestedCallRunsInlineInsteadOfWaitingForItself) {
  ThreadPool pool(1);
  std::atomic<int> done{0};
  pool.parallel_for(
      2, 1, [&](std::size_t, std::size_t) { pool.parallel_for(3, 1, [&](std::size_t, std::size_t) { ++done; }); });
  EXPECT_EQ(done.load(), 6);
}

TEST(ThreadPool, NeedsAtLeastOneThread) { EXPECT_THROW(ThreadPool(0), InvalidArgument); }

TEST(ComputePool, CanBeResizedWhileInUse) {
  std::atomic<bool> stop{false};
  std::thread caller([&] {
    while (!stop) compute_pool()->parallel_for(4, 1, [](std::size_t, std::size_t) {});
  });
  for (int size = 1; size < 20; ++size) set_num_threads(1 + size % 3);
  stop = true;
  caller.join();
  set_num_threads(2);
  EXPECT_EQ(num_threads(), 2);
  EXPECT_THROW(set_num_threads(0), InvalidArgument);
}

}  // namespace
}  // namespace matinee
