#include <pybind11/pybind11.h>

#include "bindings.h"
#include "matinee/core/error.h"

namespace py = pybind11;

namespace {

// The Python classes live in matinee.errors, so that `except matinee.FormatError` needs no compiled module.
void raise(const char* name, const char* message) {
  py::set_error(py::module_::import("matinee.errors").attr(name), message);
}

// Sets Python's error for one of ours. Throws on anything else.
void set_error(const std::exception_ptr& error) {
  // Most derived first.
  try {
    if (error) std::rethrow_exception(error);
  } catch (const matinee::TooLarge& e) {
    raise("TooLarge", e.what());
  } catch (const matinee::InvalidArgument& e) {
    raise("InvalidArgument", e.what());
  } catch (const matinee::NotFound& e) {
    raise("NotFound", e.what());
  } catch (const matinee::UnsupportedFormat& e) {
    raise("UnsupportedFormat", e.what());
  } catch (const matinee::FormatError& e) {
    raise("FormatError", e.what());
  } catch (const matinee::IoError& e) {
    raise("IoError", e.what());
  } catch (const matinee::Overloaded& e) {
    raise("Overloaded", e.what());
  } catch (const matinee::Cancelled& e) {
    raise("Cancelled", e.what());
  } catch (const matinee::Error& e) {
    raise("InternalError", e.what());
  }
}

}  // namespace

void register_errors(py::module_& module) {
  py::register_exception_translator([](std::exception_ptr error) { set_error(error); });
}

MatineeErrorObject python_error(const std::exception_ptr& error) {
  try {
    set_error(error);
  } catch (py::error_already_set& e) {
    return e.value();
  } catch (const std::exception& e) {
    raise("InternalError", e.what());
  }
  return py::error_already_set().value();
}
