#include <pybind11/pybind11.h>

#include "bindings.h"
#include "matinee/core/checksum.h"
#include "matinee/core/cpu.h"
#include "matinee/core/thread_pool.h"

namespace py = pybind11;

void bind_core(py::module_& module) {
  module.def("num_threads", &matinee::num_threads, "Compute threads of this process.");
  module.def("set_num_threads", &matinee::set_num_threads, py::arg("num_threads"),
             py::call_guard<py::gil_scoped_release>(), "Use this many compute threads from now on (1..1024).");
  module.def(
      "isa_level", [] { return std::string(matinee::isa_level_name(matinee::isa_level())); },
      "Instruction level the kernels dispatch on.");
  module.def(
      "set_isa_level", [](const std::string& name) { matinee::set_isa_level(matinee::isa_level_from_name(name)); },
      py::arg("name"), "Lower the instruction level, for tests.");
  module.def("has_native_bf16", &matinee::has_native_bf16, "Whether bf16 products run in hardware here.");
  module.def("cpu_name", &matinee::cpu_name, "The processor's brand string.");
  module.def(
      "crc32c",
      [](const py::bytes& data, std::uint32_t seed) {
        const std::string_view view = data;
        const py::gil_scoped_release release;
        return matinee::crc32c(view.data(), view.size(), seed);
      },
      py::arg("data"), py::arg("seed") = 0, "CRC-32C of bytes.");
}
