#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "resize_kernels.h"

#define MATINEE_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))

// Four taps at once with vpdpbusd; weights as three signed bytes: Note [Split weights].
namespace matinee::resize_kernels {
namespace {

// For each output and each four taps: four d0, four d1, four d2.
std::vector<std::int32_t> pack(const AxisTaps& taps) {
  std::vector<std::int32_t> packed(taps.weights.size() / 4 * 3);
  for (std::size_t quad = 0; quad < taps.weights.size() / 4; ++quad) {
    const QuadDigits digits = split_weights(taps.weights.data() + 4 * quad);
    std::copy_n(digits.digit, 3, packed.data() + 3 * quad);
  }
  return packed;
}

struct Sums {
  __m512i d0;
  __m512i d1;
  __m512i d2;
};

MATINEE_VNNI inline Sums zero() { return {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()}; }

MATINEE_VNNI inline void add(Sums& sums, __m512i pixels, const std::int32_t* weight) {
  sums.d0 = _mm512_dpbusd_epi32(sums.d0, pixels, _mm512_set1_epi32(weight[0]));
  sums.d1 = _mm512_dpbusd_epi32(sums.d1, pixels, _mm512_set1_epi32(weight[1]));
  sums.d2 = _mm512_dpbusd_epi32(sums.d2, pixels, _mm512_set1_epi32(weight[2]));
}

MATINEE_VNNI inline __m512i finish(const Sums& sums) {
  const __m512i total =
      _mm512_add_epi32(_mm512_add_epi32(sums.d0, _mm512_set1_epi32(kHalf)),
                       _mm512_add_epi32(_mm512_slli_epi32(sums.d1, 8), _mm512_slli_epi32(sums.d2, 16)));
  return _mm512_srai_epi32(total, kFractionBits);
}

// Four rows at once, one in each 128-bit quarter; a 32-bit lane is one channel of one output pixel.
MATINEE_VNNI void horizontal(const std::uint8_t* in, std::ptrdiff_t in_stride, int rows, const AxisTaps& taps,
                             const std::int32_t* packed, std::uint8_t* out, std::ptrdiff_t out_stride) {
  // Four RGB pixels -> the four taps of each channel side by side.
  const __m512i by_channel =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1));
  const std::uint8_t* in_rows[kRowBlock];
  std::uint8_t* out_rows[kRowBlock];
  for (int r = 0; r < kRowBlock; ++r) {  // missing rows repeat the last one
    const int y = r < rows ? r : rows - 1;
    in_rows[r] = in + y * in_stride;
    out_rows[r] = out + y * out_stride;
  }
  const auto load = [](const std::uint8_t* bytes) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)); };
  const auto quads = static_cast<std::size_t>(taps.max_taps / 4);
  for (int x = 0; x < taps.out_size; ++x) {
    const auto output = static_cast<std::size_t>(x);
    const std::int32_t* weight = packed + output * quads * 3;
    std::ptrdiff_t offset = std::ptrdiff_t{taps.first[output]} * 3;
    Sums sums = zero();
    for (int t = 0; t < taps.count[output]; t += 4, offset += 12, weight += 3) {
      __m512i pixels = _mm512_castsi128_si512(load(in_rows[0] + offset));
      pixels = _mm512_inserti32x4(pixels, load(in_rows[1] + offset), 1);
      pixels = _mm512_inserti32x4(pixels, load(in_rows[2] + offset), 2);
      pixels = _mm512_inserti32x4(pixels, load(in_rows[3] + offset), 3);
      add(sums, _mm512_shuffle_epi8(pixels, by_channel), weight);
    }
    const __m512i clipped = _mm512_max_epi32(finish(sums), _mm512_setzero_si512());
    alignas(16) std::int32_t pixel[kRowBlock];
    _mm_store_si128(reinterpret_cast<__m128i*>(pixel), _mm512_cvtusepi32_epi8(clipped));
    // The fourth byte belongs to the next pixel (or to the padding) and is overwritten with it.
    for (int r = 0; r < kRowBlock; ++r) std::memcpy(out_rows[r] + 3 * x, &pixel[r], 4);
  }
}

MATINEE_VNNI void vertical(const std::uint8_t* in, std::ptrdiff_t in_stride, std::ptrdiff_t row_bytes,
                           const AxisTaps& taps, const std::int32_t* packed, int output, std::uint8_t* out) {
  const auto index = static_cast<std::size_t>(output);
  const auto quads = static_cast<std::size_t>(taps.max_taps / 4);
  const int count = taps.count[index];
  const std::uint8_t* top = in + std::ptrdiff_t{taps.first[index]} * in_stride;
  for (std::ptrdiff_t i = 0; i < row_bytes; i += 64) {
    const std::ptrdiff_t left = row_bytes - i;
    const __mmask64 mask = left >= 64 ? ~__mmask64{0} : (__mmask64{1} << left) - 1;
    const std::int32_t* weight = packed + index * quads * 3;
    Sums a = zero();
    Sums b = zero();
    Sums c = zero();
    Sums d = zero();
    for (int t = 0; t < count; t += 4, weight += 3) {
      const std::uint8_t* row = top + t * in_stride + i;
      // Past the last tap the weight is 0 and any bytes do.
      const __m512i r0 = _mm512_maskz_loadu_epi8(mask, row);
      const __m512i r1 = _mm512_maskz_loadu_epi8(mask, t + 1 < count ? row + in_stride : row);
      const __m512i r2 = _mm512_maskz_loadu_epi8(mask, t + 2 < count ? row + 2 * in_stride : row);
      const __m512i r3 = _mm512_maskz_loadu_epi8(mask, t + 3 < count ? row + 3 * in_stride : row);
      const __m512i low01 = _mm512_unpacklo_epi8(r0, r1);
      const __m512i high01 = _mm512_unpackhi_epi8(r0, r1);
      const __m512i low23 = _mm512_unpacklo_epi8(r2, r3);
      const __m512i high23 = _mm512_unpackhi_epi8(r2, r3);
      add(a, _mm512_unpacklo_epi16(low01, low23), weight);
      add(b, _mm512_unpackhi_epi16(low01, low23), weight);
      add(c, _mm512_unpacklo_epi16(high01, high23), weight);
      add(d, _mm512_unpackhi_epi16(high01, high23), weight);
    }
    // Unpacking and packing both work within 128-bit quarters, so the bytes come back in order.
    const __m512i words_ab = _mm512_packs_epi32(finish(a), finish(b));
    const __m512i words_cd = _mm512_packs_epi32(finish(c), finish(d));
    _mm512_mask_storeu_epi8(out + i, mask, _mm512_packus_epi16(words_ab, words_cd));
  }
}

}  // namespace

Kernels vnni_kernels() { return {horizontal, vertical, pack}; }

}  // namespace matinee::resize_kernels

#endif
