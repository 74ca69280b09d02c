#pragma once

#include "ann/tile_kernels_common.h"

// What AMX takes over from AVX-512.
namespace matinee::ann {

void dot_rows_vnni(const std::uint8_t* high, const std::uint32_t* rows, std::size_t num_rows, const std::int8_t* query,
                   std::size_t padded, std::int32_t* dots);
void make_tile_vnni(const std::uint8_t* high, std::size_t num_rows, std::size_t padded, std::uint8_t* tile);
void dot_tile_vnni(const std::uint8_t* tile, const std::int8_t* queries, std::size_t num_queries, std::size_t padded,
                   std::int32_t* dots);
std::size_t collect_avx512(const CollectCall& call, float* scores, std::uint32_t* rows);
void score_avx512(const CollectCall& call, float* scores);
std::size_t above_avx512(const float* scores, std::size_t count, float threshold, std::uint32_t* numbers);
PlaneProducts dot_planes_vnni(const std::uint8_t* high, const std::uint8_t* low, const std::int8_t* first,
                              const std::int8_t* second, std::size_t padded);
void refine_avx512(const RefineCall& call, float* scores);
void dot_sketches_avx512(const std::uint8_t* tiles, std::size_t num_tiles, const std::uint8_t* tables,
                         std::size_t padded, const std::uint8_t* ahead, std::int32_t* dots);

}  // namespace matinee::ann
