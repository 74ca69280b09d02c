#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "ann/tile_kernels_common.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

namespace matinee::ann {
namespace {

inline __m256i load(const void* bytes) { return _mm256_loadu_si256(static_cast<const __m256i*>(bytes)); }

inline std::int32_t sum_of(__m256i sums) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
}

// A pair of products of a half byte and a signed byte is below 2 * 15 * 128 = 3840, so eight pairs fit 16 bits.
void dot_rows_avx2(const std::uint8_t* high, const std::uint32_t* rows, std::size_t num_rows, const std::int8_t* query,
                   std::size_t padded, std::int32_t* dots) {
  const std::size_t half = padded / 2;
  const __m256i mask = _mm256_set1_epi8(15);
  const __m256i ones = _mm256_set1_epi16(1);
  for (std::size_t r = 0; r < num_rows; ++r) {
    const std::uint8_t* const row = high + (rows == nullptr ? r : rows[r]) * half;
    __m256i sums = _mm256_setzero_si256();
    for (std::size_t i = 0; i < half; i += 64) {  // half is a multiple of 64
      const __m256i a = load(row + i);
      const __m256i b = load(row + i + 32);
      const __m256i low = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_and_si256(a, mask), load(query + i)),
                                           _mm256_maddubs_epi16(_mm256_and_si256(b, mask), load(query + i + 32)));
      const __m256i top = _mm256_add_epi16(
          _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(a, 4), mask), load(query + half + i)),
          _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(b, 4), mask), load(query + half + i + 32)));
      sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_add_epi16(low, top), ones));
    }
    dots[r] = sum_of(sums);
  }
}

void make_tile_avx2(const std::uint8_t* high, std::size_t num_rows, std::size_t padded, std::uint8_t* tile) {
  const std::size_t half = padded / 2;
  if (num_rows < kTileRows) std::fill(tile, tile + padded * kTileRows, std::uint8_t{0});
  for (std::size_t r = 0; r < num_rows; ++r) {
    const std::uint8_t* const row = high + r * half;
    for (std::size_t i = 0; i < half; i += 4) {
      std::uint32_t four = 0;
      std::memcpy(&four, row + i, 4);
      const std::uint32_t low = four & 0x0F0F0F0FU;
      const std::uint32_t top = four >> 4 & 0x0F0F0F0FU;
      std::memcpy(tile + i * 16 + r * 4, &low, 4);
      std::memcpy(tile + (half + i) * 16 + r * 4, &top, 4);
    }
  }
}

inline __m256i broadcast(const std::int8_t* four) {
  std::int32_t value = 0;
  std::memcpy(&value, four, 4);
  return _mm256_set1_epi32(value);
}

// Sums of 16 rows with one query, in 16 bits for eight steps at a time.
void dot_tile_avx2(const std::uint8_t* tile, const std::int8_t* queries, std::size_t num_queries, std::size_t padded,
                   std::int32_t* dots) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (std::size_t q = 0; q < num_queries; ++q) {
    const std::int8_t* const query = queries + q * padded;
    __m256i sums_a = _mm256_setzero_si256();
    __m256i sums_b = _mm256_setzero_si256();
    for (std::size_t i = 0; i < padded; i += 32) {
      __m256i pairs_a = _mm256_setzero_si256();
      __m256i pairs_b = _mm256_setzero_si256();
      for (std::size_t j = i; j < i + 32; j += 4) {
        const __m256i four = broadcast(query + j);
        pairs_a = _mm256_add_epi16(pairs_a, _mm256_maddubs_epi16(load(tile + j * 16), four));
        pairs_b = _mm256_add_epi16(pairs_b, _mm256_maddubs_epi16(load(tile + j * 16 + 32), four));
      }
      sums_a = _mm256_add_epi32(sums_a, _mm256_madd_epi16(pairs_a, ones));
      sums_b = _mm256_add_epi32(sums_b, _mm256_madd_epi16(pairs_b, ones));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dots + q * kTileRows), sums_a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dots + q * kTileRows + 8), sums_b);
  }
}

inline __m256 eight_scores(const CollectCall& call, std::size_t row) {
  const std::int32_t* const dots = call.dots + row / kTileRows * call.tile_stride + row % kTileRows;
  const __m256 score = _mm256_mul_ps(_mm256_sub_ps(_mm256_cvtepi32_ps(load(dots)), _mm256_set1_ps(call.shift)),
                                     _mm256_mul_ps(_mm256_set1_ps(call.factor), _mm256_loadu_ps(call.steps + row)));
  return call.squared_norms == nullptr ? score : _mm256_sub_ps(score, _mm256_loadu_ps(call.squared_norms + row));
}

void score_avx2(const CollectCall& call, float* scores) {
  std::size_t row = 0;
  for (; row + 8 <= call.num_rows; row += 8) _mm256_storeu_ps(scores + row, eight_scores(call, row));
  score_tail(call, row, scores);
}

std::size_t above_avx2(const float* scores, std::size_t count, float threshold, std::uint32_t* numbers) {
  const __m256 limit = _mm256_set1_ps(threshold);
  std::size_t found = 0;
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    auto mask =
        static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(scores + i), limit, _CMP_GT_OQ)));
    for (; mask != 0; mask &= mask - 1) {
      numbers[found++] = static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(__builtin_ctz(mask));
    }
  }
  return above_tail(scores, i, count, threshold, found, numbers);
}

std::size_t collect_avx2(const CollectCall& call, float* scores, std::uint32_t* rows) {
  const __m256 threshold = _mm256_set1_ps(call.threshold);
  std::size_t found = 0;
  std::size_t row = 0;
  for (; row + 8 <= call.num_rows; row += 8) {
    const __m256 score = eight_scores(call, row);
    auto mask = static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(score, threshold, _CMP_GT_OQ)));
    if (mask == 0) continue;
    alignas(32) float values[8];
    _mm256_store_ps(values, score);
    for (; mask != 0; mask &= mask - 1) {
      const auto lane = static_cast<std::size_t>(__builtin_ctz(mask));
      scores[found] = values[lane];
      rows[found++] = static_cast<std::uint32_t>(row + lane);
    }
  }
  return collect_tail(call, row, found, scores, rows);
}

// Bytes times signed bytes, added up in fours: exact for any bytes.
inline __m256i add_wide(__m256i sums, const std::uint8_t* codes, const std::int8_t* query) {
  const __m256i a = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  const __m256i b = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query)));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
}

PlaneProducts dot_planes_avx2(const std::uint8_t* high, const std::uint8_t* low, const std::int8_t* first,
                              const std::int8_t* second, std::size_t padded) {
  __m256i low_first = _mm256_setzero_si256();
  __m256i low_second = _mm256_setzero_si256();
  for (std::size_t i = 0; i < padded; i += 16) {
    low_first = add_wide(low_first, low + i, first + i);
    low_second = add_wide(low_second, low + i, second + i);
  }
  PlaneProducts products;
  dot_rows_avx2(high, nullptr, 1, first, padded, &products.high_first);
  dot_rows_avx2(high, nullptr, 1, second, padded, &products.high_second);
  products.low_first = sum_of(low_first);
  products.low_second = sum_of(low_second);
  return products;
}

// Bytes 0 and 2 of every four, as pairs of 16 bits.
inline __m256i even_bytes(__m256i bytes) { return _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8); }

void dot_byte_tile_avx2(const std::uint8_t* tile, const std::int8_t* queries, std::size_t num_queries,
                        std::size_t padded, std::int32_t* dots) {
  const __m256i low_byte = _mm256_set1_epi16(255);
  for (std::size_t q = 0; q < num_queries; ++q) {
    const std::int8_t* const query = queries + q * padded;
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (std::size_t i = 0; i < padded; i += 4) {
      const __m256i four = broadcast(query + i);
      const __m256i even = even_bytes(four);
      const __m256i odd = _mm256_srai_epi16(four, 8);
      for (std::size_t half = 0; half < 2; ++half) {
        const __m256i codes = load(tile + i * 16 + half * 32);
        const __m256i of_even = _mm256_madd_epi16(_mm256_and_si256(codes, low_byte), even);
        const __m256i of_odd = _mm256_madd_epi16(_mm256_srli_epi16(codes, 8), odd);
        sums[half] = _mm256_add_epi32(sums[half], _mm256_add_epi32(of_even, of_odd));
      }
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dots + q * kTileRows), sums[0]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dots + q * kTileRows + 8), sums[1]);
  }
}

// As the AVX-512 one, two lanes of 16 rows at a time.
void dot_sketches_avx2(const std::uint8_t* tiles, std::size_t num_tiles, const std::uint8_t* tables, std::size_t padded,
                       const std::uint8_t* ahead, std::int32_t* dots) {
  const std::size_t tile_bytes = 2 * padded;
  const std::uint8_t* const upper_tables = tables + tile_bytes;
  const __m256i mask = _mm256_set1_epi8(15);
  for (std::size_t t = 0; t < num_tiles; ++t) {
    const std::uint8_t* const tile = tiles + t * tile_bytes;
    __m256i sums = _mm256_setzero_si256();
    __m256i odd_sums = _mm256_setzero_si256();
    for (std::size_t i = 0; i < tile_bytes; i += 32) {
      if (i % 64 == 0) __builtin_prefetch(ahead + t * tile_bytes + i);
      const __m256i signs = load(tile + i);
      const __m256i lower = _mm256_and_si256(signs, mask);
      const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(signs, 4), mask);
      const __m256i both = _mm256_add_epi8(_mm256_shuffle_epi8(load(tables + i), lower),
                                           _mm256_shuffle_epi8(load(upper_tables + i), upper));
      sums = _mm256_add_epi16(sums, both);
      odd_sums = _mm256_add_epi16(odd_sums, _mm256_srli_epi16(both, 8));
    }
    const __m256i even_sums = _mm256_sub_epi16(sums, _mm256_slli_epi16(odd_sums, 8));
    const auto folded = [](__m256i lanes) {
      return _mm_add_epi16(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    };
    const __m128i even = folded(even_sums);
    const __m128i odd = folded(odd_sums);
    const auto store = [&](std::size_t row, __m128i eight) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(dots + t * kTileRows + row), _mm256_cvtepu16_epi32(eight));
    };
    store(0, _mm_unpacklo_epi16(even, odd));
    store(8, _mm_unpackhi_epi16(even, odd));
  }
}

}  // namespace

const TileKernels kAvx2TileKernels = {dot_rows_avx2, make_tile_avx2,   dot_tile_avx2, dot_byte_tile_avx2,
                                      collect_avx2,  score_avx2,       above_avx2,    dot_planes_avx2,
                                      refine_each,   dot_sketches_avx2};

}  // namespace matinee::ann

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__
