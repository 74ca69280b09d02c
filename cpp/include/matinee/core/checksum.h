#pragma once

#include <cstddef>
#include <cstdint>

namespace matinee {

// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, RFC 3720 B.4) of `size` bytes, continuing from `seed` (the
// result of an earlier call, 0 to start). Uses the SSE4.2 instruction where there is one.
std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t seed = 0);

// The slow, obvious twin: one bit at a time.
std::uint32_t crc32c_scalar(const void* data, std::size_t size, std::uint32_t seed = 0);

}  // namespace matinee
