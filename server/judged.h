// What one evaluation came to, as the protocols tell it.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "evaluator/score/rewards.h"

namespace assay {

/// What clients are told; an Outcome or an end without one.
enum class Verdict {
  correct,
  incorrect,  // ran, wrong result
  format,     // no usable code
  compile_error,
  runtime_error,
  timeout_candidate,  // the candidate used up its own time on a healthy device
  hack,
  infra_error,  // ours
  deadline,     // the request's deadline passed first
  cancelled,
};
std::string_view name(Verdict verdict);
Verdict verdict_of(Outcome outcome);

/// Milliseconds in each stage, as far as they were reached.
struct StageTimes {
  double queue_ms = 0, compile_ms = 0, record_ms = 0, correctness_ms = 0, timing_ms = 0;
};

/// Immutable once it is shared.
struct Judged {
  Verdict verdict = Verdict::infra_error;
  RewardFacts facts;
  std::string task_id;
  std::string explanation;
  std::string compile_log;  // its first 4 KiB
  std::string device;       // "NVIDIA H200", "virtual"
  std::string worker;       // "cuda:0"
  int64_t evaluation_id = 0;
  int attempts = 1;
  StageTimes times;
  bool cached = false;  // nothing was evaluated for this answer

  /// Whether it says anything about the candidate. If not, no trainer may see a number for it.
  bool policy_evidence() const {
    return verdict != Verdict::infra_error && verdict != Verdict::deadline &&
           verdict != Verdict::cancelled;
  }
  bool retryable() const { return verdict == Verdict::infra_error || verdict == Verdict::deadline; }
};
using JudgedPointer = std::shared_ptr<const Judged>;

JudgedPointer judged_without_verdict(Verdict verdict, const std::string& task_id,
                                     const std::string& explanation);

/// The flat block of numbers: the same keys for every outcome, never null. A speed that was not
/// measured is 0 with timing_valid 0.
nlohmann::json metrics_json(const Judged& judged);

/// The reward by this formula; absent where there is no evidence, or no speed and the formula needs
/// one.
std::optional<Reward> reward_of(const Judged& judged, const RewardFormula& formula);

}  // namespace assay
