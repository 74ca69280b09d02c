#if defined(__x86_64__)

#include <immintrin.h>

#include "ann/kernels_common.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")
#endif

namespace matinee::ann {
namespace {

inline __m128i sums_of_four(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  const __m512i abcd = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(abcd), _mm512_extracti64x4_epi64(abcd, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

// The sums of four rows with one query.
struct Sums512 {
  __m512i a;
  __m512i b;
  __m512i c;
  __m512i d;
};

// The next 64 codes of four rows, or those of them that `mask` lets through.
struct Rows512 {
  __m512i a;
  __m512i b;
  __m512i c;
  __m512i d;
};

inline Rows512 load_rows(const std::uint8_t* codes, std::size_t stride, __mmask64 mask) {
  return {_mm512_maskz_loadu_epi8(mask, codes), _mm512_maskz_loadu_epi8(mask, codes + stride),
          _mm512_maskz_loadu_epi8(mask, codes + 2 * stride), _mm512_maskz_loadu_epi8(mask, codes + 3 * stride)};
}

inline void multiply(__m512i codes, const Rows512& rows, Sums512& sums) {
  sums.a = _mm512_dpbusd_epi32(sums.a, rows.a, codes);
  sums.b = _mm512_dpbusd_epi32(sums.b, rows.b, codes);
  sums.c = _mm512_dpbusd_epi32(sums.c, rows.c, codes);
  sums.d = _mm512_dpbusd_epi32(sums.d, rows.d, codes);
}

// Writes four products, without what the offset of the rows' bytes added.
inline void store_sums(const Sums512& sums, std::int32_t query_sum, std::int32_t* out) {
  const __m128i four =
      _mm_sub_epi32(sums_of_four(sums.a, sums.b, sums.c, sums.d), _mm_set1_epi32(kCodeOffset * query_sum));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), four);
}

// Four rows with the queries from `q` on: one, or four.
template <std::size_t NQ>
void dot_codes_vnni_tile(const CodeBlock& block, std::size_t r, std::size_t q, std::int32_t* dots) {
  static_assert(NQ == 1 || NQ == 4);
  constexpr std::size_t kStep = 64;
  const std::uint8_t* const row = block.rows + r * block.row_stride;
  const std::int8_t* const query = block.queries + q * block.query_stride;
  const std::size_t next = block.query_stride;
  // Named one by one: GCC 12 keeps an array of them in memory.
  Sums512 s0 = {};
  Sums512 s1 = {};
  Sums512 s2 = {};
  Sums512 s3 = {};
  for (std::size_t i = 0; i < block.count; i += kStep) {
    const std::size_t left = block.count - i;
    const __mmask64 mask = left >= kStep ? ~__mmask64{0} : (__mmask64{1} << left) - 1;
    const Rows512 rows = load_rows(row + i, block.row_stride, mask);
    multiply(_mm512_maskz_loadu_epi8(mask, query + i), rows, s0);
    if constexpr (NQ > 1) {
      multiply(_mm512_maskz_loadu_epi8(mask, query + next + i), rows, s1);
      multiply(_mm512_maskz_loadu_epi8(mask, query + 2 * next + i), rows, s2);
      multiply(_mm512_maskz_loadu_epi8(mask, query + 3 * next + i), rows, s3);
    }
  }
  std::int32_t* const out = dots + q * block.num_rows + r;
  store_sums(s0, block.query_sums[q], out);
  if constexpr (NQ > 1) {
    store_sums(s1, block.query_sums[q + 1], out + block.num_rows);
    store_sums(s2, block.query_sums[q + 2], out + 2 * block.num_rows);
    store_sums(s3, block.query_sums[q + 3], out + 3 * block.num_rows);
  }
}

void dot_codes_vnni(const CodeBlock& block, std::int32_t* dots) {
  for_each_tile(
      block, 4, [&](std::size_t r, std::size_t q) { dot_codes_vnni_tile<4>(block, r, q, dots); },
      [&](std::size_t r, std::size_t q) { dot_codes_vnni_tile<1>(block, r, q, dots); });
  dot_codes_last_rows(block, dots);
}

}  // namespace

// The floats are those of AVX-512.
const Kernels kAvx512VnniKernels = {dot_codes_vnni, kAvx512Kernels.dot, kAvx512Kernels.squared_distance};

}  // namespace matinee::ann

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__
