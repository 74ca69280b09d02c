#if defined(__x86_64__)

#include <immintrin.h>
#include <cstddef>
#include <cstdint>

#include "nn/conv_kernels.h"
#include "nn/kernels.h"
#include "nn/kernels_tables.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "nn/vector_avx2.h"

#include "nn/kernels_inl.h"

#include "nn/unrolled.h"

#include "nn/conv_kernels_inl.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace matinee::nn {
const Kernels kAvx2Kernels = {layer_norm, attention_fp32, attention_bf16, round_to_bf16};
const ConvKernels kAvx2ConvKernels = {stem, depthwise<float>, depthwise<std::uint16_t>};
}  // namespace matinee::nn

#endif  // __x86_64__
