#if defined(__x86_64__)

#include <immintrin.h>
#include <cstddef>
#include <cstdint>

#include "nn/gemm.h"
#include "nn/gemm_tables.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512vnni"))), \
                             apply_to = function)
#else
// GCC 12 takes the deliberately undefined operand inside its own intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512vnni")
#endif

#include "nn/vector_avx512.h"

#include "nn/dot_bf16_by_floats.h"
#include "nn/dot_int8_vnni.h"

#define MATINEE_VECTOR_GEMM
#include "nn/unrolled.h"

#include "nn/gemm_inl.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace matinee::nn {
const GemmKernels kAvx512VnniGemm = {vector_gemm<Bf16Dot, false>, vector_gemm<Int8Dot, true>, quantize<float>,
                                     quantize<std::uint16_t>};
}

#endif  // __x86_64__
