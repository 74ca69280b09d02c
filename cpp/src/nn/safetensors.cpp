#include "matinee/nn/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "matinee/core/error.h"
#include "nn/half.h"

namespace matinee {
namespace {

using nlohmann::json;

// The limit of the reference implementation; real headers are some kilobytes.
constexpr std::size_t kMaxHeaderBytes = 100'000'000;
// {name: {"shape": [n]}}: nothing in a header lies deeper.
constexpr int kMaxDepth = 3;
constexpr std::size_t kMaxRank = 16;

static_assert(std::endian::native == std::endian::little, "safetensors data is read in place");

std::size_t element_size(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return 4;
    case TensorType::kF16:
    case TensorType::kBf16:
      return 2;
    case TensorType::kI64:
      return 8;
  }
  return 0;
}

std::string shape_text(std::span<const std::size_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

// Product of sizes, or nothing when it does not fit.
std::optional<std::size_t> product(std::span<const std::size_t> sizes) {
  std::size_t result = 1;
  for (const std::size_t size : sizes) {
    if (__builtin_mul_overflow(result, size, &result)) return std::nullopt;
  }
  return result;
}

// A non-negative integer of the header, or nothing.
std::optional<std::size_t> as_size(const json& value) {
  if (value.is_number_unsigned()) return value.get<std::size_t>();
  return std::nullopt;
}

// Parses the header, refusing what a plain parse would let through: two tensors of one name (the last would win
// silently) and nesting deep enough to cost memory.
json parse_header(std::span<const std::uint8_t> header) {
  std::vector<std::set<std::string>> keys;  // of the objects being read, outermost first
  const json::parser_callback_t check = [&keys](int depth, json::parse_event_t event, json& parsed) {
    using Event = json::parse_event_t;
    if (depth > kMaxDepth)
      throw FormatError("header: expected {name: {dtype, shape, data_offsets}}, got deeper nesting");
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(parsed.get<std::string>()).second) {
      throw FormatError("header: the name '" + parsed.get<std::string>() + "' occurs twice");
    }
    return true;
  };
  try {
    return json::parse(header.begin(), header.end(), check);
  } catch (const json::exception& error) {
    throw FormatError(std::string("header: ") + error.what());
  }
}

}  // namespace

std::string_view tensor_type_name(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return "F32";
    case TensorType::kF16:
      return "F16";
    case TensorType::kBf16:
      return "BF16";
    case TensorType::kI64:
      return "I64";
  }
  return "?";
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path), name_(path.string()) {
  parse(file_.bytes());
}

SafetensorsFile::SafetensorsFile(std::span<const std::uint8_t> bytes, std::string name) : name_(std::move(name)) {
  parse(bytes);
}

void SafetensorsFile::fail(const std::string& what) const { throw FormatError(name_ + ": " + what); }

void SafetensorsFile::parse(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < 8) fail("expected a safetensors file, got " + std::to_string(bytes.size()) + " bytes");
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), sizeof(header_size));
  if (header_size > kMaxHeaderBytes || header_size > bytes.size() - 8) {
    fail("header: expected at most " + std::to_string(std::min(kMaxHeaderBytes, bytes.size() - 8)) + " bytes, got " +
         std::to_string(header_size) + "; the file is truncated or not safetensors");
  }
  const auto header_bytes = bytes.subspan(8, header_size);
  const auto data = bytes.subspan(8 + header_size);
  json header;
  try {
    header = parse_header(header_bytes);
  } catch (const FormatError& error) {
    fail(error.what());
  }
  if (!header.is_object()) fail("header: expected a JSON object");

  std::vector<std::pair<std::size_t, std::size_t>> ranges;  // [begin, end) of each tensor
  for (const auto& [tensor, entry] : header.items()) {
    if (tensor == "__metadata__") {
      if (!entry.is_object()) fail("__metadata__: expected an object of strings");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) fail("__metadata__: expected an object of strings");
        metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets")) {
      fail("tensor '" + tensor + "': expected an object with dtype, shape and data_offsets");
    }
    TensorEntry result;
    const json& dtype = entry["dtype"];
    bool known = false;
    for (const TensorType type : {TensorType::kF32, TensorType::kF16, TensorType::kBf16, TensorType::kI64}) {
      if (dtype.is_string() && dtype.get_ref<const std::string&>() == tensor_type_name(type)) {
        result.type = type;
        known = true;
      }
    }
    if (!known) fail("tensor '" + tensor + "': dtype: expected F32, F16, BF16 or I64, got " + dtype.dump());

    const json& shape = entry["shape"];
    if (!shape.is_array() || shape.size() > kMaxRank) fail("tensor '" + tensor + "': shape: expected a list of sizes");
    for (const json& size : shape) {
      const auto value = as_size(size);
      if (!value) fail("tensor '" + tensor + "': shape: expected non-negative integers, got " + size.dump());
      result.shape.push_back(*value);
    }
    std::vector<std::size_t> factors = result.shape;
    const auto num_elements = product(factors);
    factors.push_back(element_size(result.type));
    const auto num_bytes = product(factors);
    if (!num_elements || !num_bytes) fail("tensor '" + tensor + "': shape " + shape_text(result.shape) + " overflows");
    result.num_elements = *num_elements;

    const json& offsets = entry["data_offsets"];
    const bool pair = offsets.is_array() && offsets.size() == 2;
    const auto begin = pair ? as_size(offsets[0]) : std::nullopt;
    const auto end = pair ? as_size(offsets[1]) : std::nullopt;
    if (!begin || !end || *begin > *end || *end > data.size()) {
      fail("tensor '" + tensor + "': data_offsets: expected [begin, end] within the " + std::to_string(data.size()) +
           " bytes of data, got " + offsets.dump() + "; the file is truncated or corrupt");
    }
    if (*end - *begin != *num_bytes) {
      fail("tensor '" + tensor + "': expected " + std::to_string(*num_bytes) + " bytes for " +
           std::string(tensor_type_name(result.type)) + " " + shape_text(result.shape) + ", got " +
           std::to_string(*end - *begin));
    }
    result.bytes = data.subspan(*begin, *num_bytes);
    ranges.emplace_back(*begin, *end);
    tensors_.emplace(tensor, std::move(result));
  }

  // No overlaps and no gaps, as the format demands: together the tensors are the data.
  std::sort(ranges.begin(), ranges.end());
  std::size_t covered = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin == covered) {
      covered = end;
      continue;
    }
    for (const auto& [tensor, entry] : tensors_) {
      if (static_cast<std::size_t>(entry.bytes.data() - data.data()) == begin && entry.bytes.size() == end - begin) {
        fail("tensor '" + tensor + "': data_offsets: expected to begin at " + std::to_string(covered) + ", got " +
             std::to_string(begin) + (begin < covered ? "; tensors overlap" : "; there is a gap before it"));
      }
    }
  }
  if (covered != data.size()) {
    fail("expected " + std::to_string(covered) + " bytes of data, got " + std::to_string(data.size()) +
         "; bytes that belong to no tensor");
  }
}

const TensorEntry& SafetensorsFile::find(std::string_view tensor, std::span<const std::size_t> shape) const {
  const auto found = tensors_.find(tensor);
  if (found == tensors_.end())
    fail("tensor '" + std::string(tensor) + "': expected " + shape_text(shape) + ", got none");
  const TensorEntry& entry = found->second;
  if (!std::equal(shape.begin(), shape.end(), entry.shape.begin(), entry.shape.end())) {
    fail("tensor '" + std::string(tensor) + "': expected " + shape_text(shape) + ", got " + shape_text(entry.shape));
  }
  return entry;
}

std::vector<float> SafetensorsFile::read_floats(std::string_view tensor, std::span<const std::size_t> shape) const {
  const TensorEntry& entry = find(tensor, shape);
  std::vector<float> values(entry.num_elements);
  if (entry.type == TensorType::kI64) {
    fail("tensor '" + std::string(tensor) + "': expected F32, F16 or BF16, got I64");
  }
  if (entry.type == TensorType::kF32) {
    if (!values.empty()) std::memcpy(values.data(), entry.bytes.data(), entry.bytes.size());
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, entry.bytes.data() + 2 * i, 2);
      values[i] = entry.type == TensorType::kF16 ? nn::float_from_half(bits) : nn::float_from_bf16(bits);
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      fail("tensor '" + std::string(tensor) + "': expected finite values, got " + std::to_string(values[i]) +
           " at element " + std::to_string(i));
    }
  }
  return values;
}

std::vector<std::int64_t> SafetensorsFile::read_ints(std::string_view tensor,
                                                     std::span<const std::size_t> shape) const {
  const TensorEntry& entry = find(tensor, shape);
  if (entry.type != TensorType::kI64) {
    fail("tensor '" + std::string(tensor) + "': expected I64, got " + std::string(tensor_type_name(entry.type)));
  }
  std::vector<std::int64_t> values(entry.num_elements);
  if (!values.empty()) std::memcpy(values.data(), entry.bytes.data(), entry.bytes.size());
  return values;
}

}  // namespace matinee
