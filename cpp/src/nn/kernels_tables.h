#pragma once

#include "nn/kernels.h"

// One table a level; kernels_of() picks.
namespace matinee::nn {

extern const Kernels kScalarKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

}  // namespace matinee::nn
