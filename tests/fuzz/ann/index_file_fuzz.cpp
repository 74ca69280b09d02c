#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "matinee/ann/index.h"
#include "matinee/core/error.h"

namespace {

// Everything an index can be asked.
void use(const matinee::Index& index) {
  if (index.dimension() > 4096) return;
  const std::vector<float> queries(2 * index.dimension(), 0.5F);
  matinee::SearchOptions options;
  options.k = 5;
  const auto found = index.search({queries.data(), 2, index.dimension()}, options);
  if (found.ids.size() != 2 * found.width) std::abort();
  const std::vector<std::int64_t> ids = {0, 1, 40};
  index.filter_of(ids);
  const matinee::RowFilter all(index.size());
  options.filters = {&all, 1};
  index.search({queries.data(), 2, index.dimension()}, options);
  options.filters = {};
  const auto prepared = index.prepare(ids);
  options.prepared = prepared.get();
  index.search({queries.data(), 2, index.dimension()}, options);
  index.row_of(40);
}

// Everything that may be done to one.
void change(matinee::Index& index) {
  if (index.kind() == matinee::IndexKind::kExact || index.dimension() > 4096) return;
  const std::vector<float> vector(index.dimension(), 0.5F);
  const std::vector<std::int64_t> added = {77};
  index.add({vector.data(), 1, index.dimension()}, added);
  index.update({vector.data(), 1, index.dimension()}, added);
  index.remove(added);
  index.remove(std::vector<std::int64_t>{40});
}

}  // namespace

// Bytes as an index file: opened with either check, it is refused or it answers.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path =
      (std::filesystem::temp_directory_path() / ("matinee_index_file_fuzz_" + std::to_string(::getpid()))).string();
  {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  }
  for (const matinee::Verify verify : {matinee::Verify::kFast, matinee::Verify::kFull}) {
    try {
      const auto index = matinee::Index::open(path, verify);
      use(*index);
      change(*index);
    } catch (const matinee::FormatError&) {
    } catch (const matinee::InvalidArgument&) {  // an id that is there already
    } catch (const matinee::NotFound&) {         // no such id
    }
  }
  std::filesystem::remove(path);
  return 0;
}
