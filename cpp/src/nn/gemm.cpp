#include "nn/gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "nn/gemm_tables.h"
#include "nn/half.h"

namespace matinee::nn {
namespace {

std::size_t round_up(std::size_t value, std::size_t step) { return (value + step - 1) / step * step; }

// Byte offset of the 4-byte group that holds (output, K byte `k_byte`).
std::size_t group_offset(std::size_t output, std::size_t k_byte, std::size_t num_blocks) {
  const std::size_t panel = output / kPanelColumns;
  const std::size_t tile = output % kPanelColumns / kTileColumns;
  const std::size_t block = k_byte / kBlockBytes;
  const std::size_t row = k_byte % kBlockBytes / 4;
  return ((panel * num_blocks + block) * 2 + tile) * kTileBytes + row * kBlockBytes + output % kTileColumns * 4;
}

}  // namespace

PackedWeights::PackedWeights(std::span<const float> weight, std::span<const float> bias, std::size_t columns,
                             std::size_t depth, PackedType type, std::span<const float> smoothing)
    : columns_(columns), depth_(depth), type_(type), bias_(round_up(columns, kPanelColumns), 0.0F) {
  const std::size_t element = type == PackedType::kBf16 ? 2 : 1;
  num_blocks_ = round_up(depth * element, kBlockBytes) / kBlockBytes;
  std::copy(bias.begin(), bias.end(), bias_.begin());
  const std::size_t bytes = bias_.size() * num_blocks_ * kBlockBytes;
  auto* packed = packed_.as<std::uint8_t>(bytes);
  std::memset(packed, 0, bytes);
  if (type == PackedType::kInt8) {
    scales_.assign(bias_.size(), 0.0F);
    offsets_.assign(bias_.size(), 0);
  }
  std::vector<float> row(depth);
  for (std::size_t n = 0; n < columns; ++n) {
    std::copy_n(weight.data() + n * depth, depth, row.begin());
    if (type == PackedType::kBf16) {
      for (std::size_t k = 0; k < depth; ++k) {
        const std::uint16_t bits = bf16_from_float(row[k]);
        std::memcpy(packed + group_offset(n, 2 * k, num_blocks_) + 2 * k % 4, &bits, sizeof(bits));
      }
      continue;
    }
    float highest = 0;
    for (std::size_t k = 0; k < depth; ++k) {
      if (!smoothing.empty()) row[k] /= smoothing[k];
      highest = std::max(highest, std::fabs(row[k]));
    }
    scales_[n] = highest / 127.0F;
    const float inverse = highest > 0 ? 127.0F / highest : 0.0F;
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < depth; ++k) {
      const auto code = static_cast<std::int8_t>(std::lround(std::clamp(row[k] * inverse, -127.0F, 127.0F)));
      sum += code;
      packed[group_offset(n, k, num_blocks_) + k % 4] = static_cast<std::uint8_t>(code);
    }
    offsets_[n] = 128 * sum;
  }
}

void PackedWeights::describe(GemmCall& call) const {
  call.weights = packed_.data();
  call.num_blocks = num_blocks_;
  call.columns = columns_;
  call.bias = bias_.data();
  call.column_scales = scales_.data();
  call.column_offsets = offsets_.data();
}

const GemmKernels& gemm_kernels_of(IsaLevel level) {
#if defined(__x86_64__)
  switch (level) {
    case IsaLevel::kAmx:
      return kAmxGemm;
    case IsaLevel::kAvx512Bf16:
      return kAvx512Bf16Gemm;
    case IsaLevel::kAvx512Vnni:
      return kAvx512VnniGemm;
    case IsaLevel::kAvx512:
      return kAvx512Gemm;
    case IsaLevel::kAvx2:
      return kAvx2Gemm;
    case IsaLevel::kScalar:
      break;
  }
#endif
  return kScalarGemm;
}

}  // namespace matinee::nn
