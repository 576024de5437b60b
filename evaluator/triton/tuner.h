// Chooses the configurations of a candidate's triton.autotune. tuner.cc opens with the theory of
// operation.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/triton/recorder.h"

namespace assay::triton {

/// Records solve() with these configurations (Request::choice). Called from several threads.
using RecordChoice = std::function<Result<Recorded>(const std::vector<uint32_t>& choice)>;
/// What a run of a recording costs; absent where it cannot run. Less is better.
using RunCost = std::function<Result<std::optional<double>>(const Recorded& recorded)>;

struct TuningLimits {
  size_t recordings = 64;         // of one case
  std::chrono::seconds wall{60};  // after it nothing new is tried
  size_t at_once = 1;             // recordings
};

struct Tuned {
  Recorded recorded;                 // with the chosen configurations
  std::vector<std::string> choices;  // a sentence for each kernel that was tuned
};

/// `first` is the recording with the first configuration of each tuner. Errors are ours.
Result<Tuned> tune(Recorded first, const RecordChoice& record, const RunCost& cost,
                   const TuningLimits& limits);

}  // namespace assay::triton
