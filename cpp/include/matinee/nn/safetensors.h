#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "matinee/core/file.h"

namespace matinee {

// The element types that are read; a file with another one is refused.
enum class TensorType { kF32, kF16, kBf16, kI64 };

std::string_view tensor_type_name(TensorType type);

struct TensorEntry {
  TensorType type = TensorType::kF32;
  std::vector<std::size_t> shape;       // () is a scalar
  std::size_t num_elements = 0;         // product of shape
  std::span<const std::uint8_t> bytes;  // little-endian, row-major; not necessarily aligned
};

// A safetensors file: 8 bytes header length (little-endian), a JSON header {name: {dtype, shape, data_offsets}}, the
// data. https://github.com/huggingface/safetensors, "Format". Everything the header claims is checked when opening:
// the tensors lie inside the file, do not overlap, leave no gap, and have the size their shape asks for, so that later
// reads need no checks. Every failure is a FormatError that names the file and the tensor.
//
// Unchangeable once open; safe for concurrent readers.
class SafetensorsFile {
 public:
  // Maps the file. Throws NotFound, IoError, FormatError.
  explicit SafetensorsFile(const std::filesystem::path& path);

  // Reads bytes somebody else owns and keeps alive; `name` is what error messages call them.
  SafetensorsFile(std::span<const std::uint8_t> bytes, std::string name);

  const std::string& name() const noexcept { return name_; }
  const std::map<std::string, TensorEntry, std::less<>>& tensors() const noexcept { return tensors_; }
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }

  bool contains(std::string_view tensor) const { return tensors_.find(tensor) != tensors_.end(); }

  // The values of a F32, F16 or BF16 tensor of exactly this shape, as float. Throws FormatError when it is missing, of
  // another shape or type, or holds a NaN or an infinity (a network with one answers NaN to everything).
  std::vector<float> read_floats(std::string_view tensor, std::span<const std::size_t> shape) const;

  // As read_floats, for I64 tensors.
  std::vector<std::int64_t> read_ints(std::string_view tensor, std::span<const std::size_t> shape) const;

 private:
  void parse(std::span<const std::uint8_t> bytes);
  const TensorEntry& find(std::string_view tensor, std::span<const std::size_t> shape) const;
  [[noreturn]] void fail(const std::string& what) const;

  MappedFile file_;
  std::string name_;
  std::map<std::string, TensorEntry, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace matinee
