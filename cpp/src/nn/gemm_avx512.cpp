#if defined(__x86_64__)

#include <immintrin.h>
#include <cstddef>
#include <cstdint>

#include "nn/gemm.h"
#include "nn/gemm_tables.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), \
                             apply_to = function)
#else
// GCC 12 takes the deliberately undefined operand inside its own intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#include "nn/vector_avx512.h"

#include "nn/dot_bf16_by_floats.h"

namespace matinee::nn {
namespace {

// maddubs would saturate; so the four products are summed as 2 + 2 of 16-bit values.
struct Int8Dot {
  static constexpr std::size_t kRows = 8;
  using Sum = __m512i;
  using Scalar = std::int32_t;
  struct Weights {
    __m512i even;
    __m512i odd;
  };
  using Input = Weights;
  static Sum zero() { return _mm512_setzero_si512(); }
  static Weights load(const std::uint8_t* p) {
    const __m512i bytes = _mm512_loadu_si512(p);
    return {_mm512_srai_epi16(_mm512_slli_epi16(bytes, 8), 8), _mm512_srai_epi16(bytes, 8)};
  }
  static Input broadcast(const std::uint8_t* p) {
    const __m512i bytes = _mm512_set1_epi32(load_int(p));
    return {_mm512_and_si512(bytes, _mm512_set1_epi16(255)), _mm512_srli_epi16(bytes, 8)};
  }
  static Sum step(Sum sum, Input a, Weights b) {
    return _mm512_add_epi32(sum, _mm512_add_epi32(_mm512_madd_epi16(a.even, b.even), _mm512_madd_epi16(a.odd, b.odd)));
  }
  static void store(std::int32_t* p, Sum sum) { _mm512_storeu_si512(p, sum); }
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
const GemmKernels kAvx512Gemm = {vector_gemm<Bf16Dot, false>, vector_gemm<Int8Dot, true>, quantize<float>,
                                 quantize<std::uint16_t>};
}

#endif  // __x86_64__
