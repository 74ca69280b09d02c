#include "matinee/core/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include "matinee/core/error.h"

namespace matinee {
namespace {

std::string reason() { return std::strerror(errno); }

// Closes on every path out.
struct Descriptor {
  int fd = -1;
  explicit Descriptor(int fd_) : fd(fd_) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

Descriptor open_for_reading(const std::filesystem::path& path, std::size_t& size) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) {
    const std::string message = path.string() + ": " + reason();
    if (errno == ENOENT || errno == ENOTDIR) throw NotFound(message);
    throw IoError(message);
  }
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) throw IoError(path.string() + ": " + reason());
  if (!S_ISREG(info.st_mode)) throw IoError(path.string() + ": expected a regular file");
  size = static_cast<std::size_t>(info.st_size);
  const int fd = file.fd;
  file.fd = -1;
  return Descriptor(fd);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  std::size_t size = 0;
  const Descriptor file = open_for_reading(path, size);
  if (size == 0) return;
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd, 0);
  if (address == MAP_FAILED) throw IoError(path.string() + ": cannot map: " + reason());
  mapping_ = std::shared_ptr<const void>(address, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
  bytes_ = {static_cast<const std::uint8_t*>(address), size};
}

std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
  std::size_t size = 0;
  const Descriptor file = open_for_reading(path, size);
  std::vector<std::uint8_t> bytes(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file.fd, bytes.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw IoError(path.string() + ": " + reason());
    if (got == 0) throw IoError(path.string() + ": became shorter while being read");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

void write_file_atomically(const std::filesystem::path& path, const std::function<void(const AppendFn&)>& write) {
  static std::atomic<unsigned> counter{0};
  std::filesystem::path temporary = path;
  temporary += ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  try {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (file.fd < 0) throw IoError(temporary.string() + ": " + reason());
    const AppendFn append = [&](const void* data, std::size_t size) {
      const auto* bytes = static_cast<const std::uint8_t*>(data);
      while (size > 0) {
        const ssize_t put = ::write(file.fd, bytes, size);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) throw IoError(temporary.string() + ": " + reason());
        bytes += put;
        size -= static_cast<std::size_t>(put);
      }
    };
    write(append);
    if (::fsync(file.fd) != 0) throw IoError(temporary.string() + ": " + reason());
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw IoError(path.string() + ": " + reason());
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  // The new name itself must survive a power cut.
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd >= 0) ::fsync(directory.fd);
}

}  // namespace matinee
