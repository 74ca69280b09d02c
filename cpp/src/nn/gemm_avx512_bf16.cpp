#if defined(__x86_64__)

#include <immintrin.h>
#include <cstddef>
#include <cstdint>

#include "nn/gemm.h"
#include "nn/gemm_tables.h"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512vnni,avx512bf16"))), apply_to = function)
#else
// GCC 12 takes the deliberately undefined operand inside its own intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512vnni,avx512bf16")
#endif

#define MATINEE_NATIVE_BF16
#include "nn/vector_avx512.h"

#include "nn/dot_int8_vnni.h"

namespace matinee::nn {
namespace {

struct Bf16Dot {
  static constexpr std::size_t kRows = 12;
  using Sum = __m512;
  using Scalar = float;
  using Weights = __m512i;
  using Input = __m512i;
  static Sum zero() { return _mm512_setzero_ps(); }
  static Weights load(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  static Input broadcast(const std::uint8_t* p) { return _mm512_set1_epi32(load_int(p)); }
  static Sum step(Sum sum, Input a, Weights b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  static void store(float* p, Sum sum) { _mm512_storeu_ps(p, sum); }
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
const GemmKernels kAvx512Bf16Gemm = {vector_gemm<Bf16Dot, false>, vector_gemm<Int8Dot, true>, quantize<float>,
                                     quantize<std::uint16_t>};
}

#endif  // __x86_64__
