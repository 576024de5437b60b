// Theory of operation
//
// A timed case is measured in the runner against the task's naive.cu, in one process or several
// fresh ones, as the budget says. This side adds what the runner need not be trusted with: no burst
// may be faster than the device's data sheet allows (timing.md 6.3: 0.9 of the floor of the whole
// burst, which grants two contents of the L2), nor than empty kernels of the same shape.
//
// The expert is measured in the same way, against the same baseline, once for a task, case, device
// and budget; its speedup is kept in cache_folder()/experts, so that a candidate's speedup over the
// expert is the ratio of the two. The ceilings of a device are kept in cache_folder()/profiles.
#include "evaluator/timed_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/digest.h"
#include "base/files.h"
#include "base/install.h"
#include "evaluator/evaluate.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

constexpr double kPhysicsSlack = 0.9;

/// Student's t, two-sided 95 %, by degrees of freedom from 1.
constexpr std::array<double, 9> kStudent = {12.706, 4.303, 3.182, 2.776, 2.571,
                                            2.447,  2.365, 2.306, 2.262};

fs::path profile_file(const DeviceInfo& device) {
  return cache_folder() / "profiles" / (sha256(device.uuid + device.name) + ".json");
}

std::optional<nlohmann::json> read_json(const fs::path& file) {
  const auto text = read_file(file);
  if (!text.ok()) return std::nullopt;
  nlohmann::json json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

Result<void> write_json(const fs::path& file, const nlohmann::json& json) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error)
    return Error{ErrorKind::io,
                 fmt::format("cannot create {}: {}", file.parent_path().string(), error.message())};
  return write_file(file, json.dump(2) + "\n");
}

std::optional<Speedup> read_speedup(const fs::path& file) {
  const auto json = read_json(file);
  if (!json) return std::nullopt;
  const Speedup speedup{json->value("speedup", 0.0),
                        {json->value("low", 0.0), json->value("high", 0.0)}};
  if (!(speedup.value > 0) || !(speedup.interval.low > 0)) return std::nullopt;
  return speedup;
}

}  // namespace

Outcome outcome_of_violation(const std::string& reason) {
  if (reason == "mismatch") return Outcome::wrong_output;
  if (reason == "kernel_time") return Outcome::timeout;
  if (reason == "launch_limits" || reason == "launch_failed") return Outcome::launch_error;
  for (const char* fault : {"illegal_address", "misaligned_address", "trap", "assertion",
                            "divergent_barrier", "stack_overflow"})
    if (reason == fault) return Outcome::runtime_fault;
  return Outcome::tampered;
}

std::optional<TimingViolation> physics_violation(const TimingReport& report, const BoundCase& bound,
                                                 const DeviceProfile& datasheet) {
  for (const TimingSample& sample : report.samples) {
    if (sample.side != Side::candidate) continue;
    const double floor_us = burst_floor_us(bound, datasheet, sample.calls);
    if (1e3 * sample.elapsed_ms >= kPhysicsSlack * floor_us) continue;
    return TimingViolation{
        "physics",
        fmt::format("{} calls took {:.1f} us; moving the task's data or doing its arithmetic takes "
                    "a {} at least {:.1f} us: not all of the work was done",
                    sample.calls, 1e3 * sample.elapsed_ms, datasheet.device, floor_us)};
  }
  if (report.candidate.median_us > 0 &&
      report.candidate.median_us < kPhysicsSlack * report.empty_call_us)
    return TimingViolation{
        "physics", fmt::format("a call took {:.3g} us, less than empty kernels of the same shape "
                               "take ({:.3g} us)",
                               report.candidate.median_us, report.empty_call_us)};
  return std::nullopt;
}

Speedup combined_speedup(const std::vector<TimingReport>& processes) {
  std::vector<double> logs;
  double width = 0;
  for (const TimingReport& report : processes) {
    if (!(report.speedup > 0) || !(report.speedup_interval.low > 0)) return {};
    logs.push_back(std::log(report.speedup));
    width += (std::log(report.speedup_interval.high) - std::log(report.speedup_interval.low)) / 2;
  }
  if (logs.empty()) return {};
  if (logs.size() == 1) return {processes[0].speedup, processes[0].speedup_interval};
  const auto count = static_cast<double>(logs.size());
  const double mean = std::accumulate(logs.begin(), logs.end(), 0.0) / count;
  double squares = 0;
  for (const double log : logs) squares += (log - mean) * (log - mean);
  const double deviation = std::sqrt(squares / (count - 1));
  const double student = kStudent[std::min(logs.size() - 2, kStudent.size() - 1)];
  const double half = std::max(student * deviation / std::sqrt(count), width / count);
  return {std::exp(mean), {std::exp(mean - half), std::exp(mean + half)}};
}

std::optional<DeviceProfile> load_profile(const DeviceInfo& device) {
  const auto json = read_json(profile_file(device));
  if (!json) return std::nullopt;
  try {
    return json->get<DeviceProfile>();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // of another version: measured again
  }
}

Result<void> save_profile(const DeviceInfo& device, const DeviceProfile& profile) {
  return write_json(profile_file(device), profile);
}

Result<DeviceProfile> Evaluator::calibrate() {
  ASSIGN_OR_RETURN(const DeviceProfile profile, runners_->calibrate());
  RETURN_IF_ERROR(save_profile(device_, profile));
  profile_ = profile;
  return profile;
}

Result<CaseTiming> Evaluator::measure(const Task& task, const BoundCase& bound,
                                      const Artifact& candidate, const LaunchPlan& plan,
                                      const TimingBudget& budget, uint64_t seed) {
  ASSIGN_OR_RETURN(Trusted naive, trusted_kernel(task, "naive", bound));
  TimeJob job;
  job.bound = bound;
  job.candidate = &candidate;
  job.candidate_plan = plan;
  job.baseline = naive.artifact.get();
  job.baseline_plan = std::move(naive.plan);
  ASSIGN_OR_RETURN(const Trusted evidence, evidence_kernel(task, bound));
  job.evidence = {evidence.artifact.get(), evidence.plan};
  job.budget = budget;
  CaseTiming timing;
  const std::optional<DeviceProfile> sheet = datasheet(device_.name);
  if (sheet) timing.limit_us = roofline_us(bound, task.work.unit, *sheet);
  if (profile_) timing.reachable_us = roofline_us(bound, task.work.unit, *profile_);
  for (int process = 0; process < budget.processes; ++process) {
    job.seed = seed + static_cast<uint64_t>(process) * 0x9e3779b97f4a7c15;
    ASSIGN_OR_RETURN(TimingReport report, runners_->time(job, budget.fresh_process));
    if (!report.violation && sheet) report.violation = physics_violation(report, bound, *sheet);
    timing.processes.push_back(std::move(report));
    if (timing.processes.back().violation) return timing;
  }
  timing.speedup = combined_speedup(timing.processes);
  return timing;
}

Result<std::optional<Speedup>> Evaluator::expert_speedup(const Task& task, const BoundCase& bound,
                                                         const TimingBudget& budget) {
  const std::lock_guard lock(expert_mutex_);
  ASSIGN_OR_RETURN(const Trusted expert, trusted_kernel(task, "expert", bound));
  ASSIGN_OR_RETURN(const Trusted naive, trusted_kernel(task, "naive", bound));
  const std::string key = Digest()
                              .add(expert.artifact->key)
                              .add(naive.artifact->key)
                              .add(nlohmann::json(bound).dump())
                              .add(device_.name + device_.driver)
                              .add(budget.name)
                              .hex();
  const fs::path file = cache_folder() / "experts" / (key + ".json");
  if (auto known = read_speedup(file)) return known;
  ASSIGN_OR_RETURN(const CaseTiming timing, measure(task, bound, *expert.artifact, expert.plan,
                                                    budget, 0x5eed + bound.tensors.size()));
  if (const auto& violation = timing.processes.back().violation)
    return Error{ErrorKind::internal, fmt::format("expert.cu of task {}, case {}: {}", task.id,
                                                  bound.case_name, violation->explanation)};
  if (!(timing.speedup.value > 0)) return std::optional<Speedup>();
  (void)write_json(file, {{"task", task.id},
                          {"case", bound.case_name},
                          {"device", device_.name},
                          {"budget", budget.name},
                          {"speedup", timing.speedup.value},
                          {"low", timing.speedup.interval.low},
                          {"high", timing.speedup.interval.high}});
  return std::optional<Speedup>(timing.speedup);
}

}  // namespace assay
