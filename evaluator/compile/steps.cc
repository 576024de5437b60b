#include "evaluator/compile/steps.h"

#include <nlohmann/json.hpp>

namespace assay {
namespace {

constexpr size_t kMaximumSteps = 64;
constexpr size_t kMaximumText = size_t{4} << 20;

Error malformed(const char* what) {
  return {ErrorKind::invalid, std::string("steps of a compilation: malformed ") + what};
}

}  // namespace

std::string steps_to_json(const std::vector<Step>& steps) {
  nlohmann::json json = nlohmann::json::array();
  for (const Step& step : steps)
    json.push_back({{"name", step.name},
                    {"arguments", step.arguments},
                    {"after", step.after},
                    {"behind", step.behind}});
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<std::vector<Step>> steps_from_json(std::string_view text) {
  if (text.size() > kMaximumText) return malformed("plan (too large)");
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    std::vector<Step> steps;
    for (const nlohmann::json& item : json) {
      steps.push_back({item.at("name").get<std::string>(),
                       item.at("arguments").get<std::vector<std::string>>(),
                       item.at("after").get<std::vector<std::string>>(),
                       item.at("behind").get<std::vector<std::string>>()});
      if (steps.back().arguments.empty()) return malformed("plan (a step without a program)");
    }
    if (steps.size() > kMaximumSteps) return malformed("plan (too many steps)");
    return steps;
  } catch (const nlohmann::json::exception&) {
    return malformed("plan");
  }
}

std::string results_to_json(const std::map<std::string, StepResult>& results) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [name, result] : results)
    json[name] = {{"state", static_cast<int>(result.state)},
                  {"code", result.code},
                  {"start_ms", result.start_ms},
                  {"ms", result.ms}};
  return json.dump();
}

Result<std::map<std::string, StepResult>> results_from_json(std::string_view text) {
  if (text.size() > kMaximumText) return malformed("results (too large)");
  try {
    std::map<std::string, StepResult> results;
    const nlohmann::json json = nlohmann::json::parse(text);
    if (!json.is_object() || json.size() > kMaximumSteps) return malformed("results");
    for (const auto& [name, item] : json.items()) {
      const int state = item.at("state").get<int>();
      if (state < 0 || state > 3) return malformed("results (state)");
      results[name] = {static_cast<StepResult::State>(state), item.at("code").get<int>(),
                       item.at("ms").get<double>(), item.at("start_ms").get<double>()};
    }
    return results;
  } catch (const nlohmann::json::exception&) {
    return malformed("results");
  }
}

}  // namespace assay
