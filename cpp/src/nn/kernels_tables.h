#pragma once

#include "nn/conv_kernels.h"
#include "nn/kernels.h"

// One table a level; kernels_of() and conv_kernels_of() pick.
namespace matinee::nn {

extern const Kernels kScalarKernels;
extern const ConvKernels kScalarConvKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const ConvKernels kAvx2ConvKernels;
extern const Kernels kAvx512Kernels;
extern const ConvKernels kAvx512ConvKernels;
#endif

}  // namespace matinee::nn
