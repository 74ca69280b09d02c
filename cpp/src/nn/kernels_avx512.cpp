#if defined(__x86_64__)

#include <immintrin.h>
#include <cstddef>
#include <cstdint>

#include "nn/conv_kernels.h"
#include "nn/kernels.h"
#include "nn/kernels_tables.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), \
                             apply_to = function)
#else
// GCC 12 takes the deliberately undefined operand inside its own unpack intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#include "nn/vector_avx512.h"

#include "nn/kernels_inl.h"

#include "nn/unrolled.h"

#include "nn/conv_kernels_inl.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace matinee::nn {
const Kernels kAvx512Kernels = {layer_norm, attention_fp32, attention_bf16, round_to_bf16};
const ConvKernels kAvx512ConvKernels = {stem, depthwise<float>, depthwise<std::uint16_t>};
}  // namespace matinee::nn

#endif  // __x86_64__
