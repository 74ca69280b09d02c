// V, the vector type of AVX-512: included by translation units that have switched the target. No include guard needed,
// one file includes it once; nothing from std:: in here (see kernels_inl.h).

namespace matinee::nn {
namespace {

// The four bytes at p, wherever they lie.
inline int load_int(const std::uint8_t* p) {
  int value = 0;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}

struct V {
  static constexpr std::size_t kLanes = 16;
  __m512 v;

  static __mmask16 first(std::size_t n) { return static_cast<__mmask16>((1U << n) - 1U); }  // n < 16
  static V zero() { return {_mm512_setzero_ps()}; }
  static V set1(float x) { return {_mm512_set1_ps(x)}; }
  static V load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static V load_n(const float* p, std::size_t n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  static void store(float* p, V a) { _mm512_storeu_ps(p, a.v); }
  static void store_n(float* p, V a, std::size_t n) { _mm512_mask_storeu_ps(p, first(n), a.v); }
  static V add(V a, V b) { return {_mm512_add_ps(a.v, b.v)}; }
  static V sub(V a, V b) { return {_mm512_sub_ps(a.v, b.v)}; }
  static V mul(V a, V b) { return {_mm512_mul_ps(a.v, b.v)}; }
  static V div(V a, V b) { return {_mm512_div_ps(a.v, b.v)}; }
  static V fma(V a, V b, V c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static V max(V a, V b) { return {_mm512_max_ps(a.v, b.v)}; }
  static V min(V a, V b) { return {_mm512_min_ps(a.v, b.v)}; }
  static V from_differences(const std::int32_t* a, const std::int32_t* b) {
    return {_mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_loadu_si512(a), _mm512_loadu_si512(b)))};
  }
  static float sum(V a) { return _mm512_reduce_add_ps(a.v); }
  static float highest(V a) { return _mm512_reduce_max_ps(a.v); }

  static V widen(__m256i bits) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))}; }
  static V load_bf16(const std::uint16_t* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static V load_bf16_n(const std::uint16_t* p, std::size_t n) { return widen(_mm256_maskz_loadu_epi16(first(n), p)); }
#if defined(MATINEE_NATIVE_BF16)
  // Flushes subnormals to zero, unlike bf16_from_float.
  static __m256i narrow(V a) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a.v)); }
#else
  // Rounds to nearest even by integer arithmetic, as bf16_from_float does (vcvtneps2bf16 would flush subnormals).
  static __m256i narrow(V a) {
    const __m512i bits = _mm512_castps_si512(a.v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
    const __m512i result = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(result, 16));
  }
#endif
  static void store_bf16(std::uint16_t* p, V a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(a)); }
  static void store_bf16_n(std::uint16_t* p, V a, std::size_t n) { _mm256_mask_storeu_epi16(p, first(n), narrow(a)); }

  // Rounds to nearest, cuts to 0..255. Writes kLanes bytes.
  static void store_u8(std::uint8_t* p, V a) {
    const __m512i whole = _mm512_max_epi32(_mm512_cvtps_epi32(a.v), _mm512_setzero_si512());
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(whole));
  }

  // e^x for x <= 88, within 2 ulp: x = n ln 2 + r, e^r by the polynomial of Cephes' expf. Below -87 the result is
  // about 1e-38 rather than 0.
  static V exp(V x) {
    const __m512 clamped = _mm512_max_ps(x.v, _mm512_set1_ps(-87.0F));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(clamped, _mm512_set1_ps(1.44269504088896341F)),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), clamped);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4F);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1F));
    p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), p, _mm512_add_ps(r, _mm512_set1_ps(1.0F)));
    return {_mm512_scalef_ps(p, n)};
  }

  // out[c][r] = in[r][c] for a 16 x 16 block.
  static void transpose(const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
    __m512 a[16];
    __m512 b[16];
    for (std::size_t i = 0; i < 16; ++i) a[i] = _mm512_loadu_ps(in + i * in_stride);
    for (std::size_t i = 0; i < 16; i += 2) {  // pairs of rows, 32 bits
      b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
      b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    for (std::size_t i = 0; i < 16; i += 4) {  // fours of rows, 64 bits
      a[i] = _mm512_shuffle_ps(b[i], b[i + 2], 0x44);
      a[i + 1] = _mm512_shuffle_ps(b[i], b[i + 2], 0xEE);
      a[i + 2] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0x44);
      a[i + 3] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0xEE);
    }
    for (std::size_t i = 0; i < 4; ++i) {  // 128-bit lanes: columns i, 4 + i, 8 + i, 12 + i of each four rows
      const __m512 low_even = _mm512_shuffle_f32x4(a[i], a[4 + i], 0x88);
      const __m512 low_odd = _mm512_shuffle_f32x4(a[i], a[4 + i], 0xDD);
      const __m512 high_even = _mm512_shuffle_f32x4(a[8 + i], a[12 + i], 0x88);
      const __m512 high_odd = _mm512_shuffle_f32x4(a[8 + i], a[12 + i], 0xDD);
      _mm512_storeu_ps(out + i * out_stride, _mm512_shuffle_f32x4(low_even, high_even, 0x88));
      _mm512_storeu_ps(out + (4 + i) * out_stride, _mm512_shuffle_f32x4(low_odd, high_odd, 0x88));
      _mm512_storeu_ps(out + (8 + i) * out_stride, _mm512_shuffle_f32x4(low_even, high_even, 0xDD));
      _mm512_storeu_ps(out + (12 + i) * out_stride, _mm512_shuffle_f32x4(low_odd, high_odd, 0xDD));
    }
  }
};

}  // namespace
}  // namespace matinee::nn
