#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl/filesystem.h>

#include <memory>
#include <span>
#include <string>

#include "bindings.h"
#include "matinee/nn/convnet.h"
#include "matinee/nn/transformer.h"
#include "numpy_views.h"

namespace py = pybind11;
using matinee::BertEncoder;
using matinee::ConvNet;
using matinee::MatrixView;
using matinee::bindings::contiguous_view;

namespace {

py::array_t<float> make_rows(std::size_t rows, std::size_t cols) {
  return py::array_t<float>({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(cols)});
}

MatrixView<float> rows_of(py::array_t<float>& array) {
  return {array.mutable_data(), static_cast<std::size_t>(array.shape(0)), static_cast<std::size_t>(array.shape(1))};
}

// A loader of models: reads, checks and packs weights without the GIL.
template <typename Model>
std::unique_ptr<Model> load(const std::filesystem::path& folder, const std::string& precision) {
  return std::make_unique<Model>(Model::load(folder, matinee::precision_from_name(precision)));
}

py::array_t<float> encode(const BertEncoder& self, const py::array& token_ids, const py::array& offsets) {
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

py::array_t<float> features(const ConvNet& self, const py::array& pixels) {
  const std::string size = std::to_string(self.image_size());
  const std::string shape = "(B, 3, " + size + ", " + size + ")";
  const auto values = contiguous_view<float>(pixels, "features: pixels", shape.c_str(), 4);
  const auto side = static_cast<py::ssize_t>(self.image_size());
  if (pixels.shape(1) != 3 || pixels.shape(2) != side || pixels.shape(3) != side) {
    throw matinee::InvalidArgument("features: pixels: expected " + shape + " float32, got " +
                                   matinee::bindings::describe(pixels));
  }
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
  py::class_<BertEncoder>(module, "BertEncoder", "A BERT text encoder on oneDNN; safe for concurrent callers.")
      .def_static("load", &load<BertEncoder>, py::arg("folder"), py::arg("precision") = "auto",
                  py::call_guard<py::gil_scoped_release>(), "Load a model folder; precision auto, fp32 or bf16.")
      .def("encode", &encode, py::arg("token_ids").noconvert(), py::arg("offsets").noconvert(),
           "Packed token ids (T,) int32 and offsets (B + 1,) int64 to vectors (B, D) float32.")
      .def_property_readonly("dimension", &BertEncoder::dimension, "Values per text.")
      .def_property_readonly("vocabulary", &BertEncoder::vocabulary, "Token ids are below this.")
      .def_property_readonly("max_tokens", &BertEncoder::max_tokens, "Most tokens of one text.")
      .def_property_readonly(
          "precision", [](const BertEncoder& self) { return std::string(precision_name(self.precision())); },
          "fp32 or bf16.");

  py::class_<ConvNet>(module, "ConvNet", "EfficientNet-Lite0 features on oneDNN; safe for concurrent callers.")
      .def_static("load", &load<ConvNet>, py::arg("folder"), py::arg("precision") = "auto",
                  py::call_guard<py::gil_scoped_release>(), "Load a model folder; precision auto, fp32 or bf16.")
      .def("features", &features, py::arg("pixels").noconvert(),
           "Normalised pixels (B, 3, S, S) float32 to features (B, 1280) float32.")
      .def_property_readonly("dimension", &ConvNet::dimension, "Values per image.")
      .def_property_readonly("image_size", &ConvNet::image_size, "Images are this wide and high.")
      .def_property_readonly(
          "precision", [](const ConvNet& self) { return std::string(precision_name(self.precision())); },
          "fp32 or bf16.");
}
