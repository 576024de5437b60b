// Outcome: the one verdict enum, used by the store, the API, reports and rewards.
#pragma once

#include <optional>
#include <string_view>

namespace assay {

enum class Outcome {
  no_code,
  rejected,
  compile_error,
  record_error,
  launch_error,
  runtime_fault,
  timeout,
  wrong_output,
  nondeterministic,
  tampered,
  correct,
  harness_error,  // ours, never the candidate's: retried, never a reward of 0, never counted wrong
};

std::string_view name(Outcome outcome);
std::optional<Outcome> outcome_from_name(std::string_view name);

}  // namespace assay
