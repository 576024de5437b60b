// Fields of a request's JSON object: absent and null are the same; another type is a complaint.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"

namespace assay {

class JsonFields {
 public:
  /// `where` stands before the field's name in complaints: "items[3]."; `object` must outlive it.
  explicit JsonFields(const nlohmann::json& object, std::string where = "")
      : object_(object), where_(std::move(where)) {
    if (!object.is_object()) complain("", "must be a JSON object");
  }

  std::string text(const char* key, const std::string& otherwise = "");
  std::optional<double> number(const char* key);
  bool boolean(const char* key, bool otherwise);
  /// Null where it is absent or no object (a complaint).
  const nlohmann::json* object(const char* key);
  const nlohmann::json* array(const char* key);

  void complain(const std::string& key, const std::string& text) {
    if (complaint_.empty()) complaint_ = where_ + key + (key.empty() ? "the body " : " ") + text;
  }
  /// Empty while all is well, else the first complaint.
  const std::string& complaint() const { return complaint_; }

 private:
  const nlohmann::json* find(const char* key);

  const nlohmann::json& object_;
  std::string where_;
  std::string complaint_;
};

/// The body as a JSON object. Errors (invalid) say what it is instead.
Result<nlohmann::json> json_body(const std::string& body);

}  // namespace assay
