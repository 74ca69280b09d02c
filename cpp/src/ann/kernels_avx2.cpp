#if defined(__x86_64__)

#include <immintrin.h>

#include "ann/kernels_common.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

namespace matinee::ann {
namespace {

// Codes are widened to 16 bits, where no product saturates.

// The sums of four accumulators, as four lanes.
inline __m128i sums_of_four(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
  const __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
  const __m256i abcd = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
  return _mm_add_epi32(_mm256_castsi256_si128(abcd), _mm256_extracti128_si256(abcd, 1));
}

// The sums of four rows with one query.
struct Sums256 {
  __m256i a;
  __m256i b;
  __m256i c;
  __m256i d;
};

inline __m256i widened_rows(const std::uint8_t* codes) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
}

inline void multiply(const std::int8_t* query, __m256i a, __m256i b, __m256i c, __m256i d, Sums256& sums) {
  const __m256i codes = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query)));
  sums.a = _mm256_add_epi32(sums.a, _mm256_madd_epi16(a, codes));
  sums.b = _mm256_add_epi32(sums.b, _mm256_madd_epi16(b, codes));
  sums.c = _mm256_add_epi32(sums.c, _mm256_madd_epi16(c, codes));
  sums.d = _mm256_add_epi32(sums.d, _mm256_madd_epi16(d, codes));
}

// Writes the products of four rows from `row` on with one query; the codes behind the whole steps one by one.
inline void store_sums(const Sums256& sums, const CodeBlock& block, std::size_t r, std::size_t q, std::size_t whole,
                       std::int32_t* dots) {
  const std::int8_t* const query = block.queries + q * block.query_stride;
  std::int32_t extra = kCodeOffset * block.query_sums[q];
  for (std::size_t i = whole; i < block.count; ++i) extra -= kCodeOffset * query[i];
  std::int32_t* const out = dots + q * block.num_rows + r;
  const __m128i four = _mm_sub_epi32(sums_of_four(sums.a, sums.b, sums.c, sums.d), _mm_set1_epi32(extra));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), four);
  for (std::size_t k = 0; k < 4 && whole < block.count; ++k) {
    out[k] += dot_codes_tail(block.rows + (r + k) * block.row_stride, query, whole, block.count);
  }
}

// Four rows with the queries from `q` on: one, or two.
template <std::size_t NQ>
void dot_codes_avx2_tile(const CodeBlock& block, std::size_t r, std::size_t q, std::int32_t* dots) {
  static_assert(NQ == 1 || NQ == 2);
  constexpr std::size_t kStep = 16;
  const std::size_t stride = block.row_stride;
  const std::uint8_t* const row = block.rows + r * stride;
  const std::int8_t* const query = block.queries + q * block.query_stride;
  const std::size_t whole = block.count / kStep * kStep;
  // Named one by one: GCC 12 keeps an array of them in memory.
  Sums256 s0 = {};
  Sums256 s1 = {};
  for (std::size_t i = 0; i < whole; i += kStep) {
    const __m256i a = widened_rows(row + i);
    const __m256i b = widened_rows(row + stride + i);
    const __m256i c = widened_rows(row + 2 * stride + i);
    const __m256i d = widened_rows(row + 3 * stride + i);
    multiply(query + i, a, b, c, d, s0);
    if constexpr (NQ > 1) multiply(query + block.query_stride + i, a, b, c, d, s1);
  }
  store_sums(s0, block, r, q, whole, dots);
  if constexpr (NQ > 1) store_sums(s1, block, r, q + 1, whole, dots);
}

double dot_avx2(const float* a, const float* b, std::size_t count) {
  __m256d sums[kLanes / 4];
  for (auto& sum : sums) sum = _mm256_setzero_pd();
  const std::size_t whole = count / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t n = 0; n < kLanes / 4; ++n) {
      const __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(a + i + 4 * n));
      const __m256d y = _mm256_cvtps_pd(_mm_loadu_ps(b + i + 4 * n));
      sums[n] = _mm256_fmadd_pd(x, y, sums[n]);  // the product is exact, so this rounds as multiply and add do
    }
  }
  Lanes lanes{};
  for (std::size_t n = 0; n < kLanes / 4; ++n) _mm256_storeu_pd(lanes.data() + 4 * n, sums[n]);
  dot_tail(a, b, whole, count, lanes);
  return sum_of(lanes);
}

double squared_distance_avx2(const float* a, const float* b, std::size_t count) {
  __m256d sums[kLanes / 4];
  for (auto& sum : sums) sum = _mm256_setzero_pd();
  const std::size_t whole = count / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t n = 0; n < kLanes / 4; ++n) {
      const __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(a + i + 4 * n));
      const __m256d y = _mm256_cvtps_pd(_mm_loadu_ps(b + i + 4 * n));
      const __m256d difference = _mm256_sub_pd(x, y);
      sums[n] = _mm256_add_pd(sums[n], _mm256_mul_pd(difference, difference));
    }
  }
  Lanes lanes{};
  for (std::size_t n = 0; n < kLanes / 4; ++n) _mm256_storeu_pd(lanes.data() + 4 * n, sums[n]);
  squared_distance_tail(a, b, whole, count, lanes);
  return sum_of(lanes);
}

}  // namespace

void dot_codes_avx2(const CodeBlock& block, std::int32_t* dots) {
  for_each_tile(
      block, 2, [&](std::size_t r, std::size_t q) { dot_codes_avx2_tile<2>(block, r, q, dots); },
      [&](std::size_t r, std::size_t q) { dot_codes_avx2_tile<1>(block, r, q, dots); });
  dot_codes_last_rows(block, dots);
}

const Kernels kAvx2Kernels = {dot_codes_avx2, dot_avx2, squared_distance_avx2};

}  // namespace matinee::ann

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__
