#pragma once

#include <string>
#include <string_view>

namespace matinee {

// What hand-written kernels may use, in rising order. A level implies the ones below it.
enum class IsaLevel {
  kScalar = 0,      // the slow, obvious twin of every kernel
  kAvx2 = 1,        // AVX2 + FMA
  kAvx512 = 2,      // AVX-512 F, BW, DQ, VL
  kAvx512Vnni = 3,  // + VNNI (int8 dot products)
  kAvx512Bf16 = 4,  // + BF16 dot products
  kAmx = 5,         // + AMX tiles, BF16 and int8, where the operating system lets us use them
};

// The highest level of this processor and operating system, read once.
IsaLevel detected_isa_level();

// The level kernels dispatch on: the detected one, lowered by MATINEE_MAX_CPU_ISA
// (scalar | avx2 | avx512 | avx512_vnni | avx512_bf16 | amx), read once at first use. Throws InvalidArgument on another
// word.
IsaLevel isa_level();

// Overrides isa_level() downwards for the rest of the process; for tests that sweep the levels. A level above the
// detected one throws InvalidArgument.
void set_isa_level(IsaLevel level);

std::string_view isa_level_name(IsaLevel level);
IsaLevel isa_level_from_name(std::string_view name);

// True where bf16 matrix products run in hardware (AVX512_BF16 or AMX): what precision "auto" asks.
bool has_native_bf16();

// True where bytes can be permuted across a whole register (AVX512_VBMI, which no level implies: some processors with
// bf16 lack it) and the level is at least kAvx512Vnni.
bool has_vbmi();

// The processor's brand string, for benchmark tables.
std::string cpu_name();

}  // namespace matinee
