// D's Bf16 (gemm_inl.h) on AVX-512 without bf16 products: each half of a pair is widened to fp32. Included as
// vector_avx512.h is, after it.

namespace matinee::nn {
namespace {

struct Bf16Dot {
  static constexpr std::size_t kRows = 8;
  using Sum = __m512;
  using Scalar = float;
  struct Weights {
    __m512 even;
    __m512 odd;
  };
  using Input = Weights;
  static Weights halves(__m512i pairs) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)))};
  }
  static Sum zero() { return _mm512_setzero_ps(); }
  static Weights load(const std::uint8_t* p) { return halves(_mm512_loadu_si512(p)); }
  static Input broadcast(const std::uint8_t* p) { return halves(_mm512_set1_epi32(load_int(p))); }
  static Sum step(Sum sum, Input a, Weights b) {
    return _mm512_fmadd_ps(a.odd, b.odd, _mm512_fmadd_ps(a.even, b.even, sum));
  }
  static void store(float* p, Sum sum) { _mm512_storeu_ps(p, sum); }
};

}  // namespace
}  // namespace matinee::nn
