#include "server/judged.h"

#include <nlohmann/json.hpp>

namespace assay {

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::correct:
      return "correct";
    case Verdict::incorrect:
      return "incorrect";
    case Verdict::format:
      return "format";
    case Verdict::compile_error:
      return "compile_error";
    case Verdict::runtime_error:
      return "runtime_error";
    case Verdict::timeout_candidate:
      return "timeout_candidate";
    case Verdict::hack:
      return "hack";
    case Verdict::infra_error:
      return "infra_error";
    case Verdict::deadline:
      return "deadline";
    case Verdict::cancelled:
      return "cancelled";
  }
  return "infra_error";
}

Verdict verdict_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::no_code:
    case Outcome::rejected:
      return Verdict::format;
    case Outcome::compile_error:
      return Verdict::compile_error;
    case Outcome::record_error:
    case Outcome::launch_error:
    case Outcome::runtime_fault:
      return Verdict::runtime_error;
    case Outcome::timeout:
      return Verdict::timeout_candidate;
    case Outcome::wrong_output:
    case Outcome::nondeterministic:
      return Verdict::incorrect;
    case Outcome::tampered:
      return Verdict::hack;
    case Outcome::correct:
      return Verdict::correct;
    case Outcome::harness_error:
      return Verdict::infra_error;
  }
  return Verdict::infra_error;
}

JudgedPointer judged_without_verdict(Verdict verdict, const std::string& task_id,
                                     const std::string& explanation) {
  auto judged = std::make_shared<Judged>();
  judged->verdict = verdict;
  judged->task_id = task_id;
  judged->explanation = explanation;
  return judged;
}

nlohmann::json metrics_json(const Judged& judged) {
  const RewardFacts& facts = judged.facts;
  const bool evidence = judged.policy_evidence();
  const bool speed = evidence && facts.timed && facts.correct();
  return {{"format_ok", evidence && judged.verdict != Verdict::format ? 1 : 0},
          {"compiled", evidence && facts.compiled ? 1 : 0},
          {"correct", judged.verdict == Verdict::correct ? 1 : 0},
          {"hack", judged.verdict == Verdict::hack ? 1 : 0},
          {"candidate_timeout", judged.verdict == Verdict::timeout_candidate ? 1 : 0},
          {"infra", evidence ? 0 : 1},
          {"cached", judged.cached ? 1 : 0},
          {"timing_valid", speed ? 1 : 0},
          {"speedup", speed ? facts.speedup : 0.0},
          {"speedup_lo", speed ? facts.interval.low : 0.0},
          {"speedup_hi", speed ? facts.interval.high : 0.0},
          {"kernel_us", speed ? facts.kernel_us : 0.0},
          {"reference_us", speed ? facts.reference_us : 0.0},
          {"tests_passed", facts.tests_passed},
          {"tests_total", facts.tests_total},
          {"attempts", judged.attempts},
          {"queue_ms", judged.times.queue_ms},
          {"compile_ms", judged.times.compile_ms},
          {"record_ms", judged.times.record_ms},
          {"correctness_ms", judged.times.correctness_ms},
          {"timing_ms", judged.times.timing_ms}};
}

std::optional<Reward> reward_of(const Judged& judged, const RewardFormula& formula) {
  if (!judged.policy_evidence()) return std::nullopt;
  return formula.reward(judged.facts);
}

}  // namespace assay
