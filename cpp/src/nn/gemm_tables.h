#pragma once

#include "nn/gemm.h"

// One table a level; gemm_kernels_of() picks.
namespace matinee::nn {

extern const GemmKernels kScalarGemm;
#if defined(__x86_64__)
extern const GemmKernels kAvx2Gemm;
extern const GemmKernels kAvx512Gemm;      // bf16 by fp32 products, int8 by 16-bit ones
extern const GemmKernels kAvx512VnniGemm;  // bf16 by fp32 products
extern const GemmKernels kAvx512Bf16Gemm;
extern const GemmKernels kAmxGemm;
#endif

}  // namespace matinee::nn
