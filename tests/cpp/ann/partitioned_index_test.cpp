#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "matinee/ann/index.h"
#include "matinee/core/cpu.h"
#include "matinee/core/error.h"
#include "matinee/core/file.h"
#include "matinee/core/thread_pool.h"

namespace matinee {
namespace {

using ::testing::HasSubstr;
using Ids = std::vector<std::int64_t>;

struct Matrix {
  std::size_t cols;
  std::vector<float> values;

  std::size_t rows() const { return values.size() / cols; }
  MatrixView<const float> view() const { return {values.data(), rows(), cols}; }
  MatrixView<const float> row(std::size_t i) const { return {values.data() + i * cols, 1, cols}; }
};

// Rows around centres that are the same for every seed.
Matrix clustered(std::size_t rows, std::size_t cols, unsigned seed, float spread = 0.5F) {
  std::mt19937 of_centres(99);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> centres(30 * cols);
  for (float& value : centres) value = normal(of_centres);
  Matrix matrix{cols, std::vector<float>(rows * cols)};
  for (std::size_t r = 0; r < rows; ++r) {
    const float* const centre = centres.data() + random() % 30 * cols;
    for (std::size_t c = 0; c < cols; ++c) matrix.values[r * cols + c] = centre[c] + spread * normal(random);
  }
  return matrix;
}

std::unique_ptr<Index> build(const Matrix& rows, Metric metric, const Ids& ids = {}) {
  IndexOptions options;
  options.metric = metric;
  options.kind = IndexKind::kPartitioned;
  return Index::build(rows.view(), ids, options);
}

std::unique_ptr<Index> build_exact(const Matrix& rows, Metric metric, const Ids& ids = {}) {
  IndexOptions options;
  options.metric = metric;
  return Index::build(rows.view(), ids, options);
}

SearchOptions everywhere(std::size_t k) {
  SearchOptions options;
  options.k = k;
  options.recall = 1;
  return options;
}

// The share of the twin's results that were found.
double recall(const Neighbors& found, const Neighbors& truth) {
  std::size_t hits = 0;
  std::size_t wanted = 0;
  for (std::size_t q = 0; q < truth.num_queries; ++q) {
    const auto begin = truth.ids.begin() + static_cast<std::ptrdiff_t>(q * truth.width);
    const std::set<std::int64_t> expected(begin, begin + truth.counts[q]);
    wanted += expected.size();
    for (std::int64_t i = 0; i < found.counts[q]; ++i) {
      hits += expected.count(found.ids[q * found.width + static_cast<std::size_t>(i)]);
    }
  }
  return static_cast<double>(hits) / static_cast<double>(wanted);
}

class PartitionedIndexTest : public ::testing::TestWithParam<Metric> {};

TEST_P(PartitionedIndexTest, LookingEverywhereFindsWhatTheExactIndexFinds) {
  const Matrix rows = clustered(3000, 96, 1);
  const Matrix queries = clustered(40, 96, 2);
  const auto found = build(rows, GetParam())->search(queries.view(), everywhere(10));
  const auto truth = build_exact(rows, GetParam())->search(queries.view(), everywhere(10));
  EXPECT_GE(recall(found, truth), 0.99);
  EXPECT_EQ(found.counts, truth.counts);
  for (std::size_t i = 0; i < truth.scores.size(); ++i) {
    if (found.ids[i] != truth.ids[i]) continue;
    ASSERT_NEAR(found.scores[i], truth.scores[i], GetParam() == Metric::kCosine ? 2e-4F : 0.05F);
  }
}

TEST_P(PartitionedIndexTest, ManyQueriesGiveWhatEachGivesAlone) {
  const Matrix rows = clustered(2000, 70, 3);
  const Matrix queries = clustered(50, 70, 4);
  const auto index = build(rows, GetParam());
  SearchOptions options;
  options.num_probes = 12;
  const auto together = index->search(queries.view(), options);
  for (std::size_t q = 0; q < queries.rows(); ++q) {
    const auto alone = index->search(queries.row(q), options);
    for (std::size_t i = 0; i < together.width; ++i) {
      ASSERT_EQ(alone.ids[i], together.ids[q * together.width + i]) << q << ' ' << i;
      ASSERT_EQ(alone.scores[i], together.scores[q * together.width + i]);
    }
  }
}

// A filter that was made ready may have its rows compared in another way, which gives the same scores.
TEST_P(PartitionedIndexTest, APreparedFilterGivesWhatItsIdsGiveEachQueryAlone) {
  const Matrix rows = clustered(5000, 70, 11);
  const Matrix queries = clustered(300, 70, 12);
  const auto index = build(rows, GetParam());
  for (const std::size_t count : {0U, 1U, 15U, 17U, 63U, 200U, 1500U, 4000U}) {
    Ids ids(count);
    std::mt19937 random(13);
    for (auto& id : ids) id = static_cast<std::int64_t>(random() % 5100);  // some twice, some unknown
    const std::span<const std::int64_t> set(ids);
    const auto prepared = index->prepare(set);
    for (const std::size_t k : {1U, 10U, 50U, 700U}) {
      SearchOptions by_ids = everywhere(k);
      by_ids.id_sets = {&set, 1};
      SearchOptions by_prepared = everywhere(k);
      by_prepared.prepared = prepared.get();
      const auto together = index->search(queries.view(), by_prepared);
      for (std::size_t q = 0; q < queries.rows(); q += 37) {
        const auto alone = index->search(queries.row(q), by_ids);
        ASSERT_EQ(alone.counts[0], together.counts[q]) << count << ' ' << k;
        // The last few may be others: a first look at half the codes passes over one in ten thousand.
        for (std::size_t i = 0; i < alone.width / 2; ++i) {
          ASSERT_EQ(alone.ids[i], together.ids[q * together.width + i]) << count << ' ' << k << ' ' << q << ' ' << i;
          ASSERT_EQ(alone.scores[i], together.scores[q * together.width + i]);
        }
      }
    }
  }
}

TEST_P(PartitionedIndexTest, EveryLevelOfInstructionsGivesTheSameBits) {
  const Matrix rows = clustered(1500, 130, 5);
  const Matrix queries = clustered(30, 130, 6);
  const IsaLevel detected = isa_level();
  set_isa_level(IsaLevel::kScalar);
  const auto search_prepared = [&](const Index& index) {
    Ids ids(300);
    std::iota(ids.begin(), ids.end(), 100);
    const auto prepared = index.prepare(ids);
    SearchOptions options;
    options.prepared = prepared.get();
    return index.search(queries.view(), options);
  };
  const auto twin = build(rows, GetParam());
  const auto expected = twin->search(queries.view(), {});
  const auto expected_filtered = search_prepared(*twin);
  for (int level = 1; level <= static_cast<int>(detected); ++level) {
    set_isa_level(static_cast<IsaLevel>(level));
    const auto index = build(rows, GetParam());
    const auto found = index->search(queries.view(), {});
    EXPECT_EQ(found.ids, expected.ids) << isa_level_name(isa_level());
    EXPECT_EQ(found.scores, expected.scores) << isa_level_name(isa_level());
    const auto filtered = search_prepared(*index);
    EXPECT_EQ(filtered.ids, expected_filtered.ids) << isa_level_name(isa_level());
    EXPECT_EQ(filtered.scores, expected_filtered.scores) << isa_level_name(isa_level());
  }
  set_isa_level(detected);
}

TEST_P(PartitionedIndexTest, AFilterGivesAsManyAsItAllows) {
  const Matrix rows = clustered(4000, 64, 7);
  const Matrix queries = clustered(20, 64, 8);
  const auto index = build(rows, GetParam());
  const auto twin = build_exact(rows, GetParam());
  // Every n-th row; the rows nearest to the first query (correlated), and those farthest from it.
  const auto by_nearness = twin->search(queries.row(0), everywhere(4000)).ids;
  std::vector<Ids> sets;
  for (const std::size_t step : {2U, 10U, 100U, 1000U}) {
    sets.emplace_back();
    for (std::size_t row = 0; row < 4000; row += step) sets.back().push_back(static_cast<std::int64_t>(row));
  }
  for (const std::ptrdiff_t count : {0, 1, 7, 40, 400, 2000}) {
    sets.emplace_back(by_nearness.begin(), by_nearness.begin() + count);
    sets.emplace_back(by_nearness.end() - count, by_nearness.end());
  }
  for (const Ids& set : sets) {
    RowFilter bits(4000);
    for (const std::int64_t id : set) bits.allow(static_cast<std::size_t>(id));
    const std::span<const std::int64_t> ids(set);
    SearchOptions by_ids;
    by_ids.id_sets = {&ids, 1};
    SearchOptions by_bits;
    by_bits.filters = {&bits, 1};
    const auto truth = twin->search(queries.view(), by_bits);
    for (const SearchOptions& options : {by_ids, by_bits}) {
      const auto found = index->search(queries.view(), options);
      EXPECT_EQ(found.counts, truth.counts) << set.size();
      if (!set.empty())
        EXPECT_GE(recall(found, truth), 0.9)
            << set.size() << (options.filters.empty() ? " ids, first " : " bits, first ") << set[0] << " last "
            << set.back();
      for (std::size_t i = 0; i < found.ids.size(); ++i) {
        if (found.ids[i] != -1) ASSERT_TRUE(bits.allows(static_cast<std::size_t>(found.ids[i])));
      }
      // One by one, where each query goes its own way.
      const auto alone = index->search(queries.row(3), options);
      EXPECT_EQ(alone.counts[0], truth.counts[3]);
    }
  }
}

TEST_P(PartitionedIndexTest, EachQueryHasItsOwnFilter) {
  const Matrix rows = clustered(1000, 32, 9);
  const Matrix queries = clustered(3, 32, 10);
  const auto index = build(rows, GetParam());
  const Ids few = {5, 6, 7, 123456};
  const Ids one = {900};
  const Ids none;
  const std::vector<std::span<const std::int64_t>> sets = {few, one, none};
  SearchOptions options;
  options.id_sets = sets;
  const auto found = index->search(queries.view(), options);
  EXPECT_EQ(found.counts, (Ids{3, 1, 0}));
  EXPECT_EQ(found.ids[10], 900);
  EXPECT_EQ(found.ids[20], -1);
}

INSTANTIATE_TEST_SUITE_P(Metrics, PartitionedIndexTest,
                         ::testing::Values(Metric::kCosine, Metric::kInnerProduct, Metric::kL2),
                         [](const auto& metric) { return std::string(metric_name(metric.param)); });

TEST(PartitionedIndex, TheRecallThatIsAskedForIsReachedOnQueriesLikeTheRows) {
  const Matrix rows = clustered(8000, 64, 11, 1.0F);
  const Matrix queries = clustered(200, 64, 12, 1.0F);
  const auto index = build(rows, Metric::kCosine);
  const auto truth = build_exact(rows, Metric::kCosine)->search(queries.view(), {});
  double last = 0;
  for (const float wanted : {0.8F, 0.95F, 0.99F}) {
    SearchOptions options;
    options.recall = wanted;
    const double reached = recall(index->search(queries.view(), options), truth);
    EXPECT_GE(reached, wanted - 0.05);
    EXPECT_GE(reached, last);
    last = reached;
  }
}

// Queries one by one, of which sketches are compared first.
Neighbors one_by_one(const Index& index, const Matrix& queries, const SearchOptions& options) {
  Neighbors all{queries.rows(), options.k, {}, {}, {}};
  for (std::size_t q = 0; q < queries.rows(); ++q) {
    const Neighbors found = index.search(queries.row(q), options);
    all.ids.insert(all.ids.end(), found.ids.begin(), found.ids.end());
    all.counts.push_back(found.counts[0]);
  }
  return all;
}

TEST(PartitionedIndex, QueriesOneByOneFindAsMuchAsTogetherWhateverTheSignsAreWorth) {
  std::mt19937 random(21);
  struct Case {
    const char* rows;
    float (*value)(float normal, std::uint32_t chance);
  };
  const Case cases[] = {
      {"of normal elements", [](float normal, std::uint32_t) { return normal; }},
      {"without negative elements", [](float normal, std::uint32_t) { return std::abs(normal); }},
      {"of zeros mostly", [](float normal, std::uint32_t chance) { return chance % 8 == 0 ? normal : 0; }},
      {"of a few large elements", [](float normal, std::uint32_t) { return normal * normal * normal; }},
  };
  for (const Case& c : cases) {
    for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kL2}) {
      Matrix rows = clustered(6000, 96, 22, 1.0F);
      Matrix queries = clustered(150, 96, 23, 1.0F);
      for (float& value : rows.values) value = c.value(value, random());
      for (float& value : queries.values) value = c.value(value, random());
      const auto index = build(rows, metric);
      const auto truth = build_exact(rows, metric)->search(queries.view(), {});
      SearchOptions options;
      options.num_probes = index->num_partitions() / 2;
      const double together = recall(index->search(queries.view(), options), truth);
      const double alone = recall(one_by_one(*index, queries, options), truth);
      EXPECT_GE(alone, together - 0.01) << c.rows << ' ' << metric_name(metric);
    }
  }
}

TEST(PartitionedIndex, QueriesOneByOneFindAsMuchAsTogetherUnderAFilter) {
  const Matrix rows = clustered(6000, 96, 24, 1.0F);
  const Matrix queries = clustered(150, 96, 25, 1.0F);
  for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kL2}) {
    const auto index = build(rows, metric);
    const auto twin = build_exact(rows, metric);
    for (const std::size_t step : {2U, 3U, 8U, 9U, 50U}) {
      RowFilter every(6000);
      for (std::size_t row = 0; row < 6000; row += step) every.allow(row);
      SearchOptions options;
      options.filters = {&every, 1};
      const auto truth = twin->search(queries.view(), options);
      options.num_probes = index->num_partitions() / 2;
      const double together = recall(index->search(queries.view(), options), truth);
      const auto prepared = index->prepare(every);
      SearchOptions by_prepared;
      by_prepared.prepared = prepared.get();
      by_prepared.num_probes = options.num_probes;
      for (const SearchOptions& way : {options, by_prepared}) {
        const Neighbors found = one_by_one(*index, queries, way);
        EXPECT_GE(recall(found, truth), together - 0.01) << step << ' ' << metric_name(metric);
        EXPECT_EQ(found.counts, truth.counts);
        for (const std::int64_t id : found.ids) ASSERT_TRUE(every.allows(static_cast<std::size_t>(id)));
      }
    }
  }
}

TEST(PartitionedIndex, CalibratingWithOtherQueriesLooksFarther) {
  const Matrix rows = clustered(5000, 64, 13, 0.3F);
  Matrix queries = clustered(200, 64, 14, 3.0F);  // far from all rows
  const auto index = build(rows, Metric::kL2);
  const auto truth = build_exact(rows, Metric::kL2)->search(queries.view(), {});
  SearchOptions options;
  options.recall = 0.95F;
  const double before = recall(index->search(queries.view(), options), truth);
  index->calibrate(queries.view());
  const double after = recall(index->search(queries.view(), options), truth);
  EXPECT_LT(before, 0.9);
  EXPECT_GE(after, 0.93);
}

TEST(PartitionedIndex, TheSameSeedGivesTheSameFileOnAnyNumberOfThreads) {
  const Matrix rows = clustered(2000, 40, 15);
  const auto folder = std::filesystem::temp_directory_path() / ("matinee_seed_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const int threads = num_threads();
  set_num_threads(1);
  build(rows, Metric::kCosine)->save(folder / "one");
  set_num_threads(5);
  build(rows, Metric::kCosine)->save(folder / "five");
  set_num_threads(threads);
  EXPECT_EQ(read_file(folder / "one"), read_file(folder / "five"));
  std::filesystem::remove_all(folder);
}

TEST(PartitionedIndex, SmallAndOddOnesAreSearched) {
  for (const std::size_t rows : {0U, 1U, 2U, 17U}) {
    const Matrix matrix = clustered(rows, 5, 16);
    const auto index = build(Matrix{5, matrix.values}, Metric::kCosine);
    const Matrix query = clustered(6, 5, 17);
    const auto found = index->search(query.view(), everywhere(30));
    EXPECT_EQ(found.width, rows);
    for (const auto count : found.counts) EXPECT_EQ(count, static_cast<std::int64_t>(rows));
  }
  // All the same, and all zero.
  for (const float value : {0.0F, 1.0F}) {
    const Matrix same{8, std::vector<float>(500 * 8, value)};
    const auto found = build(same, Metric::kCosine)->search(same.row(0), everywhere(20));
    EXPECT_EQ(found.counts[0], 20);
    EXPECT_EQ(found.ids[0], 0);
    EXPECT_NEAR(found.scores[0], value, 1e-3F);
  }
}

TEST(PartitionedIndex, ImpossibleInputIsRefused) {
  const Matrix rows = clustered(50, 8, 18);
  const auto index = build(rows, Metric::kCosine);
  EXPECT_THROW(build(rows, Metric::kCosine, Ids(50, 3)), InvalidArgument);
  Ids with_mark(50);
  std::iota(with_mark.begin(), with_mark.end(), -1);
  EXPECT_THROW(build(rows, Metric::kCosine, with_mark), InvalidArgument);
  Matrix with_nan = rows;
  with_nan.values[77] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(build(with_nan, Metric::kCosine), InvalidArgument);
  EXPECT_THROW(index->search(with_nan.view(), {}), InvalidArgument);
  EXPECT_THROW(index->search({rows.values.data(), 1, 7}, {}), InvalidArgument);
  EXPECT_THROW(index->search(rows.row(0), everywhere(0)), InvalidArgument);
  EXPECT_THROW(index->add(rows.row(0), Ids{3}), InvalidArgument);
  EXPECT_THROW(index->add(rows.row(0), Ids{-1}), InvalidArgument);
  EXPECT_THROW(index->add(rows.row(0), Ids{}), InvalidArgument);
  EXPECT_THROW(index->add({rows.values.data(), 1, 7}, Ids{1000}), InvalidArgument);
  EXPECT_THROW(index->update(rows.row(0), Ids{1000}), NotFound);
  EXPECT_THROW(index->remove(Ids{7, 1000}), NotFound);
  EXPECT_THROW(index->remove(Ids{7, 7}), InvalidArgument);
  EXPECT_THROW(index->calibrate({nullptr, 0, 8}), InvalidArgument);
  EXPECT_EQ(index->size(), 50U);  // nothing of it happened
  EXPECT_EQ(index->row_of(7), 7U);
  EXPECT_THROW(build_exact(rows, Metric::kCosine)->remove(Ids{7}), InvalidArgument);
}

TEST(PartitionedIndex, BuildingTellsHowFarItIsAndStopsWhenAsked) {
  const Matrix rows = clustered(3000, 16, 19);
  IndexOptions options;
  options.kind = IndexKind::kPartitioned;
  std::vector<std::size_t> told;
  options.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(total, 3000U);
    told.push_back(done);
    return true;
  };
  Index::build(rows.view(), {}, options);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), 3000U);
  options.progress = [](std::size_t done, std::size_t) { return done < 500; };
  EXPECT_THROW(Index::build(rows.view(), {}, options), Cancelled);
}

// What an index should hold, kept the slow way.
using Twin = std::map<std::int64_t, std::vector<float>>;

void expect_same(const Index& index, const Twin& twin) {
  ASSERT_EQ(index.size(), twin.size());
  Ids ids = index.ids();
  for (std::size_t row = 0; row < ids.size(); ++row) ASSERT_EQ(index.row_of(ids[row]), row);
  std::sort(ids.begin(), ids.end());
  std::size_t at = 0;
  for (const auto& [id, vector] : twin) ASSERT_EQ(ids[at++], id);
  std::vector<float> out(ids.size() * index.dimension());
  index.vectors(ids, {out.data(), ids.size(), index.dimension()});
  at = 0;
  for (const auto& [id, vector] : twin) {
    for (const float value : vector) ASSERT_NEAR(out[at++], value, 0.01F) << id;
  }
}

TEST(PartitionedIndexChanges, AnyOrderOfChangesLeavesWhatTheTwinHolds) {
  const Matrix pool = clustered(3000, 12, 20);
  std::mt19937 random(21);
  Matrix first{12, {pool.values.begin(), pool.values.begin() + 600 * 12}};
  const auto index = build(first, Metric::kL2);
  Twin twin;
  for (std::size_t row = 0; row < 600; ++row) {
    twin[static_cast<std::int64_t>(row)].assign(first.row(row).data, first.row(row).data + 12);
  }
  for (int round = 0; round < 120; ++round) {
    const std::size_t count = random() % 20;
    const std::size_t from = random() % 2900;
    const MatrixView<const float> vectors(pool.values.data() + from * 12, count, 12);
    std::set<std::int64_t> ids;
    if (round % 3 == 0) {
      while (ids.size() < count) {
        const auto id = static_cast<std::int64_t>(random() % 100000) - 50000;
        if (id != -1 && twin.count(id) == 0) ids.insert(id);
      }
    } else {
      while (ids.size() < count) ids.insert(std::next(twin.begin(), random() % twin.size())->first);
    }
    const Ids list(ids.begin(), ids.end());
    if (round % 3 == 2) {
      index->remove(list);
      for (const auto id : list) twin.erase(id);
    } else {
      round % 3 == 0 ? index->add(vectors, list) : index->update(vectors, list);
      for (std::size_t i = 0; i < count; ++i) twin[list[i]].assign(vectors.row(i), vectors.row(i) + 12);
    }
  }
  expect_same(*index, twin);
  const auto path = std::filesystem::temp_directory_path() / ("matinee_changed_" + std::to_string(::getpid()));
  index->save(path);
  expect_same(*Index::open(path, Verify::kFull), twin);
  // An opened one is changed without its file.
  const auto bytes = read_file(path);
  const auto opened = Index::open(path, Verify::kFast);
  opened->remove(Ids{twin.begin()->first});
  twin.erase(twin.begin());
  expect_same(*opened, twin);
  EXPECT_EQ(read_file(path), bytes);
  std::filesystem::remove(path);
}

TEST(PartitionedIndexChanges, EveryRowIsFoundAndRecallIsThatOfANewIndexAfterHalfWasReplaced) {
  const Matrix rows = clustered(6000, 48, 22, 1.0F);
  Matrix half{48, {rows.values.begin(), rows.values.begin() + 3000 * 48}};
  const auto index = build(half, Metric::kCosine);
  Ids all(6000);
  std::iota(all.begin(), all.end(), 0);
  for (std::size_t start = 0; start < 3000; start += 100) {
    index->add({rows.values.data() + (3000 + start) * 48, 100, 48}, std::span(all).subspan(3000 + start, 100));
    index->remove(std::span(all).subspan(start, 100));
  }
  const Matrix rest{48, {rows.values.begin() + 3000 * 48, rows.values.end()}};
  const Ids ids(all.begin() + 3000, all.end());
  const auto fresh = build(rest, Metric::kCosine, ids);
  const auto themselves = index->search(rest.view(), everywhere(1));
  for (std::size_t row = 0; row < 3000; ++row) ASSERT_EQ(themselves.ids[row], ids[row]);
  const Matrix queries = clustered(300, 48, 23, 1.0F);
  const auto truth = build_exact(rest, Metric::kCosine, ids)->search(queries.view(), {});
  const double of_changed = recall(index->search(queries.view(), {}), truth);
  const double of_fresh = recall(fresh->search(queries.view(), {}), truth);
  EXPECT_GE(of_changed, of_fresh - 0.01);
}

TEST(PartitionedIndexChanges, GrowingFromNothingSplitsPartitions) {
  const Matrix rows = clustered(3000, 24, 24);
  const auto index = build(Matrix{24, {}}, Metric::kCosine);
  Ids ids(3000);
  std::iota(ids.begin(), ids.end(), 0);
  for (std::size_t start = 0; start < 3000; start += 50) {
    index->add({rows.values.data() + start * 24, 50, 24}, std::span(ids).subspan(start, 50));
  }
  EXPECT_GT(index->num_partitions(), 10U);
  const auto truth = build_exact(rows, Metric::kCosine)->search(rows.view(), {});
  EXPECT_GE(recall(index->search(rows.view(), everywhere(10)), truth), 0.99);
  index->remove(ids);
  EXPECT_EQ(index->size(), 0U);
  index->add(rows.row(0), Ids{5});
  EXPECT_EQ(index->search(rows.row(0), {}).ids[0], 5);
}

TEST(PartitionedIndexChanges, SearchesSeeEveryChangeWholeOrNotAtAll) {
  constexpr std::int64_t kFixed = 500;
  const Matrix rows = clustered(2000, 16, 25);
  const Matrix first{16, {rows.values.begin(), rows.values.begin() + 600 * 16}};
  const auto index = build(first, Metric::kL2);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  // Ids below kFixed are never touched; 1000 and 2000 come and go together, and 500 is moved about.
  const Ids pair = {1000, 2000};
  const Ids moved = {kFixed};
  std::vector<std::thread> readers;
  for (unsigned t = 0; t < 3; ++t) {
    readers.emplace_back([&, t] {
      const Matrix queries = clustered(8, 16, 30 + t);
      std::vector<std::int64_t> fixed(kFixed);
      std::iota(fixed.begin(), fixed.end(), 0);
      const std::span<const std::int64_t> set(fixed);
      while (!stop) {
        const auto found = index->search(queries.view(), everywhere(3000));
        for (std::size_t q = 0; q < 8; ++q) {
          const auto begin = found.ids.begin() + static_cast<std::ptrdiff_t>(q * found.width);
          const std::multiset<std::int64_t> ids(begin, begin + found.counts[q]);
          if (ids.count(1000) != ids.count(2000) || ids.count(kFixed) != 1) ++wrong;
          for (std::int64_t id = 0; id < kFixed; ++id) wrong += ids.count(id) == 1 ? 0 : 1;
        }
        SearchOptions filtered = everywhere(1000);
        filtered.id_sets = {&set, 1};
        if (index->search(queries.view(), filtered).counts[0] != kFixed) ++wrong;
      }
    });
  }
  for (std::size_t round = 0; round < 150; ++round) {
    index->add({rows.values.data() + (600 + round) * 16, 2, 16}, pair);
    index->update(rows.row(800 + round), moved);
    index->remove(pair);
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace matinee
