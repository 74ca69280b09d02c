#pragma once

#include <string_view>

namespace matinee {

// What the large products of a network are computed in. Sums, normalisation, softmax and the results are fp32 always.
enum class Precision {
  kFp32,  // parity with the reference: cosine >= 0.99999
  kBf16,  // weights and activations rounded to bf16 before each product: cosine >= 0.999
  kInt8,  // both in 8 bits: weights with a scale an output, activations with a scale a token; transformers only
};

// "fp32", "bf16", "int8", or "auto": bf16 where the processor computes it (has_native_bf16()), else fp32; never int8.
// Throws InvalidArgument for another word.
Precision precision_from_name(std::string_view name);

std::string_view precision_name(Precision precision);

}  // namespace matinee
