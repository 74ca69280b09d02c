#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "resize_kernels.h"

#define MATINEE_VBMI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")))

// Columns of several outputs at once: up to five neighbouring outputs are 15 lanes of one register, one channel of one
// output each, and where their inputs lie within 64 bytes of a row, one permutation of bytes brings every lane its four
// taps. Weights as in resize_vnni.cpp, a lane each instead of one for all lanes.
namespace matinee::resize_kernels {
namespace {

constexpr int kMaxGroup = 5;
constexpr int kMinGroup = 4;  // smaller groups lose to the kernel that takes one output of four rows
constexpr int kWindowPixels = 64 / 3;
constexpr std::size_t kLanes = 16;  // 32-bit numbers in a register
// Before the registers, in numbers: the size of a group, and what aligns them.
constexpr std::size_t kHeader = 2 * kLanes;

// Outputs a group can hold so that the first four taps of all lie in one window; 0 where that is too few.
int group_size(const AxisTaps& taps) {
  for (int size = kMaxGroup; size >= kMinGroup; --size) {
    bool fits = true;
    for (int x = 0; x < taps.out_size && fits; x += size) {
      const int last = std::min(x + size, taps.out_size) - 1;
      fits = taps.first[static_cast<std::size_t>(last)] - taps.first[static_cast<std::size_t>(x)] + 4 <= kWindowPixels;
    }
    if (fits) return size;
  }
  return 0;
}

template <typename Number>
Number* first_register(Number* packed) {
  constexpr std::uintptr_t kRegister = 64;
  const auto address = reinterpret_cast<std::uintptr_t>(packed + 1);
  return packed + 1 + (kRegister - address % kRegister) % kRegister / sizeof(Number);
}

// For each group: a register of byte positions in the window, then for each four taps three registers of digits.
std::vector<std::int32_t> pack(const AxisTaps& taps) {
  const int size = group_size(taps);
  const auto groups = static_cast<std::size_t>((taps.out_size + size - 1) / size);
  const auto quads = static_cast<std::size_t>(taps.max_taps / 4);
  std::vector<std::int32_t> packed(kHeader + groups * (1 + 3 * quads) * kLanes, 0);
  packed[0] = size;
  std::int32_t* group = first_register(packed.data());
  for (int begin = 0; begin < taps.out_size; begin += size, group += (1 + 3 * quads) * kLanes) {
    for (int x = begin; x < std::min(begin + size, taps.out_size); ++x) {
      const int offset = 3 * (taps.first[static_cast<std::size_t>(x)] - taps.first[static_cast<std::size_t>(begin)]);
      const std::int32_t* weight = taps.weight(x);
      for (int c = 0; c < 3; ++c) {
        std::int32_t* lane = group + 3 * (x - begin) + c;
        for (int t = 0; t < 4; ++t) *lane |= (offset + 3 * t + c) << (8 * t);
        for (std::size_t quad = 0; quad < quads; ++quad) {
          const QuadDigits digits = split_weights(weight + 4 * quad);
          for (std::size_t d = 0; d < 3; ++d) lane[(1 + 3 * quad + d) * kLanes] = digits.digit[d];
        }
      }
    }
  }
  return packed;
}

// d0 begins at kHalf.
MATINEE_VBMI inline __m512i finish(__m512i d0, __m512i d1, __m512i d2) {
  const __m512i high = _mm512_add_epi32(d1, _mm512_slli_epi32(d2, 8));
  return _mm512_srai_epi32(_mm512_add_epi32(d0, _mm512_slli_epi32(high, 8)), kFractionBits);
}

MATINEE_VBMI void horizontal(const std::uint8_t* in, std::ptrdiff_t in_stride, int rows, const AxisTaps& taps,
                             const std::int32_t* packed, std::uint8_t* out, std::ptrdiff_t out_stride) {
  const std::uint8_t* in_rows[kRowBlock];
  std::uint8_t* out_rows[kRowBlock];
  for (int r = 0; r < kRowBlock; ++r) {  // missing rows repeat the last one
    const int y = r < rows ? r : rows - 1;
    in_rows[r] = in + y * in_stride;
    out_rows[r] = out + y * out_stride;
  }
  const __m512i by_row = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const int size = packed[0];
  const std::int32_t* registers = first_register(packed);
  const int quads = taps.max_taps / 4;
  for (int x = 0; x < taps.out_size; x += size) {
    const __m512i positions = _mm512_load_si512(registers);
    registers += kLanes;
    std::ptrdiff_t offset = std::ptrdiff_t{taps.first[static_cast<std::size_t>(x)]} * 3;
    // Windows begin within the row, so that they end within its padding; quads past the taps of all are skipped.
    int most = 0;
    for (int i = x; i < std::min(x + size, taps.out_size); ++i) {
      most = std::max(most, taps.count[static_cast<std::size_t>(i)]);
    }
    __m512i d0[kRowBlock];
    __m512i d1[kRowBlock];
    __m512i d2[kRowBlock];
    for (int r = 0; r < kRowBlock; ++r) {
      d0[r] = _mm512_set1_epi32(kHalf);
      d1[r] = d2[r] = _mm512_setzero_si512();
    }
    for (int quad = 0; quad < quads; ++quad, registers += 3 * kLanes) {
      if (4 * quad >= most) continue;
      const __m512i w0 = _mm512_load_si512(registers);
      const __m512i w1 = _mm512_load_si512(registers + kLanes);
      const __m512i w2 = _mm512_load_si512(registers + 2 * kLanes);
      for (int r = 0; r < kRowBlock; ++r) {
        const __m512i pixels = _mm512_permutexvar_epi8(positions, _mm512_loadu_si512(in_rows[r] + offset));
        d0[r] = _mm512_dpbusd_epi32(d0[r], pixels, w0);
        d1[r] = _mm512_dpbusd_epi32(d1[r], pixels, w1);
        d2[r] = _mm512_dpbusd_epi32(d2[r], pixels, w2);
      }
      offset += 12;
    }
    // Packing works within 128-bit quarters, which then hold four lanes of each row; the permutation sorts by row.
    const __m512i words01 = _mm512_packs_epi32(finish(d0[0], d1[0], d2[0]), finish(d0[1], d1[1], d2[1]));
    const __m512i words23 = _mm512_packs_epi32(finish(d0[2], d1[2], d2[2]), finish(d0[3], d1[3], d2[3]));
    const __m512i bytes = _mm512_permutexvar_epi32(by_row, _mm512_packus_epi16(words01, words23));
    // The bytes past the group's belong to the next one (or to the padding) and are overwritten with it.
    const auto store = [x](std::uint8_t* row, __m128i pixels) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(row + 3 * x), pixels);
    };
    store(out_rows[3], _mm512_extracti32x4_epi32(bytes, 3));
    store(out_rows[2], _mm512_extracti32x4_epi32(bytes, 2));
    store(out_rows[1], _mm512_extracti32x4_epi32(bytes, 1));
    store(out_rows[0], _mm512_castsi512_si128(bytes));
  }
}

}  // namespace

std::optional<ColumnKernel> vbmi_columns(const AxisTaps& taps) {
  if (group_size(taps) == 0) return std::nullopt;
  return ColumnKernel{horizontal, pack(taps)};
}

}  // namespace matinee::resize_kernels

#endif
