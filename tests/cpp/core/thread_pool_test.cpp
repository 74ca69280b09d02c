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

TEST(Team, DoesEveryPartOfEveryPhaseOnceAndOnePhaseAfterTheOther) {
  for (const int size : {1, 2, 5}) {
    ThreadPool pool(size);
    pool.with_team([&](Team& team) {
      EXPECT_EQ(team.size(), static_cast<std::size_t>(size));
      std::vector<int> values(97, 0);
      for (int phase = 1; phase <= 300; ++phase) {
        team.for_each(values.size(), [&](std::size_t i) {
          EXPECT_EQ(values[i], phase - 1);
          values[i] = phase;
        });
      }
      for (const int value : values) EXPECT_EQ(value, 300);
      team.for_each(0, [](std::size_t) { FAIL(); });
    });
  }
}

TEST(Team, SeveralTeamsAndOtherCallersShareThePool) {
  ThreadPool pool(2);
  std::vector<std::thread> callers;
  std::atomic<int> sum{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int round = 0; round < 20; ++round) {
        if (caller % 2 == 0) {
          pool.with_team([&](Team& team) {
            for (int phase = 0; phase < 20; ++phase) team.for_each(7, [&](std::size_t) { ++sum; });
          });
        } else {
          pool.parallel_for(10, 3, [&](std::size_t begin, std::size_t end) { sum += static_cast<int>(end - begin); });
        }
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(sum.load(), 2 * 20 * 20 * 7 + 2 * 20 * 10);
}

TEST(Team, AnErrorOfAPartReachesTheCallerAndTheNextPhaseIsWhole) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.with_team([](Team& team) {
    team.for_each(50, [](std::size_t i) {
      if (i == 20) throw std::runtime_error("twenty");
    });
  }),
               std::runtime_error);
  std::atomic<int> done{0};
  pool.with_team([&](Team& team) {
    EXPECT_THROW(team.for_each(2, [](std::size_t) { throw std::runtime_error("any"); }), std::runtime_error);
    team.for_each(9, [&](std::size_t) { ++done; });
  });
  EXPECT_EQ(done.load(), 9);
}

TEST(Team, RunsOnWorkersOnlyAndOnNoMoreThanThePoolHas) {
  ThreadPool pool(2);
  std::mutex mutex;
  std::set<std::thread::id> workers;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&] {
      pool.with_team([&](Team& team) {
        for (int phase = 0; phase < 30; ++phase) {
          team.for_each(4, [&](std::size_t) {
            const std::lock_guard lock(mutex);
            workers.insert(std::this_thread::get_id());
          });
        }
      });
    });
  }
  std::vector<std::thread::id> calling;
  for (auto& caller : callers) {
    calling.push_back(caller.get_id());
    caller.join();
  }
  for (const std::thread::id& caller : calling) EXPECT_EQ(workers.count(caller), 0U);
  EXPECT_LE(workers.size(), 2U);
}

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
