#include "agents/http/json.h"

#include <fmt/format.h>

namespace assay {

namespace {

/// Whether brackets nest deeper than `max_depth`, strings left aside. Text that is no JSON may get
/// either answer; the parser then says what is wrong with it.
bool too_deep(std::string_view text, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_depth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, int max_depth) {
  if (too_deep(text, max_depth))
    return Error{ErrorKind::invalid, fmt::format("JSON nested deeper than {}", max_depth)};
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) return Error{ErrorKind::invalid, "not JSON"};
  return json;
}

std::string json_text(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

const nlohmann::json* json_at(const nlohmann::json& json,
                              std::initializer_list<std::string_view> path) {
  const nlohmann::json* at = &json;
  for (const std::string_view key : path) {
    if (!at->is_object()) return nullptr;
    const auto found = at->find(key);
    if (found == at->end()) return nullptr;
    at = &*found;
  }
  return at;
}

std::string string_at(const nlohmann::json& json, std::initializer_list<std::string_view> path) {
  const nlohmann::json* at = json_at(json, path);
  return at && at->is_string() ? at->get<std::string>() : std::string();
}

std::optional<int64_t> count_at(const nlohmann::json& json,
                                std::initializer_list<std::string_view> path) {
  const nlohmann::json* at = json_at(json, path);
  if (!at || !at->is_number()) return std::nullopt;
  const auto value = at->get<double>();
  if (!(value >= 0 && value < 9e15)) return std::nullopt;
  return static_cast<int64_t>(value);
}

const nlohmann::json& array_at(const nlohmann::json& json,
                               std::initializer_list<std::string_view> path) {
  static const nlohmann::json empty = nlohmann::json::array();
  const nlohmann::json* at = json_at(json, path);
  return at && at->is_array() ? *at : empty;
}

}  // namespace assay
