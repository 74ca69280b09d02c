// V, the vector type of AVX2: included by translation units that have switched the target. No include guard needed, one
// file includes it once; nothing from std:: in here (see kernels_inl.h).

namespace matinee::nn {
namespace {

// The four bytes at p, wherever they lie.
inline int load_int(const std::uint8_t* p) {
  int value = 0;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}

struct V {
  static constexpr std::size_t kLanes = 8;
  __m256 v;

  static __m256i first(std::size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
  }
  static V zero() { return {_mm256_setzero_ps()}; }
  static V set1(float x) { return {_mm256_set1_ps(x)}; }
  static V load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static V load_n(const float* p, std::size_t n) { return {_mm256_maskload_ps(p, first(n))}; }
  static void store(float* p, V a) { _mm256_storeu_ps(p, a.v); }
  static void store_n(float* p, V a, std::size_t n) { _mm256_maskstore_ps(p, first(n), a.v); }
  static V add(V a, V b) { return {_mm256_add_ps(a.v, b.v)}; }
  static V sub(V a, V b) { return {_mm256_sub_ps(a.v, b.v)}; }
  static V mul(V a, V b) { return {_mm256_mul_ps(a.v, b.v)}; }
  static V div(V a, V b) { return {_mm256_div_ps(a.v, b.v)}; }
  static V fma(V a, V b, V c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  static V max(V a, V b) { return {_mm256_max_ps(a.v, b.v)}; }
  static V min(V a, V b) { return {_mm256_min_ps(a.v, b.v)}; }
  static V from_differences(const std::int32_t* a, const std::int32_t* b) {
    const __m256i minuend = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a));
    return {_mm256_cvtepi32_ps(_mm256_sub_epi32(minuend, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b))))};
  }
  static float sum(V a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  static float highest(V a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }

  static V widen(__m128i bits) { return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))}; }
  static V load_bf16(const std::uint16_t* p) { return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  static V load_bf16_n(const std::uint16_t* p, std::size_t n) {
    std::uint16_t bits[kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) bits[i] = p[i];
    return load_bf16(bits);
  }
  // Rounds to nearest even by integer arithmetic, as bf16_from_float does.
  static __m128i narrow(V a) {
    const __m256i bits = _mm256_castps_si256(a.v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q));
    const __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
  }
  static void store_bf16(std::uint16_t* p, V a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow(a)); }
  static void store_bf16_n(std::uint16_t* p, V a, std::size_t n) {
    std::uint16_t bits[kLanes];
    store_bf16(bits, a);
    for (std::size_t i = 0; i < n; ++i) p[i] = bits[i];
  }

  // As in kernels_avx512.cpp; 2^n is made by adding n to the exponent.
  // Rounds to nearest, cuts to 0..255. Writes kLanes bytes.
  static void store_u8(std::uint8_t* p, V a) {
    const __m256i whole = _mm256_cvtps_epi32(a.v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
  }

  static V exp(V x) {
    const __m256 clamped = _mm256_max_ps(x.v, _mm256_set1_ps(-87.0F));
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(clamped, _mm256_set1_ps(1.44269504088896341F)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375F), clamped);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4F), r);
    __m256 p = _mm256_set1_ps(1.9875691500e-4F);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1F));
    p = _mm256_fmadd_ps(_mm256_mul_ps(r, r), p, _mm256_add_ps(r, _mm256_set1_ps(1.0F)));
    const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent))};
  }

  // out[c][r] = in[r][c] for an 8 x 8 block.
  static void transpose(const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
    __m256 a[8];
    __m256 b[8];
    for (std::size_t i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps(in + i * in_stride);
    for (std::size_t i = 0; i < 8; i += 2) {  // pairs of rows, 32 bits
      b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
      b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    for (std::size_t i = 0; i < 8; i += 4) {  // fours of rows, 64 bits
      a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
      a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xEE);
      a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
      a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xEE);
    }
    for (std::size_t i = 0; i < 4; ++i) {  // 128-bit lanes
      _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(a[i], a[4 + i], 0x20));
      _mm256_storeu_ps(out + (4 + i) * out_stride, _mm256_permute2f128_ps(a[i], a[4 + i], 0x31));
    }
  }
};

}  // namespace
}  // namespace matinee::nn
