#include "server/json_fields.h"

#include <cmath>

#include "agents/http/json.h"

namespace assay {

const nlohmann::json* JsonFields::find(const char* key) {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::string JsonFields::text(const char* key, const std::string& otherwise) {
  const nlohmann::json* value = find(key);
  if (!value) return otherwise;
  if (value->is_string()) return value->get<std::string>();
  complain(key, "must be a string");
  return otherwise;
}

std::optional<double> JsonFields::number(const char* key) {
  const nlohmann::json* value = find(key);
  if (!value) return std::nullopt;
  if (value->is_number() && std::isfinite(value->get<double>())) return value->get<double>();
  complain(key, "must be a number");
  return std::nullopt;
}

bool JsonFields::boolean(const char* key, bool otherwise) {
  const nlohmann::json* value = find(key);
  if (!value) return otherwise;
  if (value->is_boolean()) return value->get<bool>();
  complain(key, "must be true or false");
  return otherwise;
}

const nlohmann::json* JsonFields::object(const char* key) {
  const nlohmann::json* value = find(key);
  if (value && !value->is_object()) complain(key, "must be an object");
  return value && value->is_object() ? value : nullptr;
}

const nlohmann::json* JsonFields::array(const char* key) {
  const nlohmann::json* value = find(key);
  if (value && !value->is_array()) complain(key, "must be an array");
  return value && value->is_array() ? value : nullptr;
}

Result<nlohmann::json> json_body(const std::string& body) {
  if (body.empty()) return Error{ErrorKind::invalid, "the body is empty; a JSON object is needed"};
  ASSIGN_OR_RETURN(nlohmann::json json, parse_json(body));
  if (!json.is_object())
    return Error{ErrorKind::invalid,
                 std::string("the body must be a JSON object, not ") + json.type_name()};
  return json;
}

}  // namespace assay
