#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>

#include "ann/tile_kernels_avx512.h"

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

struct Halves {
  __m512i low;   // elements j
  __m512i high;  // elements half + j
};

inline Halves unpack(__m512i bytes) {
  const __m512i mask = _mm512_set1_epi8(15);
  return {_mm512_and_si512(bytes, mask), _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask)};
}

inline __m512i add_products(__m512i sum, const std::uint8_t* row, __m512i low, __m512i high) {
  const Halves halves = unpack(_mm512_loadu_si512(row));
  return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sum, halves.low, low), halves.high, high);
}

}  // namespace

void dot_rows_vnni(const std::uint8_t* high, const std::uint32_t* rows, std::size_t num_rows, const std::int8_t* query,
                   std::size_t padded, std::int32_t* dots) {
  const std::size_t half = padded / 2;
  const auto row_at = [&](std::size_t r) { return high + (rows == nullptr ? r : rows[r]) * half; };
  std::size_t r = 0;
  for (; r + 4 <= num_rows; r += 4) {
    const std::uint8_t* const row_a = row_at(r);
    const std::uint8_t* const row_b = row_at(r + 1);
    const std::uint8_t* const row_c = row_at(r + 2);
    const std::uint8_t* const row_d = row_at(r + 3);
    __m512i a = _mm512_setzero_si512();
    __m512i b = _mm512_setzero_si512();
    __m512i c = _mm512_setzero_si512();
    __m512i d = _mm512_setzero_si512();
    for (std::size_t i = 0; i < half; i += 64) {
      const __m512i low = _mm512_loadu_si512(query + i);
      const __m512i top = _mm512_loadu_si512(query + half + i);
      a = add_products(a, row_a + i, low, top);
      b = add_products(b, row_b + i, low, top);
      c = add_products(c, row_c + i, low, top);
      d = add_products(d, row_d + i, low, top);
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dots + r), sums_of_four(a, b, c, d));
  }
  for (; r < num_rows; ++r) {
    const std::uint8_t* const row = row_at(r);
    __m512i sum = _mm512_setzero_si512();
    for (std::size_t i = 0; i < half; i += 64) {
      sum = add_products(sum, row + i, _mm512_loadu_si512(query + i), _mm512_loadu_si512(query + half + i));
    }
    dots[r] = _mm512_reduce_add_epi32(sum);
  }
}

namespace {

inline __m512i broadcast(const std::int8_t* four) {
  std::int32_t value = 0;
  std::memcpy(&value, four, 4);
  return _mm512_set1_epi32(value);
}

// Eight queries at once, named one by one: GCC 12 keeps an array of sums in memory.
void dot_tile_eight(const std::uint8_t* tile, const std::int8_t* queries, std::size_t padded, std::int32_t* dots) {
  __m512i s0 = _mm512_setzero_si512();
  __m512i s1 = s0;
  __m512i s2 = s0;
  __m512i s3 = s0;
  __m512i s4 = s0;
  __m512i s5 = s0;
  __m512i s6 = s0;
  __m512i s7 = s0;
  const std::int8_t* const upper = queries + 4 * padded;
  for (std::size_t i = 0; i < padded; i += 4) {
    const __m512i rows = _mm512_loadu_si512(tile + i * kTileRows);
    s0 = _mm512_dpbusd_epi32(s0, rows, broadcast(queries + i));
    s1 = _mm512_dpbusd_epi32(s1, rows, broadcast(queries + padded + i));
    s2 = _mm512_dpbusd_epi32(s2, rows, broadcast(queries + 2 * padded + i));
    s3 = _mm512_dpbusd_epi32(s3, rows, broadcast(queries + 3 * padded + i));
    s4 = _mm512_dpbusd_epi32(s4, rows, broadcast(upper + i));
    s5 = _mm512_dpbusd_epi32(s5, rows, broadcast(upper + padded + i));
    s6 = _mm512_dpbusd_epi32(s6, rows, broadcast(upper + 2 * padded + i));
    s7 = _mm512_dpbusd_epi32(s7, rows, broadcast(upper + 3 * padded + i));
  }
  _mm512_storeu_si512(dots, s0);
  _mm512_storeu_si512(dots + kTileRows, s1);
  _mm512_storeu_si512(dots + 2 * kTileRows, s2);
  _mm512_storeu_si512(dots + 3 * kTileRows, s3);
  _mm512_storeu_si512(dots + 4 * kTileRows, s4);
  _mm512_storeu_si512(dots + 5 * kTileRows, s5);
  _mm512_storeu_si512(dots + 6 * kTileRows, s6);
  _mm512_storeu_si512(dots + 7 * kTileRows, s7);
}

// Two queries, each with two sums that need not wait for each other.
void dot_tile_two(const std::uint8_t* tile, const std::int8_t* queries, std::size_t padded, std::int32_t* dots) {
  const std::int8_t* const other = queries + padded;
  __m512i even = _mm512_setzero_si512();
  __m512i odd = even;
  __m512i other_even = even;
  __m512i other_odd = even;
  for (std::size_t i = 0; i < padded; i += 8) {
    const __m512i rows = _mm512_loadu_si512(tile + i * kTileRows);
    const __m512i next_rows = _mm512_loadu_si512(tile + (i + 4) * kTileRows);
    even = _mm512_dpbusd_epi32(even, rows, broadcast(queries + i));
    odd = _mm512_dpbusd_epi32(odd, next_rows, broadcast(queries + i + 4));
    other_even = _mm512_dpbusd_epi32(other_even, rows, broadcast(other + i));
    other_odd = _mm512_dpbusd_epi32(other_odd, next_rows, broadcast(other + i + 4));
  }
  _mm512_storeu_si512(dots, _mm512_add_epi32(even, odd));
  _mm512_storeu_si512(dots + kTileRows, _mm512_add_epi32(other_even, other_odd));
}

// Turns 16 registers of 16 numbers: out[n] holds number n of each.
inline void transpose(__m512i (&m)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(m[i], m[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(m[i], m[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    m[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    m[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    m[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    m[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(m[i], m[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(m[i], m[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_i32x4(m[i + 8], m[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(m[i + 8], m[i + 12], 0xDD);
  }
  for (int i = 0; i < 4; ++i) {
    m[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    m[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
    m[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    m[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD);
  }
}

}  // namespace

void make_tile_vnni(const std::uint8_t* high, std::size_t num_rows, std::size_t padded, std::uint8_t* tile) {
  const std::size_t half = padded / 2;
  for (std::size_t i = 0; i < half; i += 64) {
    __m512i rows[16];
    for (std::size_t r = 0; r < kTileRows; ++r) {
      rows[r] = r < num_rows ? _mm512_loadu_si512(high + r * half + i) : _mm512_setzero_si512();
    }
    transpose(rows);
    for (std::size_t n = 0; n < 16; ++n) {
      const Halves halves = unpack(rows[n]);
      _mm512_storeu_si512(tile + (i + 4 * n) * kTileRows, halves.low);
      _mm512_storeu_si512(tile + (half + i + 4 * n) * kTileRows, halves.high);
    }
  }
}

void dot_tile_vnni(const std::uint8_t* tile, const std::int8_t* queries, std::size_t num_queries, std::size_t padded,
                   std::int32_t* dots) {
  std::size_t q = 0;
  for (; q + 8 <= num_queries; q += 8) dot_tile_eight(tile, queries + q * padded, padded, dots + q * kTileRows);
  for (; q + 2 <= num_queries; q += 2) dot_tile_two(tile, queries + q * padded, padded, dots + q * kTileRows);
  for (; q < num_queries; ++q) {
    __m512i even = _mm512_setzero_si512();
    __m512i odd = _mm512_setzero_si512();
    for (std::size_t i = 0; i < padded; i += 8) {
      even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(tile + i * kTileRows), broadcast(queries + q * padded + i));
      odd = _mm512_dpbusd_epi32(odd, _mm512_loadu_si512(tile + (i + 4) * kTileRows),
                                broadcast(queries + q * padded + i + 4));
    }
    _mm512_storeu_si512(dots + q * kTileRows, _mm512_add_epi32(even, odd));
  }
}

namespace {

inline __mmask16 lanes_left(std::size_t left) {
  return static_cast<__mmask16>(left >= kTileRows ? 0xFFFFU : (1U << left) - 1);
}

inline __m512 tile_scores(const CollectCall& call, std::size_t row, const std::int32_t* dots, __mmask16 there) {
  const __m512 score =
      _mm512_mul_ps(_mm512_sub_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(dots)), _mm512_set1_ps(call.shift)),
                    _mm512_mul_ps(_mm512_set1_ps(call.factor), _mm512_maskz_loadu_ps(there, call.steps + row)));
  if (call.squared_norms == nullptr) return score;
  return _mm512_sub_ps(score, _mm512_maskz_loadu_ps(there, call.squared_norms + row));
}

inline __m512i numbered_from(std::size_t first) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(first)));
}

}  // namespace

std::size_t collect_avx512(const CollectCall& call, float* scores, std::uint32_t* rows) {
  const __m512 threshold = _mm512_set1_ps(call.threshold);
  std::size_t found = 0;
  const std::int32_t* dots = call.dots;
  for (std::size_t row = 0; row < call.num_rows; row += kTileRows, dots += call.tile_stride) {
    const __mmask16 there = lanes_left(call.num_rows - row);
    const __m512 score = tile_scores(call, row, dots, there);
    const __mmask16 mask = _mm512_mask_cmp_ps_mask(there, score, threshold, _CMP_GT_OQ);
    if (mask == 0) continue;
    _mm512_mask_compressstoreu_ps(scores + found, mask, score);
    _mm512_mask_compressstoreu_epi32(rows + found, mask, numbered_from(row));
    found += static_cast<std::size_t>(__builtin_popcount(mask));
  }
  return found;
}

void score_avx512(const CollectCall& call, float* scores) {
  const std::int32_t* dots = call.dots;
  for (std::size_t row = 0; row < call.num_rows; row += kTileRows, dots += call.tile_stride) {
    const __mmask16 there = lanes_left(call.num_rows - row);
    _mm512_mask_storeu_ps(scores + row, there, tile_scores(call, row, dots, there));
  }
}

std::size_t above_avx512(const float* scores, std::size_t count, float threshold, std::uint32_t* numbers) {
  const __m512 limit = _mm512_set1_ps(threshold);
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; i += kTileRows) {
    const __mmask16 there = lanes_left(count - i);
    const __mmask16 mask = _mm512_mask_cmp_ps_mask(there, _mm512_maskz_loadu_ps(there, scores + i), limit, _CMP_GT_OQ);
    _mm512_mask_compressstoreu_epi32(numbers + found, mask, numbered_from(i));
    found += static_cast<std::size_t>(__builtin_popcount(mask));
  }
  return found;
}

PlaneProducts dot_planes_vnni(const std::uint8_t* high, const std::uint8_t* low, const std::int8_t* first,
                              const std::int8_t* second, std::size_t padded) {
  const std::size_t half = padded / 2;
  __m512i high_first = _mm512_setzero_si512();
  __m512i high_second = _mm512_setzero_si512();
  __m512i low_first = _mm512_setzero_si512();
  __m512i low_second = _mm512_setzero_si512();
  for (std::size_t i = 0; i < half; i += 64) {
    const __m512i first_low = _mm512_loadu_si512(first + i);
    const __m512i first_top = _mm512_loadu_si512(first + half + i);
    const __m512i second_low = _mm512_loadu_si512(second + i);
    const __m512i second_top = _mm512_loadu_si512(second + half + i);
    high_first = add_products(high_first, high + i, first_low, first_top);
    high_second = add_products(high_second, high + i, second_low, second_top);
    const __m512i codes_low = _mm512_loadu_si512(low + i);
    const __m512i codes_top = _mm512_loadu_si512(low + half + i);
    low_first = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(low_first, codes_low, first_low), codes_top, first_top);
    low_second = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(low_second, codes_low, second_low), codes_top, second_top);
  }
  alignas(16) std::int32_t sums[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(sums), sums_of_four(high_first, high_second, low_first, low_second));
  return {sums[0], sums[1], sums[2], sums[3]};
}

namespace {

// 256 high + low - middle of eight rows.
inline __m512d in_steps(const std::int32_t* high, const std::int32_t* low, double middle) {
  const __m512d of_high = _mm512_cvtepi32_pd(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(high)));
  const __m512d of_low = _mm512_cvtepi32_pd(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(low)));
  const __m512d sum = _mm512_add_pd(_mm512_mul_pd(_mm512_set1_pd(256), of_high), of_low);
  return _mm512_sub_pd(sum, _mm512_set1_pd(middle));
}

inline __m256 refined_eight(const RefineCall& call, std::size_t row) {
  const __m512d in_first = in_steps(call.high_first + row, call.low_first + row, call.query.first_middle);
  const __m512d in_second = in_steps(call.high_second + row, call.low_second + row, call.query.second_middle);
  const __m512d sum = _mm512_add_pd(in_first, _mm512_mul_pd(in_second, _mm512_set1_pd(kSecondStep)));
  const __m512d in_units = _mm512_mul_pd(sum, _mm512_cvtps_pd(_mm256_loadu_ps(call.steps + row)));
  return _mm512_cvtpd_ps(_mm512_mul_pd(in_units, _mm512_set1_pd(call.query.scale)));
}

}  // namespace

void refine_avx512(const RefineCall& call, float* scores) {
  const __m512d low = _mm512_castps_pd(_mm512_castps256_ps512(refined_eight(call, 0)));
  const __m256 high = refined_eight(call, 8);
  __m512 score = _mm512_castpd_ps(_mm512_insertf64x4(low, _mm256_castps_pd(high), 1));
  if (call.squared_norms != nullptr) {
    const __m512 twice = _mm512_mul_ps(_mm512_set1_ps(2), score);
    const __m512 distance = _mm512_sub_ps(_mm512_sub_ps(twice, _mm512_loadu_ps(call.squared_norms)),
                                          _mm512_set1_ps(call.query.squared_norm));
    score = _mm512_min_ps(_mm512_setzero_ps(), distance);  // of which the second stays where it is no number
  }
  const __mmask16 no_number = _mm512_cmp_ps_mask(score, score, _CMP_UNORD_Q);
  _mm512_storeu_ps(scores, _mm512_mask_mov_ps(score, no_number, _mm512_set1_ps(-__builtin_inff())));
}

// Four signs a lookup, two lookups a byte. Bytes of even and odd rows are added up in 16 bits each.
void dot_sketches_avx512(const std::uint8_t* tiles, std::size_t num_tiles, const std::uint8_t* tables,
                         std::size_t padded, const std::uint8_t* ahead, std::int32_t* dots) {
  const std::size_t tile_bytes = 2 * padded;
  const std::uint8_t* const upper_tables = tables + tile_bytes;
  for (std::size_t t = 0; t < num_tiles; ++t) {
    const std::uint8_t* const tile = tiles + t * tile_bytes;
    __m512i sums = _mm512_setzero_si512();  // of even rows, and 256 times those of odd ones
    __m512i odd_sums = _mm512_setzero_si512();
    for (std::size_t i = 0; i < tile_bytes; i += 64) {
      __builtin_prefetch(ahead + t * tile_bytes + i);
      const Halves signs = unpack(_mm512_loadu_si512(tile + i));
      const __m512i both = _mm512_add_epi8(_mm512_shuffle_epi8(_mm512_loadu_si512(tables + i), signs.low),
                                           _mm512_shuffle_epi8(_mm512_loadu_si512(upper_tables + i), signs.high));
      sums = _mm512_add_epi16(sums, both);
      odd_sums = _mm512_add_epi16(odd_sums, _mm512_srli_epi16(both, 8));
    }
    const __m512i even_sums = _mm512_sub_epi16(sums, _mm512_slli_epi16(odd_sums, 8));
    // Four lanes of 16 rows become one.
    const auto folded = [](__m512i lanes) {
      const __m256i two = _mm256_add_epi16(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
      return _mm_add_epi16(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
    };
    const __m128i even = folded(even_sums);
    const __m128i odd = folded(odd_sums);
    const __m256i all = _mm256_set_m128i(_mm_unpackhi_epi16(even, odd), _mm_unpacklo_epi16(even, odd));
    _mm512_storeu_si512(dots + t * kTileRows, _mm512_cvtepu16_epi32(all));
  }
}

const TileKernels kAvx512VnniTileKernels = {dot_rows_vnni,  make_tile_vnni,     dot_tile_vnni, dot_tile_vnni,
                                            collect_avx512, score_avx512,       above_avx512,  dot_planes_vnni,
                                            refine_avx512,  dot_sketches_avx512};

}  // namespace matinee::ann

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__
