#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>

#include "resize_kernels.h"

#define MATINEE_AVX2 __attribute__((target("avx2")))

// Weights as two signed words: Note [Split weights].
namespace matinee::resize_kernels {
namespace {

constexpr int kLowBits = 12;  // w = high * 2^12 + low, 0 <= low < 2^12, |high| < 2^12

// For each output and each pair of taps: one word pair of low digits, one of high digits.
std::vector<std::int32_t> pack(const AxisTaps& taps) {
  std::vector<std::int32_t> packed(taps.weights.size());
  const auto pair = [](std::int32_t a, std::int32_t b) {
    return static_cast<std::int32_t>((static_cast<std::uint32_t>(b) << 16) | (static_cast<std::uint32_t>(a) & 0xFFFF));
  };
  constexpr std::int32_t kLowMask = (1 << kLowBits) - 1;
  for (std::size_t i = 0; i + 1 < packed.size(); i += 2) {
    const std::int32_t a = taps.weights[i];
    const std::int32_t b = taps.weights[i + 1];
    packed[i] = pair(a & kLowMask, b & kLowMask);
    packed[i + 1] = pair(a >> kLowBits, b >> kLowBits);
  }
  return packed;
}

MATINEE_AVX2 inline __m256i finish(__m256i low, __m256i high) {
  const __m256i sum =
      _mm256_add_epi32(_mm256_add_epi32(low, _mm256_slli_epi32(high, kLowBits)), _mm256_set1_epi32(kHalf));
  return _mm256_srai_epi32(sum, kFractionBits);
}

MATINEE_AVX2 inline __m256i load_two_rows(const std::uint8_t* row, const std::uint8_t* next_row) {
  const __m256i low = _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)));
  return _mm256_inserti128_si256(low, _mm_loadu_si128(reinterpret_cast<const __m128i*>(next_row)), 1);
}

// Two rows at a time, one in each 128-bit half; a 32-bit lane is one channel of one output pixel.
MATINEE_AVX2 void horizontal(const std::uint8_t* in, std::ptrdiff_t in_stride, int rows, const AxisTaps& taps,
                             const std::int32_t* packed, std::uint8_t* out, std::ptrdiff_t out_stride) {
  // From four RGB pixels, 16-bit pairs (tap 0, tap 1) of each channel, and (tap 2, tap 3).
  const __m256i first_pair = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                              0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
  const __m256i second_pair = _mm256_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1,  //
                                               6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  for (int r = 0; r < rows; r += 2) {
    const std::uint8_t* row = in + r * in_stride;
    const std::uint8_t* next_row = r + 1 < rows ? row + in_stride : row;
    std::uint8_t* out_row = out + r * out_stride;
    std::uint8_t* next_out_row = r + 1 < rows ? out_row + out_stride : out_row;
    for (int x = 0; x < taps.out_size; ++x) {
      const auto output = static_cast<std::size_t>(x);
      const std::int32_t* weight = packed + output * static_cast<std::size_t>(taps.max_taps);
      const std::ptrdiff_t offset = std::ptrdiff_t{taps.first[output]} * 3;
      __m256i low = _mm256_setzero_si256();
      __m256i high = _mm256_setzero_si256();
      for (int t = 0; t < taps.count[output]; t += 4) {
        const __m256i pixels = load_two_rows(row + offset + 3 * t, next_row + offset + 3 * t);
        const __m256i a = _mm256_shuffle_epi8(pixels, first_pair);
        const __m256i b = _mm256_shuffle_epi8(pixels, second_pair);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(a, _mm256_set1_epi32(weight[t])));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(a, _mm256_set1_epi32(weight[t + 1])));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(b, _mm256_set1_epi32(weight[t + 2])));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(b, _mm256_set1_epi32(weight[t + 3])));
      }
      const __m256i sums = finish(low, high);
      const __m256i words = _mm256_packs_epi32(sums, sums);
      const __m256i bytes = _mm256_packus_epi16(words, words);
      // The fourth byte belongs to the next pixel (or to the padding) and is overwritten with it.
      const int pixel = _mm256_cvtsi256_si32(bytes);
      const int next_pixel = _mm256_extract_epi32(bytes, 4);
      std::memcpy(next_out_row + 3 * x, &next_pixel, 4);
      std::memcpy(out_row + 3 * x, &pixel, 4);
    }
  }
}

MATINEE_AVX2 void vertical(const std::uint8_t* in, std::ptrdiff_t in_stride, std::ptrdiff_t row_bytes,
                           const AxisTaps& taps, const std::int32_t* packed, int output, std::uint8_t* out) {
  const auto index = static_cast<std::size_t>(output);
  const std::int32_t* weight = packed + index * static_cast<std::size_t>(taps.max_taps);
  const int count = taps.count[index];
  const std::uint8_t* top = in + std::ptrdiff_t{taps.first[index]} * in_stride;
  std::ptrdiff_t i = 0;
  for (; i + 16 <= row_bytes; i += 16) {
    __m256i low_a = _mm256_setzero_si256();
    __m256i high_a = low_a;
    __m256i low_b = low_a;
    __m256i high_b = low_a;
    for (int t = 0; t < count; t += 2) {
      const std::uint8_t* row = top + t * in_stride + i;
      const std::uint8_t* next_row = t + 1 < count ? row + in_stride : row;  // its weight is 0 past the last
      const __m128i p = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row));
      const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(next_row));
      const __m256i a = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(p, q));
      const __m256i b = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(p, q));
      const __m256i low_weight = _mm256_set1_epi32(weight[t]);
      const __m256i high_weight = _mm256_set1_epi32(weight[t + 1]);
      low_a = _mm256_add_epi32(low_a, _mm256_madd_epi16(a, low_weight));
      high_a = _mm256_add_epi32(high_a, _mm256_madd_epi16(a, high_weight));
      low_b = _mm256_add_epi32(low_b, _mm256_madd_epi16(b, low_weight));
      high_b = _mm256_add_epi32(high_b, _mm256_madd_epi16(b, high_weight));
    }
    // Packing works within 128-bit halves: 64-bit groups come out as 0 2 1 3 and are put in order.
    const __m256i words =
        _mm256_permute4x64_epi64(_mm256_packs_epi32(finish(low_a, high_a), finish(low_b, high_b)), 0b11011000);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), bytes);
  }
  const std::int32_t* plain = taps.weight(output);
  for (; i < row_bytes; ++i) {
    std::int32_t sum = kHalf;
    for (int t = 0; t < count; ++t) sum += top[t * in_stride + i] * plain[t];
    out[i] = clip8(sum);
  }
}

}  // namespace

Kernels avx2_kernels() { return {horizontal, vertical, pack}; }

}  // namespace matinee::resize_kernels

#endif
