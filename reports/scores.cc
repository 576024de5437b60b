#include "reports/scores.h"

#include <nlohmann/json.hpp>

namespace assay {

namespace {

nlohmann::json json_of(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

nlohmann::json json_of(const std::optional<Speedup>& speedup) {
  if (!speedup || !(speedup->value > 0)) return nullptr;
  return {
      {"value", speedup->value}, {"low", speedup->interval.low}, {"high", speedup->interval.high}};
}

}  // namespace

CaseScore score(const CaseSpeed& speed) {
  CaseScore score;
  if (!(speed.speedup.value > 0)) return score;
  if (speed.expert) {
    score.over_expert = relative(speed.speedup, *speed.expert);
    score.normalised = normalised_score(speed.speedup.value, speed.expert->value);
  }
  if (speed.limit_us > 0) {
    score.speed_of_light = speed_of_light(speed.limit_us, speed.candidate_us);
    score.sol =
        sol_score(speed.candidate_us, speed.baseline_us, speed.limit_us + speed.empty_call_us);
  }
  if (speed.reachable_us > 0)
    score.peak_fraction = speed_of_light(speed.reachable_us, speed.candidate_us);
  return score;
}

nlohmann::json speed_json(const CaseSpeed& speed) {
  const CaseScore scores = score(speed);
  nlohmann::json processes = nlohmann::json::array();
  for (const CaseSpeed::Process& process : speed.processes)
    processes.push_back({{"budget", process.budget},
                         {"stop_reason", process.stop_reason},
                         {"verdict", process.verdict},
                         {"blocks", process.blocks},
                         {"rejected_blocks", process.rejected_blocks},
                         {"clock_ratio", process.clock_ratio},
                         {"gpu_ms", process.gpu_ms},
                         {"wall_ms", process.wall_ms},
                         {"setup_ms", process.setup_ms},
                         {"warm_up_ms", process.warm_up_ms},
                         {"refresh_ms", process.refresh_ms},
                         {"verify_ms", process.verify_ms}});
  return {{"processes", processes},
          {"candidate_us", speed.candidate_us},
          {"baseline_us", speed.baseline_us},
          {"empty_call_us", speed.empty_call_us},
          {"speedup", json_of(std::optional(speed.speedup))},
          {"expert_speedup", json_of(speed.expert)},
          {"over_expert", json_of(scores.over_expert)},
          {"normalised", json_of(scores.normalised)},
          {"speed_of_light", json_of(scores.speed_of_light)},
          {"peak_fraction", json_of(scores.peak_fraction)},
          {"sol", json_of(scores.sol)},
          {"limit_us", speed.limit_us},
          {"reachable_us", speed.reachable_us}};
}

}  // namespace assay
