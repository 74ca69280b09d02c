#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace matinee {

// A whole file, read-only in memory. Copies share one mapping; it is unmapped with the last copy.
// The file must not be changed while mapped (we write to a new name and rename, so our own files never are).
class MappedFile {
 public:
  MappedFile() = default;
  // Throws NotFound when there is no such file, IoError when it cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path);

  std::span<const std::uint8_t> bytes() const noexcept { return bytes_; }
  std::size_t size() const noexcept { return bytes_.size(); }

 private:
  std::shared_ptr<const void> mapping_;
  std::span<const std::uint8_t> bytes_;
};

// Reads a small file. Throws NotFound, IoError.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path);

// Writes a file so that readers see the old bytes or the new ones, never a part: `write` receives an append function,
// the bytes go to a temporary name in the same folder, are fsynced, and the name is swapped. If `write` throws, nothing
// is left behind. Throws IoError.
using AppendFn = std::function<void(const void* data, std::size_t size)>;
void write_file_atomically(const std::filesystem::path& path, const std::function<void(const AppendFn&)>& write);

}  // namespace matinee
