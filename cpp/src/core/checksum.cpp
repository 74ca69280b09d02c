#include "matinee/core/checksum.h"

#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace matinee {

std::uint32_t crc32c_scalar(const void* data, std::size_t size, std::uint32_t seed) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  std::uint32_t crc = ~seed;
  for (std::size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0x82F63B78U & (0U - (crc & 1U)));
  }
  return ~crc;
}

#if defined(__x86_64__)
std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t seed) {
  // SSE4.2 is part of the x86-64-v2 baseline (CMakeLists.txt).
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  std::uint64_t crc = static_cast<std::uint32_t>(~seed);
  while (size >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof(word));
    crc = _mm_crc32_u64(crc, word);
    bytes += 8;
    size -= 8;
  }
  auto crc32 = static_cast<std::uint32_t>(crc);
  while (size-- > 0) crc32 = _mm_crc32_u8(crc32, *bytes++);
  return ~crc32;
}
#else
std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t seed) { return crc32c_scalar(data, size, seed); }
#endif

}  // namespace matinee
