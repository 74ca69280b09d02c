#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "matinee/core/error.h"
#include "matinee/image/preprocess.h"

// Any text as a preprocessor_config.json: a preprocessor, or one of our errors.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto options =
        matinee::PreprocessOptions::from_json(std::string_view(reinterpret_cast<const char*>(data), size));
    const matinee::Preprocessor preprocessor(options);
    if (preprocessor.floats_per_image() == 0) std::abort();
  } catch (const matinee::InternalError&) {
    std::abort();
  } catch (const matinee::Error&) {
    return 0;
  }
  return 0;
}
