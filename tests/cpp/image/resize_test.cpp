#include "matinee/image/resize.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "fixtures.h"
#include "image/resize_kernels.h"
#include "matinee/core/cpu.h"
#include "matinee/core/error.h"

// That the numbers are Pillow's is shown in tests/python/image/test_resize.py; here the kernels are compared with
// their scalar twin at every width that leaves a different tail.
namespace matinee {
namespace {

using testing::bytes_of;
using testing::pattern;

class AtLevel {
 public:
  explicit AtLevel(IsaLevel level) : before_(isa_level()) { set_isa_level(level); }
  ~AtLevel() { set_isa_level(before_); }
  AtLevel(const AtLevel&) = delete;
  AtLevel& operator=(const AtLevel&) = delete;

 private:
  IsaLevel before_;
};

class ResizeKernels : public ::testing::TestWithParam<IsaLevel> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa_level()) GTEST_SKIP() << "this processor lacks " << isa_level_name(GetParam());
  }

  static void expect_equal_to_scalar(const ImageView& image, int height, int width, ResizeFilter filter) {
    const auto run = [&](IsaLevel level) {
      const AtLevel scope(level);
      return bytes_of(resize(image, height, width, filter));
    };
    ASSERT_EQ(run(GetParam()), run(IsaLevel::kScalar))
        << image.height << " x " << image.width << " -> " << height << " x " << width;
  }
};

TEST_P(ResizeKernels, EqualTheScalarTwinAtEveryTail) {
  for (const auto filter : {ResizeFilter::kBilinear, ResizeFilter::kBicubic}) {
    for (int size = 1; size <= 70; ++size) {
      expect_equal_to_scalar(pattern(9, size).view(), 7, 31, filter);
      expect_equal_to_scalar(pattern(size, 33).view(), 17, size, filter);
      expect_equal_to_scalar(pattern(1 + size % 5, 40).view(), size, 2 * size, filter);
    }
  }
}

TEST_P(ResizeKernels, EqualTheScalarTwinWhereAnOutputHasThousandsOfTaps) {
  expect_equal_to_scalar(pattern(3, 9000).view(), 2, 1, ResizeFilter::kBicubic);
  expect_equal_to_scalar(pattern(9000, 3).view(), 1, 2, ResizeFilter::kBicubic);
}

TEST_P(ResizeKernels, EqualTheScalarTwinOnRowsThatAreNotContiguous) {
  const RgbImage image = pattern(20, 30);
  const ImageView inner = {image.pixels.get() + 2 * image.row_stride() + 9, 15, 21, 3, image.row_stride()};
  const ImageView upside_down = {image.pixels.get() + 19 * image.row_stride(), 20, 30, 3, -image.row_stride()};
  for (const ImageView& view : {inner, upside_down}) {
    expect_equal_to_scalar(view, 10, 50, ResizeFilter::kBicubic);
    expect_equal_to_scalar(view, view.height, 9, ResizeFilter::kBicubic);
    expect_equal_to_scalar(view, 9, view.width, ResizeFilter::kBicubic);
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, ResizeKernels, ::testing::Values(IsaLevel::kAvx2, IsaLevel::kAvx512Vnni),
                         [](const auto& info) { return std::string(isa_level_name(info.param)); });

#if defined(__x86_64__)
// Processors that have the byte permutation use another kernel for columns at most reductions: both are run here.
TEST(ColumnKernels, EqualTheScalarTwinWhicheverIsChosen) {
  using namespace resize_kernels;
  const auto run = [](const Horizontal horizontal, const std::vector<std::int32_t>& packed, const AxisTaps& taps,
                      int rows) {
    const std::ptrdiff_t in_stride = std::ptrdiff_t{taps.in_size} * 3 + kRowPadding;
    const std::ptrdiff_t out_stride = std::ptrdiff_t{taps.out_size} * 3 + kRowPadding;
    std::vector<std::uint8_t> in(static_cast<std::size_t>(kRowBlock * in_stride));
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::uint8_t>(i * i * 31 + i * 7);
    std::vector<std::uint8_t> out(static_cast<std::size_t>(kRowBlock * out_stride));
    horizontal(in.data(), in_stride, rows, taps, packed.data(), out.data(), out_stride);
    std::vector<std::uint8_t> pixels;
    for (int r = 0; r < rows; ++r) {
      const auto row = out.begin() + r * out_stride;
      pixels.insert(pixels.end(), row, row + std::ptrdiff_t{taps.out_size} * 3);
    }
    return pixels;
  };
  int permuted = 0;
  for (const int in : {1, 2, 5, 31, 64, 185, 500, 1000}) {
    for (int out = 1; out <= 3 * in && out < 300; out += 1 + out / 9) {
      const AxisTaps taps = make_axis_taps(in, out, ResizeFilter::kBicubic, out / 5, out);
      for (int rows = 1; rows <= kRowBlock; ++rows) {
        const auto want = run(scalar_kernels().horizontal, {}, taps, rows);
        if (isa_level() >= IsaLevel::kAvx512Vnni) {
          ASSERT_EQ(run(vnni_kernels().horizontal, vnni_kernels().pack(taps), taps, rows), want) << in << " -> " << out;
        }
        const auto columns = has_vbmi() ? vbmi_columns(taps) : std::nullopt;
        if (!columns) continue;
        ++permuted;
        ASSERT_EQ(run(columns->horizontal, columns->packed, taps, rows), want) << in << " -> " << out;
      }
    }
  }
  if (has_vbmi()) {
    EXPECT_GT(permuted, 200);
  }
}
#endif

TEST(Resize, TheSameSizeIsACopy) {
  const RgbImage image = pattern(6, 5);
  EXPECT_EQ(bytes_of(resize(image.view(), 6, 5, ResizeFilter::kBicubic)), bytes_of(image));
}

TEST(Resize, AFlatImageStaysFlat) {
  RgbImage image(13, 29);
  std::fill_n(image.pixels.get(), image.size_bytes(), std::uint8_t{201});
  for (const auto filter : {ResizeFilter::kBilinear, ResizeFilter::kBicubic}) {
    for (const int size : {1, 5, 64}) {
      for (const std::uint8_t value : bytes_of(resize(image.view(), size, 2 * size, filter))) ASSERT_EQ(value, 201);
    }
  }
}

TEST(Resize, ACropEqualsTheSamePartOfTheWholeResult) {
  struct Case {
    int in_height, in_width, height, width;
  };
  for (const Case c : {Case{60, 40, 45, 30}, Case{60, 40, 60, 30}, Case{60, 40, 45, 40}, Case{60, 40, 60, 40},
                       Case{20, 30, 70, 95}, Case{1200, 9, 50, 30}}) {
    const RgbImage image = pattern(c.in_height, c.in_width);
    const RgbImage whole = resize(image.view(), c.height, c.width, ResizeFilter::kBicubic);
    const CropBox box = {5, 3, c.height - 11, c.width - 8};
    const RgbImage crop = resize_and_crop(image.view(), c.height, c.width, ResizeFilter::kBicubic, box);
    ASSERT_EQ(crop.height, box.height);
    ASSERT_EQ(crop.width, box.width);
    for (int y = 0; y < box.height; ++y) {
      const std::uint8_t* want = whole.view().row(box.top + y) + 3 * box.left;
      const std::uint8_t* got = crop.view().row(y);
      ASSERT_EQ(std::vector<std::uint8_t>(got, got + crop.row_stride()),
                std::vector<std::uint8_t>(want, want + crop.row_stride()));
    }
  }
}

TEST(Resize, RefusesWhatHasNoPixels) {
  const RgbImage image = pattern(4, 4);
  EXPECT_THROW(resize({}, 2, 2, ResizeFilter::kBicubic), InvalidArgument);
  EXPECT_THROW(resize(image.view(), 0, 2, ResizeFilter::kBicubic), InvalidArgument);
  EXPECT_THROW(resize(image.view(), 2, 70'000, ResizeFilter::kBicubic), InvalidArgument);
  EXPECT_THROW(resize(image.view(), 60'000, 60'000, ResizeFilter::kBicubic), TooLarge);
  EXPECT_THROW(resize_and_crop(image.view(), 8, 8, ResizeFilter::kBicubic, {0, 1, 8, 8}), InvalidArgument);
  EXPECT_THROW(resize_filter_from_name("lanczos"), InvalidArgument);
}

}  // namespace
}  // namespace matinee
