#include "matinee/nn/convnet.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"
#include "matinee/nn/safetensors.h"
#include "nn/dnnl_context.h"
#include "nn/efficientnet.h"
#include "nn/model_config.h"
#include "nn/tensor_reader.h"

namespace matinee {
namespace {

void run_all(const nn::ConvNetEngine& engine, MatrixView<float> features,
             const nn::ConvNetEngine::PixelsOf& pixels_of) {
  // As many together as leave work for every thread.
  const auto pool = compute_pool();
  const auto threads = static_cast<std::size_t>(pool->size());
  const std::size_t together = std::min(engine.images_together(), (features.rows + threads - 1) / threads);
  pool->parallel_for(features.rows, together, [&](std::size_t begin, std::size_t end) {
    engine.run([&](std::size_t row) { return pixels_of(begin + row); },
               {features.row(begin), end - begin, features.cols, features.stride});
  });
}

}  // namespace

struct ConvNet::Impl {
  Precision precision = Precision::kFp32;
  std::size_t image_size = 0;
  std::size_t dimension = 0;
  std::unique_ptr<nn::ConvNetEngine> engine;
};

ConvNet::ConvNet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ConvNet::~ConvNet() = default;
ConvNet::ConvNet(ConvNet&&) noexcept = default;
ConvNet& ConvNet::operator=(ConvNet&&) noexcept = default;

std::size_t ConvNet::dimension() const noexcept { return impl_->dimension; }
std::size_t ConvNet::image_size() const noexcept { return impl_->image_size; }
Precision ConvNet::precision() const noexcept { return impl_->precision; }

ConvNet ConvNet::load(const std::filesystem::path& folder, Precision precision, bool stages) {
  if (precision == Precision::kInt8) {
    throw InvalidArgument("load: precision: expected auto, fp32 or bf16 for a convolutional network, got 'int8'");
  }
  const nn::ModelConfig config(folder / "config.json");
  config.word("model_type", {"efficientnet-lite"});
  const auto variants = nn::efficientnet_variants();
  std::vector<std::string> names;
  for (const auto& variant : variants) names.emplace_back(variant.name);
  const std::string name = config.word("variant", names);
  const auto& variant = *std::find_if(variants.begin(), variants.end(), [&](const auto& v) { return v.name == name; });
  auto impl = std::make_unique<Impl>();
  impl->precision = precision;
  impl->image_size = config.size("image_size", 32, 4096);
  if (config.size("feature_dimension", 1, 65536) != nn::kEfficientNetFeatures) {
    config.fail("feature_dimension", "expected " + std::to_string(nn::kEfficientNetFeatures) + " for every variant");
  }
  const float epsilon = config.positive("batch_norm_epsilon", 1.0);
  config.expect_no_others({"model_type", "variant", "image_size", "feature_dimension", "batch_norm_epsilon"});

  const SafetensorsFile file(folder / "model.safetensors");
  nn::TensorReader reader(file);
  const nn::EfficientNet net = nn::read_efficientnet(reader, variant, impl->image_size, epsilon);
  impl->dimension = nn::kEfficientNetFeatures + (stages ? nn::stage_features(net) : 0);
  reader.ignore("_fc.weight");  // the ImageNet classifier
  reader.ignore("_fc.bias");
  reader.expect_all_used();
  // Packing weights is oneDNN's work too: see Note [Compute threads] in thread_pool.h.
  compute_pool()->run([&] {
    impl->engine =
        precision == Precision::kBf16 ? nn::make_fused_engine(net, stages) : nn::make_dnnl_engine(net, stages);
  });
  return ConvNet(std::move(impl));
}

void ConvNet::features(std::span<const float> pixels, MatrixView<float> features) const {
  const std::size_t image = 3 * image_size() * image_size();
  if (features.cols != dimension() || pixels.size() != features.rows * image) {
    throw InvalidArgument("features: expected pixels (B, 3, " + std::to_string(image_size()) + ", " +
                          std::to_string(image_size()) + ") and features (B, " + std::to_string(dimension()) +
                          "), got " + std::to_string(pixels.size()) + " values and (" + std::to_string(features.rows) +
                          ", " + std::to_string(features.cols) + ")");
  }
  run_all(*impl_->engine, features, [&](std::size_t row) { return pixels.data() + row * image; });
}

void ConvNet::features_from(const PixelSource& source, MatrixView<float> features) const {
  if (features.cols != dimension()) {
    throw InvalidArgument("features_from: expected features (B, " + std::to_string(dimension()) + "), got (" +
                          std::to_string(features.rows) + ", " + std::to_string(features.cols) + ")");
  }
  run_all(*impl_->engine, features, [&](std::size_t row) {
    auto* pixels = nn::Workspace::of_this_thread().get<float>(nn::Workspace::kPixels, 3 * image_size() * image_size());
    source(row, pixels);
    return pixels;
  });
}

}  // namespace matinee
