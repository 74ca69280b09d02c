#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl/filesystem.h>
#include <pybind11/typing.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bindings.h"
#include "matinee/nn/convnet.h"
#include "matinee/nn/transformer.h"
#include "numpy_views.h"

namespace py = pybind11;
using matinee::ActivationRanges;
using matinee::ConvNet;
using matinee::MatrixView;
using matinee::TokenEncoder;
using matinee::VisionTransformer;
using matinee::bindings::contiguous_view;

namespace {

py::array_t<float> make_rows(std::size_t rows, std::size_t cols) {
  return py::array_t<float>({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(cols)});
}

py::array_t<float> as_array(const std::vector<float>& values, const std::vector<std::size_t>& shape) {
  py::array_t<float> array(shape);
  std::copy(values.begin(), values.end(), array.mutable_data());
  return array;
}

using RangesByName = py::typing::Dict<py::str, py::array_t<float>>;

RangesByName as_dict(const ActivationRanges& ranges) {
  RangesByName result;
  for (const auto& [name, values] : ranges) result[py::str(name)] = as_array(values, {values.size()});
  return result;
}

MatrixView<float> rows_of(py::array_t<float>& array) {
  return {array.mutable_data(), static_cast<std::size_t>(array.shape(0)), static_cast<std::size_t>(array.shape(1))};
}

// A loader of models: reads, checks and packs weights without the GIL.
template <typename Model>
std::unique_ptr<Model> load(const std::filesystem::path& folder, const std::string& precision) {
  return std::make_unique<Model>(Model::load(folder, matinee::precision_from_name(precision)));
}

py::array_t<float> encode(const TokenEncoder& self, const py::array& token_ids, const py::array& offsets) {
  const auto ids = contiguous_view<std::int32_t>(token_ids, "encode: token_ids", "(T,)", 1);
  const auto starts = contiguous_view<std::int64_t>(offsets, "encode: offsets", "(B + 1,)", 1);
  auto vectors = make_rows(starts.empty() ? 0 : starts.size() - 1, self.dimension());
  const auto out = rows_of(vectors);
  {
    const py::gil_scoped_release release;
    self.encode(ids, starts, out);
  }
  return vectors;
}

// (L + 1, T, H) of token ids, without the GIL.
py::array_t<float> hidden_states(const TokenEncoder& self, const py::array& token_ids, const py::array& offsets) {
  const auto ids = contiguous_view<std::int32_t>(token_ids, "hidden_states: token_ids", "(T,)", 1);
  const auto starts = contiguous_view<std::int64_t>(offsets, "hidden_states: offsets", "(B + 1,)", 1);
  std::vector<float> states;
  {
    const py::gil_scoped_release release;
    states = self.hidden_states(ids, starts);
  }
  return as_array(states, {self.num_layers() + 1, ids.size(), self.hidden()});
}

RangesByName activation_ranges(const TokenEncoder& self, const py::array& token_ids, const py::array& offsets) {
  const auto ids = contiguous_view<std::int32_t>(token_ids, "activation_ranges: token_ids", "(T,)", 1);
  const auto starts = contiguous_view<std::int64_t>(offsets, "activation_ranges: offsets", "(B + 1,)", 1);
  ActivationRanges ranges;
  {
    const py::gil_scoped_release release;
    ranges = self.activation_ranges(ids, starts);
  }
  return as_dict(ranges);
}

// The pixels of an image network, (B, 3, S, S).
template <typename Network>
std::span<const float> pixels_of(const Network& self, const py::array& pixels, const char* function) {
  const std::string size = std::to_string(self.image_size());
  const std::string shape = "(B, 3, " + size + ", " + size + ")";
  const std::string name = std::string(function) + ": pixels";
  const auto values = contiguous_view<float>(pixels, name.c_str(), shape.c_str(), 4);
  const auto side = static_cast<py::ssize_t>(self.image_size());
  if (pixels.shape(1) != 3 || pixels.shape(2) != side || pixels.shape(3) != side) {
    throw matinee::InvalidArgument(name + ": expected " + shape + " float32, got " +
                                   matinee::bindings::describe(pixels));
  }
  return values;
}

py::array_t<float> vision_hidden_states(const VisionTransformer& self, const py::array& pixels) {
  const auto values = pixels_of(self, pixels, "hidden_states");
  std::vector<float> states;
  {
    const py::gil_scoped_release release;
    states = self.hidden_states(values);
  }
  const auto count = static_cast<std::size_t>(pixels.shape(0));
  return as_array(states, {self.num_layers() + 1, count * self.num_tokens(), self.hidden()});
}

RangesByName vision_activation_ranges(const VisionTransformer& self, const py::array& pixels) {
  const auto values = pixels_of(self, pixels, "activation_ranges");
  ActivationRanges ranges;
  {
    const py::gil_scoped_release release;
    ranges = self.activation_ranges(values);
  }
  return as_dict(ranges);
}

template <typename Network>
py::array_t<float> features(const Network& self, const py::array& pixels) {
  const auto values = pixels_of(self, pixels, "features");
  auto result = make_rows(static_cast<std::size_t>(pixels.shape(0)), self.dimension());
  const auto out = rows_of(result);
  {
    const py::gil_scoped_release release;
    self.features(values, out);
  }
  return result;
}

}  // namespace

void bind_nn(py::module_& module) {
  py::class_<TokenEncoder>(
      module, "TokenEncoder",
      "A transformer over tokens: BERT, the text tower of CLIP, or over items; safe for concurrent callers.")
      .def_static("load", &load<TokenEncoder>, py::arg("folder"), py::arg("precision") = "auto",
                  py::call_guard<py::gil_scoped_release>(), "Load a model folder; precision auto, fp32, bf16 or int8.")
      .def("encode", &encode, py::arg("token_ids").noconvert(), py::arg("offsets").noconvert(),
           "Packed token ids (T,) int32 and offsets (B + 1,) int64 to vectors (B, D) float32.")
      .def("hidden_states", &hidden_states, py::arg("token_ids").noconvert(), py::arg("offsets").noconvert(),
           "Rows after the embeddings and after each layer, (L + 1, T, H) float32.")
      .def("activation_ranges", &activation_ranges, py::arg("token_ids").noconvert(), py::arg("offsets").noconvert(),
           "What int8 is calibrated with: the largest magnitude of each channel of each product's input.")
      .def_property_readonly("dimension", &TokenEncoder::dimension, "Values per text.")
      .def_property_readonly("vocabulary", &TokenEncoder::vocabulary, "Token ids are below this.")
      .def_property_readonly("max_tokens", &TokenEncoder::max_tokens, "Most tokens of one text.")
      .def_property_readonly(
          "precision", [](const TokenEncoder& self) { return std::string(precision_name(self.precision())); },
          "fp32, bf16 or int8.");

  py::class_<VisionTransformer>(module, "VisionTransformer", "The image tower of CLIP; safe for concurrent callers.")
      .def_static("load", &load<VisionTransformer>, py::arg("folder"), py::arg("precision") = "auto",
                  py::call_guard<py::gil_scoped_release>(), "Load a model folder; precision auto, fp32, bf16 or int8.")
      .def("features", &features<VisionTransformer>, py::arg("pixels").noconvert(),
           "Normalised pixels (B, 3, S, S) float32 to vectors (B, D) float32.")
      .def("hidden_states", &vision_hidden_states, py::arg("pixels").noconvert(),
           "Rows after the embeddings and after each layer, (L + 1, B * num_tokens, H) float32.")
      .def("activation_ranges", &vision_activation_ranges, py::arg("pixels").noconvert(),
           "What int8 is calibrated with: the largest magnitude of each channel of each product's input.")
      .def_property_readonly("dimension", &VisionTransformer::dimension, "Values per image.")
      .def_property_readonly("image_size", &VisionTransformer::image_size, "Images are this wide and high.")
      .def_property_readonly("num_tokens", &VisionTransformer::num_tokens, "Patches of an image and the class token.")
      .def_property_readonly(
          "precision", [](const VisionTransformer& self) { return std::string(precision_name(self.precision())); },
          "fp32, bf16 or int8.");

  py::class_<ConvNet>(module, "ConvNet", "EfficientNet-Lite0 features on oneDNN; safe for concurrent callers.")
      .def_static(
          "load",
          [](const std::filesystem::path& folder, const std::string& precision, bool stages) {
            return std::make_unique<ConvNet>(
                ConvNet::load(folder, matinee::precision_from_name(precision), stages));
          },
          py::arg("folder"), py::arg("precision") = "auto", py::kw_only(), py::arg("stages") = false,
          py::call_guard<py::gil_scoped_release>(),
          "Load a model folder; precision auto, fp32 or bf16; stages: what the stages see follows the 1280 features.")
      .def("features", &features<ConvNet>, py::arg("pixels").noconvert(),
           "Normalised pixels (B, 3, S, S) float32 to features (B, D) float32.")
      .def_property_readonly("dimension", &ConvNet::dimension, "Values per image.")
      .def_property_readonly("image_size", &ConvNet::image_size, "Images are this wide and high.")
      .def_property_readonly(
          "precision", [](const ConvNet& self) { return std::string(precision_name(self.precision())); },
          "fp32 or bf16.");
}
