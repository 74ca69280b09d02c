// D's Int8 (gemm_inl.h) on AVX-512 VNNI. Included as vector_avx512.h is, after it.

namespace matinee::nn {
namespace {

struct Int8Dot {
  static constexpr std::size_t kRows = 12;
  using Sum = __m512i;
  using Scalar = std::int32_t;
  using Weights = __m512i;
  using Input = __m512i;
  static Sum zero() { return _mm512_setzero_si512(); }
  static Weights load(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  static Input broadcast(const std::uint8_t* p) { return _mm512_set1_epi32(load_int(p)); }
  static Sum step(Sum sum, Input a, Weights b) { return _mm512_dpbusd_epi32(sum, a, b); }
  static void store(std::int32_t* p, Sum sum) { _mm512_storeu_si512(p, sum); }
};

}  // namespace
}  // namespace matinee::nn
