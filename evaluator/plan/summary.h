// A launch plan in a few lines, for people: what is launched how often and how, and which memory.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/plan/plan.h"

namespace assay {

struct PlanSummary {
  /// Launches of one kernel that differ in nothing below.
  struct Launches {
    std::string kernel;  // demangled where the artifact says how
    Dim3 grid, block;
    Dim3 cluster{0, 0, 0};  // all zero: none
    uint32_t dynamic_shared_bytes = 0;
    uint64_t count = 0;
    bool operator==(const Launches&) const = default;
  };
  static constexpr size_t kMaxLaunches = 16;

  std::vector<Launches> launches;  // in the order of their first one; at most kMaxLaunches
  uint64_t launches_left_out = 0;  // launches (not kinds of them) that are not in the list
  uint64_t memsets = 0;
  uint64_t copies = 0;
  uint64_t streams = 0;  // that hold an operation
  uint64_t arguments = 0, argument_bytes = 0;
  uint64_t scratch_buffers = 0, scratch_bytes = 0;
  uint64_t variables = 0, variable_bytes = 0;

  uint64_t launch_count() const;
  bool operator==(const PlanSummary&) const = default;
};

PlanSummary summarise(const LaunchPlan& plan, std::span<const Kernel> kernels);

/// The form that the store keeps.
void to_json(nlohmann::json& json, const PlanSummary& summary);
/// An Error (invalid) where the text is not what to_json() wrote.
Result<PlanSummary> parse_plan_summary(const std::string& json_text);

}  // namespace assay
