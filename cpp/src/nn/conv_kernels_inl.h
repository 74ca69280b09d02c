// The fast kernels of a mobile convnet, written once over V (see kernels_inl.h), after unrolled.h. No include guard,
// nothing from std:: in here.

namespace matinee::nn {
namespace {

// Pixels handled together: enough independent sums to hide the latency of fma, and every map of a picture of 224
// pixels is a multiple of it wide.
constexpr std::size_t kPixels = 7;
constexpr std::size_t kDepthwiseScratch = 10 << 10;  // floats: what stays in a first-level cache beside the filters

inline V relu6(V x) { return V::min(V::max(x, V::zero()), V::set1(6.0F)); }
inline V load_vector(const float* p) { return V::load(p); }
inline V load_vector(const std::uint16_t* p) { return V::load_bf16(p); }

// kPixels pixels of two vectors of channels; the first `valid` are written. `rows` is (3 channels, 3 rows, pitch).
inline void stem_pixels(const StemCall& call, const float* rows, std::size_t pitch, std::size_t channel,
                        std::size_t valid, float* output) {
  constexpr std::size_t kVectors = 2;
  V sums[kPixels][kVectors];
  repeat<kPixels>([&](auto p) __attribute__((always_inline)) {
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      sums[p.value][v.value] = V::load(call.bias + channel + v.value * V::kLanes);
    });
  });
  const float* weights = call.weights + channel;
#pragma GCC unroll 1
  for (std::size_t row = 0; row < 3 * kStemKernel; ++row) {
    repeat<kStemKernel>([&](auto x) __attribute__((always_inline)) {
      V weight[kVectors];
      repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
        weight[v.value] = V::load(weights + x.value * kStemChannels + v.value * V::kLanes);
      });
      repeat<kPixels>([&](auto p) __attribute__((always_inline)) {
        const V pixel = V::set1(rows[p.value * kStemStride + x.value]);
        repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
          sums[p.value][v.value] = V::fma(pixel, weight[v.value], sums[p.value][v.value]);
        });
      });
    });
    weights += kStemKernel * kStemChannels;
    rows += pitch;
  }
  repeat<kPixels>([&](auto p) __attribute__((always_inline)) {
    if (p.value < valid) {
      repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
        V::store(output + p.value * kStemChannels + channel + v.value * V::kLanes, relu6(sums[p.value][v.value]));
      });
    }
  });
}

void stem(const StemCall& call) {
  const std::size_t groups = (call.out_size + kPixels - 1) / kPixels;
  const std::size_t pitch = (groups * kPixels - 1) * kStemStride + kStemKernel;
  for (std::size_t y = call.begin_row; y < call.end_row; ++y) {
    // The three rows of each channel that the filters see, with the padding.
    for (std::size_t row = 0; row < 3 * kStemKernel; ++row) {
      float* to = call.scratch + row * pitch;
      const std::size_t from_row = y * kStemStride + row % kStemKernel;  // padding rows too low
      __builtin_memset(to, 0, pitch * sizeof(float));
      if (from_row < call.padding || from_row - call.padding >= call.size) continue;
      const float* from = call.pixels + (row / kStemKernel * call.size + from_row - call.padding) * call.size;
      __builtin_memcpy(to + call.padding, from, call.size * sizeof(float));
    }
    float* output = call.output + (y - call.begin_row) * call.out_size * kStemChannels;
    for (std::size_t x = 0; x < call.out_size; x += kPixels) {
      for (std::size_t channel = 0; channel < kStemChannels; channel += 2 * V::kLanes) {
        stem_pixels(call, call.scratch + x * kStemStride, pitch, channel, call.out_size - x,
                    output + x * kStemChannels);
      }
    }
  }
}

// kPixels pixels of one vector of channels from `in` (rows, pitch, lanes); the first `valid` are written.
template <std::size_t kKernel, std::size_t kStride>
inline void filter_pixels(const float* in, std::size_t pitch, const float* weights, std::size_t channels, V bias,
                          std::size_t valid, std::uint16_t* output) {
  V sums[kPixels];
  repeat<kPixels>([&](auto p) __attribute__((always_inline)) { sums[p.value] = bias; });
  // Unrolled it would need more registers than there are.
#pragma GCC unroll 1
  for (std::size_t y = 0; y < kKernel; ++y) {
    repeat<kKernel>([&](auto x) __attribute__((always_inline)) {
      const V weight = V::load(weights + x.value * channels);
      repeat<kPixels>([&](auto p) __attribute__((always_inline)) {
        sums[p.value] = V::fma(V::load(in + (p.value * kStride + x.value) * V::kLanes), weight, sums[p.value]);
      });
    });
    in += pitch * V::kLanes;
    weights += kKernel * channels;
  }
  repeat<kPixels>([&](auto p) __attribute__((always_inline)) {
    if (p.value < valid) V::store_bf16(output + p.value * channels, relu6(sums[p.value]));
  });
}

// One vector of channels of some rows, widened to fp32, with the padding around them: (num_rows, pitch, lanes).
template <typename T>
inline void widen_rows(const DepthwiseCall& call, std::size_t channel, std::size_t first_row, std::size_t num_rows,
                       std::size_t pitch, float* to) {
  for (std::size_t row = first_row; row < first_row + num_rows; ++row) {  // padding rows too low
    const bool inside = row >= call.padding && row - call.padding < call.size;
    const std::size_t first = inside ? call.padding : pitch;
    const std::size_t last = inside ? call.padding + call.size : pitch;
    float* at = to;
    for (std::size_t x = 0; x < first; ++x, at += V::kLanes) V::store(at, V::zero());
    if (inside) {
      const T* from = static_cast<const T*>(call.input) +
                      (row - call.padding - call.first_row) * call.size * call.channels + channel;
      for (std::size_t x = first; x < last; ++x, at += V::kLanes, from += call.channels) {
        V::store(at, load_vector(from));
      }
    }
    for (std::size_t x = last; x < pitch; ++x, at += V::kLanes) V::store(at, V::zero());
    to += pitch * V::kLanes;
  }
}

// A few channels at a time, as many as share a cache line: their rows stay in the first-level cache while the filters
// go over them.
template <typename T, std::size_t kKernel, std::size_t kStride>
void depthwise_of(const DepthwiseCall& call) {
  constexpr std::size_t kVectors = kDepthwiseChannels / V::kLanes;
  const std::size_t groups = (call.out_size + kPixels - 1) / kPixels;
  const std::size_t pitch = (groups * kPixels - 1) * kStride + kKernel;
  const std::size_t most_rows = kDepthwiseScratch / (pitch * kDepthwiseChannels);  // of the input
  const std::size_t step = most_rows > kKernel ? (most_rows - kKernel) / kStride + 1 : 1;
  for (std::size_t begin = call.begin_row; begin < call.end_row; begin += step) {
    const std::size_t end = begin + step < call.end_row ? begin + step : call.end_row;
    const std::size_t num_rows = (end - 1 - begin) * kStride + kKernel;
    const std::size_t vector_size = num_rows * pitch * V::kLanes;
    for (std::size_t first = 0; first < call.channels; first += kDepthwiseChannels) {
      for (std::size_t v = 0; v < kVectors; ++v) {
        widen_rows<T>(call, first + v * V::kLanes, begin * kStride, num_rows, pitch, call.scratch + v * vector_size);
      }
      for (std::size_t y = begin; y < end; ++y) {
        for (std::size_t v = 0; v < kVectors; ++v) {
          const std::size_t channel = first + v * V::kLanes;
          const V bias = V::load(call.bias + channel);
          const float* rows = call.scratch + v * vector_size + (y - begin) * kStride * pitch * V::kLanes;
          std::uint16_t* output = call.output + (y - call.begin_row) * call.out_size * call.channels + channel;
          for (std::size_t x = 0; x < call.out_size; x += kPixels) {
            filter_pixels<kKernel, kStride>(rows + x * kStride * V::kLanes, pitch, call.weights + channel,
                                            call.channels, bias, call.out_size - x, output + x * call.channels);
          }
        }
      }
    }
  }
}

template <typename T>
void depthwise(const DepthwiseCall& call) {
  if (call.kernel == 3) return call.stride == 1 ? depthwise_of<T, 3, 1>(call) : depthwise_of<T, 3, 2>(call);
  return call.stride == 1 ? depthwise_of<T, 5, 1>(call) : depthwise_of<T, 5, 2>(call);
}

}  // namespace
}  // namespace matinee::nn
