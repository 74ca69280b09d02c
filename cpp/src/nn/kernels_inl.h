// The fast kernels, written once over a vector type V and compiled for each instruction level: included by
// kernels_avx2.cpp and kernels_avx512.cpp after they have switched the target and defined V in their anonymous
// namespace. No include guard, and nothing from std:: in here: an inline function of the standard library compiled
// for AVX-512 could be the copy the linker keeps for everybody.
//
// V: kLanes; load, store, load_n, store_n (first n lanes; others read as 0), load_bf16(_n), store_bf16(_n), set1, zero,
// add, sub, mul, div, fma(a, b, c) = a b + c, max, min, sum, highest, exp, transpose(in, in_stride, out, out_stride).

namespace matinee::nn {
namespace {

inline std::size_t min_of(std::size_t a, std::size_t b) { return a < b ? a : b; }
inline std::size_t round_up(std::size_t value, std::size_t step) { return (value + step - 1) / step * step; }

inline V load_any(const float* p, std::size_t n) { return n >= V::kLanes ? V::load(p) : V::load_n(p, n); }
inline V load_any(const std::uint16_t* p, std::size_t n) {
  return n >= V::kLanes ? V::load_bf16(p) : V::load_bf16_n(p, n);
}
inline void store_any(float* p, V value, std::size_t n) {
  if (n >= V::kLanes) {
    V::store(p, value);
  } else {
    V::store_n(p, value, n);
  }
}
inline void store_any(std::uint16_t* p, V value, std::size_t n) {
  if (n >= V::kLanes) {
    V::store_bf16(p, value);
  } else {
    V::store_bf16_n(p, value, n);
  }
}

void layer_norm(const float* x, float* y, std::uint16_t* rounded, const float* gamma, const float* beta,
                std::size_t size, float epsilon) {
  V total = V::zero();
  for (std::size_t i = 0; i < size; i += V::kLanes) total = V::add(total, load_any(x + i, size - i));
  const float mean = V::sum(total) / static_cast<float>(size);
  const V means = V::set1(mean);
  V squares = V::zero();
  std::size_t i = 0;
  for (; i + V::kLanes <= size; i += V::kLanes) {
    const V centred = V::sub(V::load(x + i), means);
    squares = V::fma(centred, centred, squares);
  }
  float sum = V::sum(squares);
  for (; i < size; ++i) sum += (x[i] - mean) * (x[i] - mean);
  const V scale = V::set1(1.0F / __builtin_sqrtf(sum / static_cast<float>(size) + epsilon));
  for (i = 0; i < size; i += V::kLanes) {
    const std::size_t n = size - i;
    const V centred = V::mul(V::sub(load_any(x + i, n), means), scale);
    const V result = V::fma(centred, load_any(gamma + i, n), load_any(beta + i, n));
    store_any(y + i, result, n);
    if (rounded != nullptr) store_any(rounded + i, result, n);
  }
}

constexpr std::size_t kQueryRows = 4;  // queries handled together: enough independent sums to hide the latency of fma

// scores[r][0 .. kVectors * lanes) = q[r] . keys, for kQueryRows queries. `keys` is K^T: (head_dim, key_stride).
template <int kVectors>
inline void score_block(const float* const* q, const float* keys, std::size_t key_stride, std::size_t head_dim,
                        float* scores, std::size_t score_stride) {
  V sums[kQueryRows][kVectors];
  for (auto& row : sums) {
    for (V& sum : row) sum = V::zero();
  }
  for (std::size_t d = 0; d < head_dim; ++d) {
    V key[kVectors];
    for (int c = 0; c < kVectors; ++c) key[c] = V::load(keys + d * key_stride + c * V::kLanes);
    for (std::size_t r = 0; r < kQueryRows; ++r) {
      const V query = V::set1(q[r][d]);
      for (int c = 0; c < kVectors; ++c) sums[r][c] = V::fma(query, key[c], sums[r][c]);
    }
  }
  for (std::size_t r = 0; r < kQueryRows; ++r) {
    for (int c = 0; c < kVectors; ++c) V::store(scores + r * score_stride + c * V::kLanes, sums[r][c]);
  }
}

// out[r][0 .. kVectors * lanes) = sum over keys of weights[r][j] values[j], divided by totals[r]; `count` columns kept.
template <int kVectors, typename T>
inline void value_block(const float* weights, std::size_t weight_stride, const float* values, std::size_t value_stride,
                        std::size_t length, const float* totals, T* const* out, std::size_t count) {
  V sums[kQueryRows][kVectors];
  for (auto& row : sums) {
    for (V& sum : row) sum = V::zero();
  }
  for (std::size_t j = 0; j < length; ++j) {
    V value[kVectors];
    for (int c = 0; c < kVectors; ++c) value[c] = V::load(values + j * value_stride + c * V::kLanes);
    for (std::size_t r = 0; r < kQueryRows; ++r) {
      const V weight = V::set1(weights[r * weight_stride + j]);
      for (int c = 0; c < kVectors; ++c) sums[r][c] = V::fma(weight, value[c], sums[r][c]);
    }
  }
  for (std::size_t r = 0; r < kQueryRows; ++r) {
    const V total = V::set1(totals[r]);
    for (int c = 0; c < kVectors; ++c) {
      const std::size_t begin = static_cast<std::size_t>(c) * V::kLanes;
      if (begin < count) store_any(out[r] + begin, V::div(sums[r][c], total), count - begin);
    }
  }
}

// weights <- exp(scale (scores - highest)), the first `length` of `padded`; returns their sum.
inline float softmax_row(float* scores, std::size_t length, std::size_t padded, float scale) {
  for (std::size_t j = length; j < padded; ++j) scores[j] = -__builtin_inff();
  V highest = V::load(scores);
  for (std::size_t j = V::kLanes; j < padded; j += V::kLanes) highest = V::max(highest, V::load(scores + j));
  const V scales = V::set1(scale);
  const V shift = V::set1(V::highest(highest));
  V total = V::zero();
  for (std::size_t j = 0; j < padded; j += V::kLanes) {
    // Subtracted first: fma(score, scale, -highest * scale) rounds the two products differently, by e^huge where
    // scores are huge.
    const V weight = V::exp(V::mul(V::sub(V::load(scores + j), shift), scales));
    V::store(scores + j, weight);
    total = V::add(total, weight);
  }
  return V::sum(total);
}

template <typename T>
void attention(const T* qkv, T* context, const AttentionShape& shape, std::size_t head, float* scratch) {
  const std::size_t length = shape.length;
  const std::size_t head_dim = shape.head_dim;
  const std::size_t width = shape.num_heads * head_dim;
  const std::size_t stride = shape.qkv_stride != 0 ? shape.qkv_stride : 3 * width;
  const std::size_t context_stride = shape.context_stride != 0 ? shape.context_stride : width;
  const std::size_t padded = round_up(length, V::kLanes);
  const std::size_t dim = round_up(head_dim, V::kLanes);
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(head_dim));
  float* queries = scratch;                // (length, dim)
  float* values = queries + padded * dim;  // (length, dim), zero beyond head_dim; K before it is transposed
  float* keys = values + padded * dim;     // (dim, padded), zero beyond length
  float* scores = keys + padded * dim;     // (kQueryRows, padded)

  const T* q = qkv + head * head_dim;
  for (std::size_t i = 0; i < length; ++i) {
    for (std::size_t d = 0; d < dim; d += V::kLanes) {
      const std::size_t n = head_dim - d;
      V::store(queries + i * dim + d, load_any(q + i * stride + d, n));
      V::store(values + i * dim + d, load_any(q + i * stride + width + d, n));
    }
  }
  for (std::size_t i = length; i < padded; ++i) {
    for (std::size_t d = 0; d < dim; d += V::kLanes) V::store(values + i * dim + d, V::zero());
  }
  for (std::size_t i = 0; i < padded; i += V::kLanes) {
    for (std::size_t d = 0; d < dim; d += V::kLanes) {
      V::transpose(values + i * dim + d, dim, keys + d * padded + i, padded);
    }
  }
  for (std::size_t i = 0; i < length; ++i) {
    for (std::size_t d = 0; d < dim; d += V::kLanes) {
      V::store(values + i * dim + d, load_any(q + i * stride + 2 * width + d, head_dim - d));
    }
  }

  for (std::size_t i = 0; i < length; i += kQueryRows) {
    const float* query[kQueryRows];
    T* out[kQueryRows];
    std::size_t rows[kQueryRows];
    for (std::size_t r = 0; r < kQueryRows; ++r) {
      rows[r] = min_of(i + r, length - 1);  // the last block repeats its last row
      query[r] = queries + rows[r] * dim;
      out[r] = context + rows[r] * context_stride + head * head_dim;
    }
    // What no row of the block sees is not computed.
    const std::size_t seen = shape.causal ? rows[kQueryRows - 1] + 1 : length;
    const std::size_t end = round_up(seen, V::kLanes);
    std::size_t j = 0;
    for (; j + 4 * V::kLanes <= end; j += 4 * V::kLanes) {
      score_block<4>(query, keys + j, padded, head_dim, scores + j, padded);
    }
    for (; j < end; j += V::kLanes) score_block<1>(query, keys + j, padded, head_dim, scores + j, padded);
    float totals[kQueryRows];
    for (std::size_t r = 0; r < kQueryRows; ++r) {
      totals[r] = softmax_row(scores + r * padded, shape.causal ? rows[r] + 1 : length, end, scale);
    }
    std::size_t d = 0;
    for (; d + 2 * V::kLanes <= dim; d += 2 * V::kLanes) {
      T* at[kQueryRows];
      for (std::size_t r = 0; r < kQueryRows; ++r) at[r] = out[r] + d;
      value_block<2>(scores, padded, values + d, dim, seen, totals, at, head_dim - d);
    }
    if (d < dim) {
      T* at[kQueryRows];
      for (std::size_t r = 0; r < kQueryRows; ++r) at[r] = out[r] + d;
      value_block<1>(scores, padded, values + d, dim, seen, totals, at, head_dim - d);
    }
  }
}

void attention_fp32(const float* qkv, float* context, const AttentionShape& shape, std::size_t head, float* scratch) {
  attention<float>(qkv, context, shape, head, scratch);
}
void attention_bf16(const std::uint16_t* qkv, std::uint16_t* context, const AttentionShape& shape, std::size_t head,
                    float* scratch) {
  attention<std::uint16_t>(qkv, context, shape, head, scratch);
}

void round_to_bf16(const float* in, std::uint16_t* out, std::size_t size) {
  for (std::size_t i = 0; i < size; i += V::kLanes) store_any(out + i, load_any(in + i, size - i), size - i);
}

}  // namespace
}  // namespace matinee::nn
