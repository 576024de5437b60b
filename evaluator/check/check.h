// Decides whether a candidate's plan computes what the reference's plan computes, for one case.
// Runs inside the runner process, on its Device. check.cc opens with the theory of operation.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/check/comparison.h"
#include "evaluator/check/evidence.h"
#include "evaluator/device/device.h"
#include "evaluator/outcome.h"
#include "evaluator/plan/plan.h"
#include "tasks/task.h"

namespace assay {

struct CheckJob {
  BoundCase bound;
  const Artifact* candidate = nullptr;
  LaunchPlan candidate_plan;
  const Artifact* reference = nullptr;
  LaunchPlan reference_plan;
  EvidenceKernel evidence;     // where the case has evidence
  uint64_t seed = 0;           // secret
  int repeats = 2;             // runs of the candidate on the same input, at least 1
  RunOptions run;              // budget and deadline of one run
  bool want_outputs = false;   // return the candidate's output bytes
  bool want_expected = false;  // return input and expected bytes too (assay tasks dump)
};

struct TensorComparison {
  std::string tensor;
  Comparison comparison;
};

struct CheckReport {
  Outcome outcome = Outcome::harness_error;
  std::string reason;       // machine-readable: "mismatch", "unwritten", "red_zone", ...
  std::string explanation;  // for people and models; no expected values, no seeds
  std::vector<TensorComparison> comparisons;
  std::vector<LaunchStatistics> launches;  // of the first run
  std::vector<std::string> notes;
  std::string printed;
  uint32_t source_line = 0;
  double candidate_ms = 0;                     // host time of the first run
  double check_ms = 0;                         // all of it
  std::map<std::string, std::string> outputs;  // tensor -> bytes, as wanted
  std::map<std::string, std::string> inputs;
  std::map<std::string, std::string> expected;
};

/// An Error is ours (a device failed, the reference faulted): harness_error for the caller.
Result<CheckReport> check(Device& device, const CheckJob& job);

}  // namespace assay
