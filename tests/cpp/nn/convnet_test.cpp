#include "matinee/nn/convnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "matinee/core/error.h"
#include "tiny_models.h"

// That the numbers are EfficientNet-Lite0's is shown against the reference implementation in tests/python/nn.
namespace matinee {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;

constexpr std::size_t kImage = 3 * 32 * 32;
constexpr std::size_t kDimension = 1280;

std::vector<float> random_pixels(std::size_t num_images) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> pixels(num_images * kImage);
  for (float& pixel : pixels) pixel = normal(random);
  return pixels;
}

std::vector<float> features(const ConvNet& net, std::span<const float> pixels) {
  const std::size_t count = pixels.size() / kImage;
  std::vector<float> result(count * kDimension, -1);
  net.features(pixels, {result.data(), count, kDimension});
  return result;
}

TEST(ConvNet, AnImagesFeaturesDoNotDependOnItsBatchOrOnOtherCallers) {
  const TemporaryFolder folder;
  testing::write_lite0(folder);
  const auto pixels = random_pixels(5);
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    const ConvNet net = ConvNet::load(folder.path(), precision);
    const auto together = features(net, pixels);
    EXPECT_GT(*std::max_element(together.begin(), together.end()), 0.01F);
    std::vector<std::thread> callers;
    std::vector<std::vector<float>> alone(5);
    for (std::size_t i = 0; i < alone.size(); ++i) {
      callers.emplace_back([&, i] { alone[i] = features(net, std::span(pixels).subspan(i * kImage, kImage)); });
    }
    for (auto& caller : callers) caller.join();
    for (std::size_t i = 0; i < alone.size(); ++i) {
      EXPECT_TRUE(std::equal(alone[i].begin(), alone[i].end(), &together[i * kDimension])) << i;
    }
    EXPECT_NE(alone[0], alone[1]);
  }
}

TEST(ConvNet, ImagesMadeOneByOneGiveTheSameFeatures) {
  const TemporaryFolder folder;
  testing::write_lite0(folder);
  const auto pixels = random_pixels(9);
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    const ConvNet net = ConvNet::load(folder.path(), precision);
    std::vector<float> found(9 * kDimension, -1);
    net.features_from([&](std::size_t row, float* out) { std::copy_n(&pixels[row * kImage], kImage, out); },
                      {found.data(), 9, kDimension});
    EXPECT_EQ(found, features(net, pixels));
    const auto failing = [](std::size_t row, float*) {
      if (row == 4) throw NotFound("image 4");
    };
    EXPECT_THROW(net.features_from(failing, {found.data(), 9, kDimension}), NotFound);
    EXPECT_THROW(net.features_from(failing, {found.data(), 9, kDimension - 1}), InvalidArgument);
    EXPECT_EQ(features(net, pixels), features(net, pixels));  // nothing of the failed call is left
  }
}

TEST(ConvNet, RefusesPixelsOfAnotherSize) {
  const TemporaryFolder folder;
  testing::write_lite0(folder);
  const ConvNet net = ConvNet::load(folder.path(), Precision::kFp32);
  std::vector<float> result(2 * kDimension);
  const auto pixels = random_pixels(2);
  EXPECT_THROW(net.features(pixels, {result.data(), 1, kDimension}), InvalidArgument);
  EXPECT_THROW(net.features(pixels, {result.data(), 2, kDimension - 1, kDimension}), InvalidArgument);
  EXPECT_THROW(net.features(std::span(pixels).first(kImage + 1), {result.data(), 1, kDimension}), InvalidArgument);
  net.features({}, {nullptr, 0, kDimension});  // an empty batch is fine
}

TEST(ConvNet, RefusesWhatIsNotLite0AndNamesTheFieldOrTensor) {
  const auto tensors = testing::lite0_tensors();
  const auto refused_weights = [&](const auto& change) {
    const TemporaryFolder folder;
    folder.write("config.json", testing::lite0_config());
    auto changed = tensors;
    change(changed);
    folder.write("model.safetensors", testing::safetensors(changed));
    return message_of<FormatError>([&] { ConvNet::load(folder.path(), Precision::kFp32); });
  };
  const std::string depthwise = "_blocks.3._depthwise_conv.weight";
  EXPECT_THAT(refused_weights([&](auto& t) { t.erase(depthwise); }), HasSubstr(depthwise));
  EXPECT_THAT(refused_weights([&](auto& t) { t[depthwise].shape = {144, 5, 5, 1}; }), HasSubstr(depthwise));
  EXPECT_THAT(refused_weights([&](auto& t) { t["_bn0.running_var"].values[3] = -1; }), HasSubstr("_bn0.running_var"));
  EXPECT_THAT(refused_weights([&](auto& t) { t["_bn1.bias"].values[0] = INFINITY; }), HasSubstr("_bn1.bias"));
  EXPECT_THAT(refused_weights([&](auto& t) {
                t["_blocks.3._se_reduce.weight"] = {{1}, {1}};
              }),
              HasSubstr("_se_reduce"));

  const auto refused_config = [](const std::string& from, const std::string& to) {
    const TemporaryFolder folder;
    std::string config = testing::lite0_config();
    folder.write("config.json", config.replace(config.find(from), from.size(), to));
    return message_of<FormatError>([&] { ConvNet::load(folder.path(), Precision::kFp32); });
  };
  EXPECT_THAT(refused_config("lite0", "lite9"), HasSubstr("variant"));
  EXPECT_THAT(refused_config("\"image_size\": 32", "\"image_size\": 8"), HasSubstr("image_size"));
  EXPECT_THAT(refused_config("1280", "1000"), HasSubstr("feature_dimension"));
  EXPECT_THAT(refused_config("0.001", "0"), HasSubstr("batch_norm_epsilon"));
  EXPECT_THAT(refused_config("{", "{\"width\": 2,"), HasSubstr("width: unknown field"));
}

}  // namespace
}  // namespace matinee
