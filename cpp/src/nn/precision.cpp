#include "matinee/nn/precision.h"

#include <string>

#include "matinee/core/cpu.h"
#include "matinee/core/error.h"

namespace matinee {

Precision precision_from_name(std::string_view name) {
  if (name == "auto") return has_native_bf16() ? Precision::kBf16 : Precision::kFp32;
  if (name == "fp32") return Precision::kFp32;
  if (name == "bf16") return Precision::kBf16;
  if (name == "int8") return Precision::kInt8;
  throw InvalidArgument("load: precision: expected auto, fp32, bf16 or int8, got '" + std::string(name) + "'");
}

std::string_view precision_name(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return "bf16";
    case Precision::kInt8:
      return "int8";
    case Precision::kFp32:
      break;
  }
  return "fp32";
}

}  // namespace matinee
