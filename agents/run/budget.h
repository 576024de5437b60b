// What a run, or all samples of a task, may use up.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "reports/run_store.h"

namespace assay {

struct Budget {
  std::optional<int64_t> samples;
  std::optional<int64_t> turns;
  std::optional<int64_t> tokens;
  std::optional<double> dollars;
  std::optional<double> wall_seconds;    // without waits for rate limits
  std::optional<double> device_seconds;  // of evaluations

  /// "turns=100,tokens=2e6,dollars=5,wall=2h,gpu=600": any of samples, turns, tokens, dollars,
  /// wall, gpu. Times take s, m, h. usage: says which part is wrong.
  static Result<Budget> parse(const std::string& text);

  /// Which limit is reached, for people ("tokens: 2000123 of 2000000"); empty while none is.
  std::string reached(const Spent& spent, double wall) const;
};

}  // namespace assay
