// Loops written out, for kernels. Included as vector_avx512.h is: no include guard, nothing from std:: in here.

namespace matinee::nn {
namespace {

template <std::size_t kValue>
struct Index {
  static constexpr std::size_t value = kValue;
};

// f(Index<0>), f(Index<1>), … written out: GCC 12 keeps an array of sums in registers only where every index is a
// constant before it optimises; from loops that it unrolls itself it writes all sums to memory at every step.
template <std::size_t kCount, std::size_t kFirst = 0, typename F>
[[gnu::always_inline]] inline void repeat(const F& f) {
  if constexpr (kFirst < kCount) {
    f(Index<kFirst>{});
    repeat<kCount, kFirst + 1>(f);
  }
}

}  // namespace
}  // namespace matinee::nn
