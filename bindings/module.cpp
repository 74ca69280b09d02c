#include "bindings.h"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The compiled core of Matinee; use the matinee package, which wraps it.";
  module.attr("__version__") = MATINEE_VERSION;
  module.attr("torch_source") = MATINEE_TORCH_SOURCE;  // system, python or off: how matinee._torch was built
  register_errors(module);
  bind_core(module);
  bind_nn(module);
  bind_image(module);  // after the networks, which it names
  bind_text(module);
  bind_batcher(module);
  bind_ann(module);
}
