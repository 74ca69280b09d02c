#if defined(__x86_64__)

#include <immintrin.h>
#include <cstddef>
#include <cstdint>

#include "nn/gemm.h"
#include "nn/gemm_tables.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
// GCC 12 takes the deliberately undefined operand inside its own intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "nn/vector_avx2.h"

namespace matinee::nn {
namespace {

struct Bf16Dot {
  static constexpr std::size_t kRows = 2;
  using Sum = __m256;
  using Scalar = float;
  struct Weights {
    __m256 even;
    __m256 odd;
  };
  using Input = Weights;
  static Weights halves(__m256i pairs) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)),
            _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)))};
  }
  static Sum zero() { return _mm256_setzero_ps(); }
  static Weights load(const std::uint8_t* p) { return halves(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static Input broadcast(const std::uint8_t* p) { return halves(_mm256_set1_epi32(load_int(p))); }
  static Sum step(Sum sum, Input a, Weights b) {
    return _mm256_fmadd_ps(a.odd, b.odd, _mm256_fmadd_ps(a.even, b.even, sum));
  }
  static void store(float* p, Sum sum) { _mm256_storeu_ps(p, sum); }
};

// maddubs would saturate; so the four products are summed as 2 + 2 of 16-bit values.
struct Int8Dot {
  static constexpr std::size_t kRows = 2;
  using Sum = __m256i;
  using Scalar = std::int32_t;
  struct Weights {
    __m256i even;
    __m256i odd;
  };
  using Input = Weights;
  static Sum zero() { return _mm256_setzero_si256(); }
  static Weights load(const std::uint8_t* p) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
  }
  static Input broadcast(const std::uint8_t* p) {
    const __m256i bytes = _mm256_set1_epi32(load_int(p));
    return {_mm256_and_si256(bytes, _mm256_set1_epi16(255)), _mm256_srli_epi16(bytes, 8)};
  }
  static Sum step(Sum sum, Input a, Weights b) {
    return _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_madd_epi16(a.even, b.even), _mm256_madd_epi16(a.odd, b.odd)));
  }
  static void store(std::int32_t* p, Sum sum) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), sum); }
};

}  // namespace
}  // namespace matinee::nn

#define MATINEE_VECTOR_GEMM
#include "nn/unrolled.h"

#include "nn/gemm_inl.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace matinee::nn {
const GemmKernels kAvx2Gemm = {vector_gemm<Bf16Dot, false>, vector_gemm<Int8Dot, true>, quantize<float>,
                               quantize<std::uint16_t>};
}

#endif  // __x86_64__
