#include "matinee/ann/index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "matinee/core/cpu.h"
#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"

namespace matinee {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Matrix {
  std::size_t rows;
  std::size_t cols;
  std::vector<float> values;

  Matrix(std::size_t rows_, std::size_t cols_) : rows(rows_), cols(cols_), values(rows_ * cols_) {}
  MatrixView<const float> view() const { return {values.data(), rows, cols}; }
  float* row(std::size_t i) { return values.data() + i * cols; }
  const float* row(std::size_t i) const { return values.data() + i * cols; }
};

// Rows around a few centres, with many exact duplicates, so that ties and near ties are common.
Matrix clustered(std::size_t rows, std::size_t cols, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Matrix centres(8, cols);
  for (float& value : centres.values) value = normal(random);
  Matrix matrix(rows, cols);
  for (std::size_t r = 0; r < rows; ++r) {
    if (r > 0 && random() % 5 == 0) {
      std::copy(matrix.row(r / 2), matrix.row(r / 2) + cols, matrix.row(r));
      continue;
    }
    const float* centre = centres.row(random() % 8);
    const float spread = random() % 2 == 0 ? 0.001F : 0.3F;
    for (std::size_t c = 0; c < cols; ++c) matrix.row(r)[c] = centre[c] + spread * normal(random);
  }
  return matrix;
}

void normalize(Matrix& matrix) {
  for (std::size_t r = 0; r < matrix.rows; ++r) {
    double squares = 0;
    for (std::size_t c = 0; c < matrix.cols; ++c) squares += double{matrix.row(r)[c]} * matrix.row(r)[c];
    const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    for (std::size_t c = 0; c < matrix.cols; ++c) matrix.row(r)[c] = static_cast<float>(matrix.row(r)[c] * scale);
  }
}

struct Found {
  std::int64_t id;
  float score;
  bool operator==(const Found&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Found& found) { return out << found.id << ":" << found.score; }

// The obvious search: every score, sorted.
std::vector<Found> brute_force(Matrix vectors, Matrix queries, std::size_t query, Metric metric, std::size_t k,
                               const RowFilter* filter) {
  if (metric == Metric::kCosine) {
    normalize(vectors);
    normalize(queries);
  }
  std::vector<Found> all;
  for (std::size_t r = 0; r < vectors.rows; ++r) {
    if (filter != nullptr && !filter->allows(r)) continue;
    double score = 0;
    for (std::size_t c = 0; c < vectors.cols; ++c) {
      const double a = vectors.row(r)[c];
      const double b = queries.row(query)[c];
      score += metric == Metric::kL2 ? -(a - b) * (a - b) : a * b;
    }
    all.push_back({static_cast<std::int64_t>(r), static_cast<float>(score)});
  }
  std::stable_sort(all.begin(), all.end(), [](const Found& a, const Found& b) { return a.score > b.score; });
  all.resize(std::min(k, all.size()));
  return all;
}

std::vector<Found> row_of(const Neighbors& neighbors, std::size_t query) {
  std::vector<Found> found;
  for (std::int64_t n = 0; n < neighbors.counts[query]; ++n) {
    const std::size_t at = query * neighbors.width + static_cast<std::size_t>(n);
    found.push_back({neighbors.ids[at], neighbors.scores[at]});
  }
  return found;
}

RowFilter every(std::size_t num_rows, std::size_t step) {
  RowFilter filter(num_rows);
  for (std::size_t r = 0; r < num_rows; r += step) filter.allow(r);
  return filter;
}

std::unique_ptr<Index> build(const Matrix& vectors, Metric metric = Metric::kCosine) {
  IndexOptions options;
  options.metric = metric;
  return Index::build(vectors.view(), {}, options);
}

Neighbors search(const Index& index, const Matrix& queries, std::size_t k, std::span<const RowFilter> filters = {}) {
  SearchOptions options;
  options.k = k;
  options.filters = filters;
  return index.search(queries.view(), options);
}

using Case = std::tuple<Metric, IsaLevel>;
class IndexSearchTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    before_ = isa_level();
    if (std::get<1>(GetParam()) > detected_isa_level()) GTEST_SKIP() << "this processor has no such instructions";
    set_isa_level(std::get<1>(GetParam()));
  }
  void TearDown() override { set_isa_level(before_); }
  Metric metric() const { return std::get<0>(GetParam()); }

 private:
  IsaLevel before_ = IsaLevel::kScalar;
};

INSTANTIATE_TEST_SUITE_P(MetricsAndLevels, IndexSearchTest,
                         ::testing::Combine(::testing::Values(Metric::kCosine, Metric::kInnerProduct, Metric::kL2),
                                            ::testing::Values(IsaLevel::kScalar, IsaLevel::kAvx2, IsaLevel::kAvx512,
                                                              IsaLevel::kAvx512Vnni)),
                         [](const auto& param) {
                           return std::string(metric_name(std::get<0>(param.param))) + "_" +
                                  std::string(isa_level_name(std::get<1>(param.param)));
                         });

TEST_P(IndexSearchTest, GivesWhatComparingEverythingGives) {
  // One query and a tile of them, within one chunk of rows and over several.
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{1, 1}, {37, 5}, {700, 64}, {9000, 20}}) {
    const Matrix vectors = clustered(rows, cols, 1);
    const Matrix queries = clustered(11, cols, rows > 100 ? 1 : 2);
    const auto index = build(vectors, metric());
    for (const std::size_t k : {1U, 10U, 300U}) {
      const Neighbors neighbors = search(*index, queries, k);
      ASSERT_EQ(neighbors.width, std::min(k, rows));
      for (std::size_t q = 0; q < queries.rows; ++q) {
        ASSERT_EQ(row_of(neighbors, q), brute_force(vectors, queries, q, metric(), k, nullptr)) << rows << ", k " << k;
      }
    }
    Matrix one(1, cols);
    std::copy(queries.row(3), queries.row(3) + cols, one.row(0));
    ASSERT_EQ(row_of(search(*index, one, 10), 0), brute_force(vectors, one, 0, metric(), 10, nullptr));
  }
}

TEST_P(IndexSearchTest, AFilterGivesTheBestOfTheRowsItAllows) {
  const Matrix vectors = clustered(5000, 24, 4);
  const Matrix queries = clustered(3, 24, 4);
  const auto index = build(vectors, metric());
  for (const std::size_t step : {1U, 2U, 7U, 100U, 2000U, 10000U}) {  // from every row to one
    const std::vector<RowFilter> one = {every(5000, step)};
    const std::vector<RowFilter> each = {every(5000, step), every(5000, 3), RowFilter(5000)};
    const Neighbors for_all = search(*index, queries, 20, one);
    const Neighbors for_each = search(*index, queries, 20, each);
    for (std::size_t q = 0; q < 3; ++q) {
      ASSERT_EQ(row_of(for_all, q), brute_force(vectors, queries, q, metric(), 20, one.data())) << step;
      ASSERT_EQ(row_of(for_each, q), brute_force(vectors, queries, q, metric(), 20, &each[q])) << step;
    }
    EXPECT_EQ(for_each.counts[2], 0);
    EXPECT_EQ(for_each.ids[2 * 20], -1);
    EXPECT_EQ(for_each.scores[2 * 20], -std::numeric_limits<float>::infinity());
  }
}

TEST_P(IndexSearchTest, EqualScoresComeInOrderOfTheirRows) {
  Matrix vectors(6000, 3);
  for (std::size_t r = 0; r < vectors.rows; ++r) vectors.row(r)[r % 3] = 1;
  Matrix query(1, 3);
  query.row(0)[1] = 1;
  const Neighbors neighbors = search(*build(vectors, metric()), query, 5);
  EXPECT_THAT(neighbors.ids, ElementsAre(1, 4, 7, 10, 13));
}

TEST(Index, ALargeBatchEqualsItsQueriesOneByOne) {
  const Matrix vectors = clustered(500, 16, 8);
  const Matrix queries = clustered(2100, 16, 9);
  const auto index = build(vectors);
  std::vector<RowFilter> filters;
  for (std::size_t q = 0; q < queries.rows; ++q) filters.push_back(every(500, 1 + q % 4));
  const Neighbors batch = search(*index, queries, 4, filters);
  for (std::size_t q = 0; q < queries.rows; q += 97) {
    Matrix one(1, 16);
    std::copy(queries.row(q), queries.row(q) + 16, one.row(0));
    ASSERT_EQ(row_of(batch, q), row_of(search(*index, one, 4, {&filters[q], 1}), 0)) << q;
  }
}

TEST(Index, KeepsIdsAndGivesTheirVectorsBack) {
  const Matrix vectors = clustered(5, 3, 1);
  const std::vector<std::int64_t> ids = {7, -5, std::numeric_limits<std::int64_t>::max(), 0, 1LL << 40};
  IndexOptions options;
  options.metric = Metric::kL2;
  const auto index = Index::build(vectors.view(), ids, options);
  Matrix query(1, 3);
  std::copy(vectors.row(2), vectors.row(2) + 3, query.row(0));
  EXPECT_EQ(search(*index, query, 1).ids[0], ids[2]);
  EXPECT_EQ(search(*index, query, 1).scores[0], 0.0F);
  for (std::size_t row = 0; row < 5; ++row) EXPECT_EQ(index->row_of(ids[row]), row);
  EXPECT_THROW(index->row_of(8), NotFound);
  Matrix out(2, 3);
  const std::vector<std::int64_t> wanted = {0, 7};
  index->vectors(wanted, {out.values.data(), 2, 3});
  EXPECT_TRUE(std::equal(out.row(0), out.row(0) + 3, vectors.row(3)));
  EXPECT_TRUE(std::equal(out.row(1), out.row(1) + 3, vectors.row(0)));
  const std::vector<std::int64_t> some = {7, 12345, 0, 7};
  EXPECT_EQ(index->filter_of(some).num_allowed(), 2U);
}

TEST(Index, CosineIsOneForAnyLengthOfTheSameDirectionAndZeroForAZeroVector) {
  Matrix vectors(3, 2);
  vectors.values = {3e-20F, 4e-20F, 0, 0, -3e30F, -4e30F};
  Matrix queries(2, 2);
  queries.values = {6e35F, 8e35F, 0, 0};
  const Neighbors neighbors = search(*build(vectors), queries, 3);
  EXPECT_THAT(row_of(neighbors, 0), ElementsAre(Found{0, 1.0F}, Found{1, 0.0F}, Found{2, -1.0F}));
  EXPECT_THAT(row_of(neighbors, 1), ElementsAre(Found{0, 0.0F}, Found{1, 0.0F}, Found{2, 0.0F}));
}

TEST(Index, MayBeEmpty) {
  const Matrix none(0, 4);
  const Matrix queries = clustered(2, 4, 1);
  const auto index = build(none);
  EXPECT_EQ(index->size(), 0U);
  const Neighbors neighbors = search(*index, queries, 5);
  EXPECT_EQ(neighbors.width, 0U);
  EXPECT_THAT(neighbors.counts, ElementsAre(0, 0));
  EXPECT_TRUE(search(*build(queries), none, 5).counts.empty());
}

template <typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "no InvalidArgument";
}

TEST(Index, RefusesWhatItCannotHold) {
  Matrix vectors = clustered(4, 3, 1);
  const auto with_ids = [&](std::vector<std::int64_t> ids) {
    return message_of([&] { Index::build(vectors.view(), ids, {}); });
  };
  EXPECT_THAT(with_ids({1, 2, 3}), HasSubstr("expected 4"));
  EXPECT_THAT(with_ids({1, 2, 3, 2}), HasSubstr("got 2 twice"));
  EXPECT_THAT(with_ids({1, 2, 3, -1}), HasSubstr("-1"));
  vectors.row(2)[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message_of([&] { build(vectors); }), HasSubstr("in row 2, column 1"));
  vectors.row(2)[1] = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(message_of([&] { build(vectors); }), HasSubstr("in row 2, column 1"));
  vectors.row(2)[1] = 2e18F;
  EXPECT_THAT(message_of([&] { build(vectors, Metric::kL2); }), HasSubstr("1e18"));
  EXPECT_NO_THROW(build(vectors, Metric::kCosine));
  EXPECT_THAT(message_of([] { build(Matrix(3, 0)); }), HasSubstr("1..65536"));
}

TEST(Index, RefusesWrongQuestions) {
  const Matrix vectors = clustered(4, 3, 1);
  const auto index = build(vectors);
  Matrix queries = clustered(2, 3, 2);
  EXPECT_THAT(message_of([&] { search(*index, queries, 0); }), HasSubstr("k: expected at least 1"));
  EXPECT_THAT(message_of([&] { search(*index, Matrix(2, 4), 1); }), HasSubstr("another encoder"));
  const std::vector<RowFilter> three(3, RowFilter(4));
  EXPECT_THAT(message_of([&] { search(*index, queries, 1, three); }), HasSubstr("one for each of 2"));
  const std::vector<RowFilter> other = {RowFilter(5)};
  EXPECT_THAT(message_of([&] { search(*index, queries, 1, other); }), HasSubstr("another index"));
  queries.row(1)[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message_of([&] { search(*index, queries, 1); }), HasSubstr("in row 1"));
}

TEST(Index, BuildingTellsHowFarItIsAndStopsOnRequest) {
  const Matrix vectors = clustered(20000, 2, 1);
  std::vector<std::size_t> told;
  IndexOptions options;
  options.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(total, 20000U);
    told.push_back(done);
    return true;
  };
  Index::build(vectors.view(), {}, options);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), 20000U);
  options.progress = [](std::size_t, std::size_t) { return false; };
  EXPECT_THROW(Index::build(vectors.view(), {}, options), Cancelled);
}

TEST(Index, ManyThreadsSearchOneIndex) {
  const Matrix vectors = clustered(5000, 16, 1);
  const Matrix queries = clustered(4, 16, 2);
  const auto index = build(vectors);
  const Neighbors expected = search(*index, queries, 10);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 10; ++call) ASSERT_EQ(search(*index, queries, 10).ids, expected.ids);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(RowFilter, KnowsItsRows) {
  RowFilter filter(200);
  filter.allow(3);
  filter.allow(130);
  filter.allow(130);
  EXPECT_EQ(filter.num_allowed(), 2U);
  EXPECT_TRUE(filter.allows(130));
  EXPECT_FALSE(filter.allows(131));
  EXPECT_TRUE(filter.allows_any(0, 200));
  EXPECT_TRUE(filter.allows_any(65, 131));
  EXPECT_FALSE(filter.allows_any(4, 130));
  EXPECT_FALSE(filter.allows_any(131, 200));
  EXPECT_FALSE(filter.allows_any(130, 130));
  EXPECT_EQ(RowFilter::from_mask(std::vector<std::uint8_t>{0, 1, 2}).num_allowed(), 2U);
}

TEST(Metric, NamesRoundTrip) {
  for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kL2}) {
    EXPECT_EQ(metric_from_name(metric_name(metric)), metric);
  }
  EXPECT_THROW(metric_from_name("euclid"), InvalidArgument);
  EXPECT_THROW(verify_from_name("maybe"), InvalidArgument);
}

}  // namespace
}  // namespace matinee
