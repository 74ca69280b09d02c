#include "matinee/image/preprocess.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "fixtures.h"
#include "matinee/core/error.h"

// The numbers are compared with Pillow, NumPy and transformers in tests/python/image/test_preprocess.py.
namespace matinee {
namespace {

using testing::pattern;
using testing::png_of;

PreprocessOptions small_options() {
  PreprocessOptions options;
  options.height = options.resize_height = 6;
  options.width = options.resize_width = 4;
  options.mean = {1, 2, 3};
  options.std = {2, 4, 8};
  return options;
}

TEST(Preprocess, PlanesHoldEachChannelNormalised) {
  const RgbImage image = pattern(6, 4);
  const Preprocessor preprocessor(small_options());
  std::vector<float> planes(preprocessor.floats_per_image());
  preprocessor.run_one(image.view(), planes.data());
  const float mean[] = {1, 2, 3};
  const float std[] = {2, 4, 8};
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < 24; ++i) {
      ASSERT_EQ(planes[c * 24 + i], (static_cast<float>(image.pixels[3 * i + c]) - mean[c]) / std[c]);
    }
  }
}

TEST(Preprocess, ABatchHasAnErrorForEachBadImageAndNothingElseChanges) {
  const std::vector<std::uint8_t> png = png_of(pattern(50, 20));
  const std::vector<std::uint8_t> text = {'w', 'o', 'r', 'd', 's'};
  const RgbImage decoded = pattern(50, 20);
  const std::vector<ImageSource> sources = {std::span<const std::uint8_t>(png), std::span<const std::uint8_t>(text),
                                            std::span<const std::uint8_t>(png).first(80), decoded.view(), ImageView{}};
  const Preprocessor preprocessor(small_options());
  const std::size_t floats = preprocessor.floats_per_image();
  std::vector<float> planes(sources.size() * floats, -7.0F);
  const auto errors = preprocessor.run(sources, planes.data());
  ASSERT_EQ(errors.size(), sources.size());
  EXPECT_FALSE(errors[0]);
  EXPECT_THROW(std::rethrow_exception(errors[1]), UnsupportedFormat);
  EXPECT_THROW(std::rethrow_exception(errors[2]), FormatError);
  EXPECT_FALSE(errors[3]);
  EXPECT_THROW(std::rethrow_exception(errors[4]), InvalidArgument);
  const auto planes_of = [&](std::size_t i) {
    return std::vector<float>(planes.begin() + static_cast<std::ptrdiff_t>(i * floats),
                              planes.begin() + static_cast<std::ptrdiff_t>((i + 1) * floats));
  };
  EXPECT_EQ(planes_of(0), planes_of(3));
  for (const std::size_t bad : {1U, 2U, 4U}) EXPECT_EQ(planes_of(bad), std::vector<float>(floats, 0.0F));
}

TEST(Preprocess, ManyCallersShareOnePreprocessor) {
  const std::vector<std::uint8_t> png = png_of(pattern(50, 20));
  const Preprocessor preprocessor(small_options());
  const std::vector<ImageSource> sources(5, std::span<const std::uint8_t>(png));
  std::vector<float> want(preprocessor.floats_per_image());
  preprocessor.run_one(sources[0], want.data());
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&] {
      std::vector<float> planes(sources.size() * want.size());
      for (int call = 0; call < 10; ++call) {
        for (const auto& error : preprocessor.run(sources, planes.data())) EXPECT_FALSE(error);
        for (std::size_t i = 0; i < planes.size(); ++i) ASSERT_EQ(planes[i], want[i % want.size()]);
      }
    });
  }
  for (auto& caller : callers) caller.join();
}

TEST(Preprocess, AVeryLongImageIsResizedAndCroppedWithoutMakingAllOfIt) {
  PreprocessOptions options;
  options.resize = PreprocessOptions::Resize::kShortestEdge;
  options.shortest_edge = 256;
  options.center_crop = true;
  const RgbImage image = pattern(1, 200);  // would be 256 x 51,200
  const Preprocessor preprocessor(options);
  std::vector<float> planes(preprocessor.floats_per_image());
  preprocessor.run_one(image.view(), planes.data());
  EXPECT_GT(*std::max_element(planes.begin(), planes.end()), 0.0F);
}

TEST(Preprocess, ReadsHuggingFaceConfigs) {
  const auto options = PreprocessOptions::from_json(R"({
    "do_resize": true, "size": {"shortest_edge": 256}, "resample": 3,
    "do_center_crop": true, "crop_size": {"height": 224, "width": 200},
    "do_rescale": true, "rescale_factor": 0.5,
    "do_normalize": true, "image_mean": [1, 2, 3], "image_std": [4, 5, 6]})");
  EXPECT_EQ(options.resize, PreprocessOptions::Resize::kShortestEdge);
  EXPECT_EQ(options.shortest_edge, 256);
  EXPECT_EQ(options.height, 224);
  EXPECT_EQ(options.width, 200);
  EXPECT_EQ(options.filter, ResizeFilter::kBicubic);
  EXPECT_EQ(options.rescale_factor, 0.5);
  EXPECT_EQ(options.std[2], 6.0F);
  const auto squashed = options.squashed();
  EXPECT_EQ(squashed.resize, PreprocessOptions::Resize::kSquash);
  EXPECT_EQ(squashed.resize_height, 224);
  EXPECT_EQ(squashed.resize_width, 200);
  EXPECT_FALSE(squashed.center_crop);
}

TEST(Preprocess, RefusesConfigsItCannotFollow) {
  EXPECT_THROW(PreprocessOptions::from_json("not JSON"), FormatError);
  EXPECT_THROW(PreprocessOptions::from_json("[]"), FormatError);
  EXPECT_THROW(PreprocessOptions::from_json("{}"), InvalidArgument);
  EXPECT_THROW(PreprocessOptions::from_folder("/nowhere/at/all"), NotFound);
  PreprocessOptions options = small_options();
  options.std[1] = 0;
  EXPECT_THROW(Preprocessor{options}, InvalidArgument);
  options = small_options();
  options.resize_height = 7;  // without a crop the output could not be 6 high
  EXPECT_THROW(Preprocessor{options}, InvalidArgument);
}

}  // namespace
}  // namespace matinee
