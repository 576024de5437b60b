// Times a candidate's plan against a baseline's, for one case. Runs inside the runner process.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "evaluator/check/evidence.h"
#include "evaluator/device/device.h"
#include "evaluator/timing/protocol.h"

namespace assay {

struct TimeJob {
  BoundCase bound;
  const Artifact* candidate = nullptr;
  LaunchPlan candidate_plan;
  const Artifact* baseline = nullptr;
  LaunchPlan baseline_plan;
  EvidenceKernel evidence;  // where the case has evidence
  uint64_t seed = 0;        // secret
  TimingBudget budget;
  double deadline_seconds = 10;  // of one burst
};

/// Loads both sides' device code anew and measures. What the candidate did wrong is the report's
/// violation; an Error is ours (unsupported on the virtual device).
Result<TimingReport> time_case(Device& device, const TimeJob& job);

}  // namespace assay
