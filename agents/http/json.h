// Reading JSON that a server wrote: nothing in it is trusted to have the expected type.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace assay {

/// Parses; an Error (invalid) for anything but JSON, and for nesting deeper than `max_depth`.
Result<nlohmann::json> parse_json(std::string_view text, int max_depth = 64);

/// Compact text; invalid UTF-8 becomes U+FFFD, so that it never throws.
std::string json_text(const nlohmann::json& json);

/// The value at a path of keys, or nullptr where one of them is missing or no object.
const nlohmann::json* json_at(const nlohmann::json& json,
                              std::initializer_list<std::string_view> path);

/// The string at the path; empty where there is none.
std::string string_at(const nlohmann::json& json, std::initializer_list<std::string_view> path);

/// The number at the path as a count: absent where it is missing, negative, or no number.
std::optional<int64_t> count_at(const nlohmann::json& json,
                                std::initializer_list<std::string_view> path);

/// The elements of the array at the path; an empty array where there is none.
const nlohmann::json& array_at(const nlohmann::json& json,
                               std::initializer_list<std::string_view> path);

}  // namespace assay
