#include "matinee/nn/safetensors.h"

#include <cstdint>
#include <cstdlib>
#include <span>

#include "matinee/core/error.h"

// Any bytes: tensors that lie inside the file and hold what their shapes say, or a FormatError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  try {
    const matinee::SafetensorsFile file(bytes, "fuzz");
    for (const auto& [name, entry] : file.tensors()) {
      const bool inside =
          entry.bytes.empty() || (entry.bytes.data() >= data && entry.bytes.data() + entry.bytes.size() <= data + size);
      if (!inside) std::abort();
      try {
        if (entry.type == matinee::TensorType::kI64) {
          if (file.read_ints(name, entry.shape).size() != entry.num_elements) std::abort();
        } else if (file.read_floats(name, entry.shape).size() != entry.num_elements) {
          std::abort();
        }
      } catch (const matinee::FormatError&) {
        continue;  // NaN
      }
    }
  } catch (const matinee::FormatError&) {
    return 0;
  }
  return 0;
}
