#include "matinee/core/cpu.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "matinee/core/error.h"

namespace matinee {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16"};

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
  return IsaLevel::kAvx512Bf16;
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
  throw InvalidArgument("isa_level_from_name: name: expected scalar, avx2, avx512, avx512_vnni or avx512_bf16, got '" +
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
