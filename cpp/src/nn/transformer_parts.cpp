#include "nn/transformer_parts.h"

#include <algorithm>
#include <cmath>

#include "matinee/core/error.h"
#include "matinee/nn/safetensors.h"
#include "nn/dnnl_context.h"

namespace matinee::nn {
namespace {

void append(std::vector<float>& to, const std::vector<float>& values) {
  to.insert(to.end(), values.begin(), values.end());
}

}  // namespace

LayerNorm read_norm(TensorReader& reader, const std::string& name, std::size_t size) {
  return {reader.floats(name + ".weight", {size}), reader.floats(name + ".bias", {size})};
}

LayerWeights read_layer(TensorReader& reader, const std::string& prefix, const LayerNames& names,
                        const StackShape& shape) {
  const std::size_t h = shape.hidden;
  LayerWeights layer;
  for (const char* part : names.query_key_value) {
    append(layer.query_key_value, reader.floats(prefix + part + ".weight", {h, h}));
    append(layer.query_key_value_bias, reader.floats(prefix + part + ".bias", {h}));
  }
  const auto read = [&](const char* name, std::size_t out, std::size_t in, std::vector<float>& weight,
                        std::vector<float>& bias) {
    weight = reader.floats(prefix + name + ".weight", {out, in});
    bias = reader.floats(prefix + name + ".bias", {out});
  };
  read(names.attention_output, h, h, layer.attention_output, layer.attention_output_bias);
  read(names.intermediate, shape.intermediate, h, layer.intermediate, layer.intermediate_bias);
  read(names.output, h, shape.intermediate, layer.output, layer.output_bias);
  layer.attention_norm = read_norm(reader, prefix + names.attention_norm, h);
  layer.output_norm = read_norm(reader, prefix + names.output_norm, h);
  return layer;
}

std::vector<LayerRanges> read_ranges(const std::filesystem::path& folder, const std::string& tower,
                                     const StackShape& shape, Precision precision) {
  const auto path = folder / kCalibrationFile;
  if (precision != Precision::kInt8 || !std::filesystem::exists(path)) return {};
  const SafetensorsFile file(path);
  std::vector<LayerRanges> ranges;
  for (std::size_t i = 0; i < shape.num_layers; ++i) {
    const auto read = [&](const char* name, std::size_t size) {
      return file.read_floats(tower + "." + std::to_string(i) + "." + name, std::array{size});
    };
    ranges.push_back({read("query_key_value", shape.hidden), read("attention_output", shape.hidden),
                      read("intermediate", shape.hidden), read("output", shape.intermediate)});
  }
  return ranges;
}

ActivationRanges named(const std::vector<LayerRanges>& ranges, const std::string& tower) {
  ActivationRanges result;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const std::string prefix = tower + "." + std::to_string(i) + ".";
    result[prefix + "query_key_value"] = ranges[i].query_key_value;
    result[prefix + "attention_output"] = ranges[i].attention_output;
    result[prefix + "intermediate"] = ranges[i].intermediate;
    result[prefix + "output"] = ranges[i].output;
  }
  return result;
}

void expect_fp32(Precision precision) {
  if (precision != Precision::kFp32) {
    throw InvalidArgument("activation_ranges: precision: expected a network loaded in fp32, got " +
                          std::string(precision_name(precision)));
  }
}

void scale_to_unit_length(float* vector, std::size_t size) {
  double squares = 0;
  for (std::size_t d = 0; d < size; ++d) squares += static_cast<double>(vector[d]) * vector[d];
  // The smallest norm of torch.nn.functional.normalize, so that a zero vector stays zero.
  const auto scale = static_cast<float>(1.0 / std::max(std::sqrt(squares), 1e-12));
  for (std::size_t d = 0; d < size; ++d) vector[d] *= scale;
}

void on_team(const std::function<void(Team&)>& body) {
  compute_pool()->with_team([&](Team& team) { with_dnnl([&] { body(team); }); });
}

}  // namespace matinee::nn
