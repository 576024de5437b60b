#include "agents/run/budget.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <sstream>

#include "tasks/nearest.h"

namespace assay {

Result<Budget> Budget::parse(const std::string& text) {
  Budget budget;
  std::istringstream parts(text);
  std::string part;
  while (std::getline(parts, part, ',')) {
    const size_t equals = part.find('=');
    const std::string key = part.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
    char* end = nullptr;
    double number = std::strtod(value.c_str(), &end);
    const std::string unit(end);
    const bool time = key == "wall" || key == "gpu";
    if (time && unit == "m") number *= 60;
    if (time && unit == "h") number *= 3600;
    const bool good_unit = unit.empty() || (time && (unit == "s" || unit == "m" || unit == "h"));
    if (value.empty() || end == value.c_str() || !good_unit || !std::isfinite(number) ||
        number < 0 || number > 1e15)
      return Error{ErrorKind::usage,
                   fmt::format("a budget is written like turns=100,dollars=5,wall=2h; {} is not",
                               in_quotes(part))};
    if (key == "samples")
      budget.samples = static_cast<int64_t>(number);
    else if (key == "turns")
      budget.turns = static_cast<int64_t>(number);
    else if (key == "tokens")
      budget.tokens = static_cast<int64_t>(number);
    else if (key == "dollars")
      budget.dollars = number;
    else if (key == "wall")
      budget.wall_seconds = number;
    else if (key == "gpu")
      budget.device_seconds = number;
    else {
      const std::vector<std::string> known = {"samples", "turns", "tokens",
                                              "dollars", "wall",  "gpu"};
      return Error{ErrorKind::usage,
                   fmt::format("there is no budget of {}; there are {}{}", in_quotes(key),
                               listed(known), suggestion(key, known))};
    }
  }
  return budget;
}

std::string Budget::reached(const Spent& spent, double wall) const {
  if (samples && spent.samples >= *samples)
    return fmt::format("samples: {} of {}", spent.samples, *samples);
  if (turns && spent.turns >= *turns) return fmt::format("turns: {} of {}", spent.turns, *turns);
  if (tokens && spent.tokens >= *tokens)
    return fmt::format("tokens: {} of {}", spent.tokens, *tokens);
  if (dollars && spent.dollars >= *dollars)
    return fmt::format("dollars: {:.2f} of {:.2f}", spent.dollars, *dollars);
  if (wall_seconds && wall >= *wall_seconds)
    return fmt::format("wall: {:.0f} s of {:.0f} s", wall, *wall_seconds);
  if (device_seconds && spent.device_seconds >= *device_seconds)
    return fmt::format("gpu: {:.0f} s of {:.0f} s", spent.device_seconds, *device_seconds);
  return {};
}

}  // namespace assay
