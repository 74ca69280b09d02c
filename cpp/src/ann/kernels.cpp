#include "ann/kernels.h"

#include "ann/kernels_common.h"

namespace matinee::ann {

std::int32_t dot_codes_tail(const std::uint8_t* row, const std::int8_t* query, std::size_t begin, std::size_t count) {
  std::int32_t sum = 0;
  for (std::size_t i = begin; i < count; ++i) sum += (static_cast<int>(row[i]) - kCodeOffset) * query[i];
  return sum;
}

void dot_codes_last_rows(const CodeBlock& block, std::int32_t* dots) {
  for (std::size_t q = 0; q < block.num_queries; ++q) {
    for (std::size_t r = block.num_rows / 4 * 4; r < block.num_rows; ++r) {
      dots[q * block.num_rows + r] =
          dot_codes_tail(block.rows + r * block.row_stride, block.queries + q * block.query_stride, 0, block.count);
    }
  }
}

namespace {

void dot_codes_scalar(const CodeBlock& block, std::int32_t* dots) {
  for (std::size_t q = 0; q < block.num_queries; ++q) {
    for (std::size_t r = 0; r < block.num_rows; ++r) {
      dots[q * block.num_rows + r] =
          dot_codes_tail(block.rows + r * block.row_stride, block.queries + q * block.query_stride, 0, block.count);
    }
  }
}

double dot_scalar(const float* a, const float* b, std::size_t count) {
  Lanes lanes{};
  dot_tail(a, b, 0, count, lanes);
  return sum_of(lanes);
}

double squared_distance_scalar(const float* a, const float* b, std::size_t count) {
  Lanes lanes{};
  squared_distance_tail(a, b, 0, count, lanes);
  return sum_of(lanes);
}

}  // namespace

const Kernels kScalarKernels = {dot_codes_scalar, dot_scalar, squared_distance_scalar};

const Kernels& kernels_for(IsaLevel level) {
#if defined(__x86_64__)
  if (level >= IsaLevel::kAvx512Vnni) return kAvx512VnniKernels;
  if (level >= IsaLevel::kAvx512) return kAvx512Kernels;
  if (level >= IsaLevel::kAvx2) return kAvx2Kernels;
#endif
  return kScalarKernels;
}

}  // namespace matinee::ann
