// Reading values out of a message that may be hostile: each throws what guarded() turns into an
// Error.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/result.h"

namespace assay::reading {

inline constexpr size_t kMaxItems = 20'000;

/// A count: no sign, no fraction, no more than its type holds.
template <typename Count>
Count count_of(const nlohmann::json& value) {
  if (!value.is_number_unsigned()) throw std::runtime_error("a count is not a whole number");
  const auto count = value.get<uint64_t>();
  if (count > std::numeric_limits<Count>::max()) throw std::runtime_error("a count is too large");
  return static_cast<Count>(count);
}

inline double number_of(const nlohmann::json& value) {
  if (!value.is_number()) throw std::runtime_error("a number is missing");
  const double number = value.get<double>();
  if (!std::isfinite(number)) throw std::runtime_error("a number is not finite");
  return number;
}

/// A time, a rate, a share: not negative.
inline double amount_of(const nlohmann::json& value) {
  const double number = number_of(value);
  if (number < 0) throw std::runtime_error("an amount is negative");
  return number;
}

inline const nlohmann::json& array_of(const nlohmann::json& value) {
  if (!value.is_array() || value.size() > kMaxItems) throw std::runtime_error("a list is too long");
  return value;
}

/// Runs `parse`; what the JSON library throws becomes an Error.
template <typename Parse>
auto guarded(const char* what, const Parse& parse) -> Result<decltype(parse())> {
  try {
    return parse();
  } catch (const std::exception& error) {
    return Error{ErrorKind::invalid, fmt::format("a malformed {}: {}", what, error.what())};
  }
}

}  // namespace assay::reading
