#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "matinee/nn/safetensors.h"

namespace matinee::nn {

// Reads tensors by name and remembers which, so that a tensor nobody asked for is found: it means that the weights are
// of another network than config.json says.
class TensorReader {
 public:
  explicit TensorReader(const SafetensorsFile& file) : file_(file) {}

  std::vector<float> floats(const std::string& name, std::initializer_list<std::size_t> shape) {
    used_.insert(name);
    return file_.read_floats(name, {shape.begin(), shape.size()});
  }

  // May be there; does not matter to the result.
  void ignore(const std::string& name) { used_.insert(name); }

  // All tensors of another network in the same file.
  void ignore_prefix(const std::string& prefix);

  // Throws FormatError naming a tensor that was neither read nor ignored.
  void expect_all_used() const;

 private:
  const SafetensorsFile& file_;
  std::set<std::string> used_;
};

}  // namespace matinee::nn
