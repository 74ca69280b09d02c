#if defined(__x86_64__)

#include <immintrin.h>

#include "ann/kernels_common.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

namespace matinee::ann {
namespace {

inline __m512d widened(const float* values) { return _mm512_cvtps_pd(_mm256_loadu_ps(values)); }

double dot_avx512(const float* a, const float* b, std::size_t count) {
  __m512d sums[kLanes / 8];
  for (auto& sum : sums) sum = _mm512_setzero_pd();
  const std::size_t whole = count / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t n = 0; n < kLanes / 8; ++n) {
      const __m512d x = widened(a + i + 8 * n);
      const __m512d y = widened(b + i + 8 * n);
      sums[n] = _mm512_fmadd_pd(x, y, sums[n]);
    }
  }
  Lanes lanes{};
  for (std::size_t n = 0; n < kLanes / 8; ++n) _mm512_storeu_pd(lanes.data() + 8 * n, sums[n]);
  dot_tail(a, b, whole, count, lanes);
  return sum_of(lanes);
}

double squared_distance_avx512(const float* a, const float* b, std::size_t count) {
  __m512d sums[kLanes / 8];
  for (auto& sum : sums) sum = _mm512_setzero_pd();
  const std::size_t whole = count / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t n = 0; n < kLanes / 8; ++n) {
      const __m512d x = widened(a + i + 8 * n);
      const __m512d y = widened(b + i + 8 * n);
      const __m512d difference = _mm512_sub_pd(x, y);
      sums[n] = _mm512_add_pd(sums[n], _mm512_mul_pd(difference, difference));
    }
  }
  Lanes lanes{};
  for (std::size_t n = 0; n < kLanes / 8; ++n) _mm512_storeu_pd(lanes.data() + 8 * n, sums[n]);
  squared_distance_tail(a, b, whole, count, lanes);
  return sum_of(lanes);
}

}  // namespace

const Kernels kAvx512Kernels = {dot_codes_avx2, dot_avx512, squared_distance_avx512};

}  // namespace matinee::ann

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__
