#pragma once

#include <pybind11/pybind11.h>

#include <exception>

// One bind_*.cpp for each folder of the core, and one for the batcher; module.cpp is the list of them.
void register_errors(pybind11::module_& module);
void bind_ann(pybind11::module_& module);
void bind_core(pybind11::module_& module);
void bind_image(pybind11::module_& module);
void bind_text(pybind11::module_& module);
void bind_nn(pybind11::module_& module);
void bind_batcher(pybind11::module_& module);  // after bind_nn, whose encoders it takes

// An instance of matinee.errors.MatineeError, named so in signatures.
class MatineeErrorObject : public pybind11::object {
 public:
  PYBIND11_OBJECT_DEFAULT(MatineeErrorObject, pybind11::object, PyExceptionInstance_Check)
};

template <>
struct pybind11::detail::handle_type_name<MatineeErrorObject> {
  static constexpr auto name = const_name("matinee.errors.MatineeError");
};

// The Python exception for an error that is reported rather than thrown (one item of a batch); what is none of ours
// becomes an InternalError. REQUIRES: error set.
MatineeErrorObject python_error(const std::exception_ptr& error);
