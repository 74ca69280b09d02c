#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstring>
#include <filesystem>

#include "bindings.h"
#include "matinee/core/error.h"
#include "matinee/core/thread_pool.h"
#include "matinee/nn/torchscript.h"

namespace py = pybind11;

namespace {

matinee::TensorType tensor_type(const std::string& name) {
  if (name == "float32") return matinee::TensorType::kFloat32;
  if (name == "int64") return matinee::TensorType::kInt64;
  throw matinee::InvalidArgument("TorchScriptModel.load: input_type: expected float32 or int64, got " + name);
}

matinee::TensorView tensor_view(const py::array& array) {
  matinee::TensorView view;
  if (py::isinstance<py::array_t<float>>(array)) {
    view.type = matinee::TensorType::kFloat32;
  } else if (py::isinstance<py::array_t<std::int64_t>>(array)) {
    view.type = matinee::TensorType::kInt64;
  } else {
    throw matinee::InvalidArgument("TorchScriptModel.run: input: expected float32 or int64, got " +
                                   py::str(array.dtype()).cast<std::string>());
  }
  if ((array.flags() & py::array::c_style) == 0) {
    throw matinee::InvalidArgument(
        "TorchScriptModel.run: input: expected a C-contiguous array; use numpy.ascontiguousarray");
  }
  view.data = array.data();
  view.shape.assign(array.shape(), array.shape() + array.ndim());
  return view;
}

std::vector<py::array_t<float>> arrays(const std::vector<matinee::FloatTensor>& tensors) {
  std::vector<py::array_t<float>> out;
  for (const auto& tensor : tensors) {
    py::array_t<float> array(tensor.shape);
    std::memcpy(array.mutable_data(), tensor.data.data(), tensor.data.size() * sizeof(float));
    out.push_back(std::move(array));
  }
  return out;
}

}  // namespace

PYBIND11_MODULE(_torch, module) {
  module.doc() = "TorchScript models on libtorch; use matinee.torchscript, which guards against a second libtorch.";
  module.attr("torch_source") = MATINEE_TORCH_SOURCE;
  module.attr("torch_version") = matinee::libtorch_version();
  register_errors(module);
  module.def("set_num_threads", &matinee::set_num_threads, py::arg("num_threads"),
             py::call_guard<py::gil_scoped_release>(), "Use this many threads from now on (1..1024).");
  module.def("num_threads", &matinee::num_threads, "Threads this module computes on.");
  using Model = matinee::TorchScriptModel;
  py::class_<Model, std::shared_ptr<Model>>(module, "TorchScriptModel", "A TorchScript network.")
      .def_static(
          "load",
          [](const std::filesystem::path& path, std::vector<std::int64_t> example_shape, const std::string& type,
             bool any_length) {
            const matinee::TorchScriptOptions options{std::move(example_shape), tensor_type(type), any_length};
            const py::gil_scoped_release release;
            return std::const_pointer_cast<Model>(Model::load(path, options));
          },
          py::arg("path"), py::kw_only(), py::arg("example_shape"), py::arg("input_type") = "float32",
          py::arg("any_length") = false, "Load and try a TorchScript file.")
      .def(
          "run",
          [](const Model& self, const py::array& input) {
            const auto view = tensor_view(input);
            std::vector<matinee::FloatTensor> outputs;
            {
              const py::gil_scoped_release release;
              outputs = self.run(view);
            }
            return arrays(outputs);
          },
          py::arg("input").noconvert(), "Outputs for one batch, float32.")
      .def_property_readonly(
          "example_shape",
          [](const Model& self) {
            return std::vector<std::int64_t>(self.example_shape().begin(), self.example_shape().end());
          },
          "Shape of the input it was tried on.")
      .def_property_readonly(
          "output_shapes",
          [](const Model& self) {
            return std::vector<std::vector<std::int64_t>>(self.output_shapes().begin(), self.output_shapes().end());
          },
          "Shapes of the outputs for one item.");
}
