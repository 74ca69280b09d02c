#include "matinee/nn/batcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"

namespace matinee {
namespace {

using TextBatcher = Batcher<std::int32_t>;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Le;

constexpr std::size_t kDimension = 3;
constexpr std::int32_t kBad = -1;  // a token that the encoder does not bear

// The obvious twin: the vector of an item is the sum of its tokens, their number, and the first of them.
std::vector<float> expected_vector(const std::vector<std::int32_t>& item) {
  return {static_cast<float>(std::accumulate(item.begin(), item.end(), 0)), static_cast<float>(item.size()),
          static_cast<float>(item.front())};
}

// An encoder that remembers its batches and, while its gate is closed, does not come back.
class GatedEncoder {
 public:
  TextBatcher::Encode function() {
    return [this](std::span<const std::int32_t> values, std::span<const std::int64_t> offsets,
                  MatrixView<float> vectors) { run(values, offsets, vectors); };
  }
  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait_until_entered(std::size_t calls) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_.size() >= calls; });
  }
  // Items of each call so far.
  std::vector<std::size_t> batches() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  // Items that are being computed.
  std::size_t inside() {
    const std::lock_guard lock(mutex_);
    return inside_;
  }
  // First tokens of all items, in the order they were computed in.
  std::vector<std::int32_t> order() {
    const std::lock_guard lock(mutex_);
    return order_;
  }

 private:
  void run(std::span<const std::int32_t> values, std::span<const std::int64_t> offsets, MatrixView<float> vectors) {
    {
      std::unique_lock lock(mutex_);
      batches_.push_back(offsets.size() - 1);
      for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
        order_.push_back(values[static_cast<std::size_t>(offsets[b])]);
      }
      inside_ += offsets.size() - 1;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
      inside_ -= offsets.size() - 1;
    }
    for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
      const std::vector<std::int32_t> item(values.begin() + offsets[b], values.begin() + offsets[b + 1]);
      if (std::find(item.begin(), item.end(), kBad) != item.end()) throw InvalidArgument("a bad token");
      const auto vector = expected_vector(item);
      std::copy(vector.begin(), vector.end(), vectors.row(b));
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  std::size_t inside_ = 0;
  std::vector<std::size_t> batches_;
  std::vector<std::int32_t> order_;
};

using Items = std::vector<std::vector<std::int32_t>>;

struct Packed {
  explicit Packed(const Items& items) {
    for (const auto& item : items) {
      values.insert(values.end(), item.begin(), item.end());
      offsets.push_back(static_cast<std::int64_t>(values.size()));
    }
  }
  std::vector<std::int32_t> values;
  std::vector<std::int64_t> offsets = {0};
};

std::vector<float> expected_vectors(const Items& items) {
  std::vector<float> rows;
  for (const auto& item : items) {
    const auto vector = expected_vector(item);
    rows.insert(rows.end(), vector.begin(), vector.end());
  }
  return rows;
}

std::vector<float> encode(TextBatcher& batcher, const Items& items) {
  const Packed packed(items);
  std::vector<float> rows(items.size() * kDimension);
  batcher.encode(packed.values, packed.offsets, {rows.data(), items.size(), kDimension});
  return rows;
}

std::future<std::vector<float>> encode_in_thread(TextBatcher& batcher, Items items) {
  return std::async(std::launch::async, [&batcher, items = std::move(items)] { return encode(batcher, items); });
}

struct Submitted {
  std::future<std::vector<float>> vectors;
  TextBatcher::Cancel cancel;
};

Submitted submit(TextBatcher& batcher, const Items& items) {
  Packed packed(items);
  auto promise = std::make_shared<std::promise<std::vector<float>>>();
  auto vectors = promise->get_future();
  auto cancel = batcher.submit(std::move(packed.values), std::move(packed.offsets),
                               [promise](std::vector<float> rows, const std::exception_ptr& error) {
                                 if (error) {
                                   promise->set_exception(error);
                                 } else {
                                   promise->set_value(std::move(rows));
                                 }
                               });
  return {std::move(vectors), std::move(cancel)};
}

void wait_until_waiting(const TextBatcher& batcher, std::size_t items) {
  while (batcher.statistics().waiting != items) std::this_thread::yield();
}

BatcherOptions one_at_a_time(std::size_t max_batch = 32) {
  BatcherOptions options;
  options.max_batch = max_batch;
  options.max_running = 1;
  options.max_delay_ms = 0;
  return options;
}

TEST(Batcher, ALoneRequestIsComputedAtOnceFromItsOwnMemory) {
  const std::vector<std::int32_t> tokens = {5, 6};
  const std::vector<std::int64_t> offsets = {0, 2};
  std::vector<float> vector(kDimension);
  const void* seen_tokens = nullptr;
  const void* seen_vectors = nullptr;
  TextBatcher batcher(
      [&](std::span<const std::int32_t> values, std::span<const std::int64_t>, MatrixView<float> vectors) {
        seen_tokens = values.data();
        seen_vectors = vectors.data;
      },
      kDimension);
  batcher.encode(tokens, offsets, {vector.data(), 1, kDimension});
  EXPECT_EQ(seen_tokens, tokens.data());
  EXPECT_EQ(seen_vectors, vector.data());
}

TEST(Batcher, RequestsThatArriveWhileABatchRunsAreComputedTogetherAndEachGetsItsOwnVectors) {
  GatedEncoder encoder;
  TextBatcher batcher(encoder.function(), kDimension, one_at_a_time());
  encoder.close();
  auto first = encode_in_thread(batcher, {{1, 2}});
  encoder.wait_until_entered(1);
  const std::vector<Items> requests = {{{3}}, {{4, 5, 6}, {7}}, {{8, 9}}, {{10}, {11}, {12, 13}}};
  std::vector<std::future<std::vector<float>>> waiting;
  for (const auto& request : requests) waiting.push_back(encode_in_thread(batcher, request));
  wait_until_waiting(batcher, 7);
  encoder.open();
  EXPECT_EQ(first.get(), expected_vectors({{1, 2}}));
  for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(waiting[i].get(), expected_vectors(requests[i]));
  EXPECT_THAT(encoder.batches(), ElementsAre(1, 7));
  const BatcherStatistics statistics = batcher.statistics();
  EXPECT_EQ(statistics.requests, 5U);
  EXPECT_EQ(statistics.batches, 2U);
  EXPECT_EQ(statistics.items, 8U);
  EXPECT_EQ(statistics.waiting, 0U);
}

TEST(Batcher, SubmittedRequestsJoinTheBatchesOfWaitingCallers) {
  GatedEncoder encoder;
  TextBatcher batcher(encoder.function(), kDimension, one_at_a_time());
  encoder.close();
  auto first = submit(batcher, {{1}});
  encoder.wait_until_entered(1);
  auto second = encode_in_thread(batcher, {{2}});
  wait_until_waiting(batcher, 1);
  auto third = submit(batcher, {{3}, {4, 4}});
  encoder.open();
  EXPECT_EQ(first.vectors.get(), expected_vectors({{1}}));
  EXPECT_EQ(second.get(), expected_vectors({{2}}));
  EXPECT_EQ(third.vectors.get(), expected_vectors({{3}, {4, 4}}));
  EXPECT_THAT(encoder.batches(), ElementsAre(1, 3));
}

TEST(Batcher, ABatchHoldsAtMostMaxBatchItemsInTheOrderOfArrivalAndALargerRequestIsABatchOfItsOwn) {
  GatedEncoder encoder;
  TextBatcher batcher(encoder.function(), kDimension, one_at_a_time(3));
  encoder.close();
  auto first = submit(batcher, {{100}});
  encoder.wait_until_entered(1);
  std::vector<Submitted> waiting;
  const std::vector<Items> requests = {{{1}}, {{2}, {3}}, {{4}}, {{5}, {6}, {7}, {8}, {9}}, {{10}}, {{11}, {12}, {13}}};
  for (const auto& request : requests) waiting.push_back(submit(batcher, request));
  encoder.open();
  for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(waiting[i].vectors.get(), expected_vectors(requests[i]));
  EXPECT_THAT(encoder.batches(), ElementsAre(1, 3, 1, 5, 1, 3));
  EXPECT_THAT(encoder.order(), ElementsAre(100, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13));
}

TEST(Batcher, AsManyBatchesRunAtTheSameTimeAsMay) {
  GatedEncoder encoder;
  BatcherOptions options;
  options.max_running = 3;
  TextBatcher batcher(encoder.function(), kDimension, options);
  encoder.close();
  std::vector<std::future<std::vector<float>>> calls;
  for (std::size_t i = 1; i <= 3; ++i) {
    calls.push_back(encode_in_thread(batcher, {{1}}));
    encoder.wait_until_entered(i);
  }
  calls.push_back(encode_in_thread(batcher, {{2}}));
  calls.push_back(encode_in_thread(batcher, {{2}}));
  wait_until_waiting(batcher, 2);
  encoder.open();
  for (auto& call : calls) call.get();
  EXPECT_THAT(encoder.batches(), testing::Contains(2));
}

TEST(Batcher, AfterABatchOfSeveralRequestsTheNextWaitsForAsMany) {
  GatedEncoder encoder;
  BatcherOptions options = one_at_a_time();
  options.max_delay_ms = 60'000;  // the test would last as long if it did not begin when the third is there
  TextBatcher batcher(encoder.function(), kDimension, options);
  encoder.close();
  std::vector<Submitted> calls;
  calls.push_back(submit(batcher, {{1}}));
  encoder.wait_until_entered(1);
  for (int i = 0; i < 3; ++i) calls.push_back(submit(batcher, {{2}}));
  encoder.open();
  for (auto& call : calls) call.vectors.get();
  std::vector<std::future<std::vector<float>>> again;
  for (int i = 0; i < 3; ++i) again.push_back(encode_in_thread(batcher, {{3}}));
  for (auto& call : again) call.get();
  EXPECT_THAT(encoder.batches(), ElementsAre(1, 3, 3));
}

TEST(Batcher, WhoComesAloneAfterABusyTimeDoesNotWaitLongerThanTheDelay) {
  GatedEncoder encoder;
  BatcherOptions options = one_at_a_time();
  options.max_delay_ms = 5;
  TextBatcher batcher(encoder.function(), kDimension, options);
  encoder.close();
  std::vector<Submitted> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(submit(batcher, {{1}}));
  encoder.open();
  for (auto& call : calls) call.vectors.get();
  EXPECT_EQ(encode(batcher, {{7}}), expected_vectors({{7}}));  // its caller leads it
  EXPECT_EQ(submit(batcher, {{8}}).vectors.get(), expected_vectors({{8}}));
}

TEST(Batcher, OnlyTheRequestThatDoesNotBearComputingFails) {
  GatedEncoder encoder;
  TextBatcher batcher(encoder.function(), kDimension, one_at_a_time());
  encoder.close();
  auto first = submit(batcher, {{1}});
  encoder.wait_until_entered(1);
  auto good = submit(batcher, {{2}, {3}});
  auto bad = submit(batcher, {{4}, {5, kBad}});
  auto good_too = submit(batcher, {{6}});
  encoder.open();
  EXPECT_EQ(good.vectors.get(), expected_vectors({{2}, {3}}));
  EXPECT_EQ(good_too.vectors.get(), expected_vectors({{6}}));
  EXPECT_THROW(bad.vectors.get(), InvalidArgument);
  EXPECT_THROW(encode(batcher, {{kBad}}), InvalidArgument);
  EXPECT_EQ(encode(batcher, {{9}}), expected_vectors({{9}}));  // and it goes on
}

TEST(Batcher, AnErrorOfTheEncoderReachesEveryoneInTheBatch) {
  std::atomic<int> calls{0};
  GatedEncoder gate;
  const auto wait = gate.function();
  TextBatcher batcher(
      [&](std::span<const std::int32_t> values, std::span<const std::int64_t> offsets, MatrixView<float> vectors) {
        wait(values, offsets, vectors);
        if (++calls > 1) throw std::runtime_error("out of order");
      },
      kDimension, one_at_a_time());
  gate.close();
  auto first = submit(batcher, {{1}});
  gate.wait_until_entered(1);
  std::vector<std::future<std::vector<float>>> waiting;
  for (int i = 0; i < 4; ++i) waiting.push_back(encode_in_thread(batcher, {{2}}));
  wait_until_waiting(batcher, 4);
  gate.open();
  EXPECT_NO_THROW(first.vectors.get());
  for (auto& call : waiting) EXPECT_THROW(call.get(), std::runtime_error);
}

TEST(Batcher, AFullQueueRefusesAtOnceAndTakesAgainWhenItHasEmptied) {
  GatedEncoder encoder;
  BatcherOptions options = one_at_a_time();
  options.max_queue = 3;
  TextBatcher batcher(encoder.function(), kDimension, options);
  encoder.close();
  auto running = submit(batcher, {{1}, {1}, {1}, {1}, {1}});  // larger than the queue, but it need not wait
  encoder.wait_until_entered(1);
  auto two = submit(batcher, {{2}, {2}});
  try {
    submit(batcher, {{3}, {3}});
    FAIL() << "expected Overloaded";
  } catch (const Overloaded& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("at most 3 items"), HasSubstr("got 2 and 2 more"), HasSubstr("again")));
  }
  EXPECT_THROW(encode(batcher, {{3}, {3}}), Overloaded);
  auto one = submit(batcher, {{4}});  // a smaller one still fits
  EXPECT_THROW(submit(batcher, {{5}}), Overloaded);
  EXPECT_EQ(batcher.statistics().refused, 3U);
  encoder.open();
  running.vectors.get();
  two.vectors.get();
  one.vectors.get();
  EXPECT_EQ(encode(batcher, {{6}, {6}}), expected_vectors({{6}, {6}}));
}

TEST(Batcher, ACancelledRequestIsNeverComputedAndItsPlaceIsFree) {
  GatedEncoder encoder;
  BatcherOptions options = one_at_a_time();
  options.max_queue = 2;
  TextBatcher batcher(encoder.function(), kDimension, options);
  encoder.close();
  auto running = submit(batcher, {{1}});
  encoder.wait_until_entered(1);
  auto dropped = submit(batcher, {{2}});
  auto kept = submit(batcher, {{3}});
  EXPECT_THROW(submit(batcher, {{4}}), Overloaded);
  EXPECT_TRUE(dropped.cancel());
  EXPECT_FALSE(dropped.cancel());
  auto in_its_place = submit(batcher, {{4}});
  EXPECT_FALSE(running.cancel());  // it is being computed: too late
  encoder.open();
  EXPECT_EQ(running.vectors.get(), expected_vectors({{1}}));
  EXPECT_EQ(kept.vectors.get(), expected_vectors({{3}}));
  EXPECT_EQ(in_its_place.vectors.get(), expected_vectors({{4}}));
  EXPECT_FALSE(kept.cancel());
  EXPECT_THAT(encoder.order(), ElementsAre(1, 3, 4));
  EXPECT_THROW(dropped.vectors.get(), std::future_error);  // its callback was let go of, never called
  EXPECT_EQ(batcher.statistics().cancelled, 1U);
}

TEST(Batcher, WhoWaitedTooLongIsRefusedInsteadOfComputed) {
  GatedEncoder encoder;
  BatcherOptions options = one_at_a_time();
  options.max_wait_ms = 200;
  TextBatcher batcher(encoder.function(), kDimension, options);
  encoder.close();
  auto running = encode_in_thread(batcher, {{1}});
  encoder.wait_until_entered(1);
  auto late = submit(batcher, {{2}});
  auto late_too = encode_in_thread(batcher, {{3}});
  wait_until_waiting(batcher, 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  encoder.open();
  EXPECT_EQ(running.get(), expected_vectors({{1}}));
  EXPECT_THROW(late.vectors.get(), Overloaded);
  EXPECT_THROW(late_too.get(), Overloaded);
  EXPECT_THAT(encoder.order(), ElementsAre(1));
}

TEST(Batcher, EndingItDropsWhatWaitsAndFinishesWhatRuns) {
  GatedEncoder encoder;
  std::optional<TextBatcher> batcher(std::in_place, encoder.function(), kDimension, one_at_a_time());
  encoder.close();
  auto running = submit(*batcher, {{1}});
  encoder.wait_until_entered(1);
  auto waiting = submit(*batcher, {{2}});
  auto waiting_too = encode_in_thread(*batcher, {{3}});
  wait_until_waiting(*batcher, 2);
  std::thread end([&] { batcher.reset(); });
  EXPECT_THROW(waiting.vectors.get(), Cancelled);
  EXPECT_THROW(waiting_too.get(), Cancelled);
  encoder.open();
  EXPECT_EQ(running.vectors.get(), expected_vectors({{1}}));
  end.join();
  EXPECT_FALSE(running.cancel());  // asked of a batcher that is no more
  EXPECT_THAT(encoder.order(), ElementsAre(1));
}

TEST(Batcher, MayEndInACallback) {
  GatedEncoder encoder;
  auto batcher = std::make_shared<TextBatcher>(encoder.function(), kDimension);
  std::promise<void> ended;
  encoder.close();
  batcher->submit({1}, {0, 1}, [held = batcher, &ended](std::vector<float>, const std::exception_ptr&) mutable {
    held.reset();  // the last owner
    ended.set_value();
  });
  encoder.wait_until_entered(1);
  batcher.reset();
  encoder.open();
  ended.get_future().get();
}

TEST(Batcher, NobodyIsPassedOverWhileOthersKeepComing) {
  GatedEncoder encoder;
  TextBatcher batcher(encoder.function(), kDimension, one_at_a_time(2));
  std::atomic<bool> stop{false};
  std::vector<std::thread> crowd;
  for (int i = 0; i < 6; ++i) {
    crowd.emplace_back([&] {
      while (!stop) encode(batcher, {{1}});
    });
  }
  for (int round = 0; round < 20; ++round) {
    encoder.close();
    while (encoder.inside() == 0 || encoder.inside() + batcher.statistics().waiting < crowd.size()) {
      std::this_thread::yield();
    }
    const std::size_t begun = encoder.order().size();
    const std::size_t before = batcher.statistics().waiting;
    auto request = submit(batcher, {{2}});
    encoder.open();
    request.vectors.get();
    const auto order = encoder.order();
    const auto place = std::find(order.begin() + static_cast<std::ptrdiff_t>(begun), order.end(), 2);
    EXPECT_EQ(place - order.begin(), static_cast<std::ptrdiff_t>(begun + before));
  }
  stop = true;
  for (auto& thread : crowd) thread.join();
}

TEST(Batcher, ThirtyTwoThreadsGetTheirOwnVectorsWhileOthersCancelAndFail) {
  GatedEncoder encoder;
  BatcherOptions options;
  options.max_batch = 7;
  options.max_queue = 40;
  options.max_delay_ms = 0.1;
  options.max_running = 2;
  TextBatcher batcher(encoder.function(), kDimension, options);
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 32; ++seed) {
    threads.emplace_back([&, seed] {
      std::minstd_rand random(seed + 1);
      for (int call = 0; call < 100; ++call) {
        Items items(1 + random() % 3);
        for (auto& item : items) {
          item.resize(1 + random() % 5);
          for (auto& token : item) token = static_cast<std::int32_t>(random() % 1000);
        }
        const bool bad = random() % 16 == 0;
        if (bad) items.back().push_back(kBad);
        try {
          if (seed % 2 == 0) {
            ASSERT_EQ(encode(batcher, items), expected_vectors(items));
          } else {
            auto submitted = submit(batcher, items);
            if (random() % 4 == 0 && submitted.cancel()) continue;
            ASSERT_EQ(submitted.vectors.get(), expected_vectors(items));
          }
          ASSERT_FALSE(bad);
          ++answered;
        } catch (const InvalidArgument&) {
          ASSERT_TRUE(bad);
        } catch (const Overloaded&) {
          std::this_thread::yield();
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GT(answered.load(), 0);
  EXPECT_EQ(batcher.statistics().waiting, 0U);
  EXPECT_THAT(encoder.batches(), Each(Le(7U)));
}

TEST(Batcher, ComputesOnTheThreadsOfThePoolHoweverManyCall) {
  const std::size_t pool_size = compute_pool()->size();
  std::mutex mutex;
  std::set<std::thread::id> computing;
  TextBatcher batcher(
      [&](std::span<const std::int32_t>, std::span<const std::int64_t> offsets, MatrixView<float>) {
        compute_pool()->parallel_for(offsets.size() - 1, 1, [&](std::size_t, std::size_t) {
          const std::lock_guard lock(mutex);
          computing.insert(std::this_thread::get_id());
        });
      },
      kDimension);
  std::vector<std::thread> threads;
  for (int i = 0; i < 32; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 20; ++call) encode(batcher, {{1}});
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(computing.size(), pool_size);
}

TEST(Batcher, AForkedChildFindsItIdle) {
  GatedEncoder encoder;
  TextBatcher batcher(encoder.function(), kDimension, one_at_a_time());
  encoder.close();
  auto running = submit(batcher, {{1}});
  encoder.wait_until_entered(1);
  auto waiting = submit(batcher, {{2}});
  const pid_t child = fork();
  if (child == 0) {
    // The gate of this encoder is as the parent left it; another batcher's is not needed: nothing computes here.
    const bool idle = batcher.statistics().waiting == 0 && !waiting.cancel() && !running.cancel();
    encoder.open();
    const bool works = encode(batcher, {{3, 4}}) == expected_vectors({{3, 4}}) &&
                       submit(batcher, {{5}}).vectors.get() == expected_vectors({{5}});
    _exit(idle && works ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  encoder.open();
  EXPECT_EQ(running.vectors.get(), expected_vectors({{1}}));
  EXPECT_EQ(waiting.vectors.get(), expected_vectors({{2}}));
}

TEST(Batcher, RefusesWhatDoesNotFit) {
  GatedEncoder encoder;
  TextBatcher batcher(encoder.function(), kDimension);
  std::vector<float> rows(2 * kDimension);
  const std::vector<std::int32_t> values = {1, 2, 3};
  for (const std::vector<std::int64_t>& offsets : {std::vector<std::int64_t>{}, {0, 2}, {1, 3}, {0, 4}, {0}, {-1, 3}}) {
    EXPECT_THROW(batcher.encode(values, offsets, {rows.data(), 1, kDimension}), InvalidArgument);
    EXPECT_THROW(batcher.submit(values, offsets, {}), InvalidArgument);
  }
  EXPECT_THROW(batcher.encode(values, std::vector<std::int64_t>{0, 3}, {rows.data(), 2, kDimension}), InvalidArgument);
  EXPECT_THROW(batcher.encode(values, std::vector<std::int64_t>{0, 3}, {rows.data(), 1, 2}), InvalidArgument);
  EXPECT_TRUE(encode(batcher, {}).empty());
  EXPECT_TRUE(submit(batcher, {}).vectors.get().empty());
  EXPECT_TRUE(encoder.batches().empty());

  BatcherOptions options;
  options.max_batch = 0;
  EXPECT_THROW(TextBatcher(encoder.function(), kDimension, options), InvalidArgument);
  for (const double wrong : {-1.0, 1e9, std::numeric_limits<double>::quiet_NaN()}) {
    options = {};
    options.max_delay_ms = wrong;
    EXPECT_THROW(TextBatcher(encoder.function(), kDimension, options), InvalidArgument);
    options = {};
    options.max_wait_ms = wrong;
    EXPECT_THROW(TextBatcher(encoder.function(), kDimension, options), InvalidArgument);
  }
}

}  // namespace
}  // namespace matinee
