// The fast products, written once over V (nn/kernels_inl.h) and D, how four bytes of inputs meet four bytes of weights:
// included after both are defined in the file's anonymous namespace, and after unrolled.h. No include guard, nothing
// from std::.
//
// D: kRows, rows taken together; Bf16 and Int8, each with Sum, a vector of kLanes sums (float or int32), and
//    zero(), step(sum, input, weights): sum += the products of the 4 bytes `input` with those of each lane,
//    store(p, sum).

namespace matinee::nn {
namespace {

inline std::size_t gemm_min(std::size_t a, std::size_t b) { return a < b ? a : b; }

// Phi(x), the normal distribution: 0.5 + x P(x^2) on |x| <= 4.5, P a minimax polynomial of degree 8 in
// 2 x^2 / 4.5^2 - 1. gelu(x) = x Phi(x) is off by at most 3.4e-5 for |x| <= 6: below one step of bf16 at any |y| >
// 0.01.
inline V gelu(V x) {
  const V clamped = V::max(V::min(x, V::set1(4.5F)), V::set1(-4.5F));
  const V u = V::fma(V::mul(clamped, clamped), V::set1(2.0F / 20.25F), V::set1(-1.0F));
  V p = V::set1(0.00335369259F);
  p = V::fma(p, u, V::set1(-0.00932853576F));
  p = V::fma(p, u, V::set1(0.0122085195F));
  p = V::fma(p, u, V::set1(-0.0167440474F));
  p = V::fma(p, u, V::set1(0.0276294053F));
  p = V::fma(p, u, V::set1(-0.0405557677F));
  p = V::fma(p, u, V::set1(0.0548185669F));
  p = V::fma(p, u, V::set1(-0.077171959F));
  p = V::fma(p, u, V::set1(0.15690212F));
  return V::mul(x, V::fma(clamped, p, V::set1(0.5F)));
}

// 1 / (1 + e^-x)
inline V sigmoid(V x) {
  const V e = V::exp(V::min(V::sub(V::zero(), x), V::set1(80.0F)));
  return V::div(V::set1(1.0F), V::add(V::set1(1.0F), e));
}

template <Activation kActivation>
inline V activate(V x) {
  if constexpr (kActivation == Activation::kGelu) return gelu(x);
  if constexpr (kActivation == Activation::kQuickGelu) return V::mul(x, sigmoid(V::mul(x, V::set1(1.702F))));
  if constexpr (kActivation == Activation::kGeluTanh) {  // (1 + tanh z) / 2 = sigmoid(2 z)
    const V cubic = V::fma(V::mul(V::mul(x, x), V::set1(0.044715F)), x, x);
    return V::mul(x, sigmoid(V::mul(cubic, V::set1(2.0F * 0.7978845608F))));
  }
  if constexpr (kActivation == Activation::kRelu) return V::max(x, V::zero());
  if constexpr (kActivation == Activation::kRelu6) return V::min(V::max(x, V::zero()), V::set1(6.0F));
  return x;
}

template <GemmOutput kOutput>
inline void write(void* output, std::size_t at, V y, std::size_t n) {
  if constexpr (kOutput == GemmOutput::kBf16) {
    auto* out = static_cast<std::uint16_t*>(output) + at;
    if (n >= V::kLanes) {
      V::store_bf16(out, y);
    } else {
      V::store_bf16_n(out, y, n);
    }
    return;
  }
  auto* out = static_cast<float*>(output) + at;
  if (n >= V::kLanes) {
    if constexpr (kOutput == GemmOutput::kAddToFp32) y = V::add(y, V::load(out));
    V::store(out, y);
  } else {
    if constexpr (kOutput == GemmOutput::kAddToFp32) y = V::add(y, V::load_n(out, n));
    V::store_n(out, y, n);
  }
}

// `rows` rows of 32 sums each, of which the columns inside the matrix are kept.
template <bool kInt8, Activation kActivation, GemmOutput kOutput, typename T>
void finish(const GemmCall& call, const T* sums, std::size_t first_row, std::size_t rows, std::size_t first_column) {
  const std::size_t count = gemm_min(kPanelColumns, call.columns - first_column);
  for (std::size_t c = 0; c < count; c += V::kLanes) {
    const std::size_t column = first_column + c;
    const V bias = V::load(call.bias + column);
    const V scale = kInt8 ? V::load(call.column_scales + column) : V::zero();
    for (std::size_t r = 0; r < rows; ++r) {
      const T* at = sums + r * kPanelColumns + c;
      V y = V::zero();
      if constexpr (kInt8) {
        y = V::fma(V::from_differences(at, call.column_offsets + column),
                   V::mul(V::set1(call.row_scales[first_row + r]), scale), bias);
      } else {
        y = V::add(V::load(at), bias);
      }
      write<kOutput>(call.output, (first_row + r) * call.output_stride + column, activate<kActivation>(y), count - c);
    }
  }
}

template <bool kInt8, Activation kActivation, typename T>
void finish_as(const GemmCall& call, const T* sums, std::size_t row, std::size_t rows, std::size_t column) {
  switch (call.output_kind) {
    case GemmOutput::kBf16:
      return finish<kInt8, kActivation, GemmOutput::kBf16>(call, sums, row, rows, column);
    case GemmOutput::kFp32:
      return finish<kInt8, kActivation, GemmOutput::kFp32>(call, sums, row, rows, column);
    case GemmOutput::kAddToFp32:
      return finish<kInt8, kActivation, GemmOutput::kAddToFp32>(call, sums, row, rows, column);
  }
}

// Writes `rows` rows of a panel from its sums (rows, 32).
template <bool kInt8, typename T>
void finish_rows(const GemmCall& call, const T* sums, std::size_t row, std::size_t rows, std::size_t panel) {
  const std::size_t column = panel * kPanelColumns;
  switch (call.activation) {
    case Activation::kNone:
      return finish_as<kInt8, Activation::kNone>(call, sums, row, rows, column);
    case Activation::kGelu:
      return finish_as<kInt8, Activation::kGelu>(call, sums, row, rows, column);
    case Activation::kQuickGelu:
      return finish_as<kInt8, Activation::kQuickGelu>(call, sums, row, rows, column);
    case Activation::kGeluTanh:
      return finish_as<kInt8, Activation::kGeluTanh>(call, sums, row, rows, column);
    case Activation::kRelu:
      return finish_as<kInt8, Activation::kRelu>(call, sums, row, rows, column);
    case Activation::kRelu6:
      return finish_as<kInt8, Activation::kRelu6>(call, sums, row, rows, column);
  }
}

#if defined(MATINEE_VECTOR_GEMM)

// kRows rows of inputs with one panel.
template <typename Dot, bool kInt8, std::size_t kRows>
inline void panel_rows(const GemmCall& call, std::size_t first_row, std::size_t panel) {
  constexpr std::size_t kVectors = kPanelColumns / V::kLanes;
  constexpr std::size_t kVectorsATile = kTileColumns / V::kLanes;
  // Rows by threes: a base and one or two strides are one x86 address, so that four pointers do for twelve rows.
  constexpr std::size_t kGroup = 3;
  constexpr std::size_t kGroups = (kRows + kGroup - 1) / kGroup;
  typename Dot::Sum sums[kRows][kVectors];
  repeat<kRows>([&](auto r) __attribute__((always_inline)) {
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) { sums[r.value][v.value] = Dot::zero(); });
  });
  const std::size_t stride = call.input_stride;
  const std::uint8_t* inputs[kGroups];
  repeat<kGroups>([&](auto g) __attribute__((always_inline)) {
    inputs[g.value] = call.input + (first_row + g.value * kGroup) * stride;
  });
  const std::uint8_t* weights = call.weights + panel * call.num_blocks * 2 * kTileBytes;
  for (std::size_t block = 0; block < call.num_blocks; ++block) {
    for (std::size_t t = 0; t < kBlockBytes; t += 4) {
      typename Dot::Weights w[kVectors];
      repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
        constexpr std::size_t kOffset = v.value / kVectorsATile * kTileBytes + v.value % kVectorsATile * V::kLanes * 4;
        w[v.value] = Dot::load(weights + kOffset);
      });
      repeat<kRows>([&](auto r) __attribute__((always_inline)) {
        const auto input = Dot::broadcast(inputs[r.value / kGroup] + r.value % kGroup * stride + t);
        repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
          sums[r.value][v.value] = Dot::step(sums[r.value][v.value], input, w[v.value]);
        });
      });
      weights += kBlockBytes;
    }
    weights += kTileBytes;
    repeat<kGroups>([&](auto g) __attribute__((always_inline)) { inputs[g.value] += kBlockBytes; });
  }
  typename Dot::Scalar out[kRows * kPanelColumns];
  repeat<kRows>([&](auto r) __attribute__((always_inline)) {
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      Dot::store(out + r.value * kPanelColumns + v.value * V::kLanes, sums[r.value][v.value]);
    });
  });
  finish_rows<kInt8>(call, out, first_row, kRows, panel);
}

// The rows from `row` on, kRows at a time, and what is left in ever fewer: no row is read that is not there.
template <typename Dot, bool kInt8, std::size_t kRows>
inline void panel_rows_from(const GemmCall& call, std::size_t row, std::size_t panel) {
  for (; row + kRows <= call.num_rows; row += kRows) panel_rows<Dot, kInt8, kRows>(call, row, panel);
  if constexpr (kRows > 1) {
    constexpr std::size_t kFewer = kRows > 3 ? kRows / 2 : kRows - 1;
    panel_rows_from<Dot, kInt8, kFewer>(call, row, panel);
  }
}

template <typename Dot, bool kInt8>
void vector_gemm(const GemmCall& call) {
  for (std::size_t panel = call.begin_panel; panel < call.end_panel; ++panel) {
    panel_rows_from<Dot, kInt8, Dot::kRows>(call, 0, panel);
  }
}

#endif

inline V load_input(const float* p) { return V::load(p); }
inline V load_input(const std::uint16_t* p) { return V::load_bf16(p); }
inline V load_input_n(const float* p, std::size_t n) { return V::load_n(p, n); }
inline V load_input_n(const std::uint16_t* p, std::size_t n) { return V::load_bf16_n(p, n); }

template <typename T>
float quantize(const T* in, const float* smoothing, std::uint8_t* out, std::size_t size, std::size_t padded) {
  const auto value = [&](std::size_t i) {
    const std::size_t n = size - i;
    V x = n >= V::kLanes ? load_input(in + i) : load_input_n(in + i, n);
    if (smoothing == nullptr) return x;
    return V::mul(x, n >= V::kLanes ? V::load(smoothing + i) : V::load_n(smoothing + i, n));
  };
  V highest = V::zero();
  for (std::size_t i = 0; i < size; i += V::kLanes) {
    const V x = value(i);
    highest = V::max(highest, V::max(x, V::sub(V::zero(), x)));
  }
  const float top = V::highest(highest);
  const V inverse = V::set1(top > 0 ? 127.0F / top : 0.0F);
  std::size_t i = 0;
  for (; i < size; i += V::kLanes) V::store_u8(out + i, V::fma(value(i), inverse, V::set1(128.0F)));
  for (; i < padded; i += V::kLanes) V::store_u8(out + i, V::set1(128.0F));
  return top / 127.0F;
}

}  // namespace
}  // namespace matinee::nn
