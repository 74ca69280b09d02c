#include "matinee/nn/precision.h"

#include <string>

#include "matinee/core/cpu.h"
#include "matinee/core/error.h"

namespace matinee {

Precision precision_from_name(std::string_view name) {
  if (name == "auto") return has_native_bf16() ? Precision::kBf16 : Precision::kFp32;
  if (name == "fp32") return Precision::kFp32;
  if (name == "bf16") {
    // oneDNN emulates bf16 products on AVX-512 and refuses them below.
    if (isa_level() < IsaLevel::kAvx512) {
      throw InvalidArgument(
          "load: precision: expected fp32 or auto on a processor without AVX-512, got 'bf16'; use precision=\"auto\"");
    }
    return Precision::kBf16;
  }
  throw InvalidArgument("load: precision: expected auto, fp32 or bf16, got '" + std::string(name) + "'");
}

std::string_view precision_name(Precision precision) { return precision == Precision::kBf16 ? "bf16" : "fp32"; }

}  // namespace matinee
