#include "nn/model_config.h"

#include "matinee/core/error.h"
#include "matinee/core/file.h"

namespace matinee::nn {

using nlohmann::json;

ModelConfig::ModelConfig(const std::filesystem::path& path) : name_(path.string()) {
  const auto bytes = read_file(path);
  try {
    json_ = json::parse(bytes.begin(), bytes.end());
  } catch (const json::exception& error) {
    throw FormatError(name_ + ": " + error.what());
  }
  if (!json_.is_object()) throw FormatError(name_ + ": expected a JSON object");
}

void ModelConfig::fail(std::string_view field, const std::string& what) const {
  throw FormatError(name_ + ": " + std::string(field) + ": " + what);
}

const json& ModelConfig::required(std::string_view field) const {
  const auto found = json_.find(field);
  if (found == json_.end()) fail(field, "expected a value, got none");
  return *found;
}

ModelConfig ModelConfig::object(std::string_view field) const {
  const json& value = required(field);
  if (!value.is_object()) fail(field, "expected a JSON object, got " + value.dump());
  return {name_ + ": " + std::string(field), value};
}

void ModelConfig::expect_repeats(std::string_view field, const ModelConfig& same) const {
  const auto found = json_.find(field);
  if (found == json_.end() || found->is_null()) return;
  if (!found->is_object()) fail(field, "expected a JSON object or null, got " + found->dump());
  for (const auto& [name, value] : found->items()) {
    const auto other = same.json_.find(name);
    if (other != same.json_.end() && *other != value) {
      fail(std::string(field) + "." + name,
           "expected " + other->dump() + ", as elsewhere in the same file, got " + value.dump());
    }
  }
}

std::size_t ModelConfig::size(std::string_view field, std::size_t low, std::size_t high) const {
  const json& value = required(field);
  if (!value.is_number_unsigned() || value.get<std::size_t>() < low || value.get<std::size_t>() > high) {
    fail(field,
         "expected a whole number in " + std::to_string(low) + ".." + std::to_string(high) + ", got " + value.dump());
  }
  return value.get<std::size_t>();
}

float ModelConfig::positive(std::string_view field, double high) const {
  const json& value = required(field);
  if (!value.is_number() || !(value.get<double>() > 0) || value.get<double>() > high) {
    fail(field, "expected a number above 0 and at most " + std::to_string(high) + ", got " + value.dump());
  }
  return value.get<float>();
}

std::string ModelConfig::word(std::string_view field, const std::vector<std::string>& allowed) const {
  const json& value = required(field);
  std::string list;
  for (const auto& word : allowed) {
    if (value == word) return word;
    list += (list.empty() ? "'" : "', '") + word;
  }
  fail(field, "expected '" + list + "', got " + value.dump());
}

bool ModelConfig::flag(std::string_view field) const {
  const json& value = required(field);
  if (!value.is_boolean()) fail(field, "expected true or false, got " + value.dump());
  return value.get<bool>();
}

void ModelConfig::expect(std::string_view field, const json& only) const {
  const auto found = json_.find(field);
  if (found != json_.end() && *found != only) {
    fail(field, "expected " + only.dump() + ", the only value this engine computes, got " + found->dump());
  }
}

void ModelConfig::expect_no_others(const std::set<std::string, std::less<>>& known) const {
  for (const auto& [field, value] : json_.items()) {
    if (known.find(field) == known.end()) {
      fail(field, "unknown field; remove it if it does not change what the model computes");
    }
  }
}

}  // namespace matinee::nn
