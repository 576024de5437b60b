#include "evaluator/outcome.h"

#include <array>
#include <utility>

namespace assay {

namespace {

constexpr std::array<std::pair<Outcome, std::string_view>, 12> kNames = {{
    {Outcome::no_code, "no_code"},
    {Outcome::rejected, "rejected"},
    {Outcome::compile_error, "compile_error"},
    {Outcome::record_error, "record_error"},
    {Outcome::launch_error, "launch_error"},
    {Outcome::runtime_fault, "runtime_fault"},
    {Outcome::timeout, "timeout"},
    {Outcome::wrong_output, "wrong_output"},
    {Outcome::nondeterministic, "nondeterministic"},
    {Outcome::tampered, "tampered"},
    {Outcome::correct, "correct"},
    {Outcome::harness_error, "harness_error"},
}};

}  // namespace

std::string_view name(Outcome outcome) {
  for (const auto& [known, text] : kNames)
    if (known == outcome) return text;
  return "harness_error";
}

std::optional<Outcome> outcome_from_name(std::string_view name) {
  for (const auto& [outcome, text] : kNames)
    if (text == name) return outcome;
  return std::nullopt;
}

}  // namespace assay
