#include "matinee/core/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "matinee/core/error.h"

namespace matinee {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx"};

#if defined(__x86_64__)
// AMX must be asked for: the kernel keeps the 8 KiB of tiles of a thread only where the process has said that it uses
// them (https://docs.kernel.org/arch/x86/xstate.html).
bool may_use_amx() {
  unsigned int eax = 0;
  unsigned int ebx = 0;
  unsigned int ecx = 0;
  unsigned int edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned int kAmxBf16 = 1U << 22;
  constexpr unsigned int kAmxTile = 1U << 24;
  constexpr unsigned int kAmxInt8 = 1U << 25;
  constexpr unsigned int kAll = kAmxBf16 | kAmxTile | kAmxInt8;
  if ((edx & kAll) != kAll) return false;
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

IsaLevel detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return IsaLevel::kScalar;
  if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))) {
    return IsaLevel::kAvx2;
  }
  if (!__builtin_cpu_supports("avx512vnni")) return IsaLevel::kAvx512;
  if (!__builtin_cpu_supports("avx512bf16")) return IsaLevel::kAvx512Vnni;
  return may_use_amx() ? IsaLevel::kAmx : IsaLevel::kAvx512Bf16;
#else
  return IsaLevel::kScalar;
#endif
}

IsaLevel initial_level() {
  const char* wanted = std::getenv("MATINEE_MAX_CPU_ISA");
  const IsaLevel detected = detected_isa_level();
  if (wanted == nullptr || *wanted == '\0') return detected;
  const IsaLevel level = isa_level_from_name(wanted);
  return level < detected ? level : detected;
}

std::atomic<IsaLevel>& current_level() {
  static std::atomic<IsaLevel> level{initial_level()};
  return level;
}

}  // namespace

IsaLevel detected_isa_level() {
  static const IsaLevel level = detect();
  return level;
}

IsaLevel isa_level() { return current_level().load(std::memory_order_relaxed); }

void set_isa_level(IsaLevel level) {
  if (level > detected_isa_level()) {
    throw InvalidArgument("set_isa_level: level: expected at most " +
                          std::string(isa_level_name(detected_isa_level())) + ", got " +
                          std::string(isa_level_name(level)) + "; this processor has no such instructions");
  }
  current_level().store(level, std::memory_order_relaxed);
}

std::string_view isa_level_name(IsaLevel level) { return kNames.at(static_cast<std::size_t>(level)); }

IsaLevel isa_level_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<IsaLevel>(i);
  }
  throw InvalidArgument(
      "isa_level_from_name: name: expected scalar, avx2, avx512, avx512_vnni, avx512_bf16 or amx, got '" +
      std::string(name) + "'; set MATINEE_MAX_CPU_ISA to one of these or leave it unset");
}

bool has_native_bf16() { return isa_level() >= IsaLevel::kAvx512Bf16; }

bool has_vbmi() {
#if defined(__x86_64__)
  return isa_level() >= IsaLevel::kAvx512Vnni && __builtin_cpu_supports("avx512vbmi");
#else
  return false;
#endif
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    if (line.rfind("model name", 0) == 0) {
      const auto colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "unknown";
}

}  // namespace matinee
