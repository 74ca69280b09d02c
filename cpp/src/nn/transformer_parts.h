#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "matinee/core/thread_pool.h"
#include "matinee/nn/precision.h"
#include "matinee/nn/transformer.h"
#include "nn/tensor_reader.h"
#include "nn/transformer_stack.h"

// What TokenEncoder and VisionTransformer have in common beside their layers: how files name those, and how calls run.
namespace matinee::nn {

// Tokens that go through the layers together: enough for whole tiles and to read the weights rarely, few enough for
// activations to stay in the caches and for another caller's work to be let in.
inline constexpr std::size_t kGroupTokens = 512;

// How a file names the tensors of a layer.
struct LayerNames {
  std::array<const char*, 3> query_key_value;
  const char* attention_output;
  const char* attention_norm;
  const char* intermediate;
  const char* output;
  const char* output_norm;
};

// Of both towers of CLIP.
inline constexpr LayerNames kClipNames = {
    {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
    "self_attn.out_proj",
    "layer_norm1",
    "mlp.fc1",
    "mlp.fc2",
    "layer_norm2",
};

LayerNorm read_norm(TensorReader& reader, const std::string& name, std::size_t size);
LayerWeights read_layer(TensorReader& reader, const std::string& prefix, const LayerNames& names,
                        const StackShape& shape);

// What the folder's calibration calls a tower.
inline constexpr const char* kTextTower = "text";
inline constexpr const char* kImageTower = "image";

// The ranges of a tower out of the folder's calibration; empty where there is none, and unless kInt8 wants them.
std::vector<LayerRanges> read_ranges(const std::filesystem::path& folder, const std::string& tower,
                                     const StackShape& shape, Precision precision);
// As they are called there.
ActivationRanges named(const std::vector<LayerRanges>& ranges, const std::string& tower);
// Throws InvalidArgument: ranges are seen in fp32.
void expect_fp32(Precision precision);

void scale_to_unit_length(float* vector, std::size_t size);

// Runs `body` on a worker with the others standing by, and passes its oneDNN errors on as ours.
void on_team(const std::function<void(Team&)>& body);

}  // namespace matinee::nn
