#include "evaluator/timing/timed_case.h"

#include <chrono>

#include "evaluator/timing/evidence_stopwatch.h"

namespace assay {

Result<TimingReport> time_case(Device& device, const TimeJob& job) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  ASSIGN_OR_RETURN(const std::unique_ptr<Module> baseline, device.load(*job.baseline));
  ASSIGN_OR_RETURN(const std::unique_ptr<Module> candidate, device.load(*job.candidate));
  StopwatchSetup setup;
  setup.bound = job.bound;
  setup.baseline = {baseline.get(), &job.baseline_plan};
  setup.candidate = {candidate.get(), &job.candidate_plan};
  setup.burst_ms = job.budget.burst_ms;
  setup.deadline_seconds = job.deadline_seconds;
  setup.seed = job.seed;
  setup.hash_every_burst = job.budget.verify_every_burst;
  ASSIGN_OR_RETURN(const std::unique_ptr<Stopwatch> stopwatch, device.make_stopwatch(setup));
  const double setup_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  EvidenceStopwatch by_evidence(*stopwatch, device, job);
  Stopwatch& judging = job.bound.evidence.empty() ? *stopwatch : by_evidence;
  ASSIGN_OR_RETURN(TimingReport report, measure(judging, job.budget, job.seed));
  report.setup_ms = setup_ms;
  report.wall_ms += setup_ms;
  return report;
}

}  // namespace assay
