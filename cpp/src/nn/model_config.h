#pragma once

#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

// Reading config.json and matinee.json: every mistake is a FormatError that names the file and the field.
namespace matinee::nn {

class ModelConfig {
 public:
  // Throws NotFound, IoError, or FormatError when it is not a JSON object.
  explicit ModelConfig(const std::filesystem::path& path);

  bool has(std::string_view field) const { return json_.contains(field); }

  // A required object within, whose fields are then named "field.…" in messages.
  ModelConfig object(std::string_view field) const;
  // Throws unless the field is absent, null, or an object that says nothing else than `same` does.
  void expect_repeats(std::string_view field, const ModelConfig& same) const;

  // A whole number in [low, high]; the field is required.
  std::size_t size(std::string_view field, std::size_t low, std::size_t high) const;
  // A number in (0, high]; the field is required.
  float positive(std::string_view field, double high) const;
  // A required word out of `allowed`.
  std::string word(std::string_view field, const std::vector<std::string>& allowed) const;
  bool flag(std::string_view field) const;  // required

  // Throws unless the field is absent or equals the only value this engine computes.
  void expect(std::string_view field, const nlohmann::json& only) const;
  // Throws when a field is not in `known`: it might ask for something this engine does not do.
  void expect_no_others(const std::set<std::string, std::less<>>& known) const;

  [[noreturn]] void fail(std::string_view field, const std::string& what) const;

 private:
  const nlohmann::json& required(std::string_view field) const;

  ModelConfig(std::string name, nlohmann::json json) : name_(std::move(name)), json_(std::move(json)) {}

  std::string name_;
  nlohmann::json json_;
};

}  // namespace matinee::nn
