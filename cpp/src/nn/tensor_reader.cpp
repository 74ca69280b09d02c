#include "nn/tensor_reader.h"

#include "matinee/core/error.h"

namespace matinee::nn {

void TensorReader::ignore_prefix(const std::string& prefix) {
  for (const auto& [name, entry] : file_.tensors()) {
    if (name.rfind(prefix, 0) == 0) used_.insert(name);
  }
}

void TensorReader::expect_all_used() const {
  for (const auto& [name, entry] : file_.tensors()) {
    if (used_.find(name) == used_.end()) {
      throw FormatError(file_.name() + ": tensor '" + name +
                        "': expected none of this name; are the weights of another network than config.json says?");
    }
  }
}

}  // namespace matinee::nn
