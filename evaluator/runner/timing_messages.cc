#include "evaluator/runner/timing_messages.h"

#include "evaluator/runner/messages.h"
#include "evaluator/runner/reading.h"

namespace assay {

using nlohmann::json;
using reading::amount_of;
using reading::array_of;
using reading::count_of;
using reading::guarded;
using reading::number_of;

namespace {

json budget_json(const TimingBudget& budget) {
  return {{"name", budget.name},
          {"burst_ms", budget.burst_ms},
          {"cap_seconds", budget.cap_seconds},
          {"duty", budget.duty},
          {"half_width", budget.half_width},
          {"first_look_blocks", budget.first_look_blocks},
          {"warm_up_min_ms", budget.warm_up_min_ms},
          {"warm_up_cap_ms", budget.warm_up_cap_ms},
          {"verify_every_burst", budget.verify_every_burst}};
}

TimingBudget budget_from(const json& value) {
  TimingBudget budget;
  budget.name = value.at("name").get<std::string>();
  budget.burst_ms = number_of(value.at("burst_ms"));
  budget.cap_seconds = number_of(value.at("cap_seconds"));
  budget.duty = number_of(value.at("duty"));
  budget.half_width = number_of(value.at("half_width"));
  budget.first_look_blocks = value.at("first_look_blocks").get<int>();
  budget.warm_up_min_ms = number_of(value.at("warm_up_min_ms"));
  budget.warm_up_cap_ms = number_of(value.at("warm_up_cap_ms"));
  budget.verify_every_burst = value.at("verify_every_burst").get<bool>();
  return budget;
}

json call_json(const CallTime& time) {
  return json::array(
      {time.median_us, time.low_quartile_us, time.high_quartile_us, time.min_us, time.calls});
}

CallTime call_from(const json& value) {
  return {amount_of(value.at(0)), amount_of(value.at(1)), amount_of(value.at(2)),
          amount_of(value.at(3)), count_of<uint32_t>(value.at(4))};
}

json sample_json(const TimingSample& sample) {
  return json::array({static_cast<uint32_t>(sample.side), sample.block, sample.position,
                      sample.calls, sample.elapsed_ms, sample.frequency_mhz, sample.accepted});
}

TimingSample sample_from(const json& value) {
  TimingSample sample;
  const auto side = count_of<uint32_t>(value.at(0));
  if (side > static_cast<uint32_t>(Side::ruler)) throw std::runtime_error("an unknown side");
  sample.side = static_cast<Side>(side);
  sample.block = count_of<uint32_t>(value.at(1));
  sample.position = count_of<uint32_t>(value.at(2));
  sample.calls = count_of<uint32_t>(value.at(3));
  sample.elapsed_ms = amount_of(value.at(4));
  sample.frequency_mhz = amount_of(value.at(5));
  sample.accepted = value.at(6).get<bool>();
  return sample;
}

TimingReport report_from(const json& value) {
  TimingReport report;
  const auto text = [&](const char* key) { return presentable(value.at(key).get<std::string>()); };
  report.budget = text("budget");
  report.candidate = call_from(value.at("candidate"));
  report.baseline = call_from(value.at("baseline"));
  report.empty_call_us = amount_of(value.at("empty_call_us"));
  report.speedup = amount_of(value.at("speedup"));
  report.speedup_interval = {amount_of(value.at("low")), amount_of(value.at("high"))};
  if (report.speedup_interval.low > report.speedup || report.speedup > report.speedup_interval.high)
    throw std::runtime_error("a speedup is outside its interval");
  report.autocorrelation = number_of(value.at("autocorrelation"));
  report.blocks = count_of<uint32_t>(value.at("blocks"));
  report.rejected_blocks = count_of<uint32_t>(value.at("rejected_blocks"));
  report.stop_reason = text("stop_reason");
  report.verdict = text("verdict");
  if (const json& violation = value.at("violation"); !violation.is_null())
    report.violation = TimingViolation{presentable(violation.at("reason").get<std::string>()),
                                       presentable(violation.at("explanation").get<std::string>())};
  for (const json& sample : array_of(value.at("samples")))
    report.samples.push_back(sample_from(sample));
  report.gpu_ms = amount_of(value.at("gpu_ms"));
  report.wall_ms = amount_of(value.at("wall_ms"));
  report.setup_ms = amount_of(value.at("setup_ms"));
  report.warm_up_ms = amount_of(value.at("warm_up_ms"));
  report.refresh_ms = amount_of(value.at("refresh_ms"));
  report.verify_ms = amount_of(value.at("verify_ms"));
  report.clock_ratio = amount_of(value.at("clock_ratio"));
  return report;
}

}  // namespace

json time_job_message(const TimeJob& job) {
  return {{"bound", job.bound},
          {"candidate", job.candidate->key},
          {"candidate_plan", json(job.candidate_plan).dump()},
          {"baseline", job.baseline->key},
          {"baseline_plan", json(job.baseline_plan).dump()},
          {"evidence", job.evidence.artifact ? job.evidence.artifact->key : ""},
          {"evidence_plan", json(job.evidence.plan).dump()},
          {"seed", job.seed},
          {"budget", budget_json(job.budget)},
          {"deadline_seconds", job.deadline_seconds}};
}

Result<TimeJob> parse_time_job(const json& message) {
  ASSIGN_OR_RETURN(TimeJob job, guarded("time job", [&] {
                     TimeJob parsed;
                     message.at("bound").get_to(parsed.bound);
                     parsed.seed = count_of<uint64_t>(message.at("seed"));
                     parsed.budget = budget_from(message.at("budget"));
                     parsed.deadline_seconds = number_of(message.at("deadline_seconds"));
                     return parsed;
                   }));
  const auto text = [&](const char* key) {
    return guarded("plan", [&] { return message.at(key).get<std::string>(); });
  };
  ASSIGN_OR_RETURN(const std::string candidate_plan, text("candidate_plan"));
  ASSIGN_OR_RETURN(const std::string baseline_plan, text("baseline_plan"));
  ASSIGN_OR_RETURN(const std::string evidence_plan, text("evidence_plan"));
  ASSIGN_OR_RETURN(job.evidence.plan, parse_plan(evidence_plan));
  ASSIGN_OR_RETURN(job.candidate_plan, parse_plan(candidate_plan));
  ASSIGN_OR_RETURN(job.baseline_plan, parse_plan(baseline_plan));
  return job;
}

json timing_message(const TimingReport& report) {
  json samples = json::array();
  for (const TimingSample& sample : report.samples) samples.push_back(sample_json(sample));
  json violation;
  if (report.violation)
    violation = {{"reason", report.violation->reason},
                 {"explanation", report.violation->explanation}};
  return {{"budget", report.budget},
          {"candidate", call_json(report.candidate)},
          {"baseline", call_json(report.baseline)},
          {"empty_call_us", report.empty_call_us},
          {"speedup", report.speedup},
          {"low", report.speedup_interval.low},
          {"high", report.speedup_interval.high},
          {"autocorrelation", report.autocorrelation},
          {"blocks", report.blocks},
          {"rejected_blocks", report.rejected_blocks},
          {"stop_reason", report.stop_reason},
          {"verdict", report.verdict},
          {"violation", violation},
          {"samples", samples},
          {"gpu_ms", report.gpu_ms},
          {"wall_ms", report.wall_ms},
          {"setup_ms", report.setup_ms},
          {"warm_up_ms", report.warm_up_ms},
          {"refresh_ms", report.refresh_ms},
          {"verify_ms", report.verify_ms},
          {"clock_ratio", report.clock_ratio}};
}

Result<TimingReport> parse_timing(const json& message) {
  return guarded("timing report", [&] { return report_from(message); });
}

Result<DeviceProfile> parse_profile(const json& message) {
  return guarded("device profile", [&] {
    DeviceProfile profile = message.get<DeviceProfile>();
    if (profile.per_second.size() > 100) throw std::runtime_error("too many rates");
    return profile;
  });
}

}  // namespace assay
