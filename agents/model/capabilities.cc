// Theory of operation
//
// A server answers a parameter that its model lacks with a 400, once for every request of a run.
// The table below says beforehand what is known to end so. Its rows add up: all rows whose API and
// model match apply, a model's name matching by prefix where the row's ends with a star. A row
// lists sets of parameters that must not be set together; a set of one is refused alone. Models
// that no row names get everything their API has, and the server's own answer.
//
// The sources are the vendors' pages on thinking and the 400 answers that users of their APIs
// report (state of 2026-08):
//   - Anthropic: a budget of thinking excludes a temperature. From Opus 4.1 and the 4.5 models on,
//     temperature and top_p exclude each other. Efforts came with Opus 4.5. The 4.6 models think
//     adaptively when an effort is set, which excludes a temperature; from Opus 4.7 on there is
//     neither a budget nor any sampling parameter.
//   - OpenAI: the o models and GPT-5 know no temperature, top_p or stop.
//   - Google: a level excludes a budget, and Gemini 2.5 has no levels.
#include "agents/model/capabilities.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace assay {

namespace {

using Parameters = std::vector<std::string_view>;

struct Row {
  std::vector<std::string_view> apis;
  std::vector<std::string_view> models;
  std::vector<Parameters> refused;
};

const std::vector<Row>& table() {
  static const std::vector<Row> rows = {
      {{"anthropic"}, {"*"}, {{"budget", "temperature"}}},
      {{"anthropic"},
       {"claude-opus-4-1*", "claude-opus-4-5*", "claude-opus-4-6*", "claude-sonnet-4-5*",
        "claude-sonnet-4-6*", "claude-haiku-4-5*"},
       {{"temperature", "top_p"}}},
      {{"anthropic"},
       {"claude-3*", "claude-opus-4-0*", "claude-opus-4-1*", "claude-opus-4-2025*",
        "claude-sonnet-4-0*", "claude-sonnet-4-2025*", "claude-sonnet-4-5*", "claude-haiku-4-5*"},
       {{"effort"}}},
      {{"anthropic"},
       {"claude-3-haiku*", "claude-3-opus*", "claude-3-sonnet*", "claude-3-5*"},
       {{"budget"}}},
      {{"anthropic"},
       {"claude-opus-4-6*", "claude-sonnet-4-6*"},
       {{"effort", "budget"}, {"effort", "temperature"}}},
      {{"anthropic"},
       {"claude-opus-4-7*", "claude-opus-4-8*", "claude-opus-5*", "claude-sonnet-5*",
        "claude-fable-5*"},
       {{"budget"}, {"temperature"}, {"top_p"}}},
      {{"openai-chat", "openai-responses"},
       {"o1*", "o3*", "o4*", "gpt-5", "gpt-5-*"},
       {{"temperature"}, {"top_p"}, {"stop"}}},
      {{"gemini"}, {"*"}, {{"effort", "budget"}}},
      {{"gemini"}, {"gemini-2.5*"}, {{"effort"}}},
  };
  return rows;
}

/// Those that think adaptively.
constexpr std::string_view kAdaptive[] = {
    "claude-opus-4-6*", "claude-sonnet-4-6*", "claude-opus-4-7*", "claude-opus-4-8*",
    "claude-opus-5*",   "claude-sonnet-5*",   "claude-fable-5*"};

bool matches(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool set(std::string_view parameter, const Sampling& sampling) {
  if (parameter == "temperature") return sampling.temperature.has_value();
  if (parameter == "top_p") return sampling.top_p.has_value();
  if (parameter == "stop") return !sampling.stop.empty();
  if (parameter == "effort") return !sampling.reasoning_effort.empty();
  return sampling.reasoning_budget.has_value();
}

/// As the options of assay run are called.
std::string_view option(std::string_view parameter) {
  if (parameter == "top_p") return "--top-p";
  if (parameter == "effort") return "--effort";
  if (parameter == "budget") return "--reasoning-budget";
  return parameter == "stop" ? "--stop" : "--temperature";
}

}  // namespace

std::string refused_by_model(const ModelConfig& config) {
  for (const Row& row : table()) {
    const bool applies =
        std::ranges::count(row.apis, config.protocol) > 0 &&
        std::ranges::any_of(row.models, [&](auto model) { return matches(model, config.model); });
    if (!applies) continue;
    for (const Parameters& together : row.refused) {
      if (!std::ranges::all_of(together,
                               [&](auto parameter) { return set(parameter, config.sampling); }))
        continue;
      std::string text;
      for (const std::string_view parameter : together)
        text += fmt::format("{}{}", text.empty() ? "" : " together with ", option(parameter));
      return fmt::format(
          "the model {} refuses {}; leave it out (or send it in --extra-body, which is not "
          "checked)",
          config.model, text);
    }
  }
  return {};
}

bool thinks_adaptively(const ModelConfig& config) {
  return std::ranges::any_of(kAdaptive, [&](auto model) { return matches(model, config.model); });
}

}  // namespace assay
