#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "matinee/core/error.h"
#include "matinee/core/file.h"
#include "matinee/image/preprocess.h"

// Reads Hugging Face's preprocessor_config.json (transformers' image processors write it).
namespace matinee {
namespace {

using Json = nlohmann::json;

constexpr const char* kFileName = "preprocessor_config.json";

[[noreturn]] void fail(std::string_view key, const std::string& expected, const Json& got) {
  throw InvalidArgument(std::string(kFileName) + ": " + std::string(key) + ": expected " + expected + ", got " +
                        got.dump());
}

// The keys that from_json reads, and those that do not change pixels.
const std::unordered_set<std::string>& known_keys() {
  static const std::unordered_set<std::string> keys = {
      "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
      "image_mean", "image_std",
      // what a bare `size` means; about the file, or true of every input here
      "image_processor_type", "feature_extractor_type", "processor_class", "do_convert_rgb", "_valid_processor_keys",
      "data_format", "input_data_format", "return_tensors", "device", "disable_grouping", "default_to_square"};
  return keys;
}

bool flag(const Json& config, const char* key, bool otherwise) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) fail(key, "true or false", *found);
  return found->get<bool>();
}

int pixels(const Json& value, const std::string& key) {
  if (!value.is_number_integer() || value.get<std::int64_t>() < 1 || value.get<std::int64_t>() > 65'535) {
    fail(key, "a number of pixels in 1..65535", value);
  }
  return value.get<int>();
}

std::array<float, 3> three_numbers(const Json& config, const char* key) {
  const auto found = config.find(key);
  if (found == config.end()) fail(key, "three numbers, as do_normalize is on", nullptr);
  if (!found->is_array() || found->size() != 3) fail(key, "three numbers", *found);
  std::array<float, 3> numbers{};
  for (std::size_t c = 0; c < 3; ++c) {
    if (!(*found)[c].is_number()) fail(key, "three numbers", *found);
    numbers[c] = (*found)[c].get<float>();
  }
  return numbers;
}

ResizeFilter filter_of(const Json& config) {
  // Pillow's Image.Resampling: 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming.
  const auto found = config.find("resample");
  if (found == config.end() || !found->is_number_integer()) {
    fail("resample", "2 (bilinear) or 3 (bicubic)", found == config.end() ? Json(nullptr) : *found);
  }
  switch (found->get<std::int64_t>()) {
    case 2:
      return ResizeFilter::kBilinear;
    case 3:
      return ResizeFilter::kBicubic;
    default:
      fail("resample", "2 (bilinear) or 3 (bicubic)", *found);
  }
}

// What a bare number for `size` means, as in files of 2022: the shortest edge to some processors, a square to others.
// Nothing where the file does not say whose it is.
std::optional<bool> bare_size_is_square(const Json& config) {
  const auto stated = config.find("default_to_square");
  if (stated != config.end() && stated->is_boolean()) return stated->get<bool>();
  for (const char* key : {"image_processor_type", "feature_extractor_type"}) {
    const auto type = config.find(key);
    if (type == config.end() || !type->is_string()) continue;
    const auto name = type->get<std::string>();
    if (name.starts_with("CLIP")) return false;
    if (name.starts_with("Siglip") || name.starts_with("EfficientNet") || name.starts_with("ViT")) return true;
  }
  return std::nullopt;
}

void read_size(const Json& config, PreprocessOptions& options) {
  const auto size = config.find("size");
  const std::string expected = R"({"shortest_edge": n} or {"height": n, "width": n})";
  if (size == config.end()) fail("size", expected, nullptr);
  if (size->is_object() && size->size() == 1 && size->contains("shortest_edge")) {
    options.resize = PreprocessOptions::Resize::kShortestEdge;
    options.shortest_edge = pixels((*size)["shortest_edge"], "size.shortest_edge");
  } else if (size->is_object() && size->size() == 2 && size->contains("height") && size->contains("width")) {
    options.resize = PreprocessOptions::Resize::kSquash;
    options.height = options.resize_height = pixels((*size)["height"], "size.height");
    options.width = options.resize_width = pixels((*size)["width"], "size.width");
  } else if (const auto square = bare_size_is_square(config); size->is_number() && square) {
    const int edge = pixels(*size, "size");
    if (*square) {
      options.resize = PreprocessOptions::Resize::kSquash;
      options.height = options.width = options.resize_height = options.resize_width = edge;
    } else {
      options.resize = PreprocessOptions::Resize::kShortestEdge;
      options.shortest_edge = edge;
    }
  } else {
    fail("size", expected, *size);
  }
}

void read_crop(const Json& config, PreprocessOptions& options) {
  const auto crop = config.find("crop_size");
  if (crop == config.end()) fail("crop_size", "a number of pixels, as do_center_crop is on", nullptr);
  options.center_crop = true;
  if (crop->is_object() && crop->contains("height") && crop->contains("width")) {
    options.height = pixels((*crop)["height"], "crop_size.height");
    options.width = pixels((*crop)["width"], "crop_size.width");
  } else {
    options.height = options.width = pixels(*crop, "crop_size");
  }
}

}  // namespace

PreprocessOptions PreprocessOptions::from_json(std::string_view text) {
  const Json config = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) throw FormatError(std::string(kFileName) + ": expected a JSON object; the file is corrupt");
  for (const auto& [key, value] : config.items()) {
    const bool off = value.is_null() || (value.is_boolean() && !value.get<bool>());
    if (!off && !known_keys().contains(key)) {
      fail(key, "only steps that this preprocessor has (resize, center_crop, rescale, normalize)", value);
    }
  }
  PreprocessOptions options;
  options.resize = Resize::kNone;
  if (flag(config, "do_resize", true)) {
    options.filter = filter_of(config);
    read_size(config, options);
  }
  if (flag(config, "do_center_crop", false)) {
    read_crop(config, options);
  } else if (options.resize != Resize::kSquash) {
    fail("do_center_crop", "true, as `size` does not give every image the same height and width", false);
  }
  options.rescale_factor = 1.0;
  if (flag(config, "do_rescale", true)) {
    const auto factor = config.find("rescale_factor");
    if (factor != config.end() && !factor->is_number()) fail("rescale_factor", "a number", *factor);
    options.rescale_factor = factor == config.end() ? 1.0 / 255.0 : factor->get<double>();
  }
  if (flag(config, "do_normalize", true)) {
    options.mean = three_numbers(config, "image_mean");
    options.std = three_numbers(config, "image_std");
  }
  return options;
}

PreprocessOptions PreprocessOptions::from_folder(const std::filesystem::path& folder) {
  const auto bytes = read_file(folder / kFileName);
  return from_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace matinee
