// Recording the variants of solves.cu by name.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "evaluator/record/recorder.h"

namespace assay::recorded {

/// Elements of the tensors x (in) and y (out) of the case that all variants are recorded for.
inline constexpr int kElements = 1000;

/// solves.cu, compiled once per process.
const Artifact& artifact();

const BoundCase& bound_case();

/// record() of the variant; a failure of ours fails the test.
RecordOutcome record_variant(const std::string& name,
                             const DeviceInfo& device = default_device_info("sm_90"));

/// The plan of a variant that must be recordable; empty, and a test failure, where it is not.
LaunchPlan plan_of(const std::string& name);

/// The failure of a variant that must not be recordable.
RecordFailure failure_of(const std::string& name);

/// Operation `number` as T; a test failure and a default T where it is something else.
template <typename T>
T operation(const LaunchPlan& plan, size_t number) {
  if (number < plan.operations.size())
    if (const auto* found = std::get_if<T>(&plan.operations[number].action)) return *found;
  ADD_FAILURE() << "operation " << number << " of " << plan.operations.size()
                << " is missing or of another kind";
  return {};
}

/// Number of the allocation of the i-th tensor.
inline uint32_t tensor(const LaunchPlan& plan, uint32_t index) {
  for (uint32_t i = 0; i < plan.allocations.size(); ++i)
    if (plan.allocations[i].kind == Allocation::Kind::argument &&
        plan.allocations[i].index == index)
      return i;
  return UINT32_MAX;
}

}  // namespace assay::recorded
